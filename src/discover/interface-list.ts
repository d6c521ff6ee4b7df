import { groupsOf } from '../host/host-index.ts'
import type { Link } from '../host/snapshot.ts'
import type { Hardware } from '../host/traffic/read-hardware.ts'
import type { LinkTraffic } from '../host/traffic/read-traffic.ts'
import { type Paint, printable } from '../printable.ts'
import { listFew, padTo, widthOf, wrap, writeCount } from '../text-lines.ts'
import type { LeftOut } from './candidates.ts'
import type { Verdict } from './judge-traffic.ts'

/** An interface that may be a source, with what it carries. */
export interface ListedInterface extends Hardware {
  readonly link: Link
  readonly traffic: LinkTraffic | undefined
  readonly verdict: Verdict
}

/** What `init` lists. */
export interface InterfaceList {
  /** The likeliest source first. */
  readonly listed: readonly ListedInterface[]
  readonly leftOut: readonly LeftOut[]
  /** For how long the frames were counted. */
  readonly seconds: number
}

/** The version of the document. Within a major version, keys are only added. */
const formatVersion = '1.0'

/** The list as a program reads it. `created` is an ISO 8601 time. */
export function interfacesDocument({ listed, leftOut, seconds }: InterfaceList, created: string) {
  return {
    type: 'interfaces',
    format_version: formatVersion,
    spanplan_version: SPANPLAN_VERSION,
    created,
    seconds,
    interfaces: listed.map(({ link, driver, speed, traffic, verdict }) => ({
      name: link.name,
      up: link.up,
      carrier: link.carrier,
      driver,
      speed,
      frames_per_second: traffic?.framesPerSecond ?? null,
      bits_per_second: traffic?.bitsPerSecond ?? null,
      kind: verdict.kind,
      message: verdict.message,
      sample: writeSample(traffic)
    })),
    left_out: leftOut.map(({ link, reason }) => ({ name: link.name, reason }))
  }
}

function writeSample(traffic: LinkTraffic | undefined) {
  if (traffic?.tally == null) return null
  const { frames, toOwn, toGroups, toOthers, senders, groupSenders, vlans } = traffic.tally
  return {
    ...{ frames, to_own: toOwn, to_groups: toGroups, to_others: toOthers },
    ...{ senders, group_senders: groupSenders, vlans }
  }
}

/** Columns of a line. */
const width = 100
const indent = '   '
/** Columns of the names of what is left out. */
const nameWidth = 22
/** Names of what is left out for one reason. */
const fewNames = 3

const headings = ['', 'interface', 'link', 'driver', 'speed', 'frames/s', 'bit/s'] as const
/** Of these columns, the numbers are to the right. */
const firstNumber = 4

/** The list as a person reads it; ends with a line end. The numbers are those with which a person chooses. */
export function renderInterfaces({ listed, leftOut }: InterfaceList, paint: Paint): string {
  const rows = listed.map((one, index) => rowOf(one, index + 1))
  const widths = headings.map((heading, column) =>
    Math.max(...[heading, ...rows.map((row) => row[column] ?? '')].map(widthOf))
  )
  const render = (row: readonly string[]) =>
    row
      .map((cell, column) => {
        const room = widths[column] ?? 0
        return column < firstNumber ? padTo(room, cell) : ' '.repeat(room - widthOf(cell)) + cell
      })
      .join('  ')
      .trimEnd()
  const lines = listed.flatMap(({ verdict }, index) => [
    render(rows[index] ?? []),
    ...wrap(printable(verdict.message), width - indent.length).map(
      (line) => indent + paint(verdict.kind === 'mirror' ? 'create' : 'wait', line)
    )
  ])
  const table =
    listed.length === 0
      ? ['No interface of this host may be a mirror port.']
      : [paint('title', render(headings)), ...lines]
  return `${[...table, ...renderLeftOut(leftOut, paint)].join('\n')}\n`
}

function renderLeftOut(leftOut: readonly LeftOut[], paint: Paint): string[] {
  if (leftOut.length === 0) return []
  const rows = [...groupsOf(leftOut, ({ reason }) => reason)].flatMap(([reason, some]) => {
    const names = listFew(
      some.map(({ link }) => printable(link.name)),
      fewNames
    )
    const isLong = widthOf(names) >= nameWidth
    const [first = '', ...others] = wrap(printable(reason), width - indent.length - nameWidth)
    const start = isLong
      ? [indent + names, ' '.repeat(indent.length + nameWidth) + first]
      : [indent + padTo(nameWidth, names) + first]
    return [...start, ...others.map((line) => ' '.repeat(indent.length + nameWidth) + line)]
  })
  return ['', paint('title', 'Left out:'), ...rows]
}

function rowOf({ link, driver, speed, traffic }: ListedInterface, number: number): string[] {
  const state = !link.up ? 'down' : link.carrier ? 'up' : 'no carrier'
  return [
    String(number),
    printable(link.name),
    state,
    printable(driver ?? '–'),
    speed === null ? '–' : writeBits(speed),
    traffic === undefined ? '–' : writeCount(traffic.framesPerSecond),
    traffic === undefined ? '–' : writeBits(traffic.bitsPerSecond)
  ]
}

const units = [
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k']
] as const

/** Bits as people write them: `10G`, `1.2M`, `930`. */
function writeBits(bits: number): string {
  const [size, unit] = units.find(([size]) => bits >= size) ?? [1, '']
  const number = bits / size
  return `${number < 10 ? Math.round(10 * number) / 10 : Math.round(number)}${unit}`
}
