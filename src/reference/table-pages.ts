import { exitStatuses } from '../cli/help/exit-statuses.ts'
import { messages } from '../codes/explained-codes.ts'
import { type Metric, metrics } from '../status/output/metrics.ts'
import { codeList, sentence } from './document.ts'
import { writeMarkdown } from './markdown.ts'

/** docs/reference/exit-codes.md */
export function writeExitReference(): string {
  const statuses = Object.entries(exitStatuses).map(([status, means]) => [status, sentence(means)] as const)
  const intro = '64 to 78 are those of sysexits(3). With several errors of different statuses, the status is 1.'
  return writeMarkdown('Exit status', [intro, codeList(statuses)], {})
}

/** docs/reference/messages.md: a heading, and so an anchor, for each code. */
export function writeMessageReference(): string {
  const sections = messages
    .toSorted((a, b) => (a.code < b.code ? -1 : 1))
    .map(({ code, kind, means, todo }) => {
      const prefix = kind === 'error' ? '' : `${sentence(kind)} `
      return [code, [`${prefix}${means}`, `What to do: ${todo}`]] as const
    })
  const intro =
    'Every error, warning, wait and problem has a code, which `--json` prints. Codes are stable. `spanplan help LOCKED` prints what stands here of one of them.'
  return writeMarkdown('Messages', [intro], Object.fromEntries(sections))
}

/** docs/reference/metrics.md */
export function writeMetricReference(): string {
  const items = Object.entries<Metric>(metrics).map(([name, { type, labels, help }]) => {
    const by = labels.length === 0 ? '' : ` by ${labels.map((label) => `\`${label}\``).join(', ')}`
    return [name, `${type}${by}. ${help}`] as const
  })
  const intro =
    '`spanplan watch --listen 127.0.0.1:9477` serves these at `/metrics`. A gauge that asks "whether" is 1 or 0.'
  return writeMarkdown('Metrics', [intro], {
    'All metrics': [codeList(items)],
    'How they count': [
      'Frames and bytes are as the kernel counts them. Where an interface, a mirror or a port is recreated, they begin at 0 again, which `rate()` and `increase()` know how to read.',
      'What is lost is the sum of what was lost between one scrape and the next. Where the bridge or a port is recreated, no series goes back, and nothing is counted twice; a port that has gone takes its series along. `hop` and `reason` are the places and [causes](json.md#causes-of-loss) of `status --json`. A loss that nobody can count, a missing carrier, is `spanplan_source_carrier`. What is lost at an interface is counted once for each span that copies from it.',
      '`spanplan_healthy` judges as `spanplan status` does; of losses, by what was lost since the scrape before.'
    ]
  })
}
