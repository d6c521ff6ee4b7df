/** One lab during a walk: what was done to it, and as much of its state as the next step has to know. */

import { Spanplan } from '../../lab/commands/kept-process.ts'
import { describeHost } from '../../lab/describe-host.ts'
import type { Cable, Lab } from '../../lab/lab.ts'
import { until } from '../../lab/spans.ts'
import { type BridgeView, describeBridge, expectSame, foreignView } from '../foreign-view.ts'
import { words } from '../words.ts'
import {
  address6,
  bystander,
  type Card,
  type CardState,
  cardCommands,
  cards,
  type ForeignFilter,
  filterCommand,
  firstCommands,
  type HostState,
  hasAddress6,
  hasMacvlan,
  isBridged,
  isUnnumbered,
  macvlanOf,
  prefOf
} from './host.ts'
import { macvlanOf as guestOf, type Port, type PortState, portCommands, ports } from './ports.ts'
import { allSpans, cardsOf, type FileSpec, outputLinks, spanNames, tunnelLinks } from './specs.ts'
import { allLinks, type Name, names, outputCards } from './tunnels.ts'

/** What was lost of the marks of a name since its last apply; not all combinations leave something to know it by. */
export type Loss = 'mirrors' | 'cookie' | 'alias' | 'bridge' | 'mac'

/** What others put on bridges is compared in the end: meanwhile it is closed as a port of a span, or goes with a bridge. */
export const guestLinks: readonly string[] = [...ports, 'near1', ...allSpans.map(guestOf)]

interface CardModel {
  readonly first: CardState
  address4: boolean
  address6: boolean
  /** In a bridge, or below another device. */
  used: boolean
  /** By a route of its own, without an address. */
  routed: boolean
  /** The root qdisc is not the kernel's own. */
  shaped: boolean
  filters: number
  /** Somebody has added one that keeps the clsact where it is. */
  filterAdded: boolean
  /** Somebody has added clsact for a filter that is gone. */
  clsactAdded: boolean
}

interface AdoptedBridge {
  readonly before: BridgeView
  visited: boolean
  /** It had a port that was up, and so a carrier: when it loses that, it leaves the groups of IPv6 that it was in from its making on. */
  carried: boolean
}

interface NameModel {
  /** As it was last applied. */
  spec: FileSpec | null
  readonly lost: Set<Loss>
  /** Nothing has happened since the apply that its plan would have to answer. */
  clean: boolean
}

export class World {
  readonly lab: Lab
  readonly cards: ReadonlyMap<Card, CardModel>
  readonly names: Readonly<Record<Name, NameModel>>
  readonly #ports: Readonly<Record<Port, PortModel>>
  /** All that was done, as a script. */
  readonly log: string[] = []
  readonly #spanplan: Spanplan
  readonly #undo: string[] = []
  /** The cards whose cable somebody has pulled out. */
  readonly #pulled = new Set<string>()
  /** The bridges of others that are spans now, as they were before: destroy gives them back. */
  readonly #adopted = new Map<string, AdoptedBridge>()

  private constructor(lab: Lab, state: HostState) {
    this.lab = lab
    this.#spanplan = new Spanplan(lab)
    this.cards = new Map(cards.map((card) => [card, modelCard(state.cards[card])]))
    this.names = { a: modelName(), b: modelName() }
    this.#ports = { ext0: modelPort(state.ports.ext0), near0: modelPort(state.ports.near0) }
  }

  /** Makes the lab the host that it is to be before the first apply. */
  static async create(lab: Lab, state: HostState): Promise<World> {
    const world = new World(lab, state)
    world.log.push(...lab.cables.flatMap(layCable))
    const { bystanderIngress } = state
    const ingress = bystanderIngress && !state.bystander.clsact && state.bystander.filters.length === 0
    await world.runAll([
      ...firstCommands,
      ...cards.flatMap((card) => cardCommands(card, state.cards[card])),
      ...cardCommands(bystander, state.bystander),
      ...names.flatMap((name) => cardCommands(outputCards[name], state.outputs[name])),
      ...(ingress ? [`tc qdisc add dev ${bystander} ingress`] : []),
      ...ports.flatMap((port) => portCommands(port, state.ports[port], `${lab.name}-sw`))
    ])
    await lab.run(['ip', 'link', 'set', 'dev', 'ext1', 'up'], { on: 'switch' })
    const own = [...cards.map((card) => [card, state.cards[card]] as const), [bystander, state.bystander] as const]
    for (const [card, one] of own) {
      // The kernel adds the route of an IPv6 address in its own time.
      if (hasAddress6(one)) await until(`${card} has its route`, () => world.#hasLocalRoute(card))
    }
    return world
  }

  async #hasLocalRoute(card: string): Promise<boolean> {
    const routes = await this.lab.run(['ip', '-6', 'route', 'show', 'table', 'local', 'dev', card])
    return routes.includes(address6(card).replace(/\/\d+$/, ''))
  }

  /** Runs a command, as a shell would read it that knows single quotes only. */
  async run(line: string): Promise<string> {
    this.log.push(line)
    return this.lab.run(words(line))
  }

  /** Runs commands in their order, in as few processes as that allows. */
  async runAll(lines: readonly string[]): Promise<void> {
    this.log.push(...lines)
    const batches: { tool: string; lines: string[] }[] = []
    for (const line of lines) {
      const [tool, ...rest] = line.split(' ')
      const last = batches.at(-1)
      if (tool !== undefined && last?.tool === tool) last.lines.push(rest.join(' '))
      else batches.push({ tool: tool ?? '', lines: [rest.join(' ')] })
    }
    for (const { tool, lines } of batches) {
      if (tool === 'ip' || tool === 'tc') await this.lab.run([tool, '-batch', '-'], { input: `${lines.join('\n')}\n` })
      else for (const line of lines) await this.lab.run(words(`${tool} ${line}`))
    }
  }

  /** Runs a command that there may be nothing to do it to. */
  async attempt(line: string): Promise<void> {
    await this.run(line).catch(() => this.log.push('# failed'))
  }

  async spanplan(...args: string[]) {
    this.log.push(`spanplan ${args.join(' ')}`)
    return this.#spanplan.run(args)
  }

  card(card: Card): CardModel {
    const model = this.cards.get(card)
    if (model === undefined) throw new Error(`no card ${card}`)
    return model
  }

  /** Does something that is there to the end, and what takes it away again. */
  async add(lines: readonly string[], undo: readonly string[]): Promise<void> {
    for (const line of lines) await this.run(line)
    this.#undo.unshift(...undo)
  }

  async addFilter(card: Card, { hook, form }: ForeignFilter): Promise<void> {
    const model = this.card(card)
    const qdiscs = await this.lab.run(['tc', 'qdisc', 'show', 'dev', card])
    if (!qdiscs.includes('clsact')) await this.run(`tc qdisc add dev ${card} clsact`)
    const pref = prefOf(model.filters++)
    await this.add([filterCommand('add', card, hook, form, pref)], [filterCommand('del', card, hook, form, pref)])
    model.filterAdded = true
  }

  qdiscsOf(card: Card): Promise<string> {
    return this.lab.run(['tc', 'qdisc', 'show', 'dev', card])
  }

  /** The filters at a place of a card, in JSON; nothing where the qdisc has gone. */
  filtersOf(card: Card, place: string): Promise<string> {
    return this.lab.run(words(`tc -j filter show dev ${card} ${place}`)).catch(() => '')
  }

  /** Adds the hook that others' filters need; it may stay when they have gone. */
  async addClsact(card: Card): Promise<void> {
    await this.run(`tc qdisc add dev ${card} clsact`)
    this.card(card).clsactAdded = true
  }

  /** A bridge of others' is about to be adopted. */
  async holdBridge(span: string): Promise<void> {
    this.#adopted.set(span, { before: await describeBridge(this.lab, span), visited: false, carried: false })
  }

  /** A bridge that was adopted has gone, or the mark that says what it was like. */
  forgetBridge(span: string): void {
    this.#adopted.delete(span)
  }

  /** Others use it: that keeps it up, and its hook where that is. */
  visitBridge(span: string): void {
    const adopted = this.#adopted.get(span)
    if (adopted !== undefined) adopted.visited = true
  }

  /** Frames leave by it. */
  carryBridge(span: string): void {
    const adopted = this.#adopted.get(span)
    if (adopted !== undefined) adopted.carried = true
  }

  /** Of these spans, the bridges that were adopted are as they were before; then they are removed by hand. */
  async expectGivenBack(spans: readonly string[]): Promise<void> {
    for (const span of spans) {
      const adopted = this.#adopted.get(span)
      if (adopted === undefined) continue
      this.#adopted.delete(span)
      const { before, visited, carried } = adopted
      const after = await describeBridge(this.lab, span)
      expectSame(`the bridge ${span} is not as it was before it was adopted`, before.own, after.own)
      const unused = (view: BridgeView) => (carried ? withoutGroups(view.unused) : view.unused)
      if (!visited) expectSame(`the bridge ${span} is not as unused as it was`, unused(before), unused(after))
      const links: { ifname: string; master?: string }[] = JSON.parse(await this.lab.run(['ip', '-j', 'link']))
      const members = links.filter(({ master }) => master === span)
      for (const { ifname } of members) await this.run(`ip link set dev ${ifname} nomaster`)
      await this.run(`ip link del dev ${span}`)
    }
  }

  /** Adds a filter to a port that others put on bridges; once, and it is there to the end unless it is in the way. */
  async addPortFilter(port: Port, command: string): Promise<void> {
    const model = this.#ports[port]
    if (model.filterAdded) return
    for (const name of names) this.names[name].clean = false
    const qdiscs = await this.lab.run(['tc', 'qdisc', 'show', 'dev', port])
    if (!qdiscs.includes('clsact')) {
      await this.run(`tc qdisc add dev ${port} clsact`)
      model.clsactAdded = true
    }
    await this.run(command)
    model.filterAdded = true
  }

  /** A filter that is still there keeps the clsact, whoever has added that. */
  async #undoPort(port: Port): Promise<void> {
    const { first, filterAdded, clsactAdded } = this.#ports[port]
    if (!filterAdded) return
    const isThere = (await this.lab.run(['tc', 'filter', 'show', 'dev', port, 'ingress'])).includes('pref 1 ')
    if (isThere) await this.run(`tc filter del dev ${port} ingress pref 1`)
    const hadClsact = first.clsact || first.filter !== null
    if ((isThere || clsactAdded) && !hadClsact) await this.run(`tc qdisc del dev ${port} clsact`)
  }

  async hasLink(device: string): Promise<boolean> {
    const links: { ifname: string }[] = JSON.parse(await this.lab.run(['ip', '-j', 'link']))
    return links.some(({ ifname }) => ifname === device)
  }

  /** Puts a cable in, or pulls it out; it is in to the end. The kernel tells its ports and routes of a carrier in its own time. */
  async switchCable(card: string, isIn: boolean): Promise<void> {
    const port = this.lab.cables.find((cable) => cable.card === card)?.port ?? card
    this.log.push(`ip link set dev ${port} ${isIn ? 'up' : 'down'} # at the other end`)
    await this.lab.run(['ip', 'link', 'set', 'dev', port, isIn ? 'up' : 'down'], { on: 'switch' })
    if (isIn) this.#pulled.delete(card)
    else this.#pulled.add(card)
    const told = isIn && (await this.isUp(card)) ? 'UP' : /^(?:LOWERLAYER)?DOWN$/
    await until(`${card} has told of its carrier`, async () => {
      const [link]: { operstate: string }[] = JSON.parse(await this.lab.run(['ip', '-j', 'link', 'show', 'dev', card]))
      return link?.operstate.match(told) !== null
    })
  }

  async isUp(device: string): Promise<boolean> {
    const [link]: { flags: string[] }[] = JSON.parse(await this.lab.run(['ip', '-j', 'link', 'show', 'dev', device]))
    return link?.flags.includes('UP') ?? false
  }

  /** Takes away all that was added, and what could not be given back because of that. */
  async undoAll(): Promise<void> {
    for (const card of this.#pulled) await this.switchCable(card, true)
    for (const line of this.#undo.splice(0)) await this.run(line)
    for (const port of ports) await this.#undoPort(port)
    for (const [card, { first, filterAdded, clsactAdded, address4, used, routed }] of this.cards) {
      const hadClsact = first.clsact || first.filters.length > 0
      // One that others have added while spanplan's marks had it as its own has gone with the last span.
      const stays = filterAdded || (clsactAdded && (await this.qdiscsOf(card)).includes('clsact'))
      if (stays && !hadClsact) await this.run(`tc qdisc del dev ${card} clsact`)
      // A card that is in use is not set down.
      if (!first.up && (address4 || used || routed)) await this.run(`ip link set dev ${card} down`)
    }
  }

  /** The names that have the card in their file, and are applied. */
  usersOf(card: Card): Name[] {
    return names.filter((name) => {
      const { spec } = this.names[name]
      return spec !== null && cardsOf(spec).includes(card)
    })
  }

  /** Whether this can be lost without that nothing is left that tells what the cards were like; if so, it is. */
  lose(losers: readonly Name[], loss: Loss): boolean {
    const allowed = losers.every((name) => fatal[loss].every((other) => !this.names[name].lost.has(other)))
    if (allowed) for (const name of losers) this.names[name].lost.add(loss)
    return allowed
  }

  /** A bridge without its alias is known by its address, but only to who knows the name. */
  get isNamed(): boolean {
    return names.every((name) => !this.names[name].lost.has('alias'))
  }

  /** What is here, less spanplan's. */
  async foreign(): Promise<string> {
    const snapshot = await this.snapshot()
    return foreignView(snapshot, {
      spans: [...allSpans, ...allLinks, ...guestLinks],
      cards: [...cards, ...cards.map(macvlanOf), 'br0']
    })
  }

  /** The whole state, carriers as they are. */
  snapshot(): Promise<string> {
    return describeHost((argv, options) => this.lab.run(argv, options), [])
  }
}

/** Less the group addresses of IPv6 that a link takes (RFC 2464). */
const withoutGroups = (text: string) =>
  text
    .split('\n')
    .filter((line) => !line.startsWith('33:33:'))
    .join('\n')

const fatal: Readonly<Record<Loss, readonly Loss[]>> = {
  mirrors: ['alias', 'bridge'],
  cookie: ['alias', 'bridge'],
  alias: ['mirrors', 'cookie', 'mac'],
  bridge: ['mirrors', 'cookie'],
  mac: ['alias']
}

function modelCard(first: CardState): CardModel {
  return {
    first,
    address4: first.address4,
    address6: hasAddress6(first),
    used: isBridged(first) || hasMacvlan(first),
    routed: isUnnumbered(first),
    shaped: first.root !== 'none',
    filters: first.filters.length,
    filterAdded: false,
    clsactAdded: false
  }
}

interface PortModel {
  readonly first: PortState
  /** Somebody has added one while it was a port, or before. */
  filterAdded: boolean
  /** With the hook that it needs. */
  clsactAdded: boolean
}

const modelPort = (first: PortState): PortModel => ({ first, filterAdded: false, clsactAdded: false })

const modelName = (): NameModel => ({ spec: null, lost: new Set(), clean: false })

/** The spans of a name as it was last applied. */
export function liveSpans(world: World, name: Name): string[] {
  const { spec } = world.names[name]
  return spec === null ? [] : spanNames(name, spec)
}

/** The links of the tunnels of a name as it was last applied. */
export function liveTunnels(world: World, name: Name): string[] {
  const { spec } = world.names[name]
  return spec === null ? [] : tunnelLinks(name, spec)
}

/** The links by which the frames of a name leave as it was last applied. */
export function liveOutputs(world: World, name: Name): string[] {
  const { spec } = world.names[name]
  return spec === null ? [] : outputLinks(name, spec)
}

const layCable = ({ card, cardMac, port, mtu }: Cable) => [
  `ip link add ${card} address ${cardMac} mtu ${mtu} type veth peer name ${port} mtu ${mtu}`,
  ...[card, port].flatMap((device) => [`ip link set dev ${device} addrgenmode none`, `ip link set dev ${device} up`])
]
