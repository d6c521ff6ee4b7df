/** What others hang on a span's bridge, or on what hangs there: until somebody takes it off, or the bridge goes. */

import { filterCommand, macvlanOf, type Port } from './ports.ts'
import { allSpans } from './specs.ts'
import { names } from './tunnels.ts'
import { guestLinks, liveSpans, type World } from './world.ts'

/** Before the filter that seals, at its side, and behind it. */
const prefs = [1, 8, 20] as const

type Guest = (world: World, span: string, choice: number) => Promise<void>

export const guests = {
  'a port': async (world, span, choice) => {
    const port = portOf(choice)
    soilAll(world)
    await world.run(`ip link set dev ${port} master ${span}`)
  },
  'a port leaves': async (world, _, choice) => {
    soilAll(world)
    await world.run(`ip link set dev ${portOf(choice)} nomaster`)
  },
  'a macvlan': async (world, span, choice) => {
    await world.attempt(`ip link add ${macvlanOf(span)} link ${span} type macvlan`)
    if (choice % 2 === 0) await world.attempt(`ip addr add 10.66.0.${choice + 1}/24 dev ${macvlanOf(span)}`)
  },
  'a route': async (world, span, choice) => {
    await world.attempt(`ip route add 10.65.${choice}.0/24 dev ${span}`)
  },
  'a filter on the bridge': async (world, span, choice) => {
    const hook = choice % 2 === 0 ? 'ingress' : 'egress'
    const what = choice % 3 === 0 ? 'accepting' : 'transparent'
    await world.attempt(filterCommand(span, hook, prefs[choice % prefs.length] ?? 1, what))
  },
  'a filter on a port': async (world, _, choice) => {
    const what = choice % 3 === 0 ? 'accepting' : 'transparent'
    await world.addPortFilter(portOf(choice), filterCommand(portOf(choice), 'ingress', 1, what))
  }
} as const satisfies Record<string, Guest>

const portOf = (choice: number): Port => (choice % 2 === 0 ? 'ext0' : 'near0')

/** Puts it on one of the bridges, whosever that is. */
export async function comeAsGuest(world: World, what: keyof typeof guests, choice: number): Promise<void> {
  const spans = names.flatMap((name) => liveSpans(world, name).map((span) => ({ name, span })))
  const one = spans[choice % spans.length]
  if (one === undefined || !(await world.hasLink(one.span))) return
  world.names[one.name].clean = false
  world.visitBridge(one.span)
  await guests[what](world, one.span, choice)
}

/** A port may have been any name's. */
function soilAll(world: World): void {
  for (const name of names) world.names[name].clean = false
}

/** The commands that take off what is in spanplan's way, as it says them itself, or as somebody who reads it would type them. */
export function removalsIn(said: string): string[] {
  const told = [...said.matchAll(/if nothing needs it: (.*)$/gm)].flatMap(([, commands = '']) => commands.split('; '))
  const blocked = said.matchAll(/(\S+) has a filter at preference (\d+), before the one that seals it/g)
  const typed = [...blocked].map(([, device, pref]) => `tc filter del dev ${device} ingress pref ${pref}`)
  return [...told, ...typed]
}

const known = new Set([...guestLinks, ...allSpans])

/** Whether a command is about nothing but guests and the bridges that they are on. */
export const concernsGuests = (command: string) => command.split(/[\s'"]+/).some((word) => known.has(word))
