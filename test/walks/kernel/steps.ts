/** The steps of a walk. */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect } from 'vitest'
import { isReading } from '../../lab/commands/wrapped-programs.ts'
import { expectSame, sortRoutes } from '../foreign-view.ts'
import { drifts } from './drift.ts'
import { expectFed } from './feeds.ts'
import { comeAsGuest, concernsGuests, guests, removalsIn } from './guests.ts'
import {
  address4,
  address6,
  type Card,
  cards,
  type ForeignFilter,
  foreignFilter,
  isLarge,
  macvlanCommands,
  macvlanOf,
  unnumberedRoute
} from './host.ts'
import { clearTables, makeRecipe, type Recipe, recipe } from './recipe.ts'
import { type FileSpec, fileSpec, spanNames, spansWithOutputs, writeFileSpec } from './specs.ts'
import { type Alphabet, type Name, names } from './tunnels.ts'
import { liveSpans, type World } from './world.ts'

export type Step =
  | { readonly do: 'apply'; readonly name: Name; readonly spec: FileSpec }
  | { readonly do: 'adopt'; readonly name: Name; readonly spec: FileSpec; readonly recipe: Recipe }
  | { readonly do: 'destroy'; readonly name: Name }
  | { readonly do: 'drift'; readonly what: keyof typeof drifts; readonly name: Name; readonly choice: number }
  | { readonly do: 'filter'; readonly card: Card; readonly filter: ForeignFilter }
  | { readonly do: 'use'; readonly what: keyof typeof uses; readonly card: Card }
  | { readonly do: 'guest'; readonly what: keyof typeof guests; readonly choice: number }

/** What people do with a card while it is mirrored; each at most once, and there to the end. */
const uses = {
  'an address': async (world: World, card: Card) => {
    const model = world.card(card)
    // With its last address of IPv4, an interface loses all its routes.
    if (model.address4 || model.routed) return
    await world.add([`ip addr add ${address4(card)} dev ${card}`], [`ip addr del ${address4(card)} dev ${card}`])
    model.address4 = true
    soil(world, card)
  },
  'an IPv6 address': async (world: World, card: Card) => {
    const model = world.card(card)
    const dedicated = world.usersOf(card).some((name) => world.names[name].spec?.dedicated.includes(card))
    if (model.address6 || !model.first.ipv6 || !model.first.up || !isLarge(model.first) || dedicated) return
    const address = address6(card)
    await world.add([`ip addr add ${address} dev ${card} nodad`], [`ip addr del ${address} dev ${card}`])
    model.address6 = true
    soil(world, card)
  },
  'a macvlan': async (world: World, card: Card) => {
    const model = world.card(card)
    if (model.used || !isLarge(model.first)) return
    await world.add(macvlanCommands(card), [`ip link del dev ${macvlanOf(card)}`])
    model.used = true
  },
  'a bridge': async (world: World, card: Card) => {
    const model = world.card(card)
    if (model.used || !isLarge(model.first)) return
    await world.add([`ip link set dev ${card} master br0`], [`ip link set dev ${card} nomaster`])
    model.used = true
  },
  'a route': async (world: World, card: Card) => {
    const model = world.card(card)
    if (model.routed || model.used || !(await world.isUp(card))) return
    const dedicated = world.usersOf(card).some((name) => world.names[name].spec?.dedicated.includes(card))
    // A card that is dedicated has no IPv6, and one that was down may lose it meanwhile.
    const state = { ...model.first, ipv6: model.first.ipv6 && model.first.up && !dedicated }
    await world.add([unnumberedRoute('add', card, state)], [unnumberedRoute('del', card, state)])
    model.routed = true
    soil(world, card)
  },
  'a shaper': async (world: World, card: Card) => {
    const model = world.card(card)
    // Without its shaper, a card that is down has no qdisc at all.
    if (model.shaped || !model.first.up) return
    const shaper = 'tbf rate 1gbit burst 128k limit 1m'
    await world.add([`tc qdisc add dev ${card} root handle 6: ${shaper}`], [`tc qdisc del dev ${card} root`])
    model.shaped = true
  }
} as const

const name = fc.constantFrom(...names)

/** Steps on a kernel that has these tunnels. */
export const step = (alphabet: Alphabet): fc.Arbitrary<Step> =>
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ do: fc.constant('apply'), name, spec: fileSpec(alphabet) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('adopt'), name, spec: fileSpec(alphabet), recipe }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('destroy'), name }) },
    {
      weight: 5,
      arbitrary: fc.record({
        do: fc.constant('drift'),
        // Object.keys forgets that its keys are the table's own.
        what: fc.constantFrom(...(Object.keys(drifts) as (keyof typeof drifts)[])),
        name,
        choice: fc.nat({ max: 5 })
      })
    },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant('filter'), card: fc.constantFrom(...cards), filter: foreignFilter })
    },
    {
      weight: 5,
      arbitrary: fc.record({
        do: fc.constant('guest'),
        what: fc.constantFrom(...(Object.keys(guests) as (keyof typeof guests)[])),
        choice: fc.nat({ max: 11 })
      })
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('use'),
        what: fc.constantFrom(...(Object.keys(uses) as (keyof typeof uses)[])),
        card: fc.constantFrom(...cards)
      })
    }
  )

export async function take(world: World, one: Step): Promise<void> {
  world.log.push(`# ${one.do}`)
  switch (one.do) {
    case 'apply':
      return keepingForeign(world, () => applySpec(world, one.name, one.spec))
    case 'adopt':
      return keepingForeign(world, () => adoptSpec(world, one.name, one.spec, one.recipe))
    case 'destroy':
      return keepingForeign(world, () => destroy(world, [one.name], ['--name', one.name]))
    case 'drift':
      return drifts[one.what](world, one.name, one.choice)
    case 'filter':
      return world.addFilter(one.card, one.filter)
    case 'use':
      return uses[one.what](world, one.card)
    case 'guest':
      return comeAsGuest(world, one.what, one.choice)
  }
}

/** Whatever spanplan does, the rest of the host is as it was. */
async function keepingForeign(world: World, act: () => Promise<void>): Promise<void> {
  const before = await world.foreign()
  await act()
  expectSame('what is not ours has changed', before, await world.foreign())
}

async function applySpec(world: World, name: Name, wished: FileSpec): Promise<void> {
  await reconcile(world, name, await writeSpec(world, name, wished), [])
}

/** What old scripts have made is left alone until an apply is told to take it over; then nothing of it is left but its bridges. */
async function adoptSpec(world: World, name: Name, wished: FileSpec, old: Recipe): Promise<void> {
  const spec = await writeSpec(world, name, wished)
  const made = await makeRecipe(world, name, spec, old)
  if (made.any) {
    const before = sortRoutes(await world.lab.snapshotText())
    const refused = await world.spanplan('apply', '-f', fileOf(world, name), '--yes')
    expect(refused, refused.stdout + refused.stderr).toMatchObject({ exitCode: 1 })
    expectSame('an apply that is refused has changed', before, sortRoutes(await world.lab.snapshotText()))
  }
  await reconcile(world, name, spec, ['--adopt'])
  await clearTables(world, made)
}

/** Writes the file, less what the cards cannot be. */
async function writeSpec(world: World, name: Name, wished: FileSpec): Promise<FileSpec> {
  const dedicated = wished.dedicated.filter((card) => {
    const { address4, address6, routed } = world.card(card)
    return !address4 && !address6 && !routed
  })
  const spec = { ...wished, dedicated }
  const file = fileOf(world, name)
  const text = writeFileSpec(name, spec, (card) => world.lab.cables.find((cable) => cable.card === card)?.cardMac ?? '')
  await writeFile(file, text)
  world.log.push(`cat >${file} <<'END'\n${text}\nEND`)
  return spec
}

async function reconcile(world: World, name: Name, spec: FileSpec, options: readonly string[]): Promise<void> {
  const model = world.names[name]
  const file = fileOf(world, name)
  const left = liveSpans(world, name).filter((span) => !spanNames(name, spec).includes(span))
  model.spec = spec
  for (const span of spansWithOutputs(name, spec)) world.carryBridge(span)
  model.clean = true
  model.lost.clear()
  await succeed(world, 'apply', '-f', file, '--yes', ...options)
  await world.expectGivenBack(left)
  await expectNothingToDo(world)
  await expectFed(world, name, spec)
  const again = await succeed(world, 'apply', '-f', file, '--yes', '--detailed-exitcode')
  // All that a file of a walk needs is there.
  expect(again.stdout).toContain('No changes. ')
  expect(again.calls.filter((call) => !isReading(call))).toEqual([])
}

/** What one name does is no business of the other's. */
async function expectNothingToDo(world: World): Promise<void> {
  for (const name of names) {
    if (world.names[name].clean) {
      const { stdout } = await succeed(world, 'plan', '-f', fileOf(world, name), '--detailed-exitcode')
      expect(stdout).toContain('No changes')
    }
  }
}

/** Destroys what these names made, in any way that the arguments say. */
export async function destroy(world: World, gone: readonly Name[], args: readonly string[]): Promise<void> {
  const left = gone.flatMap((one) => liveSpans(world, one))
  for (const one of gone) {
    world.names[one].spec = null
    world.names[one].clean = false
    world.names[one].lost.clear()
  }
  await succeed(world, 'destroy', ...args, '--yes')
  await world.expectGivenBack(left)
  await expectNothingToDo(world)
  const again = await succeed(world, 'destroy', ...args, '--yes', '--detailed-exitcode')
  expect(again.calls.filter((call) => !isReading(call))).toEqual([])
}

const fileOf = (world: World, name: Name) => join(world.lab.files, `${name}.yaml`)

/** Where it refuses for what others have put on its bridges, that is taken off by hand. */
async function succeed(world: World, ...args: string[]) {
  let outcome = await world.spanplan(...args)
  for (let round = 0; outcome.exitCode === 1 && round < 3; round++) {
    const removals = removalsIn(outcome.stderr)
    world.log.push(...outcome.stderr.split('\n').map((line) => `# ${line}`))
    expect(removals.filter((command) => !concernsGuests(command))).toEqual([])
    for (const command of removals) await world.run(command)
    if (removals.length > 0) outcome = await world.spanplan(...args)
  }
  expect(outcome, `spanplan ${args.join(' ')}\n${outcome.stdout}${outcome.stderr}`).toMatchObject({ exitCode: 0 })
  return outcome
}

/** A card that is dedicated cannot have an address: the plan of who wants it so fails from now on. */
function soil(world: World, card: Card): void {
  for (const user of world.usersOf(card)) {
    if (world.names[user].spec?.dedicated.includes(card)) world.names[user].clean = false
  }
}
