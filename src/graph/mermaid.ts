import { drawPart, factsOf, type Graph, type GraphSpan, type Part, type Standing, standingOf } from './graph.ts'

/** A colour and a line for each standing. What the colour says, the line says, too. */
const styles: Readonly<Record<Standing, string>> = {
  ok: 'fill:#ffffff,stroke:#0072b2,color:#1f2328',
  waits: 'fill:#ffffff,stroke:#6e7781,color:#1f2328,stroke-dasharray:2 4',
  paused: 'fill:#ffffff,stroke:#e69f00,color:#1f2328,stroke-dasharray:9 3',
  broken: 'fill:#ffffff,stroke:#cf222e,color:#1f2328,stroke-width:2px,stroke-dasharray:6 4'
}

/** The graph as a Mermaid flowchart, which GitHub and GitLab draw in Markdown; ends with a line end. */
export function renderMermaid(graph: Graph): string {
  return [
    'flowchart LR',
    ...Object.entries(styles).map(([name, style]) => `  classDef ${name} ${style}`),
    ...graph.spans.flatMap(drawSpan),
    ...graph.remarks.map((remark, index) => drawNode(`host${index}`, { ...drawPart('host'), remarks: [remark] })),
    ''
  ].join('\n')
}

function drawSpan(span: GraphSpan, index: number): string[] {
  const id = `span${index}`
  const node = (name: string, part: Part) => `  ${drawNode(`${id}${name}`, part)}`
  const heading = span.description === null ? span.title : `${span.title}: ${span.description}`
  return [
    `  subgraph ${id} ["${escapeLabel(heading)}"]`,
    '    direction LR',
    node('bridge', span),
    ...span.sources.flatMap((source, number) => [
      node(`source${number}`, source),
      node(`mirror${number}`, source.mirror),
      `    ${id}source${number} ${arrow(source, source.mirror)} ${id}mirror${number} ${arrow(source, source.mirror)} ${id}bridge`
    ]),
    ...span.receivers.flatMap((receiver, number) => [
      node(`receiver${number}`, receiver),
      `    ${id}bridge ${arrow(receiver)} ${id}receiver${number}`
    ]),
    '  end'
  ]
}

function drawNode(id: string, part: Part): string {
  const remarks = part.remarks.map(({ standing, text }) => (standing === 'broken' ? `! ${text}` : text))
  const lines = [part.title, ...factsOf(part), ...remarks]
  return `  ${id}["${lines.map(escapeLabel).join('<br/>')}"]:::${standingOf(part)}`
}

function arrow(...parts: readonly Part[]): string {
  return standingOf(...parts) === 'ok' ? '-->' : '-.->'
}

/** Any character that Mermaid, Markdown or HTML could read as more than a character, as Mermaid's own entity. */
function escapeLabel(text: string): string {
  return text.replace(/[^A-Za-z0-9 ,/]/gu, (character) => `#${character.codePointAt(0)};`)
}
