import { type Diagnostic, diagnostic } from '../errors.ts'
import { printable } from '../printable.ts'
import type { StatsSpec } from '../spec/items/stats-key.ts'
import { writeDuration } from '../spec/values/duration.ts'
import { writeCount } from '../text-lines.ts'
import type { FlowReport } from './counters/flow-report.ts'
import { lossRatio, type ToolGrowth, type ToolReport } from './counters/tool-report.ts'

/** The words for the counters of a tool. */
interface ToolWords {
  /** Who says it; for metrics, a label's value. */
  readonly name: string
  readonly says: string
  /** What was lost, of all that came. */
  lost(dropped: string, received: string): string
  /** From this part of what comes on, the loss is a problem. */
  readonly most: number
  /** What to do about a loss. */
  readonly hint: string
  /** What to do where it cannot be read. */
  readonly check: string
}

const checkPath =
  'check the path under "stats" of the sensor: it is one of this host, without symbolic links, and spanplan has to be allowed to read it'

export const toolWords: Readonly<Record<StatsSpec['kind'], ToolWords>> = {
  eve: {
    name: 'suricata',
    says: 'Suricata says',
    lost: (dropped, received) => `${dropped} of ${received} packets dropped`,
    most: 0.001,
    hint: 'it reads too slowly: more "threads" or a larger "ring-size" under "af-packet" in suricata.yaml, more CPU, a "filter" for the sensor, or a "balance" of several',
    check: checkPath
  },
  zeek: {
    name: 'zeek',
    says: 'Zeek says',
    lost: (dropped, received) => `${dropped} of ${received} ACKs are for data that never came to it`,
    // It is an estimate, and so is what is lost of a conversation that had begun before.
    most: 0.01,
    hint: 'where nothing is lost on the way to it, and "spanplan status --for 10s" warns of no half of the traffic, Zeek reads too slowly: more CPU, a "filter" for the sensor, or a "balance" of several',
    check: checkPath
  },
  prometheus: {
    name: 'prometheus',
    says: 'its metrics say',
    lost: (dropped, received) => `${dropped} of ${received} packets dropped`,
    most: 0.001,
    hint: 'it reads too slowly: more CPU or a larger buffer for the tool, a "filter" for the sensor, or a "balance" of several',
    check:
      'check "prometheus" under "stats" of the sensor: an address as this host reaches it, and the names of two counters there'
  }
}

/** What a tool says, in the row below its sensor. */
export function toolNote(tool: ToolReport): string {
  const { says } = toolWords[tool.stats.kind]
  if ('problem' in tool) return `what ${says} is not known: ${tool.problem}`
  const { told, age, isOld, growth } = tool
  if (isOld) return `${says} nothing new for ${writeAge(age)}: what it counts now is not known`
  const gaps = told.gaps === null || told.gaps === 0 ? '' : `, ${writeCount(told.gaps)} gaps in TCP`
  const total = tool.stats.kind === 'zeek' ? '' : `${writeAll(tool.stats.kind, told)}${gaps}`
  const recent = growth === null ? '' : writeAll(tool.stats.kind, growth)
  const when = age < 1 ? '' : ` (${writeAge(age)} ago)`
  return `${says}: ${[recent, total].filter((part) => part !== '').join('; in all ')}${when}`
}

function writeAll(kind: StatsSpec['kind'], { seconds, received, dropped }: ToolGrowth): string {
  const time = seconds === null ? '' : ` in ${writeAge(seconds)}`
  return `${toolWords[kind].lost(writeCount(dropped), writeCount(received))}${time}`
}

const writeAge = (seconds: number) => writeDuration(Math.round(seconds) * 1000)

/** The tools of a span's sensors, each with its sensor. */
export const toolsOf = ({ hops }: FlowReport) =>
  hops.flatMap((hop) => (hop.kind === 'sensor' && hop.tool !== null ? [{ sensor: hop.container, tool: hop.tool }] : []))

/** What tools say that they lose. */
export function findToolDrops(report: FlowReport): Diagnostic[] {
  return toolsOf(report).flatMap(({ sensor, tool }) => {
    const growth = 'problem' in tool ? null : tool.growth
    const { says, most, hint } = toolWords[tool.stats.kind]
    if (growth === null || lossRatio(growth) < most) return []
    const message = `the sensor ${sensor}: ${says} ${writeAll(tool.stats.kind, growth)}`
    return [{ ...diagnostic('SENSOR_DROPS', message, hint), subject: subjectOf(report, sensor) }]
  })
}

/** Which tools say nothing, and why. */
export function findSilentTools(report: FlowReport): Diagnostic[] {
  return toolsOf(report).flatMap(({ sensor, tool }) => {
    const { stats } = tool
    const place = stats.kind === 'prometheus' ? stats.url : stats.path
    const start = `what the sensor ${sensor} says of itself is not known: ${printable(place)}: `
    const warn = (message: string, hint: string) => [
      { ...diagnostic('SENSOR_STATS', `${start}${message}`, hint), subject: subjectOf(report, sensor) }
    ]
    if ('problem' in tool) return warn(tool.problem, tool.hint ?? toolWords[stats.kind].check)
    if (!tool.isOld) return []
    return warn(`nothing new has come for ${writeAge(tool.age)}`, 'see whether the tool still runs, and writes there')
  })
}

const subjectOf = ({ span }: FlowReport, sensor: string) => ({ span, kind: 'sensor', id: [sensor] })
