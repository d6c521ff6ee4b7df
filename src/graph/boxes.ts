import { groupsOf } from '../host/host-index.ts'
import type { SourceEnd } from '../spec/sources/registry.ts'
import { breakWord, widthOf, wrap, writeCount } from '../text-lines.ts'
import { type End, type GraphSpan, type Part, type Standing, standingOf } from './graph.ts'

/** Distances within a box and around it, in pixels. */
export const box = { padding: 10, icon: 26, gap: 10, narrowest: 110 }

/** Text: its size and height in pixels, and how many characters and lines of it a box has at most. */
export const styles = {
  title: { size: 13, height: 18, room: 26, most: 2 },
  detail: { size: 11, height: 15, room: 28, most: 4 },
  remark: { size: 11, height: 15, room: 28, most: 6 }
} as const

type Style = keyof typeof styles

/** The width of a character as a part of its size: that of the widest of the usual monospace fonts. */
const characterWidth = 0.61

/** How many pixels wide a text is at most. */
export function pixelsOf(text: string, style: Style): number {
  return widthOf(text) * styles[style].size * characterWidth
}

/** How many characters of a style fit. */
export function fitting(width: number, style: Style): number {
  return Math.floor(width / (styles[style].size * characterWidth))
}

/** What tells how a box or an edge looks. */
export interface Standpoint {
  readonly role: 'source' | 'mirror' | 'span' | 'receiver'
  readonly standing: Standing
}

/** One line of a text, with its colour: that of what the line is about. */
export interface Line {
  readonly text: string
  readonly style: Style
  readonly standing: Standing
}

/** A part as a box, of which the place is not known yet. */
export interface Box extends Standpoint {
  readonly lines: readonly Line[]
  readonly icon: SourceEnd | null
  /** It has no frame: its lines stand above and below an edge to what several spans share. */
  readonly isOpen: boolean
  /** The whole text, where its lines have not all of it. */
  readonly whole: string | null
  readonly width: number
  readonly height: number
}

/** One end of a span: its box, or the name of what it shares with others; of a source, with its mirror. */
export interface Row {
  readonly end: Box
  readonly mirror: Box | null
  /** Of what several spans have; null: the end is this span's alone. */
  readonly shared: string | null
  /** How the way through it stands. */
  readonly standing: Standing
  readonly rate: string
  readonly height: number
}

/** A span in the picture: a panel with its boxes. */
export interface Cell {
  readonly title: string
  readonly bar: Box
  readonly left: readonly Row[]
  readonly right: readonly Row[]
  /** Of its boxes, without what is around them. */
  readonly height: number
}

/** What several spans have as an end: the part, with what is to be said in all of them; and its box. */
export type Shared = ReadonlyMap<string, { readonly part: Part; readonly box: Box }>

/** What stands before a remark. */
export const signs: Readonly<Record<Standing, string>> = { ok: '', waits: '… ', paused: '|| ', broken: '! ' }

/**
 * Breaks a text into lines: between words, and within a word that is longer than a line.
 *
 * @param room cells of a line, 3 at least.
 * @param most lines. What does not fit ends with an ellipsis.
 */
export function wrapAll(text: string, room: number, most: number): string[] {
  const pieces = text.split(' ').flatMap((word) => breakWord(word, room))
  const lines = wrap(pieces.join(' '), room)
  if (lines.length <= most) return lines
  const [last = ''] = breakWord(lines[most - 1] ?? '', room - 1)
  return [...lines.slice(0, most - 1), `${last}…`]
}

/** The lines of texts, and all of the texts where the lines have not all. */
function breakTexts(texts: readonly (Line & { readonly most?: number })[]): Pick<Box, 'lines' | 'whole'> {
  const broken = texts.map(({ text, style, standing, most = styles[style].most }) =>
    wrapAll(text, styles[style].room, most).map((line) => ({ text: line, style, standing }))
  )
  const isCut = broken.some((lines) => lines.at(-1)?.text.endsWith('…'))
  return { lines: broken.flat(), whole: isCut ? texts.map(({ text }) => text).join('\n') : null }
}

function textsOf({ details, gets, remarks }: Pick<Part, 'details' | 'gets' | 'remarks'>): readonly Line[] {
  return [
    ...[...details, ...gets].map((text) => ({ text, style: 'detail', standing: 'ok' }) as const),
    ...remarks.map(({ standing, text }) => ({ text: `${signs[standing]}${text}`, style: 'remark', standing }) as const)
  ]
}

const widest = (lines: readonly Line[]) =>
  Math.ceil(Math.max(0, ...lines.map(({ text, style }) => pixelsOf(text, style))))

/** A part in a frame. */
function makeBox(part: Part, role: Standpoint['role'], icon: SourceEnd | null = null): Box {
  const text = breakTexts([{ text: part.title, style: 'title', standing: 'ok' }, ...textsOf(part)])
  return {
    ...{ ...text, role, standing: standingOf(part), icon, isOpen: false },
    width: Math.max(box.narrowest, widest(text.lines) + 2 * box.padding + (icon === null ? 0 : box.icon)),
    height: text.lines.reduce((sum, { style }) => sum + styles[style].height, 2 * box.padding - 4)
  }
}

/** The name of what spans share, above the edge to it; below the edge, what is this span's alone. */
function makeOpen(end: End, role: Standpoint['role'], { remarks }: Part): Box {
  const own = end.remarks.filter(({ text }) => !remarks.some((one) => one.text === text))
  const text = breakTexts([
    { text: end.title, style: 'detail', standing: 'ok', most: 1 },
    ...textsOf({ details: [], gets: end.gets, remarks: own })
  ])
  return {
    ...{ ...text, role, standing: standingOf(end), icon: null, isOpen: true },
    width: widest(text.lines) + 8,
    height: 2 * styles.detail.height * Math.max(1, text.lines.length - 1) + 8
  }
}

/** The ends that more than one span has. A box is as broken as the worst of them. */
export function findShared(ends: readonly (readonly End[])[], role: Standpoint['role']): Shared {
  const uses = groupsOf(
    ends.flatMap((own, span) => own.map((end) => ({ end, span }))),
    ({ end }) => end.id
  )
  return new Map(
    [...uses].flatMap(([id, all]) => {
      if (new Set(all.map(({ span }) => span)).size < 2) return []
      const [{ end }] = all
      const isSaidOfAll = (text: string) => all.every((one) => one.end.remarks.some((other) => other.text === text))
      const part = {
        ...end,
        details: [...new Set(all.flatMap((one) => one.end.details))],
        gets: [],
        remarks: end.remarks.filter(({ text }) => isSaidOfAll(text))
      }
      const standing = standingOf(...all.map((one) => one.end))
      return [[id, { part, box: { ...makeBox(part, role, end.kind), standing } }] as const]
    })
  )
}

/** The boxes of a span. */
export function makeCell(span: GraphSpan, sources: Shared, receivers: Shared): Cell {
  const bar = makeBox(span, 'span')
  const makeRow = (end: End, role: Standpoint['role'], shared: Shared, mirror: Part | null): Row => {
    const other = shared.get(end.id)?.part
    const made = other === undefined ? makeBox(end, role, end.kind) : makeOpen(end, role, other)
    const mirrorBox = mirror && makeBox(mirror, 'mirror')
    const { rate } = mirror ?? end
    return {
      ...{ end: made, mirror: mirrorBox, shared: other === undefined ? null : end.id },
      standing: standingOf(end, ...(mirror === null ? [] : [mirror])),
      rate: rate === null ? '' : `${writeCount(rate)}/s`,
      height: Math.max(made.height, mirrorBox?.height ?? 0)
    }
  }
  const left = span.sources.map((one) => makeRow(one, 'source', sources, one.mirror))
  const right = span.receivers.map((one) => makeRow(one, 'receiver', receivers, null))
  const title = span.description === null ? span.title : `${span.title} · ${span.description}`
  return { title, bar, left, right, height: Math.max(bar.height, stackHeight(left), stackHeight(right)) }
}

/** How high boxes are, one below the other. */
export function stackHeight(boxes: readonly { readonly height: number }[]): number {
  return boxes.reduce((sum, { height }) => sum + height + box.gap, -box.gap)
}
