import { groupsOf } from '../host/host-index.ts'
import type { SourceEnd } from '../spec/sources/registry.ts'
import {
  type Box,
  box,
  type Cell,
  findShared,
  fitting,
  type Line,
  makeCell,
  pixelsOf,
  type Row,
  type Shared,
  type Standpoint,
  stackHeight,
  styles,
  wrapAll
} from './boxes.ts'
import { type Graph, standingOf } from './graph.ts'

/** Distances in pixels; `shape` is the page's width for its height, that of a screen. */
export const page = { margin: 12, headings: 26, gap: 10, narrowest: 420, arrow: 40, entry: 26, lane: 8, shape: 1.4 }
const panel = { padding: 14, heading: 34 }

export interface Rectangle {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** A line of text, with its left end, and its base line. */
export interface PlacedLine extends Line {
  readonly x: number
  readonly y: number
}

export interface PlacedBox extends Rectangle, Standpoint, Pick<Box, 'isOpen' | 'whole'> {
  readonly icon: { readonly end: SourceEnd; readonly x: number; readonly y: number } | null
  readonly lines: readonly PlacedLine[]
}

type Point = readonly [x: number, y: number]

/** A straight line, level or upright. */
export interface Edge extends Standpoint {
  readonly from: Point
  readonly to: Point
  readonly hasArrow: boolean
  /** Where it leaves a line that other edges have, too. */
  readonly joins?: Point
}

/** Where everything of a picture is. */
export interface Layout {
  readonly width: number
  readonly height: number
  /** Where the middle of each is. */
  readonly headings: readonly { readonly text: string; readonly x: number }[]
  readonly panels: readonly (Rectangle & Pick<Box, 'whole'> & { readonly heading: PlacedLine })[]
  readonly boxes: readonly PlacedBox[]
  readonly edges: readonly Edge[]
  /** Above their edges. */
  readonly rates: readonly PlacedLine[]
}

/** A row of a span that leads to what several spans share, and where its edge leaves what is the span's own. */
interface Use extends Standpoint {
  readonly shared: string
  readonly column: number
  readonly at: Point
}

/** The columns within a panel, and what stands above them. */
const columnNames = ['sources', 'mirrors', 'span', 'sensors'] as const

/**
 * Lays a graph out. Each span is a panel, with its sources on the left and its sensors on the right; the panels stand in columns. What
 * several spans share stands once, beside all panels. A line leads from it to each column, in lanes that are free of boxes.
 */
export function layOut({ spans }: Graph): Layout {
  const sources = findShared(
    spans.map((span) => span.sources),
    'source'
  )
  const receivers = findShared(
    spans.map((span) => span.receivers),
    'receiver'
  )
  const cells = spans.map((span) => makeCell(span, sources, receivers))
  const at = placeParts(cells)
  const columns = wrapCells(cells, at.width)
  const last = columns.length - 1
  const left = makeLanes(columns, 'left', sources, 0)
  const right = makeLanes(columns, 'right', receivers, last)
  const top = page.margin + page.headings + roomOf(left.far)
  const sourceX = page.margin + page.entry
  let x = sources.size === 0 ? page.margin : sourceX + widthOf(sources)
  const starts = columns.map((_, index) => {
    const start = x + roomOf(left.lanes[index])
    x = start + at.width + roomOf(right.lanes[index]) + page.gap
    return start
  })
  const receiverX = x - page.gap + page.arrow
  const placed = columns.map((column, index) => placeColumn(column, [starts[index] ?? 0, top], at, index))
  const inside = placed.flatMap((column) => column.cells)
  const end = Math.max(top, ...placed.map((column) => column.end))
  const wiredLeft = wire(
    sources,
    inside.flatMap((one) => one.uses),
    {
      ...{ role: 'source', main: 0, x: sourceX, top },
      laneX: (column, id) => (starts[column] ?? 0) - roomOf(left.lanes[column]) + laneAt(left.lanes[column], id),
      channelY: (id) => page.margin + page.headings + laneAt(left.far, id) - 6
    }
  )
  const wiredRight = wire(
    receivers,
    inside.flatMap((one) => one.uses),
    {
      ...{ role: 'receiver', main: last, x: receiverX, top },
      laneX: (column, id) => (starts[column] ?? 0) + at.width + laneAt(right.lanes[column], id),
      channelY: (id) => end + laneAt(right.far, id) - 2
    }
  )
  const boxes = [...inside.flatMap((one) => one.boxes), ...wiredLeft.boxes, ...wiredRight.boxes]
  const isShown = (name: (typeof columnNames)[number]) => at[name].width > 0
  return {
    width: Math.max(
      page.narrowest,
      page.margin + (receivers.size === 0 ? x - page.gap : receiverX + widthOf(receivers))
    ),
    height: Math.max(end + roomOf(right.far), ...boxes.map((one) => one.y + one.height + page.gap)),
    headings: [
      ...(sources.size === 0 ? [] : [{ text: 'sources', x: sourceX + widthOf(sources) / 2 }]),
      ...starts.flatMap((start) =>
        columnNames.filter(isShown).map((text) => ({ text, x: start + at[text].x + at[text].width / 2 }))
      ),
      ...(receivers.size === 0 ? [] : [{ text: 'sensors', x: receiverX + widthOf(receivers) / 2 }])
    ],
    panels: inside.map((one) => one.panel),
    boxes,
    edges: [...wiredLeft.edges, ...wiredRight.edges, ...inside.flatMap((one) => one.edges)],
    rates: inside.flatMap((one) => one.rates)
  }
}

const widthOf = (shared: Shared) => Math.max(0, ...[...shared.values()].map((one) => one.box.width))

/** Where the columns within each panel begin, and how wide they are: one without a box takes no room. */
function placeParts(cells: readonly Cell[]) {
  const rows = cells.flatMap(({ left, right }) => [...left, ...right])
  const arrow = Math.max(page.arrow, ...rows.map(({ rate }) => Math.ceil(pixelsOf(rate, 'detail')) + 18))
  let end = panel.padding + page.entry - arrow
  const place = (boxes: readonly Box[]) => {
    const column = { x: end + arrow, width: Math.max(0, ...boxes.map(({ width }) => width)) }
    if (column.width > 0) end = column.x + column.width
    return column.width > 0 ? column : { x: end, width: 0 }
  }
  const parts = {
    sources: place(cells.flatMap(({ left }) => left.map((row) => row.end))),
    mirrors: place(cells.flatMap(({ left }) => left.flatMap(({ mirror }) => mirror ?? []))),
    span: place(cells.map(({ bar }) => bar)),
    sensors: place(cells.flatMap(({ right }) => right.map((row) => row.end)))
  }
  return { ...parts, width: end + panel.padding }
}

type Parts = ReturnType<typeof placeParts>

const panelHeight = ({ height }: Pick<Cell, 'height'>) => panel.heading + height + panel.padding

/** Puts panels into columns of about the same height: as many as give the page its shape. */
function wrapCells(cells: readonly Cell[], width: number): readonly (readonly Cell[])[] {
  const heightOf = (some: readonly Cell[]) => stackHeight(some.map((cell) => ({ height: panelHeight(cell) })))
  const total = heightOf(cells)
  const split = (count: number) => {
    const columns = groupsOf([...cells.entries()], ([index, cell]) =>
      Math.floor(((heightOf(cells.slice(0, index)) + panelHeight(cell) / 2) / total) * count)
    )
    return [...columns.values()].map((column) => column.map(([, cell]) => cell))
  }
  const misfit = (columns: readonly (readonly Cell[])[]) =>
    Math.abs(Math.log((columns.length * width) / Math.max(...columns.map(heightOf)) / page.shape))
  const choices = cells.map((_, index) => split(index + 1)).map((columns) => ({ columns, misfit: misfit(columns) }))
  return choices.sort((one, other) => one.misfit - other.misfit)[0]?.columns ?? []
}

/**
 * The lanes beside each column: of what its spans share; and, beside the main column, of all that is shared. `far` is what leads to
 * other columns than the main one, in lanes above or below all panels.
 */
function makeLanes(columns: readonly (readonly Cell[])[], side: 'left' | 'right', shared: Shared, main: number) {
  const ids = [...shared.keys()]
  const used = columns.map((cells) => new Set(cells.flatMap((cell) => cell[side].map((row) => row.shared))))
  return {
    lanes: used.map((own, index) => ids.filter((id) => index === main || own.has(id))),
    far: ids.filter((id) => used.some((own, index) => index !== main && own.has(id)))
  }
}

function roomOf(lanes: readonly string[] = []): number {
  return lanes.length === 0 ? 0 : lanes.length * page.lane + 14
}

function laneAt(lanes: readonly string[] = [], id: string): number {
  return 10 + lanes.indexOf(id) * page.lane
}

/** The panels of a column, one below the other, with all that is in them. */
function placeColumn(column: readonly Cell[], [x, top]: Point, at: Parts, index: number) {
  const placed = stack(
    column.map((cell) => ({ cell, height: panelHeight(cell) })),
    top
  )
  const cells = placed.map(({ item: { cell }, y }) => placeCell(cell, [x, y], at, index))
  return { cells, end: top + stackHeight(placed.map(({ item }) => item)) + page.gap }
}

/** Boxes one below the other. */
function stack<Item extends { readonly height: number }>(items: readonly Item[], top: number) {
  let y = top
  return items.map((item) => {
    const placed = { item, y }
    y += item.height + box.gap
    return placed
  })
}

function placeCell({ title, bar, left, right, height }: Cell, [x, top]: Point, at: Parts, column: number) {
  const y = top + panel.heading
  const [heading = ''] = wrapAll(title, fitting(at.width - 2 * panel.padding, 'title'), 1)
  const [boxes, edges, rates, uses]: [PlacedBox[], Edge[], PlacedLine[], Use[]] = [[], [], [], []]
  const add = (made: Box, { x: offset, width }: Parts['span'], y: number, height: number) =>
    boxes.push(placeBox(made, { x: x + offset, y, width, height }))
  const rows = (side: readonly Row[], draw: (row: Row, y: number, middle: number) => void) => {
    for (const { item, y: own } of stack(side, y + (height - stackHeight(side)) / 2)) {
      draw(item, own, own + item.height / 2)
    }
  }
  const connect = (standpoint: Standpoint, from: number, to: number, middle: number, rate = '') => {
    edges.push({ ...standpoint, from: [x + from, middle], to: [x + to, middle], hasArrow: true })
    if (rate === '') return
    const start = x + (from + to - 6 - pixelsOf(rate, 'detail')) / 2
    rates.push({ text: rate, style: 'detail', standing: standpoint.standing, x: start, y: middle - 4 })
  }
  const endOf = ({ x, width }: Parts['span']) => x + width
  add(bar, at.span, y, height)
  rows(left, ({ end, mirror, shared, standing, rate, height }, y, middle) => {
    const look = { role: 'source', standing } as const
    add(end, at.sources, y, height)
    if (mirror !== null) add(mirror, at.mirrors, y, height)
    if (shared !== null) uses.push({ ...look, shared, column, at: [x + at.mirrors.x, middle] })
    else connect(look, endOf(at.sources), at.mirrors.x, middle)
    if (end.icon === 'interface') connect(end, at.sources.x - page.entry, at.sources.x, middle)
    connect(look, endOf(at.mirrors), at.span.x, middle, rate)
  })
  rows(right, ({ end, shared, standing, rate, height }, y, middle) => {
    const look = { role: 'receiver', standing } as const
    add(end, at.sensors, y, height)
    if (shared !== null) uses.push({ ...look, shared, column, at: [x + at.sensors.x, middle] })
    connect(look, endOf(at.span), at.sensors.x, middle, rate)
  })
  const line = { text: heading, style: 'title', standing: 'ok', x: x + panel.padding, y: top + 22 } as const
  const frame = { x, y: top, width: at.width, height: panelHeight({ height }) }
  return { panel: { ...frame, heading: line, whole: heading === title ? null : title }, boxes, edges, rates, uses }
}

/** A box in a place that is as large, or larger. */
function placeBox({ icon, lines, height, ...made }: Box, place: Rectangle): PlacedBox {
  const middle = place.y + place.height / 2
  let y = middle - height / 2 + box.padding - 4
  const x = place.x + (made.isOpen ? 4 : box.padding) + (icon === null ? 0 : box.icon)
  return {
    ...made,
    icon: icon === null ? null : { end: icon, x: place.x + box.padding, y: y + 3 },
    lines: lines.map((line, index) => {
      y += styles[line.style].height
      return { ...line, x, y: made.isOpen ? middle + (index === 0 ? -5 : index * styles.detail.height - 1) : y - 2 }
    }),
    ...place
  }
}

/** Where what spans share stands, and the lanes that lead to it. */
interface Side {
  readonly role: 'source' | 'receiver'
  /** The column beside it. */
  readonly main: number
  readonly x: number
  readonly top: number
  readonly laneX: (column: number, id: string) => number
  /** The lane to the other columns, above or below all panels. */
  readonly channelY: (id: string) => number
}

/** Places what spans share near what uses it, and leads lines to each use. */
function wire(shared: Shared, all: readonly Use[], { role, main, x, top, laneX, channelY }: Side) {
  const [boxes, edges]: [PlacedBox[], Edge[]] = [[], []]
  const isSource = role === 'source'
  const width = widthOf(shared)
  const wanted = [...shared].map(([id, { part, box: made }]) => {
    const uses = all.filter((use) => use.role === role && use.shared === id)
    const near = uses.flatMap(({ column, at }) => (column === main ? at[1] : []))
    const middle = near.length === 0 ? top : (Math.min(...near) + Math.max(...near)) / 2
    return { id, uses, made, look: { role, standing: standingOf(part) }, y: Math.max(top, middle - made.height / 2) }
  })
  let free = top
  for (const { id, uses, made, look, y: ideal } of wanted.sort((one, other) => one.y - other.y)) {
    const y = Math.max(free, ideal)
    free = y + made.height + box.gap
    boxes.push(placeBox(made, { x, y, width, height: made.height }))
    const middle = y + made.height / 2
    const line = (from: Point, to: Point, more: Partial<Edge> = {}) =>
      edges.push({ ...look, from, to, hasArrow: false, ...more })
    const columns = groupsOf(uses, ({ column }) => column)
    const lanes = [...columns.keys()].map((column) => laneX(column, id))
    const mainX = laneX(main, id)
    const isFar = lanes.some((lane) => lane !== mainX)
    if (isFar) line([Math.min(mainX, ...lanes), channelY(id)], [Math.max(mainX, ...lanes), channelY(id)])
    for (const column of new Set([main, ...columns.keys()])) {
      const lane = laneX(column, id)
      const ys = (columns.get(column) ?? []).map(({ at }) => at[1])
      const ends = [...ys, ...(column === main ? [middle] : []), ...(isFar ? [channelY(id)] : [])]
      line([lane, Math.min(...ends)], [lane, Math.max(...ends)])
    }
    if (isSource && made.icon === 'interface') line([x - page.entry, middle], [x, middle], { hasArrow: true })
    const joins: Point = [mainX, middle]
    if (isSource) line([x + width, middle], joins, { joins })
    else line(joins, [x, middle], { hasArrow: true, joins })
    for (const { at, column, standing } of uses) {
      const lane: Point = [laneX(column, id), at[1]]
      if (isSource) line(lane, at, { standing, hasArrow: true, joins: lane })
      else line(at, lane, { standing, joins: lane })
    }
  }
  return { boxes, edges }
}
