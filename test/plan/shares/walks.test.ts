/**
 * Random walks of shares, without a kernel: whoever shares what, and whatever happens to them, a plan leads to the file, loses no frame
 * on its way, and can be taken back.
 */
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Container, Filter } from '../../../src/host/snapshot.ts'
import { mirrorPref } from '../../../src/host/tc-conventions.ts'
import { commandOf } from '../../../src/plan/output/plan-text.ts'
import { orderStages, type Plan } from '../../../src/plan/plan.ts'
import { planRollback, planTarget } from '../../../src/plan/plan-view.ts'
import { makeTarget } from '../../../src/plan/target.ts'
import { bucketCount, readShare } from '../../../src/resources/programs/share-program.ts'
import { loadSpec } from '../../../src/spec/load.ts'
import { everySpan } from '../../../src/spec/scope.ts'
import { type CapturedHost, readingOf } from '../../lab/fixtures/host-file.ts'
import { casesFolder, readSnapshot } from '../../lab/fixtures/plan-case.ts'
import { sampledCount } from '../../lab/sampled.ts'
import { run } from './simulated-host.ts'

const members = ['shop-ids-1', 'shop-ids-2', 'shop-ids-3', 'shop-ids-4'] as const

const read = (name: string) => readSnapshot(join(casesFolder, name), 'host.json')

/** The output, and all that its host has of it. */
const output = 'ens224'
const ofOutput = read('share-output-converged')
const ofSensors = read('share-converged')
const isOutput = ({ device }: { readonly device: string }) => device === output

const first: CapturedHost = {
  ...ofSensors,
  links: ofSensors.links.map(
    (link) => ofOutput.links.find(({ name }) => name === link.name && name === output) ?? link
  ),
  qdiscs: [...ofSensors.qdiscs.filter((one) => !isOutput(one)), ...ofOutput.qdiscs.filter(isOutput)],
  filters: [...ofSensors.filters, ...ofOutput.filters.filter(isOutput)],
  lacking: [],
  programs: new Map(['share-filter-converged', 'share-sample-converged'].flatMap((name) => [...read(name).programs]))
}

const expressions = [...first.programs.keys()]
const filter = fc.constantFrom<(string | undefined)[]>(undefined, undefined, ...expressions)

const part = fc.constantFrom('all', 'filtered', 'shared', 'shared', 'shared')

const file = fc.record({
  /** What each of the four gets. */
  parts: fc.tuple(...members.map(() => part)),
  outputGets: part,
  /** The balance selects its members by their service. */
  byService: fc.boolean(),
  hash: fc.constantFrom(undefined, 'addresses', 'addresses', 'ports', 'inner'),
  filter,
  own: fc.constantFrom(...expressions),
  source: fc.record({
    filter,
    sample: fc.constantFrom(undefined, undefined, '1/10', { frames: '1/1000' }),
    limit: fc.constantFrom(undefined, undefined, '2gbit', '8kbit', '100mbit'),
    direction: fc.constant('ingress')
  })
})

type File = typeof file extends fc.Arbitrary<infer One> ? One : never

/** undefined: it has no health check. */
const healths: readonly Container['health'][] = [undefined, 'unhealthy', 'healthy', 'starting']

/** What happens between two applies. */
const happenings = {
  'stops, or starts': (host, name) => (isRunning(host, name) ? stop(host, name) : start(host, name)),
  'is paused': (host, name) => onContainer(host, name, ({ paused, ...one }) => ({ ...one, paused: !paused })),
  'changes its health': (host, name) =>
    onContainer(host, name, ({ health, ...one }) => {
      const next = healths[(healths.indexOf(health) + 1) % healths.length]
      return one.running && next !== undefined ? { ...one, health: next } : one
    }),
  'loses its carrier': (host, name) => {
    const port = portOf(host, name)
    const links = host.links.map((link) => {
      if (link.name !== port || link.port === null) return link
      const { isDisabled: _, ...rest } = link.port
      // The kernel has a port forward whenever it gets a carrier.
      return { ...link, carrier: !link.carrier, port: { ...rest, ...(link.carrier && { isDisabled: true as const }) } }
    })
    return { ...host, links }
  },
  'has its port opened': (host, name) => {
    const port = portOf(host, name)
    const links = host.links.map((link) =>
      link.name === port && link.port !== null && link.carrier
        ? { ...link, port: { isolated: link.port.isolated, learning: link.port.learning, flooding: true } }
        : link
    )
    return { ...host, links }
  },
  'loses a mirror': (host, _, choice) => {
    const mirrors = mirrorsOf(host)
    return mirrors.length < 2 ? host : withFilters(host, (one) => (one === mirrors[choice % mirrors.length] ? [] : one))
  },
  'gets what another should': (host, _, choice) => {
    const mirrors = mirrorsOf(host)
    const program = mirrors[(choice + 1) % mirrors.length]?.program ?? null
    return withFilters(host, (one) => (one === mirrors[choice % mirrors.length] ? { ...one, program } : one))
  },
  'is limited by hand': (host, _, choice) => {
    const mirrors = mirrorsOf(host)
    return withFilters(host, (one) => {
      if (one !== mirrors[choice % mirrors.length] || one.mirror === null) return one
      const mirror = { ...one.mirror, limit: 'unknown' as const }
      return { ...one, mirror, copies: [mirror] }
    })
  }
} as const satisfies Record<string, (host: CapturedHost, name: string, choice: number) => CapturedHost>

const step = fc.record({
  // Object.keys forgets that its keys are the table's own.
  events: fc.array(
    fc.tuple(
      fc.constantFrom(...(Object.keys(happenings) as (keyof typeof happenings)[])),
      fc.constantFrom(...members, output),
      fc.nat(11)
    ),
    { maxLength: 3 }
  ),
  /** null: as it was. */
  file: fc.option(file),
  /** Whether Docker can be asked. */
  isRead: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
  /** After how much of its commands the apply is taken back, as a part of 100. */
  interruption: fc.nat(100)
})

const isRunning = (host: CapturedHost, name: string) =>
  containersOf(host).some((one) => one.name === name && one.running)

/** The port goes with the container. */
function stop(host: CapturedHost, name: string): CapturedHost {
  const port = portOf(host, name)
  const isOther = ({ device }: { readonly device: string }) => device !== port
  const stopped = onContainer(host, name, ({ endpoints, health: _, ...one }) => ({
    ...one,
    ...({ running: false, paused: false, sandbox: null, veths: null, isUnplugged: true } as const),
    endpoints: endpoints.map(({ inner: _, ...endpoint }) => ({ ...endpoint, port: 'unknown' as const }))
  }))
  const filters = host.filters.filter(isOther).map((one) => {
    if (one.mirror?.target !== port) return one
    const mirror = { ...one.mirror, target: '*' }
    return { ...one, mirror, copies: [mirror] }
  })
  const links = host.links.filter((link) => link.name !== port)
  return { ...stopped, links, qdiscs: host.qdiscs.filter(isOther), filters }
}

/** With a port of another name, which the bridge hands all. */
function start(host: CapturedHost, name: string): CapturedHost {
  const original = containersOf(first).find((one) => one.name === name)
  const old = portOf(first, name)
  const link = first.links.find((one) => one.name === old)
  if (original === undefined || link === undefined) return host
  const index = Math.max(...[...first.links, ...host.links].map((one) => one.index)) + 2
  const port = `veth${index.toString(16).padStart(7, '0')}`
  const pair = { inside: index - 1, host: index }
  const renamed = <Row extends { readonly device: string }>(rows: readonly Row[]) =>
    rows.flatMap((row) => (row.device === old ? { ...row, device: port } : []))
  const started = onContainer(host, name, () => ({
    ...original,
    veths: [pair],
    // Its end in the container is of no interest here.
    endpoints: original.endpoints.map(({ inner: _, ...endpoint }) => ({ ...endpoint, port: pair }))
  }))
  const options = { isolated: true, learning: false, flooding: true }
  return {
    ...started,
    links: [...host.links, { ...link, name: port, index, peer: pair.inside, port: options }],
    qdiscs: [...host.qdiscs, ...renamed(first.qdiscs)],
    filters: [...host.filters, ...renamed(first.filters)]
  }
}

function onContainer(host: CapturedHost, name: string, act: (container: Container) => Container): CapturedHost {
  if (host.docker.state !== 'read') return host
  const containers = host.docker.containers.map((one) => (one.name === name ? act(one) : one))
  return { ...host, docker: { ...host.docker, containers } }
}

function withFilters(host: CapturedHost, act: (filter: Filter) => Filter | Filter[]): CapturedHost {
  return { ...host, filters: host.filters.flatMap(act) }
}

const mirrorsOf = ({ filters }: CapturedHost) => filters.filter(({ pref }) => pref === mirrorPref)

const containersOf = ({ docker }: CapturedHost) => (docker.state === 'read' ? docker.containers : [])

/** The link that connects a container. */
function portOf(host: CapturedHost, name: string): string {
  if (name === output) return output
  const port = containersOf(host).find((one) => one.name === name)?.endpoints[0]?.port
  return host.links.find(({ index }) => typeof port === 'object' && index === port.host)?.name ?? ''
}

/** The ports of those that take frames. */
function ablePorts(host: CapturedHost, names: readonly string[]): Set<string> {
  const able = containersOf(host).filter(({ name, running, paused }) => names.includes(name) && running && !paused)
  const ports = [...able.map(({ name }) => portOf(host, name)), ...names.filter((name) => name === output)]
  return new Set(ports.filter((port) => host.links.some(({ name, carrier }) => name === port && carrier)))
}

/** The ports of the members that get all flows: the healthy ones, or where none is, those that take frames. */
function sharingPorts(host: CapturedHost, names: readonly string[]): Set<string> {
  const ill = containersOf(host).filter(({ health }) => health === 'starting' || health === 'unhealthy')
  const healthy = ablePorts(
    host,
    names.filter((name) => ill.every((one) => one.name !== name))
  )
  return healthy.size > 0 ? healthy : ablePorts(host, names)
}

function write(one: File): object {
  const { parts, outputGets, hash, filter: chosen, own, source } = one
  const named = (gets: string) => members.filter((_, index) => parts[index] === gets)
  const shared = sharing(one)
  const alone = shared.length > 0 ? [] : named('shared')
  const way = { interface: output }
  const containers = one.byService ? [{ compose: 'shop/ids' }] : shared.filter((name) => name !== output)
  return {
    version: 1,
    spans: {
      span0: {
        sources: [{ interface: 'ens192', ...source }],
        network: 'span',
        sensors: [
          ...named('all'),
          ...alone,
          ...named('filtered').map((container) => ({ container, filter: own })),
          ...(shared.length > 0
            ? [{ balance: [...containers, ...(shared.includes(output) ? [way] : [])], hash, filter: chosen }]
            : [])
        ],
        outputs: shared.includes(output) ? [] : [outputGets === 'filtered' ? { ...way, filter: own } : way]
      }
    }
  }
}

/** The names of those that share. One alone does not. */
function sharing({ parts, outputGets, byService }: File): string[] {
  const shared = members.filter((_, index) => parts[index] === 'shared')
  const all = [...shared, ...(outputGets === 'shared' ? [output] : [])]
  const isShared = byService ? shared.length > 0 : all.length > 1
  return isShared ? all : []
}

function targetOf(text: object) {
  const spec = loadSpec([{ path: 'spans.yaml', bytes: Buffer.from(JSON.stringify(text)) }])
  return makeTarget(spec, { scope: { name: spec.name, spans: everySpan }, deferDocker: false, subnetSeed: '' })
}

const commandsOf = ({ changes }: Plan) =>
  orderStages(changes).flatMap(({ stage }) => stage.steps.map((one) => commandOf(one)))

/** The buckets that these ports get of one hash, by the program of each mirror to them. A mirror without a share has all of every hash. */
function served(host: CapturedHost, ports: ReadonlySet<string>): Map<string, Set<number>> {
  const got = new Map(['addresses', 'ports', 'inner'].map((hash) => [hash, new Set<number>()]))
  for (const { mirror, program } of mirrorsOf(host)) {
    if (mirror === null || !ports.has(mirror.target)) continue
    const share = readShare(program ?? '1,6 0 0 0')
    for (const [hash, buckets] of got) {
      if (share !== null && share.hash !== hash) continue
      for (const bucket of share?.buckets ?? Array.from({ length: bucketCount }, (_, index) => index))
        buckets.add(bucket)
      if (share === null || share.rest) buckets.add(bucketCount)
    }
  }
  return got
}

const isComplete = (got: ReadonlyMap<string, ReadonlySet<number>>) =>
  [...got.values()].some(({ size }) => size === bucketCount + 1)

/** The mirrors, and what the ports are, in words. */
const stateOf = (host: CapturedHost) =>
  [
    // A policer of somebody's is not written again.
    ...mirrorsOf(host).map(({ tcHook, handle, program, mirror }) =>
      JSON.stringify([
        tcHook,
        handle,
        program,
        { ...mirror, limit: mirror?.limit === 'unknown' ? undefined : mirror?.limit }
      ])
    ),
    ...host.links.flatMap(({ name, port, offloads }) => (port === null ? [] : JSON.stringify([name, port, offloads])))
  ].sort()

test('whoever shares, and whatever happens to them, a plan leads to the file, loses nothing, and can be taken back', () => {
  fc.assert(
    fc.property(file, fc.array(step, { minLength: 1, maxLength: 5 }), (start, steps) => {
      let [host, now] = [apply(first, start, { sees: seesAll, interruption: 100 }), start]
      for (const { events, file: next, ...how } of steps) {
        const happened = events.length > 0 || next !== null
        for (const [what, name, choice] of events) host = happenings[what](host, name, choice)
        const before = host
        host = apply(before, next ?? now, { ...how, shared: sharing(now), sees: how.isRead ? seesAll : seesNoDocker })
        // Whether its ports are opened, or what it gets is changed, is seen without Docker, too.
        if (!happened && how.isRead) expect(stateOf(host), 'what nothing has happened to').toEqual(stateOf(before))
        now = next ?? now
        // What was left to Docker is made up for.
        if (!how.isRead) host = apply(host, now, { sees: seesAll, interruption: 100 })
      }
    }),
    { numRuns: sampledCount(15, 500) }
  )
})

const seesAll = (host: CapturedHost): CapturedHost => host
const seesNoDocker = (host: CapturedHost): CapturedHost => ({ ...host, docker: { state: 'deferred' } })

interface How {
  /** What of the host a plan is made from. */
  readonly sees: (host: CapturedHost) => CapturedHost
  readonly interruption: number
  /** Who shared before. */
  readonly shared?: readonly string[]
}

/** The host after an apply, with all that is to be true meanwhile. */
function apply(host: CapturedHost, wanted: File, { sees, interruption, shared }: How): CapturedHost {
  const target = targetOf(write(wanted))
  const view = planTarget(target, readingOf(sees(host)))
  const states = statesOf(host, commandsOf(view.plan))
  const last = states.at(-1) ?? host
  const again = planTarget(target, readingOf(sees(last)))
  expect(commandsOf(again.plan), 'a second plan').toEqual([])
  if (sees === seesAll) expectShares(last, wanted)
  if (shared?.join() === sharing(wanted).join()) expectServed(states, shared)
  if (shared !== undefined) expectFed(states)
  const interrupted = states[Math.floor((interruption * (states.length - 1)) / 100)] ?? last
  const back = planRollback(view, readingOf(sees(interrupted)).host)
  const returned = statesOf(interrupted, commandsOf(back.plan)).at(-1) ?? interrupted
  // What led nowhere, or does now, cannot lead there again.
  const lost = new Set(mirrorsOf(host).flatMap(({ handle, mirror }) => (mirror?.target === '*' ? handle : [])))
  const kept = (one: CapturedHost) => withFilters(one, (row) => (lost.has(row.handle) ? [] : row))
  expect(stateOf(kept(returned)), 'taken back').toEqual(stateOf(kept(host)))
  return last
}

/** The host after each command, itself first. */
function statesOf(host: CapturedHost, commands: readonly (readonly string[])[]): CapturedHost[] {
  const states = [host]
  for (const argv of commands) states.push(run(states.at(-1) ?? host, argv))
  return states
}

/** Each flow goes to one of those that can take frames, and they have the limit together. */
function expectShares(host: CapturedHost, { source, ...rest }: File): void {
  const ports = sharingPorts(host, sharing(rest as File))
  const mirrors = mirrorsOf(host).filter(({ mirror }) => ports.has(mirror?.target ?? ''))
  const shares = mirrors.map(({ program }) => readShare(program ?? ''))
  const sizes = shares.map((share) => share?.buckets.size ?? Number.NaN)
  expect(sizes.length).toBe(ports.size)
  if (ports.size === 0) return
  expect(sizes.reduce((sum, size) => sum + size)).toBe(bucketCount)
  expect(isComplete(served(host, ports))).toBe(true)
  expect(shares.filter((share) => share?.rest)).toHaveLength(1)
}

/** Who got frames before, and gets some in the end, gets some after each command: of the bridge, or by a mirror of its own. */
function expectFed(states: readonly CapturedHost[]): void {
  const names = [...members, output]
  const [fed, is] = [states[0], states.at(-1)].map((host) =>
    host === undefined ? new Set<string>() : fedPorts(host, names)
  )
  for (const host of states) {
    const now = fedPorts(host, names)
    for (const port of fed ?? []) expect(now.has(port) || !is?.has(port), `${port} gets frames`).toBe(true)
  }
}

function fedPorts(host: CapturedHost, names: readonly string[]): Set<string> {
  const targets = new Set(mirrorsOf(host).map(({ mirror }) => mirror?.target))
  const open = host.links.filter(({ port }) => port?.flooding && !port.isDisabled && targets.has('span0'))
  const isFed = (name: string) => targets.has(name) || open.some((link) => link.name === name)
  return new Set([...ablePorts(host, names)].filter(isFed))
}

/** What was served before is served after each command. */
function expectServed(states: readonly CapturedHost[], names: readonly string[]): void {
  const [before] = states
  if (before === undefined) return
  const ports = sharingPorts(before, names)
  const was = served(before, ports)
  for (const state of states) {
    const is = served(state, ports)
    if (isComplete(is)) continue
    expect(isComplete(was), 'all was served').toBe(false)
    const isKept = [...was].some(
      ([hash, buckets]) => buckets.size > 0 && [...buckets].every((one) => is.get(hash)?.has(one))
    )
    expect(isKept || [...was.values()].every(({ size }) => size === 0), 'what was served').toBe(true)
  }
}
