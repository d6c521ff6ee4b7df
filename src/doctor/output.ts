import { oneLine, type Paint, printable, type Tone } from '../printable.ts'
import { counted, wrap } from '../text-lines.ts'
import type { CheckedFinding } from './all-checks.ts'
import type { CheckResult } from './finding.ts'

/** The version of the document. Within a major version, fields are only added. */
const formatVersion = '1.0'

/** The findings as a program reads them. `created` is an ISO 8601 time. */
export function doctorDocument(findings: readonly CheckedFinding[], created: string) {
  return {
    type: 'doctor',
    format_version: formatVersion,
    spanplan_version: SPANPLAN_VERSION,
    created,
    checks: findings.map(({ id, result, message, command }) => ({ id, result, message, command }))
  }
}

const words: Readonly<Record<CheckResult, { readonly word: string; readonly tone: Tone }>> = {
  ok: { word: 'ok', tone: 'create' },
  warning: { word: 'warning', tone: 'update' },
  problem: { word: 'problem', tone: 'remove' },
  unknown: { word: 'not known', tone: 'wait' }
}

/** Of the columns of results and of ids. */
const widths = { result: 11, id: 16 } as const
const indent = ' '.repeat(widths.result)
/** Columns of a line at most. */
const mostWidth = 100

/**
 * The findings as a person reads them; ends with a line end.
 *
 * @param room columns of the terminal. A command is one line, however long it is: it is pasted.
 */
export function renderFindings(findings: readonly CheckedFinding[], paint: Paint, room = mostWidth): string {
  const width = Math.min(mostWidth, room)
  const lines = findings.flatMap(({ id, result, message, command }) => {
    const { word, tone } = words[result]
    const margin = widths.result + widths.id
    const [first = '', ...others] = wrap(oneLine(message), width - margin)
    return [
      `${paint(tone, word.padEnd(widths.result))}${id.padEnd(widths.id)}${first}`,
      ...others.map((line) => `${' '.repeat(margin)}${line}`),
      ...(command === null ? [] : [`${indent}$ ${paint('title', printable(command))}`])
    ]
  })
  return `${[...lines, '', sumUp(findings)].join('\n')}\n`
}

function sumUp(findings: readonly CheckedFinding[]): string {
  const count = (result: CheckResult) => findings.filter((finding) => finding.result === result).length
  const counts = `${counted(count('problem'), 'problem')}, ${counted(count('warning'), 'warning')}, ${count('unknown')} not known.`
  const hasCommand = findings.some(({ command }) => command !== null)
  return hasCommand ? `${counts} Each $ line clears what stands above it; run it as root.` : counts
}
