/** Where everything is in a picture: nothing lies on anything else, and all is in the page. */
import { expect, test } from 'vitest'
import type { Graph } from '../../src/graph/graph.ts'
import { layOut } from '../../src/graph/graph-layout.ts'
import { renderSvg } from '../../src/graph/svg.ts'
import { converged, samplesOf, see } from '../lab/fixtures/converged.ts'
import { checkLayout } from './check-layout.ts'
import { fileGraph, hostGraph } from './graphs.ts'

const filters = ['not port 22', 'tcp port 80 or 443', `not (${'host 192.0.2.1 or '.repeat(40)}vlan 7)`, 'udp']

/** A file of so many spans, each in words as `make` says. */
const fileOf = (count: number, make: (n: number) => string) =>
  `version: 1\nspans:\n${Array.from({ length: count }, (_, n) => `  s${n}: {${make(n)}}`).join('\n')}\n`

/** All of one interface and to one sensor; some; and none. */
const kinds: Readonly<Record<string, (n: number) => string>> = {
  'share all': (n) =>
    `sources: [{interface: ens192, filter: "${filters[n % 4]}"}], network: n${n}, sensors: [suricata]`,
  'share some': (n) =>
    `description: Segment ${n}, sources: [{interface: ${n % 3 === 0 ? 'ens192' : `eth${n}`}, filter: "${filters[n % 4]}"}, {container: web${n % 5}}], network: n${n}, sensors: [zeek${n}, {container: arkime${n % 2}, filter: tcp port 80}, balance: [a${n}, b]]`,
  'share nothing': (n) =>
    `description: "${'Segment '.repeat(n)}", sources: [interface: a${n}, container: "c${'c'.repeat(n)}"], network: n${n}, sensors: [x${n}, "z${'z'.repeat(n)}"]`
}

/** What the boxes are called. */
const titlesOf = (graph: Graph) =>
  layOut(graph).boxes.flatMap(({ isOpen, lines: [line] }) => (isOpen ? [] : line?.text))

test.each(Object.keys(kinds))('%s: nothing lies on anything else, with 1 to 50 spans', (kind) => {
  for (const count of [1, 2, 3, 5, 8, 12, 20, 35, 50]) checkLayout(fileGraph(fileOf(count, kinds[kind] ?? (() => ''))))
})

test.each(Object.keys(kinds))('%s: with 50 spans, the page has a shape that a screen has', (kind) => {
  const { width, height } = layOut(fileGraph(fileOf(50, kinds[kind] ?? (() => ''))))
  expect(width / height).toBeGreaterThan(1)
  expect(width / height).toBeLessThan(2)
  expect(width).toBeLessThan(5000)
})

test('what spans share is there once, and a line leads to each of them', () => {
  const graph = fileGraph(fileOf(50, kinds['share all'] ?? (() => '')))
  const titles = titlesOf(graph)
  expect(titles.filter((one) => one === 'ens192')).toHaveLength(1)
  expect(titles.filter((one) => one === 'suricata')).toHaveLength(1)
  const { edges, boxes } = layOut(graph)
  // Of each span two, and of the two that are shared.
  expect(edges.filter(({ joins }) => joins !== undefined)).toHaveLength(102)
  const mirrors = boxes.filter(({ role }) => role === 'mirror')
  const arrows = edges.filter(({ hasArrow }) => hasArrow)
  for (const { x, y, height } of mirrors)
    expect(arrows.filter(({ to }) => to[0] === x && to[1] === y + height / 2)).toHaveLength(1)
})

test('a part of what a shared sensor gets is at the span that hands it out', () => {
  const { boxes } = layOut(fileGraph(fileOf(4, kinds['share some'] ?? (() => ''))))
  const open = boxes.filter(({ isOpen }) => isOpen).map(({ lines }) => lines.map(({ text }) => text))
  expect(open).toContainEqual(['arkime0', 'filter tcp port 80'])
  expect(open).toContainEqual(['b', 'a share'])
  expect(open).toContainEqual(['ens192'])
})

test('a text that is too long for its box is whole in a title, and only that is', () => {
  const svg = renderSvg(fileGraph(fileOf(3, kinds['share all'] ?? (() => ''))))
  const titles = [...svg.matchAll(/<g>\n<title>([^<]*)<\/title>/g)].map(([, text]) => text)
  expect(titles).toEqual([`ingress + egress\n${filters[2]}`])
  const { panels } = layOut(fileGraph(fileOf(40, kinds['share nothing'] ?? (() => ''))))
  expect(panels.map(({ whole }) => whole?.length)).toContain('s39 · '.length + 'Segment '.length * 39 - 1)
})

test('a sensor that does not run is red, in its box and on the way to it, and the others are not', () => {
  const { docker } = converged
  if (docker.state !== 'read') throw new Error('the fixture has changed')
  const containers = docker.containers.map((one) => (one.name === 'zeek' ? { ...one, running: false } : one))
  const { boxes, edges } = checkLayout(hostGraph({ ...converged, docker: { ...docker, containers } }))
  const receivers = boxes.filter(({ role }) => role === 'receiver')
  expect(receivers.map(({ lines: [line], standing }) => [line?.text, standing])).toEqual([
    ['suricata', 'ok'],
    ['zeek', 'broken']
  ])
  expect(edges.filter(({ role }) => role === 'receiver').map(({ standing }) => standing)).toEqual(['ok', 'broken'])
  const svg = renderSvg(hostGraph({ ...converged, docker: { ...docker, containers } }))
  expect(svg).toMatch(/<rect [^>]* stroke="#cf222e"/)
})

test('a shared sensor that one span has lost is red there, and says so at that span', () => {
  const graph = fileGraph(fileOf(2, kinds['share all'] ?? (() => '')))
  const [first, second] = graph.spans
  if (first === undefined || second === undefined) throw new Error('there are two spans')
  const deaf = { standing: 'broken', text: 'the sensor suricata hears nothing' } as const
  const receivers = second.receivers.map((one) => ({ ...one, remarks: [deaf] }))
  const { boxes } = checkLayout({ ...graph, spans: [first, { ...second, receivers }] })
  const seen = boxes.filter(({ role }) => role === 'receiver')
  expect(seen.map(({ isOpen, standing, lines }) => [isOpen, standing, lines.length])).toEqual([
    [true, 'ok', 1],
    [true, 'broken', 3],
    [false, 'broken', 2]
  ])
})

test('rates stand above their edges', () => {
  const { rates } = checkLayout(hostGraph(undefined, undefined, samplesOf(see())))
  expect(rates.map(({ text }) => text)).toEqual(['1,000/s', '1,000/s', '1,000/s'])
})
