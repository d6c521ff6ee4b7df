/** The steps of a walk with Docker. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect } from 'vitest'
import { describeBridge, expectSame } from '../foreign-view.ts'
import { type Drift, drifts } from './drift.ts'
import { chooses, expectFed } from './feeds.ts'
import {
  allSpans,
  type FileSpec,
  fileSpec,
  type Name,
  names,
  networkName,
  type Role,
  roles,
  type SpanSpec,
  spanName,
  writeFileSpec
} from './specs.ts'
import { freeName, type LiveContainer, type Place, pickContainer, type World } from './world.ts'

export type Step =
  | { readonly do: 'apply'; readonly name: Name; readonly spec: FileSpec; readonly defer: boolean }
  | { readonly do: 'adopt'; readonly name: Name; readonly spec: FileSpec }
  | { readonly do: 'destroy'; readonly name: Name; readonly defer: boolean }
  | { readonly do: 'come'; readonly choice: number; readonly role: Role | null; readonly place: Place }
  | { readonly do: 'container'; readonly what: keyof typeof turns; readonly choice: number }
  | { readonly do: 'drift'; readonly what: Drift; readonly name: Name; readonly choice: number }
  | { readonly do: 'restart Docker'; readonly live: boolean }

type Turn = (world: World, container: LiveContainer, choice: number, all: readonly LiveContainer[]) => Promise<void>

/** What people do with a container. */
const turns = {
  goes: async (world, { name }) => world.attempt(`docker rm --force ${name}`),
  stops: async (world, { name }) => world.attempt(`docker kill ${name}`),
  // Its network may be gone.
  starts: async (world, { name }) => world.attempt(`docker start ${name}`),
  'is paused, or is no more': async (world, { name, paused }) =>
    world.attempt(`docker ${paused ? 'unpause' : 'pause'} ${name}`),
  'has its interface go down, or up': async (world, container, choice) => {
    if (!container.running) return
    const ports = (await world.portsOf(container)).filter(({ bridge }) => allSpans.includes(bridge))
    const port = ports[choice % ports.length]
    if (port !== undefined) await world.switchInterface(container, port)
  },
  restarts: async (world, { name }) => world.attempt(`docker restart --time 0 ${name}`),
  'is renamed': async (world, { name }, choice, all) => {
    const free = freeName(all, choice)
    if (free !== undefined) await world.run(`docker rename ${name} ${free}`)
  },
  'is connected by hand': async (world, { name, endpoints }, choice) => {
    const spans = (await world.networks()).filter(({ labels }) => labels['spanplan.span'] !== undefined)
    const network = spans[choice % spans.length]
    if (network === undefined || endpoints.has(network.name)) return
    // Docker connects nothing that is on "none".
    if (endpoints.has('none')) await world.run(`docker network disconnect none ${name}`)
    await world.attempt(`docker network connect ${network.name} ${name}`)
  },
  'is disconnected by hand': async (world, { name, mode, endpoints }, choice) => {
    const places = [...endpoints.keys()].filter((network) => network !== 'none')
    const network = places[choice % places.length]
    if (network === undefined) return
    await world.attempt(`docker network disconnect ${network} ${name}`)
    // Whoever takes a container off a network that spanplan has not put it on gives it another place.
    if (mode === 'none' && endpoints.size === 1) await world.attempt(`docker network connect none ${name}`)
  }
} as const satisfies Record<string, Turn>

const name = fc.constantFrom(...names)
const seldom = fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) })
const choice = fc.nat({ max: 11 })

// Object.keys forgets that its keys are the table's own.
const turn = fc.constantFrom(...(Object.keys(turns) as (keyof typeof turns)[]))
const drift = fc.constantFrom(...(Object.keys(drifts) as Drift[]))

export const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('apply'), name, spec: fileSpec, defer: seldom }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('adopt'), name, spec: fileSpec }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('destroy'), name, defer: seldom }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('come'),
      choice,
      role: fc.constantFrom(null, ...roles),
      place: fc.constantFrom('none', 'none', 'other')
    })
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('container'), what: turn, choice }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('drift'), what: drift, name, choice }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart Docker'), live: fc.boolean() }) }
)

export async function take(world: World, one: Step): Promise<void> {
  world.log.push(`# ${one.do}`)
  switch (one.do) {
    case 'apply':
      return apply(world, one.name, one.spec, one.defer)
    case 'adopt':
      return adopt(world, one.name, one.spec)
    case 'destroy':
      return destroy(world, one.name, one.defer)
    case 'come': {
      const free = freeName(await world.containers(), one.choice)
      world.soil()
      return free === undefined ? undefined : world.addContainer(free, one.role, one.place)
    }
    case 'container': {
      const all = await world.containers()
      const container = pickContainer(all, one.choice)
      world.soil()
      return container === undefined ? undefined : turns[one.what](world, container, one.choice, all)
    }
    case 'drift':
      world.soil()
      return drifts[one.what](world, one.name, one.choice)
    case 'restart Docker': {
      world.soil()
      world.log.push(`# restart Docker, ${one.live ? 'containers run on' : 'containers stop'}`)
      return world.lab.restartDocker({ live: one.live })
    }
  }
}

/** Whatever spanplan does, foreign networks and endpoints are as they were. */
async function keepingForeign(world: World, act: () => Promise<void>): Promise<void> {
  const before = await world.foreign()
  await act()
  const after = await world.foreign()
  expectSame('what is foreign has changed in Docker', before.fixed, after.fixed)
  const networks = (await world.networks()).map((network) => network.name)
  const lost = [...before.visits].filter(
    ([place, how]) => networks.some((network) => place.endsWith(` on ${network}`)) && after.visits.get(place) !== how
  )
  expect(lost, 'endpoints made by hand that are lost').toEqual([])
}

async function apply(world: World, name: Name, spec: FileSpec, defer: boolean): Promise<void> {
  const file = await writeSpec(world, name, spec)
  if (defer && (await world.isMarked())) {
    world.names[name] = { spec, clean: false }
    await keepingForeign(world, async () => {
      await succeed(world, 'apply', '-f', file, '--yes', '--defer-docker')
      await succeed(world, 'plan', '-f', file, '--defer-docker', '--detailed-exitcode')
    })
  } else await keepingForeign(world, () => reconcile(world, name, spec, file))
}

/** Where a span is to be, there is a foreign bridge, with a network on it, and a container on that. */
async function adopt(world: World, name: Name, spec: FileSpec): Promise<void> {
  const file = await writeSpec(world, name, spec)
  let made = false
  for (const one of spec.spans) made = (await makeRecipe(world, name, one)) || made
  if (made) {
    const before = await world.dockerState()
    const refused = await world.spanplan('apply', '-f', file, '--yes')
    expect(refused, refused.stdout + refused.stderr).toMatchObject({ exitCode: 1 })
    expectSame('an apply that is refused has changed', before, await world.dockerState())
  }
  await reconcile(world, name, spec, file, '--adopt')
}

async function makeRecipe(world: World, name: Name, spec: SpanSpec): Promise<boolean> {
  const [span, network] = [spanName(name, spec), networkName(name, spec)]
  const names = (await world.networks()).map((one) => one.name)
  if (network === null || names.includes(network) || (await world.hasLink(span))) return false
  await world.run(`ip link add ${span} address 02:00:00:00:0d:0${spec.number} type bridge`)
  await world.run(`ip link set dev ${span} up`)
  await world.run(`docker network create --internal -o com.docker.network.bridge.name=${span} ${network}`)
  const free = freeName(await world.containers(), spec.number)
  if (free !== undefined) {
    // Made on that network, it could be on no other once that has gone: Docker would look for it.
    world.soil()
    await world.addContainer(free, null, 'none')
    await world.run(`docker network disconnect none ${free}`)
    await world.run(`docker network connect ${network} ${free}`)
  }
  world.adopted.set(span, await describeBridge(world.lab, span))
  return true
}

async function writeSpec(world: World, name: Name, spec: FileSpec): Promise<string> {
  const file = fileOf(world, name)
  const text = writeFileSpec(name, spec)
  await writeFile(file, text)
  world.log.push(`cat >${file} <<'END'\n${text}\nEND`)
  return file
}

async function reconcile(world: World, name: Name, spec: FileSpec, file: string, ...more: string[]): Promise<void> {
  world.names[name] = { spec, clean: true }
  await succeed(world, 'apply', '-f', file, '--yes', ...more)
  await expectGivenBack(world, name)
  await expectNothingToDo(world)
  for (const one of spec.spans) {
    await expectSensors(world, name, one)
    await expectFed(world, name, one)
  }
  const before = await world.dockerState()
  await succeed(world, 'apply', '-f', file, '--yes', '--detailed-exitcode')
  expectSame('a second apply has changed', before, await world.dockerState())
}

/** Destroys what a name made; with Docker deferred, what needs Docker stays until the next destroy. */
export async function destroy(world: World, name: Name, defer: boolean): Promise<void> {
  if (defer) {
    world.names[name].clean = false
    await keepingForeign(world, async () => {
      await succeed(world, 'destroy', '--name', name, '--yes', '--defer-docker')
    })
    return
  }
  world.names[name] = { spec: null, clean: false }
  await keepingForeign(world, async () => {
    await succeed(world, 'destroy', '--name', name, '--yes')
    await expectGivenBack(world, name)
  })
  await expectNothingToDo(world)
  await succeed(world, 'destroy', '--name', name, '--yes', '--detailed-exitcode')
}

/** The bridges that were adopted for a name, and are no spans of it now, are as they were before; then they are removed by hand. */
async function expectGivenBack(world: World, name: Name): Promise<void> {
  const live = world.liveSpans(name)
  for (const [span, before] of world.adopted) {
    if (!span.startsWith(name) || live.includes(span)) continue
    world.adopted.delete(span)
    expectSame(`the bridge ${span} is not as it was`, before.own, (await describeBridge(world.lab, span)).own)
    await world.run(`ip link del dev ${span}`)
  }
}

/** What one name does does not concern the other; that something waits is no change. */
async function expectNothingToDo(world: World): Promise<void> {
  for (const name of names) {
    if (world.names[name].clean) {
      const { stdout } = await succeed(world, 'plan', '-f', fileOf(world, name), '--detailed-exitcode')
      expect(stdout).toContain('No changes')
    }
  }
}

/** The containers that the file chooses are on the span's network, and those that run are on its bridge. */
async function expectSensors(world: World, name: Name, spec: SpanSpec): Promise<void> {
  const network = networkName(name, spec)
  if (network === null) return
  const containers = await world.containers()
  const chosen = containers.filter((container) => spec.sensors.some((sensor) => chooses(sensor, container)))
  const off = chosen.filter(({ endpoints }) => !endpoints.has(network)).map((container) => container.name)
  expect(off, `sensors that are not on ${network}`).toEqual([])
  for (const container of containers) {
    const place = container.endpoints.get(network)
    if (place === undefined) continue
    const isChosen = spec.sensors.some((sensor) => chooses(sensor, { ...container, running: true }))
    const isOurs = place.DriverOpts?.['spanplan.name'] !== undefined
    expect(isOurs && !isChosen, `${container.name} is on ${network}, and no sensor of the file`).toBe(false)
    if (!container.running) continue
    const bridges = (await world.portsOf(container)).map(({ bridge }) => bridge)
    expect(bridges).toContain(spanName(name, spec))
  }
}

const fileOf = (world: World, name: Name) => join(world.lab.files, `${name}.yaml`)

async function succeed(world: World, ...args: string[]) {
  const outcome = await world.spanplan(...args)
  expect(outcome, `spanplan ${args.join(' ')}\n${outcome.stdout}${outcome.stderr}`).toMatchObject({ exitCode: 0 })
  return outcome
}
