import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { SpanplanError } from '../../src/errors.ts'
import { drawPart, type Graph, partsOf } from '../../src/graph/graph.ts'
import { renderTree } from '../../src/graph/graph-tree.ts'
import { renderMermaid } from '../../src/graph/mermaid.ts'
import { renderSvg } from '../../src/graph/svg.ts'
import { planTarget } from '../../src/plan/plan-view.ts'
import { oneLine, plain } from '../../src/printable.ts'
import { converged, fixture } from '../lab/fixtures/converged.ts'
import { readingOf } from '../lab/fixtures/host-file.ts'
import { casesFolder, readSnapshot, readTarget } from '../lab/fixtures/plan-case.ts'
import { unprintable } from '../lab/fixtures/unprintable.ts'
import { fileGraph, hostGraph, viewGraph } from './graphs.ts'

const tree = (graph: Graph) => renderTree(graph, plain)

/** What is remarked, each with the title of the part. */
const remarksIn = ({ spans }: Graph) =>
  spans.flatMap((span) =>
    partsOf(span).flatMap(({ title, remarks }) => remarks.map(({ standing, text }) => [title, standing, text]))
  )

test('the picture of the README is as the example says', async () => {
  const graph = fileGraph(readFileSync('examples/picture.yaml', 'utf8'))
  await expect(renderSvg(graph)).toMatchFileSnapshot('../../docs/picture.svg')
})

test('of the file alone, every source, filter, span and sensor as the file names it', () => {
  const text = readFileSync('examples/full.yaml', 'utf8')
  expect(tree(fileGraph(text))).toBe(`span0 · Core switch mirror port (network span, sealed)
├─ from
│  ├─ tap-a (interface): ingress, not host 192.0.2.20, 1 of 10 flows
│  ├─ ens224 (interface tap-b): ingress + egress, every frame, 1 of 1000 frames
│  ├─ web (container): ingress + egress, every frame
│  ├─ tier=frontend (label): ingress + egress, every frame
│  ├─ shop/api (compose): ingress + egress, every frame
│  ├─ shop_default (network): ingress + egress, every frame
│  ├─ id 42, local 192.0.2.7, port 4789 (vxlan): ingress, every frame
│  ├─ id 43, port 4789, group 239.1.1.1, interface ens192 (vxlan): ingress, every frame
│  ├─ local 192.0.2.7, remote 192.0.2.9, key 7 (gretap): ingress, every frame
│  └─ local 192.0.2.7, session 5, type 2 (erspan): ingress, every frame
└─ to
   ├─ suricata (container)
   ├─ zeek (container, filter tcp port 80 or 443)
   ├─ role=ids (label)
   ├─ shop/ids (compose)
   ├─ snort-1 (container, a share, filter not port 22)
   ├─ snort-2 (container, a share, filter not port 22)
   ├─ role=snort (label, a share, filter not port 22)
   ├─ ens256 (output, filter vlan 10)
   ├─ vxlan 44 (output)
   ├─ gretap 192.0.2.7 key 8 to 192.0.2.10 (output)
   └─ erspan 192.0.2.7 session 6 to 192.0.2.10 (output)

voice · SIP and RTP of VLAN 10 (network voice, sealed)
├─ from
│  └─ ens192 (interface): ingress + egress, vlan 10 and udp
└─ to
   └─ voip-recorder (container)

2 spans in the file. The host was not read.
`)
})

test('without a span', () => {
  const graph = fileGraph('version: 1\nspans: {}\n')
  expect(tree(graph)).toBe('There are no spans in the file. The host was not read.\n')
  expect(renderSvg(graph)).toContain('>no spans<')
})

describe('on the host', () => {
  test('all as the file says', () => {
    expect(tree(hostGraph())).toBe(`span0 · Core switch mirror port (network span, mtu 9000, sealed)
├─ from
│  └─ ens192 (interface): ingress + egress, not port 22
└─ to
   ├─ suricata (container)
   └─ zeek (container)

1 span, in sync with the file.
`)
  })

  test('what a sensor or an output gets, now or once it is there', () => {
    const receiversOf = (name: string) => {
      const path = join(casesFolder, name)
      const host = readSnapshot(path, 'host.json')
      return hostGraph(host, readFileSync(join(path, 'spans.yaml'), 'utf8')).spans.flatMap(({ receivers }) =>
        receivers.map(({ title, details }) => `${title}: ${details.join(', ')}`)
      )
    }
    expect(receiversOf('share-paused-converged').slice(0, 2)).toEqual([
      'shop-ids-1: compose shop/ids, share 33 %, and what is not IP',
      'shop-ids-2: compose shop/ids, share 0 %'
    ])
    expect(receiversOf('share-filter-converged')).toEqual([
      'zeek: container',
      'shop-ids-1: container, filter tcp port 80'
    ])
    expect(receiversOf('share-output-converged')).toEqual([
      'shop-ids-1: container, share 50 %, and what is not IP',
      'ens224: output, share 50 %'
    ])
    expect(receiversOf('share-without-members')).toEqual(['shop/ids: compose, a share'])
  })

  test('of a network, at each end what is copied there', () => {
    const host = readSnapshot(join(casesFolder, 'network-source'), 'host.json')
    const text = 'version: 1\nspans: {span0: {sources: [network: shop]}}'
    const { spans } = hostGraph(host, text)
    expect(spans.flatMap(({ sources }) => sources.map(({ title, mirror }) => `${title}: ${mirror.title}`))).toEqual([
      'shop: ingress',
      'shop (web): egress',
      'shop (front): egress'
    ])
  })

  test('what is missing and what differs, at the part that it is about', () => {
    const links = converged.links.map((link) =>
      link.name === 'ens192' ? { ...link, promiscuity: 0, promiscuous: false } : link
    )
    const filters = converged.filters.filter(({ tcHook, mirror }) => tcHook !== 'egress' || mirror === null)
    const graph = hostGraph({
      ...converged,
      links: links.map((link) => (link.name === 'span0' ? { ...link, up: false } : link)),
      filters
    })
    expect(remarksIn(graph)).toEqual([
      ['span0', 'broken', 'differs: bridge (state: down → up)'],
      ['ens192', 'broken', 'differs: interface settings (promiscuous: off → on)'],
      ['ingress + egress', 'broken', 'missing: mirror egress']
    ])
    expect(tree(graph)).toMatch(/\n1 span: 1 is broken\. See: spanplan status\n$/)
  })

  test('what waits', () => {
    const links = converged.links.filter(({ name }) => name !== 'ens192')
    const graph = hostGraph({ ...converged, links }, fixture('spans.yaml').replace('zeek', 'zeek, snort'))
    expect(remarksIn(graph)).toContainEqual(['ens192', 'waits', 'waits for the interface ens192'])
    expect(remarksIn(graph)).toContainEqual(['snort', 'waits', 'waits for the container snort'])
  })

  test('what is paused, and what the status finds', () => {
    const pauses = [{ span: 'span0', until: '2026-01-01T00:30:00.000Z' }]
    const { docker } = converged
    if (docker.state !== 'read') throw new Error('the fixture has changed')
    const containers = docker.containers.map((one) => (one.name === 'zeek' ? { ...one, running: false } : one))
    const remarks = remarksIn(hostGraph({ ...converged, docker: { ...docker, containers } }, undefined, { pauses }))
    expect(remarks).toContainEqual(['span0', 'paused', expect.stringMatching(/^paused until /)])
    expect(remarks).toContainEqual(['zeek', 'broken', 'the sensor zeek is not running'])
  })

  test('what is on the host, and not in the file any more', () => {
    const graph = hostGraph(converged, 'version: 1\nspans: {}\n')
    expect(graph.spans.map(({ title }) => title)).toEqual(['span0'])
    expect(graph.spans[0]?.sources.map(({ title, mirror }) => [title, mirror.title])).toEqual([
      ['ens192', 'ingress + egress']
    ])
    expect(graph.spans[0]?.receivers.map(({ title }) => title)).toEqual(expect.arrayContaining(['suricata', 'zeek']))
    for (const [, standing] of remarksIn(graph)) expect(standing).toBe('broken')
    const one = hostGraph(converged, fixture('spans.yaml').replace(', zeek', ''))
    expect(one.spans[0]?.receivers.map(({ title, details }) => [title, details])).toContainEqual([
      'zeek',
      ['not in the file']
    ])
  })
})

/** The plan of a case; null: it has none. */
function planCase(name: string) {
  try {
    const path = join(casesFolder, name)
    const host = readSnapshot(path, 'host.json')
    const target = { ...readTarget(path, host.links), patient: true }
    return { view: planTarget(target, readingOf(host)), spec: target.spec }
  } catch (error) {
    if (error instanceof SpanplanError) return null
    throw error
  }
}

test.each(readdirSync(casesFolder))('each change and each wait is at one part: %s', (name) => {
  const planned = planCase(name)
  if (planned === null) return
  const { changes, waiting } = planned.view.plan
  const graph = viewGraph(planned.view, planned.spec)
  const texts = [...remarksIn(graph).map(([, , text = '']) => text), ...graph.remarks.map(({ text }) => text)]
  for (const { kind } of changes) {
    const word = kind === 'sensor' ? 'connection' : kind
    expect(texts.filter((text) => text.includes(': ') && text.includes(word)).length, word).toBeGreaterThan(0)
  }
  for (const { diagnostic } of waiting) expect(texts).toContain(oneLine(diagnostic.message))
  if (changes.length + waiting.length > 0) expect(tree(graph)).toContain('See: spanplan status')
})

test('containers that are sources', () => {
  const planned = planCase('container-source-converged')
  expect(planned && tree(viewGraph(planned.view, planned.spec))).toMatchInlineSnapshot(`
    "span0 (network span0, mtu 1500, sealed)
    ├─ from
    │  ├─ web (shop) (container web): ingress + egress, not port 22
    │  └─ front (shop) (label tier=frontend): ingress, every frame
    └─ to
       └─ suricata (container)

    1 span, in sync with the file.
    "
  `)
})

test('a host without Docker', () => {
  const docker = {
    state: 'unreachable',
    reason: { code: 'DOCKER_UNREACHABLE', message: 'Docker does not answer' }
  } as const
  const graph = hostGraph({ ...converged, docker })
  expect(graph.remarks).toEqual([{ standing: 'broken', text: 'Docker does not answer' }])
  expect(tree(graph)).toContain('\n! Docker does not answer\n')
  expect(renderMermaid(graph)).toContain('! Docker does not answer'.replace('!', '#33;'))
  expect(renderSvg(graph)).toContain('! Docker does not answer')
})

describe('hostile names', () => {
  const name = `x"]:::ok; click a "javascript:alert(1)" %%{init}%% --> </text><script>alert(1)</script>&amp; \u001b[31m\u202e\u2028 \`end\` #35;`
  const part = drawPart(name, [name])
  const end = { ...part, kind: 'container' } as const
  const span = { ...part, description: part.title, sources: [{ ...end, mirror: part }], receivers: [end] }
  const graph: Graph = { fileOnly: false, spans: [span], remarks: [] }

  test('reach no terminal as they are', () => {
    for (const picture of [tree(graph), renderMermaid(graph), renderSvg(graph)]) {
      expect(picture).not.toMatch(unprintable)
    }
  })

  test('are text alone in Mermaid', () => {
    const lines = renderMermaid(graph).split('\n')
    const labels = lines.flatMap((line) => line.match(/"(.*)"/)?.[1] ?? [])
    expect(labels).toHaveLength(5)
    for (const label of labels) expect(label.replaceAll('<br/>', '')).toMatch(/^([A-Za-z0-9 ,/]|#\d+;)*$/)
    for (const line of lines)
      expect(line).toMatch(
        /^( *\w+ ?\["[^"]*"\](:::ok)?| *subgraph a?\w+ \["[^"]*"\]| *end| *direction LR|flowchart LR| *classDef .*| *\w+( -->| \w+)+|)$/
      )
  })

  test('are text alone in SVG', () => {
    const svg = renderSvg(graph)
    const tags = new Set([...svg.matchAll(/<\/?([^\s>/]+)/g)].map(([, tag]) => tag))
    expect([...tags].sort()).toEqual(['path', 'rect', 'svg', 'text', 'title'])
    expect(svg.replaceAll(/&(amp|lt|gt|quot|#39);/g, '')).not.toContain('&')
    expect(svg).toContain('&lt;/text&gt;')
  })
})

describe('in SVG', () => {
  const boxesIn = (svg: string) =>
    [...svg.matchAll(/<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)" rx="6"/g)].map((match) => {
      const [x = 0, y = 0, width = 0, height = 0] = match.slice(1).map(Number)
      return { x, y, right: x + width, bottom: y + height }
    })
  const many = (count: number) =>
    `version: 1\nspans:\n${Array.from({ length: count }, (_, n) => `  s${n}: {sources: [{interface: a${n}, filter: ${'tcp and '.repeat(n * 4)}udp}, {interface: b${n}}], network: n${n}, sensors: [x${n}, y${n}, "z${'z'.repeat(n * 5)}"]}`).join('\n')}\n`

  test.each([1, 5, 12])('%i spans: no box lies on another, and each text is in the picture', (count) => {
    const svg = renderSvg(fileGraph(many(count)))
    const [, width, height] = (/width="(\d+)" height="([\d.]+)"/.exec(svg) ?? []).map(Number)
    const boxes = boxesIn(svg)
    expect(boxes).toHaveLength(count * 8)
    for (const [index, one] of boxes.entries()) {
      expect(one.right).toBeLessThan(width ?? 0)
      expect(one.bottom).toBeLessThan(height ?? 0)
      const over = boxes
        .slice(index + 1)
        .filter((other) => one.x < other.right && other.x < one.right && one.y < other.bottom && other.y < one.bottom)
      expect(over).toEqual([])
    }
  })

  test('a wide character takes two cells, and a long word is broken', () => {
    const svg = renderSvg(
      fileGraph(
        `version: 1\nspans: {a: {sources: [{interface: ${'監'.repeat(5)}}, {label: "k=${'監'.repeat(60)}"}]}}\n`
      )
    )
    const lines = [...svg.matchAll(/>(監+|k=監+|監+…)</g)].map(([, text = '']) => [...text].length)
    expect(lines).toEqual([5, 14, 13])
  })
})
