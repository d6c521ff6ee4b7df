import type { SourceEnd } from '../spec/sources/registry.ts'
import { fitting, type Standpoint, signs, styles, wrapAll } from './boxes.ts'
import { type Graph, partsOf, type Remark, standingOf, standings } from './graph.ts'
import { type Edge, layOut, type PlacedBox, page, type Rectangle } from './graph-layout.ts'

const fonts = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"

const ink = { title: '#1f2328', detail: '#57606a', page: '#ffffff', panel: '#f6f8fa', border: '#d0d7de' }

/** How lines, boxes and the texts in boxes look. What a colour says, dashes and signs say, too, for the colour-blind. */
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
} as const satisfies Record<Standpoint['role'], Look>

/** What does not, looks the same in each column; `text` is the colour of its remarks. */
const looks: Readonly<Record<Remark['standing'], Look & { readonly text: string }>> = {
  waits: { ...plain, line: '#6e7781', text: '#57606a', dashes: '2 4' },
  paused: { ...plain, line: '#b87a00', text: '#7a5200', dashes: '10 4' },
  broken: { ...plain, line: '#cf222e', fill: '#fff1f0', text: '#a40e26', dashes: '6 4' }
}

/**
 * The graph as a picture that stands alone: it needs no program, font or network to be shown, and has its own background.
 */
export function renderSvg(graph: Graph): string {
  const { panels, headings, boxes, edges, rates, ...size } = layOut(graph)
  const left = page.margin + 14
  const notes = [
    ...(panels.length === 0 ? [{ text: 'no spans', fill: ink.detail }] : []),
    ...(rates.length > 0 ? [{ text: '/s: frames a second', fill: ink.detail }] : []),
    ...graph.remarks.flatMap(({ standing, text }) =>
      wrapAll(`${signs[standing]}${text}`, fitting(size.width - 2 * left, 'remark'), 3).map((line) => ({
        text: line,
        fill: looks[standing].text
      }))
    )
  ]
  const { width, height: end } = size
  const foot = end + notes.length * styles.remark.height
  const height = foot + (graph.fileOnly ? page.margin - page.gap : footHeight)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" font-family="${fonts}">`,
    `<title>${escapeXml(`spanplan: ${graph.spans.map((span) => span.title).join(', ')}`)}</title>`,
    drawRect(
      { x: 0.5, y: 0.5, width: width - 1, height: height - 1 },
      `rx="10" fill="${ink.page}" stroke="${ink.border}"`
    ),
    ...headings.map(({ text, x }) => drawText(text, x, page.margin + 14, 11, ink.detail, centred)),
    ...panels.flatMap(({ heading, whole, ...place }) => [
      drawRect(place, `rx="8" fill="${ink.panel}" stroke="${ink.border}"`),
      ...group(whole, [drawText(heading.text, heading.x, heading.y, 13, ink.title, 'font-weight="600"')])
    ]),
    ...edges.flatMap(drawEdge),
    ...boxes.flatMap(drawBox),
    ...rates.map(({ text, x, y, standing }) =>
      drawText(text, x, y, 11, standing === 'ok' ? ink.detail : looks[standing].text)
    ),
    ...notes.map(({ text, fill }, index) => drawText(text, left, end + 10 + index * styles.remark.height, 11, fill)),
    ...(graph.fileOnly ? [] : drawLegend(graph, left, foot + 8)),
    '</svg>',
    ''
  ].join('\n')
}

const footHeight = 26

const centred = 'text-anchor="middle" letter-spacing="1"'

function lookOf({ role, standing }: Standpoint): Look {
  return standing === 'ok' ? roles[role] : looks[standing]
}

/** Elements with a text that is shown where the mouse rests on them; null: it says no more than they do. */
function group(whole: string | null, elements: readonly string[]): readonly string[] {
  return whole === null ? elements : ['<g>', `<title>${escapeXml(whole)}</title>`, ...elements, '</g>']
}

function drawBox({ lines, icon, isOpen, whole, role, standing, ...place }: PlacedBox): readonly string[] {
  const look = lookOf({ role, standing: isOpen ? 'ok' : standing })
  const { line, fill, dashes } = look
  return group(whole, [
    ...(isOpen
      ? []
      : [drawRect(place, `rx="6" fill="${fill}" stroke="${line}" stroke-width="1.5" stroke-dasharray="${dashes}"`)]),
    ...(icon === null ? [] : [drawIcon(icon.end, icon.x, icon.y, line)]),
    ...lines.map(({ text, style, standing, x, y }) => {
      const color = standing === 'ok' ? look[style === 'title' ? 'title' : 'detail'] : looks[standing].text
      return drawText(text, x, y, styles[style].size, color, style === 'title' ? 'font-weight="600"' : '')
    })
  ])
}

/** A jack for an interface, a box for a container: 16 pixels wide. */
function drawIcon(icon: SourceEnd, x: number, y: number, color: string): string {
  const path =
    icon === 'interface'
      ? 'M1 1h14v13h-3v2H4v-2H1zM4 1v4M7 1v4M10 1v4M13 1v4'
      : 'M1 3h14v11H1zM5 5.5v6M8 5.5v6M11 5.5v6'
  return `<path d="${path}" transform="translate(${x} ${y})" fill="none" stroke="${color}" stroke-width="1.3"/>`
}

function drawEdge({ from: [x, y], to: [endX, endY], hasArrow, joins, ...standpoint }: Edge): string[] {
  const { line, dashes } = lookOf(standpoint)
  const way = y === endY ? `H${hasArrow ? endX - 7 : endX}` : `V${endY}`
  return [
    `<path d="M${x} ${y}${way}" stroke="${line}" stroke-width="1.5" stroke-dasharray="${dashes}"/>`,
    ...(hasArrow ? [`<path d="M${endX - 1} ${endY}l-8 -4.5v9z" fill="${line}"/>`] : []),
    ...(joins === undefined
      ? []
      : [drawRect({ x: joins[0] - 3, y: joins[1] - 3, width: 6, height: 6 }, `rx="3" fill="${line}"`)])
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
      const fill = standing === 'ok' ? ink.detail : looks[standing].text
      const x = left + index * 110
      return [
        ...drawEdge({ role: 'source', standing, from: [x, y], to: [x + 30, y], hasArrow: true }),
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
