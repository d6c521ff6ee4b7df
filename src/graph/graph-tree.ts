import { keysOf } from '../keys.ts'
import type { Paint, Tone } from '../printable.ts'
import { counted, widthOf, wrap } from '../text-lines.ts'
import { factsOf, type Graph, type GraphSpan, type Part, partsOf, type Remark, standingOf } from './graph.ts'

/** Columns of a line, unless a word of it is longer. */
const columns = 100

/** How a remark begins, its colour, and what is said of one span with it, and of more. */
const looks: Readonly<Record<Remark['standing'], Record<'sign' | 'one' | 'more', string> & { tone: Tone }>> = {
  broken: { sign: '!', tone: 'remove', one: 'is broken', more: 'are broken' },
  paused: { sign: '||', tone: 'update', one: 'is paused', more: 'are paused' },
  waits: { sign: '...', tone: 'wait', one: 'waits', more: 'wait' }
}

/** One row of the tree, without its branches, and what is below it. */
interface Row {
  readonly text: string
  readonly tone?: Tone
  readonly remarks: readonly Remark[]
  readonly rows: readonly Row[]
}

/** The graph as a tree of text, for a terminal; ends with a line end. */
export function renderTree(graph: Graph, paint: Paint): string {
  const blocks = graph.spans.map((span) => renderRow(rowOf(span), '', '', paint).join('\n'))
  const remarks = renderRemarks(graph.remarks, '', paint).join('\n')
  return `${[...blocks, ...(remarks === '' ? [] : [remarks]), sumUp(graph)].join('\n\n')}\n`
}

function rowOf(span: GraphSpan): Row {
  const description = span.description === null ? '' : ` · ${span.description}`
  const groups = [
    {
      text: 'from',
      rows: span.sources.map((source) => ({
        text: `${partText(source)}: ${[source.mirror.title, ...factsOf(source.mirror)].join(', ')}`,
        remarks: [...source.remarks, ...source.mirror.remarks],
        rows: []
      }))
    },
    { text: 'to', rows: span.receivers.map((one) => ({ text: partText(one), remarks: one.remarks, rows: [] })) }
  ]
  return {
    text: `${span.title}${description}${bracket(span.details)}`,
    tone: 'title',
    remarks: span.remarks,
    rows: groups.filter(({ rows }) => rows.length > 0).map((group) => ({ ...group, remarks: [] }))
  }
}

function partText(part: Part): string {
  return `${part.title}${bracket(factsOf(part))}`
}

function bracket(details: readonly string[]): string {
  return details.length === 0 ? '' : ` (${details.join(', ')})`
}

/**
 * @param first what stands before the row's own line.
 * @param margin what stands before each other line.
 */
function renderRow({ text, tone, remarks, rows }: Row, first: string, margin: string, paint: Paint): string[] {
  const branch = rows.length > 0 ? '│ ' : '  '
  return [
    ...hang(text, first, `${margin}${branch}  `, tone, paint),
    ...renderRemarks(remarks, `${margin}${branch}`, paint),
    ...rows.flatMap((row, index) => {
      const isLast = index === rows.length - 1
      return renderRow(row, `${margin}${isLast ? '└─ ' : '├─ '}`, `${margin}${isLast ? '   ' : '│  '}`, paint)
    })
  ]
}

function renderRemarks(remarks: readonly Remark[], margin: string, paint: Paint): string[] {
  return remarks.flatMap(({ standing, text }) => {
    const { sign, tone } = looks[standing]
    return hang(`${sign} ${text}`, margin, `${margin}${' '.repeat(sign.length + 1)}`, tone, paint)
  })
}

/** The lines of a text: what stands before the first one, and before the others, is in no colour. */
function hang(text: string, first: string, others: string, tone: Tone | undefined, paint: Paint): string[] {
  return wrap(text, columns - widthOf(others)).map(
    (line, index) => `${index === 0 ? first : others}${tone === undefined ? line : paint(tone, line)}`
  )
}

function sumUp({ fileOnly, spans, remarks }: Graph): string {
  const all = spans.length === 0 ? 'There are no spans' : counted(spans.length, 'span')
  if (fileOnly) return `${all} in the file. The host was not read.`
  const each = spans.map((span) => standingOf(...partsOf(span)))
  const counts = keysOf(looks).flatMap((standing) => {
    const { length } = each.filter((one) => one === standing)
    const { one, more } = looks[standing]
    return length === 0 ? [] : [`${length} ${length === 1 ? one : more}`]
  })
  if (remarks.length > 0) counts.push('the host has a problem')
  return counts.length === 0
    ? `${counted(spans.length, 'span')}, in sync with the file.`
    : `${counted(spans.length, 'span')}: ${counts.join(', ')}. See: spanplan status`
}
