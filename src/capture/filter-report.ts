import { type NetworkKind, networkKinds } from '../host/traffic/read-packet.ts'
import {
  type Amount,
  judgedBytes,
  type KindAmount,
  type KindTally,
  type TransportKind,
  transportKinds
} from '../host/traffic/tally-kinds.ts'
import { oneLine, type Paint, printable } from '../printable.ts'
import { counted, cutTo, padTo, widthOf, wrap, writeBytes, writeCount, writePercent } from '../text-lines.ts'

/** What was heard, and which of it a filter takes. */
export interface FilterReport {
  readonly expression: string
  /** The interface or the span. */
  readonly on: string
  readonly seconds: number
  /** Frames that came too fast to be looked at. */
  readonly missed: number
  readonly tally: KindTally
}

/** VLANs that have a row of their own: those with the most frames. */
const mostVlans = 8

/** Columns of a line. */
const width = 80

const headings = ['', 'frames', 'taken', '', 'bytes', 'taken', ''] as const

/** The report as a person reads it: a sentence, and a row for each kind that there was; ends with a line end. */
export function renderFilterReport({ expression, on, seconds, missed, tally }: FilterReport, paint: Paint): string {
  const { total, unjudged } = tally
  const time = `in ${seconds.toFixed(1)} s on ${printable(on)}`
  const notes = [
    missed > 0 && `${writeCount(missed)} more came too fast to be looked at: the shares are those of the others.`,
    unjudged > 0 &&
      `Whether it takes ${writeCount(unjudged)} more is not known: that depends on what is not in the first ${judgedBytes} bytes of a frame.`
  ].flatMap((note) => (note === false ? [] : wrap(note, width)))
  const sentence =
    total.all.frames === 0
      ? `No frame came ${time}.`
      : `"${cutTo(width / 2, oneLine(expression))}" takes ${writeCount(total.taken.frames)} of ${counted(total.all.frames, 'frame').replace(/^\d+/, writeCount(total.all.frames))} ${time}.`
  const table = total.all.frames === 0 ? [] : ['', ...renderTable(rowsOf(tally), paint)]
  return `${[paint('title', sentence), ...notes, ...table].join('\n')}\n`
}

/** As people write a kind. */
const titleOf = (kind: NetworkKind | TransportKind) =>
  kind === 'other' ? kind : kind.toUpperCase().replace(/^IPV/, 'IPv')

type Row = readonly [title: string, amount: KindAmount]

function rowsOf({ total, networks, transports, vlans }: KindTally): (Row | null)[] {
  const rows = <Kind extends string>(
    kinds: readonly Kind[],
    amounts: ReadonlyMap<Kind, KindAmount>,
    titles: (kind: Kind) => string
  ) =>
    kinds.flatMap((kind): Row[] => {
      const amount = amounts.get(kind)
      return amount === undefined ? [] : [[titles(kind), amount]]
    })
  const ofIp = rows(transportKinds, transports, (kind) => (kind === 'other' ? 'other IP' : titleOf(kind)))
  const tagged = [...vlans].flatMap(([vlan, amount]) => (vlan === null ? [] : [{ vlan, amount }]))
  const busiest = tagged.sort((one, other) => other.amount.all.frames - one.amount.all.frames || one.vlan - other.vlan)
  const others = busiest.slice(mostVlans).map(({ amount }) => amount)
  const untagged = vlans.get(null)
  return [
    ['all', total],
    null,
    ...rows(networkKinds, networks, titleOf),
    ...(ofIp.length > 0 ? [null, ...ofIp] : []),
    ...(tagged.length > 0 ? [null] : []),
    ...busiest.slice(0, mostVlans).map(({ vlan, amount }): Row => [`VLAN ${vlan}`, amount]),
    ...(others.length > 0
      ? [[`${others.length} more VLANs`.replace(/^1 more VLANs$/, '1 more VLAN'), sumOf(others)] satisfies Row]
      : []),
    ...(tagged.length > 0 && untagged ? [['no VLAN', untagged] satisfies Row] : [])
  ]
}

function sumOf(amounts: readonly KindAmount[]): KindAmount {
  const sum = (side: keyof KindAmount, what: keyof Amount) =>
    amounts.reduce((total, amount) => total + amount[side][what], 0)
  return {
    all: { frames: sum('all', 'frames'), bytes: sum('all', 'bytes') },
    taken: { frames: sum('taken', 'frames'), bytes: sum('taken', 'bytes') }
  }
}

/** @param rows null: an empty line. */
function renderTable(rows: readonly (Row | null)[], paint: Paint): string[] {
  const lines = rows.map((row) => row && [row[0], ...cellsOf(row[1])])
  const all = [[...headings], ...lines.filter((line) => line !== null)]
  const widths = headings.map((_, column) => Math.max(...all.map((line) => widthOf(line[column] ?? ''))))
  const render = (line: readonly string[]) =>
    line
      .map((cell, column) => {
        const room = widths[column] ?? 0
        return column === 0 ? padTo(room, cell) : ' '.repeat(room - widthOf(cell)) + cell
      })
      .join('  ')
      .trimEnd()
  return [paint('wait', render(headings)), ...lines.map((line) => (line === null ? '' : render(line)))]
}

function cellsOf({ all, taken }: KindAmount): string[] {
  return [
    ...[writeCount(all.frames), writeCount(taken.frames), writePercent(taken.frames, all.frames, '<1 %')],
    ...[writeBytes(all.bytes), writeBytes(taken.bytes), writePercent(taken.bytes, all.bytes, '<1 %')]
  ]
}
