import type { OffloadName } from '../../host/snapshot.ts'
import { type Kind, type ObservedState, onOff, type Resource, type Step, type Transition } from '../kind.ts'
import { type MarkedInterface, settingTarget } from '../mark-inventory.ts'
import type { InterfaceSetting } from '../marks.ts'

/** The card that traffic is copied from, as far as a span has to do with it. */
export interface SourceInterface extends Resource {
  readonly kind: 'interface'
  readonly up: boolean
  readonly promiscuous: boolean
  readonly arp: boolean
  readonly ipv6: boolean
  readonly gro: boolean
  readonly hardwareGro: boolean
  readonly lro: boolean
  /** What has to change for it to be as it was before the first span. */
  readonly giveBack: Readonly<Partial<Record<InterfaceSetting, boolean>>>
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

type SettingOfKind = keyof typeof fieldOf

// Object.keys forgets that its keys are the table's own.
const settingNames = Object.keys(fieldOf) as SettingOfKind[]

/** Those whose name is also ethtool's. */
const offloadSettings = ['gro', 'rx-gro-hw', 'lro'] as const satisfies readonly (OffloadName & SettingOfKind)[]

/** How cards are set, and given back. */
export const sourceInterface: Kind<SourceInterface> = {
  kind: 'interface',
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
    wanted.marks.interfaces
      .filter((card) => card.wanted.size > 0)
      .map((card) => build(card, 'ours', (setting) => desiredSetting(card, setting))),
  observe: (wanted) =>
    wanted.marks.interfaces.map((card) => ({
      ...build(card, card.ours ? 'ours' : 'shared', (setting) => card.now.has(setting)),
      giveBack: Object.fromEntries(
        settingNames.flatMap((setting) => {
          const before = desiredSetting({ ...card, wanted: new Set() }, setting)
          return before === card.now.has(setting) ? [] : [[setting, before]]
        })
      )
    })),
  rollbackTarget: rollbackInterfaces,
  steps: interfaceSteps,
  title: (resource) => resource.id,
  summary: ({ giveBack }) => {
    const back = settingNames.flatMap((setting) => {
      const before = giveBack[setting]
      return before === undefined ? [] : [`${label(setting)}: ${words(setting, !before)} → ${words(setting, before)}`]
    })
    return back.length > 0 ? back.join(', ') : 'left as it is'
  },
  address: (resource) => [resource.id],
  device: ({ id }) => id,
  removalNote: (resource) => sourceInterface.summary(resource)
}

function build(
  card: MarkedInterface,
  owner: SourceInterface['owner'],
  read: (setting: SettingOfKind) => boolean
): SourceInterface {
  return {
    kind: 'interface',
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
function desiredSetting(card: MarkedInterface, setting: SettingOfKind): boolean {
  const now = card.now.has(setting)
  if (offloadSettings.some((name) => name === setting && card.link.offloads[name]?.fixed)) return now
  if (card.wanted.has(setting)) return settingTarget[setting]
  if (!card.live.has(setting)) return now
  if (now && card.needed.has(setting)) return true
  return card.before.has(setting)
}

/** What no span has charge of is as others have set it meanwhile, and a card that somebody has begun to use stays up. */
function rollbackInterfaces(
  sources: readonly SourceInterface[],
  then: ObservedState,
  now: ObservedState
): SourceInterface[] {
  return sources.flatMap(({ id, owner }) => {
    const was = then.wanted.marks.interfaces.find(({ link }) => link.name === id)
    const is = now.wanted.marks.interfaces.find(({ link }) => link.name === id)
    if (was === undefined || is === undefined) return []
    const kept = (setting: SettingOfKind) => setting === 'up' && is.now.has(setting) && is.needed.has(setting)
    const charged = (setting: SettingOfKind) => was.wanted.has(setting) || was.live.has(setting)
    return [
      build(was, owner, (setting) => (charged(setting) ? was.now.has(setting) || kept(setting) : is.now.has(setting)))
    ]
  })
}

function interfaceSteps(transition: Transition<SourceInterface>): Step[] {
  switch (transition.action) {
    case 'create':
      return []
    case 'update': {
      const { after, fields } = transition
      const changed = settingNames.filter((setting) => fields.includes(fieldOf[setting]))
      return write(after.id, Object.fromEntries(changed.map((setting) => [setting, after[fieldOf[setting]]])))
    }
    case 'remove':
      return write(transition.before.id, transition.before.giveBack)
  }
}

/** IPv6 goes off before anything, and comes back after all: a card that is up with it would send into the mirrored line. */
function write(device: string, values: Readonly<Partial<Record<InterfaceSetting, boolean>>>): Step[] {
  const flags = [
    ...(values.arp === undefined ? [] : ['arp', onOff(values.arp)]),
    ...(values.promiscuous === undefined ? [] : ['promisc', onOff(values.promiscuous)]),
    ...(values.up === undefined ? [] : [values.up ? 'up' : 'down'])
  ]
  const offloads = offloadSettings.flatMap((setting) => {
    const value = values[setting]
    return value === undefined ? [] : [setting, onOff(value)]
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
  return { summary: `set the interface ${device}`, argv }
}

function label(setting: SettingOfKind): string {
  return sourceInterface.fields[fieldOf[setting]]?.label ?? setting
}

function words(setting: SettingOfKind, value: boolean): string {
  return setting === 'up' ? (value ? 'up' : 'down') : onOff(value)
}
