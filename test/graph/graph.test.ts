import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { drawPart, factsOf, type Graph, partsOf } from '../../src/graph/graph.ts'
import { renderTree } from '../../src/graph/graph-tree.ts'
import { renderMermaid } from '../../src/graph/mermaid.ts'
import { renderSvg } from '../../src/graph/svg.ts'
import { oneLine, plain } from '../../src/printable.ts'
import { converged, fixture, samplesOf, see } from '../lab/fixtures/converged.ts'
import { casesFolder, readSnapshot } from '../lab/fixtures/plan-case.ts'
import { unprintable } from '../lab/fixtures/unprintable.ts'
import { checkLayout } from './check-layout.ts'
import { fileGraph, hostGraph, planCase, viewGraph } from './graphs.ts'

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
│  ├─ capture-a (interface): ingress, not host 192.0.2.20, 1 of 10 flows
│  ├─ ens224 (interface capture-b): ingress + egress, every frame, 1 of 1000 frames
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
   ├─ suricata-2 (container)
   ├─ snort-0 (container)
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

  test('a span that has another name than its bridge', () => {
    const text = fixture('spans.yaml').replace('  span0:', '  dmz-mirror:\n    bridge: span0')
    expect(tree(hostGraph(converged, text))).toBe(
      tree(hostGraph()).replace('span0', 'dmz-mirror').replace('network span', 'bridge span0, network span')
    )
  })

  test('what a sensor or an output gets, now or once it is there', () => {
    const receiversOf = (name: string) => {
      const path = join(casesFolder, name)
      const host = readSnapshot(path, 'host.json')
      return hostGraph(host, readFileSync(join(path, 'spans.yaml'), 'utf8')).spans.flatMap(({ receivers }) =>
        receivers.map((one) => `${one.title}: ${factsOf(one).join(', ')}`)
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

test.each(readdirSync(casesFolder))('each change and each wait is at one part, and all can be read: %s', (name) => {
  const planned = planCase(name)
  if (planned === null) return
  const { changes, waiting } = planned.view.plan
  const graph = viewGraph(planned.view, planned.spec)
  const texts = [...remarksIn(graph).map(([, , text = '']) => text), ...graph.remarks.map(({ text }) => text)]
  for (const { kind } of changes) {
    const word = kind === 'sensor' ? 'connection' : kind
    expect(texts.filter((text) => text.includes(': ') && text.includes(word)).length, word).toBeGreaterThan(0)
  }
  const withoutContainers = texts.map((text) => text.replace(/(veth\w+) \([\w.-]+\)/g, '$1'))
  for (const { diagnostic } of waiting) expect(withoutContainers).toContain(oneLine(diagnostic.message))
  const text = tree(graph)
  if (changes.length + waiting.length > 0) expect(text).toContain('See: spanplan status')
  expect(text.split('\n').filter((line) => line.length > 100 && line.trim().split(/[│ ]+/).length > 2)).toEqual([])
  expect(text).not.toMatch(/mark: /)
  expect(findBareVeths(planned, text)).toEqual([])
  checkLayout(graph)
})

/** Names of veths in a text without those of their containers. What the file itself calls so stays so. */
function findBareVeths({ view: { host }, spec }: NonNullable<ReturnType<typeof planCase>>, text: string): string[] {
  const words = text.split(/[\s│,;:]+/)
  return words.filter((word, index) => {
    const container = host.attachmentOf(host.linkOf(word))?.container.name
    const isBare = container !== undefined && words[index + 1]?.startsWith(`(${container})`) !== true
    return isBare && !JSON.stringify(spec).includes(`"${word}"`)
  })
}

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

test('rates, where two samples tell them', () => {
  const graph = hostGraph(undefined, undefined, samplesOf(see()))
  expect(tree(graph)).toContain('ingress + egress, not port 22, 1,000 frames/s\n')
  expect(tree(graph)).toContain('zeek (container, 1,000 frames/s)\n')
  expect(renderSvg(graph)).toMatch(/>1,000\/s<[\s\S]*>1,000\/s<[\s\S]*>\/s: frames a second</)
  expect(renderMermaid(graph)).toContain('1,000 frames/s')
  for (const render of [tree, renderSvg, renderMermaid]) expect(render(hostGraph())).not.toMatch(/\d( frames)?\/s\b/)
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

test('in a terminal, no line has more than 100 columns, unless a word has', () => {
  const filter = `not (${Array.from({ length: 30 }, (_, n) => `host 192.0.2.${n}`).join(' or ')})`
  const lines = tree(
    fileGraph(`version: 1\nspans: {a: {sources: [{interface: ens192, filter: "${filter}"}], network: n, sensors: [x]}}`)
  ).split('\n')
  expect(lines.filter((line) => line.startsWith('│       ')).length).toBeGreaterThan(4)
  expect(lines.join(' ').replaceAll(/ [│ ]+/g, ' ')).toContain(filter)
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(100)
})

test('while Docker is unread, a container and a network are called as in the file', () => {
  const titles = (name: string) => {
    const planned = planCase(name)
    return (
      planned && viewGraph(planned.view, planned.spec).spans.flatMap(({ sources }) => sources.map((one) => one.title))
    )
  }
  expect(titles('container-source-docker-deferred')).toEqual(['web', 'tier=frontend'])
  expect(titles('network-source-docker-deferred')).toEqual(['shop'])
})

describe('hostile names', () => {
  const name = `x"]:::ok; click a "javascript:alert(1)" %%{init}%% --> </text><script>alert(1)</script>&amp; \u001b[31m\u202e\u2028 \`end\` #35;`
  const part = drawPart(name, [name])
  const end = { ...part, id: name, kind: 'container', gets: part.details } as const
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
    expect([...tags].sort()).toEqual(['g', 'path', 'rect', 'svg', 'text', 'title'])
    expect(svg.replaceAll(/&(amp|lt|gt|quot|#39);/g, '')).not.toContain('&')
    expect(svg).toContain('&lt;/text&gt;')
  })
})

describe('in SVG', () => {
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
