import { join } from 'node:path'
import { expect, test } from 'vitest'
import { leaveResting, type PlannedChange } from '../../../src/plan/plan.ts'
import { planTarget } from '../../../src/plan/plan-view.ts'
import { writeAddress } from '../../../src/resources/kind.ts'
import { explainContention, openContention } from '../../../src/watch/degraded/contention.ts'
import { readingOf } from '../../lab/fixtures/host-file.ts'
import { casesFolder, readSnapshot, readTarget } from '../../lab/fixtures/plan-case.ts'

const write = (time: number) => `${time} ms`

interface Made {
  readonly kind?: PlannedChange['kind']
  readonly action?: PlannedChange['action']
  /** What the resource is to be like. */
  readonly after?: object | null
  /** The keys that differ. */
  readonly changed?: readonly string[]
  readonly instance?: string
  readonly closes?: boolean
}

/** What an address stands for. */
function subjectAt(address: string) {
  const [span = '', kind = '', ...id] = address.split('/')
  return { span, kind, id }
}

/** A change of a resource, as a run has applied it. */
function change(
  address: string,
  { kind = 'mirror', action = 'create', after = {}, changed = [], instance = '', closes = false }: Made = {}
): PlannedChange {
  const subject = subjectAt(address)
  const { span } = subject
  const resource = (values: object | null) =>
    values && { kind, id: address, spans: [span], owner: 'ours' as const, feed: null, ...values }
  return {
    subject,
    address,
    span,
    kind,
    action,
    instance,
    closes,
    device: null,
    container: null,
    serves: null,
    remembers: [],
    title: '',
    summary: '',
    reason: '',
    disconnects: [],
    notes: [],
    todo: null,
    origin: undefined,
    stages: [],
    before: action === 'create' ? null : resource({}),
    after: action === 'remove' ? null : resource(after),
    facts: changed.map((key) => ({ key, label: key, from: 'a', to: 'b', changed: true }))
  }
}

const ens192 = change('span0/mirror/ens192/ingress', { instance: 'interface 4' })
const ens224 = change('span0/mirror/ens224/ingress', { instance: 'interface 5' })

test('what is undone five times in a minute is contested, and rests alone; it is told how long', () => {
  const contention = openContention()
  for (const now of [0, 10_000, 20_000, 30_000, 40_000]) contention.add([ens192, ens224], null, now)
  expect(contention.list(40_000, write)).toEqual([])
  contention.add([ens192], null, 50_000)
  expect(contention.resting(50_000)).toEqual(new Map([[ens192.address, 'interface 4']]))
  expect([contention.next(50_000), contention.resting(52_000)]).toEqual([52_000, new Map()])
  expect(contention.list(50_000, write)).toMatchObject([
    { span: 'span0', reason: 'contested', diagnostic: { subject: ens192.subject }, until: '52000 ms', rest: 2000 }
  ])
})

test('then once is enough, and the rests grow, until a minute without it, or a new file', () => {
  const contention = openContention()
  for (const now of [0, 1, 2, 3, 4, 5]) contention.add([ens192], null, now)
  const rests = [10_000, 20_000, 40_000, 95_000, 260_000, 565_000].map((now) => {
    contention.add([ens192], null, now)
    return (contention.next(now) - now) / 1000
  })
  expect(rests).toEqual([6, 18, 54, 162, 300, 300])
  contention.add([], null, 864_999)
  expect(contention.list(864_999, write)).toMatchObject([{ until: '865000 ms', rest: 300_000 }])
  contention.add([], null, 865_000)
  expect([contention.list(865_000, write), contention.next(865_000)]).toEqual([[], Infinity])
  for (const now of [0, 1, 2, 3, 4]) contention.add([ens192], null, 1_010_000 + now)
  contention.clear()
  contention.add([ens192], null, 1_010_005)
  expect(contention.list(1_010_005, write)).toEqual([])
})

test('what is tried on demand before its rest is over does not rest longer', () => {
  const contention = openContention()
  for (const now of [0, 1, 2, 3, 4, 5, 1000]) contention.add([ens192], null, now)
  expect(contention.next(1000)).toBe(2005)
})

const repeat = (changes: (round: number) => readonly PlannedChange[]) => {
  const contention = openContention()
  for (let round = 0; round < 20; round++) contention.add(changes(round), null, round * 1000)
  return contention.list(20_000, write)
}

test.each<[string, (round: number) => readonly PlannedChange[]]>([
  ['a source that restarts', (round) => [change('span0/mirror/web/net/ingress', { instance: `interface ${round}` })]],
  ['a sensor that restarts', (round) => [change('span0/sensor/span0/zeek', { instance: `container a ${round}` })]],
  [
    "the bridge's mark, which says which sources there are",
    (round) => [change('span0/bridge', { action: 'update', after: { mark: round }, changed: ['mark'] })]
  ],
  [
    'what is wanted in turn',
    (round) => [change('span0/bridge', { action: 'update', after: { mark: round % 2 }, changed: ['mark'] })]
  ],
  [
    'an interface that is renamed away and back',
    (round) => [change('span0/mirror/ens192/ingress', { action: round % 2 === 0 ? 'create' : 'remove' })]
  ]
])('%s is no contention', (_, changes) => {
  expect(repeat(changes)).toEqual([])
})

test.each<[string, (round: number) => readonly PlannedChange[]]>([
  ['a mirror that is deleted', () => [ens192]],
  ['a field', () => [change('span0/bridge', { action: 'update', after: { up: true }, changed: ['up'] })]],
  [
    'a field, while the mark changes with the sources',
    (round) => [change('span0/bridge', { action: 'update', after: { up: true, mark: round }, changed: ['up', 'mark'] })]
  ],
  ['what others make again', () => [change('span0/address/1', { action: 'remove' })]]
])('%s is contested', (_, changes) => {
  expect(repeat(changes)).toMatchObject([{ reason: 'contested' }])
})

test('what keeps a sensor from sending is told, and never rests', () => {
  const contention = openContention()
  const seal = change('span0/port/veth1', {
    kind: 'port',
    closes: true,
    action: 'update',
    changed: ['seal'],
    after: { seal: 'sealed' }
  })
  for (let now = 0; now < 10; now++) contention.add([seal], null, now)
  expect(contention.list(10, write)).toMatchObject([{ reason: 'contested', rest: 0 }])
  expect(contention.resting(10)).toEqual(new Map())
})

test.each([
  ['table', 'a firewall that flushes nftables', 'nft monitor'],
  ['mirror', 'a tool that sets filters', 'tc monitor'],
  ['network', 'a user of Docker', 'docker events'],
  ['bridge', 'a network configuration tool', 'ip monitor link']
] as const)('who may undo a change of a %s again and again is named, with what shows it', (kind, who, show) => {
  const path = join(casesFolder, 'converged')
  const host = readSnapshot(path, 'host.json')
  const view = planTarget(readTarget(path, host.links), readingOf(host))
  const { message, hint } = explainContention(change(`span0/${kind}/one`, { kind }), view.host)
  expect(message).toContain(`; probably ${who}`)
  expect(hint).toContain(`to see when it happens: ${show}; `)
})

test('a sensor that cannot be had rests at once, for longer each time, until its container is another', () => {
  const contention = openContention()
  const evil = change('span0/sensor/span/evil', { kind: 'sensor', instance: 'container 1 a' })
  const diagnostic = { code: 'SENSOR_FAILED', message: 'gone again', subject: evil.subject } as const
  const rests = [0, 2000, 8000, 26_000].map((now) => {
    contention.fail([{ change: evil, diagnostic, made: true }], now)
    contention.add([], null, now)
    return contention.next(now) - now
  })
  expect(rests).toEqual([2000, 6000, 18_000, 54_000])
  expect(contention.list(26_000, write)).toMatchObject([{ span: 'span0', diagnostic, rest: 54_000 }])
  contention.fail([{ change: { ...evil, instance: 'container 1 b' }, diagnostic, made: true }], 27_000)
  expect(contention.next(27_000)).toBe(29_000)
})

test('what keeps the host from receiving never rests, and neither does the qdisc that it is on', () => {
  const of = (kind: PlannedChange['kind'], closes: boolean) => ({
    ...change(`span0/${kind}/ens192`, { kind, closes, instance: 'interface 4' }),
    device: 'ens192'
  })
  const [qdisc, mirror, closing] = [of('qdisc', false), of('mirror', false), of('interface', true)]
  const things = new Map([qdisc, mirror].map(({ address, instance }) => [address, instance]))
  const leave = (...changes: PlannedChange[]) => leaveResting(changes, { things, spans: new Set() })
  expect(leave(qdisc, mirror, closing)).toEqual([qdisc, closing])
  expect(leave(qdisc, mirror, of('interface', false))).toEqual([of('interface', false)])
  expect(leaveResting([qdisc, mirror, closing], { things: new Map(), spans: new Set(['span0']) })).toEqual([
    qdisc,
    closing
  ])
})

test('where the bridge of a span that rests is missing, nothing is done at it for another span', () => {
  const path = join(casesFolder, 'chain')
  const host = readSnapshot(path, 'host.json')
  const { changes } = planTarget(readTarget(path, host.links), readingOf(host)).plan
  const left = leaveResting(changes, { things: new Map(), spans: new Set(['one']) })
  expect(left.map(({ address }) => address)).toEqual(['two/bridge'])
})

test('what a container undoes in its own namespace, that container is named for, with what shows it there', () => {
  const path = join(casesFolder, 'converged')
  const { host } = planTarget(
    readTarget(path, readSnapshot(path, 'host.json').links),
    readingOf(readSnapshot(path, 'host.json'))
  )
  const found = host.containers.find(({ sandbox }) => sandbox !== null)
  const stack = { ...change('span0/stack/span0/one', { kind: 'stack' }), container: found?.name ?? '' }
  const { message, hint } = explainContention(stack, host)
  expect(message).toContain(`; probably the container ${found?.name} itself`)
  expect(hint).toContain(`nsenter --net=${found?.sandbox} -- tc monitor; `)
})

test('where it is the interface of a sensor that goes again and again, that container is named, and not who uses Docker', () => {
  const fact = { key: 'present', label: 'interface present', from: 'no', to: 'yes', changed: true }
  const sensor = { ...change('span0/sensor/span0/evil', { kind: 'sensor' }), container: 'evil', facts: [fact] }
  const { message, hint } = explainContention(sensor, null)
  expect(message).toContain('; probably the container evil itself')
  expect(hint).toContain('to see when it happens: ip monitor link; ')
})

test('what failed, and is made at the next attempt, was undone by nobody', () => {
  const contention = openContention()
  const diagnostic = { code: 'SENSOR_FAILED', message: 'socket hang up', subject: ens192.subject } as const
  contention.fail([{ change: ens192, diagnostic, made: false }], 0)
  expect(contention.list(1000, write)).toMatchObject([{ diagnostic, until: '2000 ms' }])
  contention.add([ens192], null, 2000)
  expect(contention.list(2000, write)).toEqual([])
})

test('what rests while a run is made is not over when that run ends', () => {
  const contention = openContention()
  const diagnostic = { code: 'SENSOR_FAILED', message: 'socket hang up', subject: ens192.subject } as const
  contention.fail([{ change: ens192, diagnostic, made: false }], 0)
  const rested = contention.resting(1999)
  contention.add([], null, 2001, rested)
  expect(contention.list(2001, write)).toMatchObject([{ diagnostic }])
  expect([contention.next(2001), contention.resting(2001)]).toEqual([2000, new Map()])
  contention.add([ens192], null, 2002, contention.resting(2001))
  expect(contention.list(2002, write)).toEqual([])
})

test('what depends on a sensor that is degraded is not degraded beside it', () => {
  const contention = openContention()
  const of = (kind: PlannedChange['kind'], address: string) => ({
    change: { ...change(address, { kind, closes: kind === 'stack' }), container: address.slice(-4) },
    diagnostic: { code: 'SENSOR_FAILED', message: 'gone again', subject: subjectAt(address) } as const,
    made: true
  })
  const [evil, ...stacks] = [
    of('sensor', 'span0/sensor/span/evil'),
    of('stack', 'span0/stack/span/evil'),
    of('stack', 'span0/stack/span/good')
  ]
  const addresses = (now: number) =>
    contention.list(now, write).map(({ diagnostic }) => diagnostic.subject && writeAddress(diagnostic.subject))
  contention.fail(stacks, 0)
  expect(addresses(0)).toEqual(['span0/stack/span/evil', 'span0/stack/span/good'])
  contention.fail(evil === undefined ? [] : [evil], 1000)
  expect(addresses(1000)).toEqual(['span0/stack/span/good', 'span0/sensor/span/evil'])
})
