import { expect, test } from 'vitest'
import { parseOffloads } from '../../../src/host/parsers/ip.ts'
import { openOffloadFilter } from '../../../src/watch/triggers/offload-events.ts'

const read = `Features for ens192:
tcp-segmentation-offload: on
generic-receive-offload: off
large-receive-offload: off [fixed]
tx-vlan-offload: on
`

/** The lines that count, after this was read. */
function countedIn(lines: readonly string[], lastRead: string | null = read): string[] {
  const counts = openOffloadFilter(() => (lastRead === null ? undefined : parseOffloads(lastRead)))
  return lines.filter((line) => counts(line))
}

const events = (...lines: string[]) => ['', 'Features for ens192:', ...lines]

test('what was read already is no change', () => {
  expect(countedIn(['listening...', ...read.split('\n')])).toEqual([])
})

test('an offload that differs from what was read is a change each time, whatever was told between', () => {
  const [on, off] = ['generic-receive-offload: on', 'generic-receive-offload: off']
  expect(countedIn([...events(on), ...events(off), ...events(on)])).toEqual([on, on])
})

test('an offload that can be set now is a change', () => {
  const line = 'large-receive-offload: off'
  expect(countedIn(events(line))).toEqual([line])
})

test('what no plan needs is none', () => {
  expect(countedIn(events('tx-vlan-offload: off', '\ttx-tcp-segmentation: off'))).toEqual([])
})

test('before anything was read, and while it is, each offload is a change', () => {
  const line = 'generic-receive-offload: off'
  expect(countedIn(events(line), null)).toEqual([line])
})

test('of an interface that was not there, the monitor of links tells', () => {
  expect(countedIn(['Features for late0:', 'generic-receive-offload: off'])).toEqual([])
})

test('rings are', () => {
  expect(countedIn(['Ring parameters for ens192:', 'RX: 4096', ''])).toEqual(['Ring parameters for ens192:'])
})

test('a line without an interface is none', () => {
  expect(countedIn(['generic-receive-offload: on'])).toEqual([])
})
