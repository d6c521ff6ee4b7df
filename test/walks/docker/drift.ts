/** What happens to spans between applies, as far as Docker is concerned. The mirrors stay, so that no mark of an interface is lost. */
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

/** Does it to a port of one of the name's bridges. */
function onPort(act: (world: World, port: string) => Promise<void>): Happening {
  return onSpan(async (world, span) => {
    const links: { ifname: string; master?: string }[] = JSON.parse(await world.lab.run(['ip', '-j', 'link']))
    const port = links.find(({ master }) => master === span)
    if (port !== undefined) await act(world, port.ifname)
  })
}
