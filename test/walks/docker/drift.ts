/** What happens to spans between applies, as far as Docker is concerned. The mirrors stay, so that no mark of an interface is lost. */

import type { FilterRow } from '../rows.ts'
import { type Name, networkName } from './specs.ts'
import type { World } from './world.ts'

export type Drift = keyof typeof drifts

type Happening = (world: World, name: Name, choice: number) => Promise<void>

export const drifts = {
  'bridge: options': onSpan((world, span) => world.attempt(`ip link set dev ${span} type bridge ageing_time 1`)),
  'bridge: gone': onSpan(async (world, span) => {
    // The label of an adopted network says that the next bridge below it is adopted too.
    if (!world.adopted.has(span)) await world.attempt(`ip link del dev ${span}`)
  }),
  'network: gone': async (world, name, choice) => {
    const networks = (world.names[name].spec?.spans ?? []).flatMap((spec) => networkName(name, spec) ?? [])
    const network = networks[choice % networks.length]
    if (network === undefined) return
    const members = (await world.containers()).filter(({ endpoints }) => endpoints.has(network))
    for (const member of members) await world.attempt(`docker network disconnect --force ${network} ${member.name}`)
    await world.attempt(`docker network rm ${network}`)
  },
  'port: off the bridge': onPort((world, port) => world.attempt(`ip link set dev ${port} nomaster`)),
  'port: down': onPort((world, port) => world.attempt(`ip link set dev ${port} down`)),
  'port: fed by the bridge': onPort(async (world, port) => {
    await world.attempt(`ip link set dev ${port} type bridge_slave flood on mcast_flood on bcast_flood on`)
    await world.attempt(`bridge link set dev ${port} state 3`)
  }),
  // One stays, which bears the mark of the interface.
  'mirror: gone': onMirror((world, place) => world.attempt(`tc filter del ${place}`)),
  'mirror: what another gets': onMirror((world, place, { program, target, cookie }) =>
    world.attempt(
      `tc filter replace ${place} bytecode ${program} action mirred egress mirror dev ${target} continue cookie ${cookie}`
    )
  ),
  'port: unsealed': onPort((world, port) => world.attempt(`tc qdisc del dev ${port} clsact`))
} as const satisfies Record<string, Happening>

/** Does it to one of the name's bridges. */
function onSpan(act: (world: World, span: string) => Promise<void>): Happening {
  return async (world, name, choice) => {
    const spans = world.liveSpans(name)
    const span = spans[choice % spans.length]
    if (span !== undefined) await act(world, span)
  }
}

/** What a mirror has, and the program of the next one. */
interface Mirror {
  readonly program: string
  readonly target: string
  readonly cookie: string
}

/** Does it to one of several mirrors at a hook of a source: it may be any name's. */
function onMirror(act: (world: World, place: string, mirror: Mirror) => Promise<void>): Happening {
  return async (world, name, choice) => {
    const sources = (world.names[name].spec?.spans ?? []).map(({ source }) => source)
    const source = sources[choice % sources.length]
    if (source === undefined) return
    const hook = choice % 2 === 0 ? 'ingress' : 'egress'
    const rows: FilterRow[] = JSON.parse(await world.lab.run(['tc', '-j', 'filter', 'show', 'dev', source, hook]))
    const mirrors = rows.flatMap(({ pref, chain, options }) => (pref === 8 && chain === 0 && options ? options : []))
    const [one, next] = [mirrors[choice % mirrors.length], mirrors[(choice + 1) % mirrors.length]]
    const [action] = one?.actions ?? []
    if (one === undefined || next === undefined || one === next || !action?.cookie || !action.to_dev) return
    if (action.to_dev === '*') return
    const insns = next.bytecode.insns.map(({ code, jt, jf, k }) => `${code} ${jt} ${jf} ${k}`)
    await act(world, `dev ${source} ${hook} protocol all pref 8 handle ${one.handle} bpf`, {
      program: `'${[insns.length, ...insns].join(',')}'`,
      target: action.to_dev,
      cookie: action.cookie
    })
  }
}

/** Does it to a port of one of the name's bridges. */
function onPort(act: (world: World, port: string) => Promise<void>): Happening {
  return onSpan(async (world, span) => {
    const links: { ifname: string; master?: string }[] = JSON.parse(await world.lab.run(['ip', '-j', 'link']))
    const port = links.find(({ master }) => master === span)
    if (port !== undefined) await act(world, port.ifname)
  })
}
