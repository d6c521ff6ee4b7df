import type { SourceEnd } from '../spec/sources/registry.ts'
import { breakWord, widthOf, wrap } from '../text-lines.ts'
import {
  type Graph,
  type GraphSpan,
  type Part,
  partsOf,
  type Remark,
  type Standing,
  standingOf,
  standings
} from './graph.ts'

/** Distances in pixels. */
const page = { margin: 12, headings: 26, foot: 26, gap: 10, narrowest: 420 }
const panel = { padding: 14, heading: 34 }
const box = { padding: 10, icon: 26, gap: 10, arrow: 40, entry: 26, narrowest: 110 }

/** Text: its size and height in pixels, and how many characters and lines of it a box has at most. */
const styles = {
  title: { size: 13, height: 18, room: 26, most: 2 },
  detail: { size: 11, height: 15, room: 28, most: 4 },
  remark: { size: 11, height: 15, room: 28, most: 6 }
} as const

/** The width of a character as a part of its size: that of the widest of the usual monospace fonts. */
const characterWidth = 0.61

const fonts = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"

const ink = { title: '#1f2328', detail: '#57606a', page: '#ffffff', panel: '#f6f8fa', border: '#d0d7de' }

/** How lines, boxes and the texts in boxes look. The colours are of Okabe and Ito, whom the colour-blind can tell apart. */
interface Look {
  readonly line: string
  readonly fill: string
  readonly title: string
  readonly detail: string
  readonly dashes: string
}

const plain = { fill: ink.page, title: ink.title, detail: ink.detail, dashes: 'none' }

/** What stands as it should looks as its column does. */
const roles = {
  source: { ...plain, line: '#0072b2' },
  mirror: { ...plain, line: '#0072b2', fill: '#e3f1fb' },
  span: { ...plain, line: '#0072b2', fill: '#0072b2', title: ink.page, detail: ink.page },
  receiver: { ...plain, line: '#00785a' }
} as const satisfies Record<string, Look>

/** What does not, looks the same in each column; `text` is the colour of its remarks. */
const looks: Readonly<Record<Remark['standing'], Look & { readonly text: string }>> = {
  waits: { ...plain, line: '#6e7781', text: '#57606a', dashes: '2 4' },
  paused: { ...plain, line: '#b87a00', text: '#7a5200', dashes: '10 4' },
  broken: { ...plain, line: '#d55e00', text: '#a03f00', dashes: '6 4' }
}

const signs: Readonly<Record<Remark['standing'], string>> = { waits: '… ', paused: '|| ', broken: '! ' }

/** The columns of the picture, and what stands above them. */
const columns = ['sources', 'mirrors', 'span', 'sensors'] as const

/** What each column has: where it begins, and how wide it is. */
type Columns = Readonly<Record<(typeof columns)[number], { readonly x: number; readonly width: number }>>

/** One line of text of a box. */
interface Line {
  readonly text: string
  readonly style: keyof typeof styles
  readonly fill: string
}

/** A part as a box, of which the place is not known yet. */
interface Box {
  readonly lines: readonly Line[]
  readonly standing: Standing
  readonly look: Look
  readonly icon: SourceEnd | null
  readonly width: number
  readonly height: number
}

/** The boxes of one span. */
interface Lane {
  readonly span: GraphSpan
  readonly bar: Box
  readonly left: readonly { readonly source: Box; readonly mirror: Box; readonly height: number }[]
  readonly right: readonly Box[]
  /** Of its boxes, without what is around them. */
  readonly height: number
}

/**
 * The graph as a picture that stands alone: it needs no program, font or network to be shown, and has its own background. Each
 * span is a bar, with its sources on the left and its sensors on the right.
 */
export function renderSvg(graph: Graph): string {
  const lanes = graph.spans.map(makeLane)
  const at = placeColumns(lanes)
  const width = Math.max(page.narrowest, at.sensors.x + at.sensors.width + panel.padding + page.margin)
  const tops = [page.margin + page.headings]
  for (const lane of lanes) tops.push((tops.at(-1) ?? 0) + laneHeight(lane) + page.gap)
  const end = tops.at(-1) ?? 0
  const left = page.margin + panel.padding
  const notes = [
    ...(lanes.length === 0 ? [{ text: 'no spans', fill: ink.detail }] : []),
    ...graph.remarks.flatMap(({ standing, text }) =>
      wrapAll(`${signs[standing]}${text}`, fitting(width - 2 * left, styles.remark.size), 3).map((line) => ({
        text: line,
        fill: looks[standing].text
      }))
    )
  ]
  const foot = end + notes.length * styles.remark.height
  const height = foot + (graph.fileOnly ? page.margin - page.gap : page.foot)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" font-family="${fonts}">`,
    `<title>${escapeXml(`spanplan: ${graph.spans.map((span) => span.title).join(', ')}`)}</title>`,
    drawRect(
      { x: 0.5, y: 0.5, width: width - 1, height: height - 1 },
      `rx="10" fill="${ink.page}" stroke="${ink.border}"`
    ),
    ...columns
      .filter((name) => at[name].width > 0)
      .map((name) => drawText(name, at[name].x + at[name].width / 2, page.margin + 14, 11, ink.detail, centred)),
    ...lanes.flatMap((lane, index) => drawLane(lane, at, tops[index] ?? 0, width)),
    ...notes.map(({ text, fill }, index) => drawText(text, left, end + 10 + index * styles.remark.height, 11, fill)),
    ...(graph.fileOnly ? [] : drawLegend(graph, left, foot + 8)),
    '</svg>',
    ''
  ].join('\n')
}

const centred = 'text-anchor="middle" letter-spacing="1"'

/** How many characters of a size fit. */
function fitting(width: number, size: number): number {
  return Math.floor(width / (size * characterWidth))
}

function makeLane(span: GraphSpan): Lane {
  const bar = makeBox(span, 'span')
  const left = span.sources.map((one) => {
    const [source, mirror] = [makeBox(one, 'source', one.kind), makeBox(one.mirror, 'mirror')]
    return { source, mirror, height: Math.max(source.height, mirror.height) }
  })
  const right = span.receivers.map((receiver) => makeBox(receiver, 'receiver', receiver.kind))
  return { span, bar, left, right, height: Math.max(bar.height, stackHeight(left), stackHeight(right)) }
}

function stackHeight(boxes: readonly { readonly height: number }[]): number {
  return boxes.reduce((sum, { height }) => sum + height + box.gap, -box.gap)
}

function laneHeight({ height }: Lane): number {
  return panel.heading + height + panel.padding
}

function makeBox(part: Part, role: keyof typeof roles, icon: SourceEnd | null = null): Box {
  const standing = standingOf(part)
  const look = standing === 'ok' ? roles[role] : looks[standing]
  const lines = [
    ...makeLines(part.title, 'title', look.title),
    ...part.details.flatMap((text) => makeLines(text, 'detail', look.detail)),
    ...part.remarks.flatMap((one) => makeLines(`${signs[one.standing]}${one.text}`, 'remark', looks[one.standing].text))
  ]
  const text = Math.max(0, ...lines.map((line) => widthOf(line.text) * styles[line.style].size * characterWidth))
  return {
    lines,
    standing,
    look,
    icon,
    width: Math.max(box.narrowest, Math.ceil(text) + 2 * box.padding + (icon === null ? 0 : box.icon)),
    height: lines.reduce((sum, { style }) => sum + styles[style].height, 2 * box.padding - 4)
  }
}

/**
 * Breaks a text into lines: between words, and within a word that is longer than a line.
 *
 * @param room cells of a line, 3 at least.
 * @param most lines. What does not fit ends with an ellipsis.
 */
function wrapAll(text: string, room: number, most: number): string[] {
  const pieces = text.split(' ').flatMap((word) => breakWord(word, room))
  const lines = wrap(pieces.join(' '), room)
  if (lines.length <= most) return lines
  const [last = ''] = breakWord(lines[most - 1] ?? '', room - 1)
  return [...lines.slice(0, most - 1), `${last}…`]
}

function makeLines(text: string, style: Line['style'], fill: string): Line[] {
  const { room, most } = styles[style]
  return wrapAll(text, room, most).map((line) => ({ text: line, style, fill }))
}

/** All lanes have the same columns, each as wide as its widest box. A column without a box takes no room. */
function placeColumns(lanes: readonly Lane[]): Columns {
  let end = page.margin + panel.padding + box.entry - box.arrow
  const place = (boxes: readonly Box[]) => {
    const column = { x: end + box.arrow, width: Math.max(0, ...boxes.map(({ width }) => width)) }
    if (column.width > 0) end = column.x + column.width
    return column.width > 0 ? column : { x: end, width: 0 }
  }
  return {
    sources: place(lanes.flatMap(({ left }) => left.map(({ source }) => source))),
    mirrors: place(lanes.flatMap(({ left }) => left.map(({ mirror }) => mirror))),
    span: place(lanes.map(({ bar }) => bar)),
    sensors: place(lanes.flatMap(({ right }) => right))
  }
}

function drawLane(lane: Lane, at: Columns, top: number, width: number): string[] {
  const { span, bar, left, right, height } = lane
  const y = top + panel.heading
  const whole = { x: page.margin, y: top, width: width - 2 * page.margin, height: laneHeight(lane) }
  const description = span.description === null ? '' : ` · ${span.description}`
  const [heading = ''] = wrapAll(`${span.title}${description}`, fitting(whole.width - 2 * panel.padding, 13), 1)
  return [
    drawRect(whole, `rx="8" fill="${ink.panel}" stroke="${ink.border}"`),
    drawText(heading, page.margin + panel.padding, top + 22, 13, ink.title, 'font-weight="600"'),
    ...drawBox(bar, { ...at.span, y, height }),
    ...stack(left, y, height).flatMap(({ item: { source, mirror }, y, height }) => {
      const middle = y + height / 2
      const look = standings.indexOf(source.standing) > standings.indexOf(mirror.standing) ? source.look : mirror.look
      return [
        ...(source.icon === 'interface' ? drawArrow(at.sources.x - box.entry, at.sources.x, middle, source.look) : []),
        ...drawBox(source, { ...at.sources, y, height }),
        ...drawArrow(at.sources.x + at.sources.width, at.mirrors.x, middle, look),
        ...drawBox(mirror, { ...at.mirrors, y, height }),
        ...drawArrow(at.mirrors.x + at.mirrors.width, at.span.x, middle, look)
      ]
    }),
    ...stack(right, y, height).flatMap(({ item, y, height }) => [
      ...drawArrow(at.span.x + at.span.width, at.sensors.x, y + height / 2, item.look),
      ...drawBox(item, { ...at.sensors, y, height })
    ])
  ]
}

/** Boxes one below the other, in the middle of a height. */
function stack<Item extends { readonly height: number }>(items: readonly Item[], top: number, height: number) {
  let y = top + (height - stackHeight(items)) / 2
  return items.map((item) => {
    const placed = { item, y, height: item.height }
    y += item.height + box.gap
    return placed
  })
}

interface Rectangle {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

function drawBox({ lines, look: { line, fill, dashes }, icon, height }: Box, place: Rectangle): string[] {
  let y = place.y + (place.height - height) / 2 + box.padding - 4
  const x = place.x + box.padding + (icon === null ? 0 : box.icon)
  return [
    drawRect(place, `rx="6" fill="${fill}" stroke="${line}" stroke-width="1.5" stroke-dasharray="${dashes}"`),
    ...(icon === null ? [] : [drawIcon(icon, place.x + box.padding, y + 3, line)]),
    ...lines.map(({ text, style, fill }) => {
      y += styles[style].height
      return drawText(text, x, y - 2, styles[style].size, fill, style === 'title' ? 'font-weight="600"' : '')
    })
  ]
}

/** A jack for an interface, a box for a container: 16 pixels wide. */
function drawIcon(icon: SourceEnd, x: number, y: number, color: string): string {
  const path =
    icon === 'interface'
      ? 'M1 1h14v13h-3v2H4v-2H1zM4 1v4M7 1v4M10 1v4M13 1v4'
      : 'M1 3h14v11H1zM5 5.5v6M8 5.5v6M11 5.5v6'
  return `<path d="${path}" transform="translate(${x} ${y})" fill="none" stroke="${color}" stroke-width="1.3"/>`
}

function drawArrow(from: number, to: number, y: number, { line, dashes }: Pick<Look, 'line' | 'dashes'>): string[] {
  return [
    `<path d="M${from} ${y}H${to - 7}" stroke="${line}" stroke-width="1.5" stroke-dasharray="${dashes}"/>`,
    `<path d="M${to - 1} ${y}l-8 -4.5v9z" fill="${line}"/>`
  ]
}

/** What the lines that are in the picture mean. */
function drawLegend({ spans, remarks }: Graph, left: number, y: number): string[] {
  const drawn = new Set(
    [...spans.flatMap(partsOf), ...(remarks.length > 0 ? [{ remarks }] : [])].map((part) => standingOf(part))
  )
  return standings
    .filter((standing) => drawn.has(standing))
    .flatMap((standing, index) => {
      const [look, fill] = standing === 'ok' ? [roles.source, ink.detail] : [looks[standing], looks[standing].text]
      const x = left + index * 110
      return [
        ...drawArrow(x, x + 30, y, look),
        drawText(standing === 'ok' ? 'in sync' : standing, x + 38, y + 4, 11, fill)
      ]
    })
}

function drawRect({ x, y, width, height }: Rectangle, attributes: string): string {
  return `<rect x="${x}" y="${y}" width="${width}" height="${height}" ${attributes}/>`
}

function drawText(text: string, x: number, y: number, size: number, fill: string, more = ''): string {
  const attributes = more === '' ? '' : ` ${more}`
  return `<text x="${x}" y="${y}" font-size="${size}" fill="${fill}"${attributes}>${escapeXml(text)}</text>`
}

/** What XML 1.0 does not allow in a text, after printable(). */
const notXml = /[\uFFFE\uFFFF]/g

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;'
}

function escapeXml(text: string): string {
  return text.replace(notXml, '\uFFFD').replace(/[&<>"']/g, (character) => entities[character] ?? '')
}
