import type { Paint, Tone } from '../printable.ts'
import { counted } from '../text-lines.ts'
import { type Graph, type GraphSpan, type Part, partsOf, type Remark, type Standing, standingOf } from './graph.ts'

/** How a remark begins, and its colour. */
const looks: Readonly<Record<Remark['standing'], { readonly sign: string; readonly tone: Tone }>> = {
  waits: { sign: '...', tone: 'wait' },
  paused: { sign: '||', tone: 'update' },
  broken: { sign: '!', tone: 'remove' }
}

/** One line of the tree, without its branches, and what is below it. */
interface Row {
  readonly text: string
  readonly remarks: readonly Remark[]
  readonly rows: readonly Row[]
}

/** The graph as a tree of text, for a terminal; ends with a line end. */
export function renderTree(graph: Graph, paint: Paint): string {
  const blocks = graph.spans.map((span) => renderRow(rowOf(span, paint), '', '', paint).join('\n'))
  const remarks = renderRemarks(graph.remarks, '', paint).join('\n')
  return `${[...blocks, ...(remarks === '' ? [] : [remarks]), sumUp(graph)].join('\n\n')}\n`
}

function rowOf(span: GraphSpan, paint: Paint): Row {
  const description = span.description === null ? '' : ` · ${span.description}`
  const groups = [
    {
      text: 'from',
      rows: span.sources.map((source) => ({
        text: `${partText(source)}: ${[source.mirror.title, ...source.mirror.details].join(', ')}`,
        remarks: [...source.remarks, ...source.mirror.remarks],
        rows: []
      }))
    },
    { text: 'to', rows: span.receivers.map((one) => ({ text: partText(one), remarks: one.remarks, rows: [] })) }
  ]
  return {
    text: `${paint('title', `${span.title}${description}`)}${bracket(span.details)}`,
    remarks: span.remarks,
    rows: groups.filter(({ rows }) => rows.length > 0).map((group) => ({ ...group, remarks: [] }))
  }
}

function partText({ title, details }: Part): string {
  return `${title}${bracket(details)}`
}

function bracket(details: readonly string[]): string {
  return details.length === 0 ? '' : ` (${details.join(', ')})`
}

/**
 * @param first what stands before the row's own line.
 * @param margin what stands before each other line.
 */
function renderRow({ text, remarks, rows }: Row, first: string, margin: string, paint: Paint): string[] {
  const branch = rows.length > 0 ? '│ ' : '  '
  return [
    `${first}${text}`,
    ...renderRemarks(remarks, `${margin}${branch}`, paint),
    ...rows.flatMap((row, index) => {
      const isLast = index === rows.length - 1
      return renderRow(row, `${margin}${isLast ? '└─ ' : '├─ '}`, `${margin}${isLast ? '   ' : '│  '}`, paint)
    })
  ]
}

function renderRemarks(remarks: readonly Remark[], margin: string, paint: Paint): string[] {
  return remarks.map(({ standing, text }) => {
    const { sign, tone } = looks[standing]
    return `${margin}${paint(tone, `${sign} ${text}`)}`
  })
}

function sumUp({ fileOnly, spans, remarks }: Graph): string {
  const all = spans.length === 0 ? 'There are no spans' : counted(spans.length, 'span')
  if (fileOnly) return `${all} in the file. The host was not read.`
  const each = spans.map((span) => standingOf(...partsOf(span)))
  const counts = (['broken', 'paused', 'waits'] as const)
    .map((standing) => [each.filter((one) => one === standing).length, standing] as const)
    .filter(([number]) => number > 0)
    .map(([number, standing]) => `${number} ${verbs[standing][number === 1 ? 0 : 1]}`)
  if (remarks.length > 0) counts.push('the host has a problem')
  return counts.length === 0
    ? `${counted(spans.length, 'span')}, in sync with the file.`
    : `${counted(spans.length, 'span')}: ${counts.join(', ')}. See: spanplan status`
}

const verbs: Readonly<Record<Exclude<Standing, 'ok'>, readonly [one: string, more: string]>> = {
  broken: ['is broken', 'are broken'],
  paused: ['is paused', 'are paused'],
  waits: ['waits', 'wait']
}
