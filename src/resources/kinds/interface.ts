import type { OffloadName } from '../../host/snapshot.ts'
import { type Kind, type Moment, onOff, type Resource, type Step, type Transition } from '../kind.ts'
import { type Card, traitTarget } from '../mark-inventory.ts'
import type { Trait } from '../marks.ts'

/** The card that traffic is copied from, as far as a span has to do with it. */
export interface Source extends Resource {
  readonly kind: 'source'
  readonly up: boolean
  readonly promiscuous: boolean
  readonly arp: boolean
  readonly ipv6: boolean
  readonly gro: boolean
  readonly hardwareGro: boolean
  readonly lro: boolean
  /** What has to change for it to be as it was before the first span. */
  readonly giveBack: Readonly<Partial<Record<Trait, boolean>>>
}

const fieldOf = {
  up: 'up',
  promiscuous: 'promiscuous',
  arp: 'arp',
  ipv6: 'ipv6',
  gro: 'gro',
  'rx-gro-hw': 'hardwareGro',
  lro: 'lro'
} as const

type CardTrait = keyof typeof fieldOf

// Object.keys forgets that its keys are the table's own.
const cardTraits = Object.keys(fieldOf) as CardTrait[]

/** Those whose name is also ethtool's. */
const offloadTraits = ['gro', 'rx-gro-hw', 'lro'] as const satisfies readonly (OffloadName & CardTrait)[]

/** How cards are set, and given back. */
export const source: Kind<Source> = {
  kind: 'source',
  rank: { create: 40, remove: 80 },
  fields: {
    up: { label: 'state', words: (up) => (up ? 'up' : 'down') },
    promiscuous: { label: 'promiscuous', words: onOff },
    arp: { label: 'ARP', words: onOff },
    ipv6: { label: 'IPv6', words: onOff },
    gro: { label: 'GRO', words: onOff },
    hardwareGro: { label: 'hardware GRO', words: onOff },
    lro: { label: 'LRO', words: onOff }
  },
  desire: (wanted) =>
    wanted.cards
      .filter((card) => card.wanted.size > 0)
      .map((card) => build(card, 'ours', (trait) => desiredTrait(card, trait))),
  observe: (wanted) =>
    wanted.cards.map((card) => ({
      ...build(card, card.ours ? 'ours' : 'shared', (trait) => card.now.has(trait)),
      giveBack: Object.fromEntries(
        cardTraits.flatMap((trait) => {
          const before = desiredTrait({ ...card, wanted: new Set() }, trait)
          return before === card.now.has(trait) ? [] : [[trait, before]]
        })
      )
    })),
  recall: recallSources,
  steps: sourceSteps,
  title: (resource) => resource.id,
  summary: ({ giveBack }) => {
    const back = cardTraits.flatMap((trait) => {
      const before = giveBack[trait]
      return before === undefined ? [] : [`${label(trait)}: ${words(trait, !before)} → ${words(trait, before)}`]
    })
    return back.length > 0 ? back.join(', ') : 'left as it is'
  },
  address: (resource) => [resource.id],
  device: ({ id }) => id,
  farewell: (resource) => source.summary(resource)
}

function build(card: Card, owner: Source['owner'], read: (trait: CardTrait) => boolean): Source {
  return {
    kind: 'source',
    id: card.link.name,
    spans: card.spans,
    owner,
    up: read('up'),
    promiscuous: read('promiscuous'),
    arp: read('arp'),
    ipv6: read('ipv6'),
    gro: read('gro'),
    hardwareGro: read('rx-gro-hw'),
    lro: read('lro'),
    giveBack: {}
  }
}

/** What a span has charge of is set; what one had charge of goes back; the rest stays. */
function desiredTrait(card: Card, trait: CardTrait): boolean {
  const now = card.now.has(trait)
  if (offloadTraits.some((name) => name === trait && card.link.offloads[name]?.fixed)) return now
  if (card.wanted.has(trait)) return traitTarget[trait]
  if (!card.live.has(trait)) return now
  if (now && card.needed.has(trait)) return true
  return card.before.has(trait)
}

/** What no span has charge of is as others have set it meanwhile, and a card that somebody has begun to use stays up. */
function recallSources(sources: readonly Source[], then: Moment, now: Moment): Source[] {
  return sources.flatMap(({ id, owner }) => {
    const was = then.wanted.cards.find(({ link }) => link.name === id)
    const is = now.wanted.cards.find(({ link }) => link.name === id)
    if (was === undefined || is === undefined) return []
    const kept = (trait: CardTrait) => trait === 'up' && is.now.has(trait) && is.needed.has(trait)
    const charged = (trait: CardTrait) => was.wanted.has(trait) || was.live.has(trait)
    return [build(was, owner, (trait) => (charged(trait) ? was.now.has(trait) || kept(trait) : is.now.has(trait)))]
  })
}

function sourceSteps(transition: Transition<Source>): Step[] {
  switch (transition.action) {
    case 'create':
      return []
    case 'update': {
      const { after, fields } = transition
      const changed = cardTraits.filter((trait) => fields.includes(fieldOf[trait]))
      return write(after.id, Object.fromEntries(changed.map((trait) => [trait, after[fieldOf[trait]]])))
    }
    case 'remove':
      return write(transition.before.id, transition.before.giveBack)
  }
}

/** IPv6 goes off before anything, and comes back after all: a card that is up with it would send into the mirrored line. */
function write(device: string, values: Readonly<Partial<Record<Trait, boolean>>>): Step[] {
  const flags = [
    ...(values.arp === undefined ? [] : ['arp', onOff(values.arp)]),
    ...(values.promiscuous === undefined ? [] : ['promisc', onOff(values.promiscuous)]),
    ...(values.up === undefined ? [] : [values.up ? 'up' : 'down'])
  ]
  const offloads = offloadTraits.flatMap((trait) => {
    const value = values[trait]
    return value === undefined ? [] : [trait, onOff(value)]
  })
  const ipv6 = `net/ipv6/conf/${device}/disable_ipv6`
  return [
    ...(values.ipv6 === false ? [step(device, ['sysctl', '-q', '-w', `${ipv6}=1`])] : []),
    ...(flags.length > 0 ? [step(device, ['ip', 'link', 'set', 'dev', device, ...flags])] : []),
    ...(values.ipv6 === true ? [step(device, ['sysctl', '-q', '-w', `${ipv6}=0`])] : []),
    ...(offloads.length > 0 ? [step(device, ['ethtool', '-K', device, ...offloads])] : [])
  ]
}

function step(device: string, argv: readonly [string, ...string[]]): Step {
  return { summary: `set the card ${device}`, argv }
}

function label(trait: CardTrait): string {
  return source.fields[fieldOf[trait]]?.label ?? trait
}

function words(trait: CardTrait, value: boolean): string {
  return trait === 'up' ? (value ? 'up' : 'down') : onOff(value)
}
