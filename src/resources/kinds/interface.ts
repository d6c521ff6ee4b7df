import type { OffloadName } from '../../host/snapshot.ts'
import { closingCommand, closingSettings } from '../closing.ts'
import type { MarkedInterface } from '../desired-state.ts'
import {
  type Fields,
  type Kind,
  type ObservedState,
  onOff,
  type Resource,
  type Step,
  sysctlSet,
  upDown,
  yesNo
} from '../kind.ts'

/** The fields of an interface, by the setting that each shows. */
const fieldOf = {
  up: 'up',
  promiscuous: 'promiscuous',
  arp: 'arp',
  ipv6: 'ipv6',
  gro: 'gro',
  'rx-gro-hw': 'hardwareGro',
  lro: 'lro',
  'host-receives': 'hostReceives',
  'host-sends': 'hostSends'
} as const

type SettingOfKind = keyof typeof fieldOf

type SettingFields = Readonly<Record<(typeof fieldOf)[SettingOfKind], boolean>>

type Values = Readonly<Partial<Record<SettingOfKind, boolean>>>

/** An interface that traffic is copied from, with the settings that a span manages. */
export interface SourceInterface extends Resource, SettingFields {
  readonly kind: 'interface'
  /** The settings to change so that the interface is as it was before the first span. */
  readonly giveBack: Values
}

// Object.keys forgets that its keys are the table's own.
const settingNames = Object.keys(fieldOf) as SettingOfKind[]

/** The settings that ethtool knows by the same name. */
const offloadSettings = ['gro', 'rx-gro-hw', 'lro'] as const satisfies readonly (OffloadName & SettingOfKind)[]

/** The settings that a span switches on. It switches off the others that it manages. */
const switchedOn: ReadonlySet<SettingOfKind> = new Set(['up', 'promiscuous'])

const fields = {
  up: { label: 'state', words: upDown },
  promiscuous: { label: 'promiscuous', words: onOff },
  arp: { label: 'ARP', words: onOff },
  ipv6: { label: 'IPv6', words: onOff },
  gro: { label: 'GRO', words: onOff },
  hardwareGro: { label: 'hardware GRO', words: onOff },
  lro: { label: 'LRO', words: onOff },
  hostReceives: { label: 'the host receives', words: yesNo, closes: true },
  hostSends: { label: 'the host sends', words: yesNo, closes: true }
} satisfies Fields<SourceInterface>

/** How interfaces are set, and given back. */
export const sourceInterface: Kind<SourceInterface> = {
  kind: 'interface',
  fields,
  desire: (desired) =>
    [...desired.marks.interfaces.values()]
      .filter((marked) => marked.desired.size > 0 && hasSettings(marked))
      .map((marked) => build(marked, 'ours', (setting) => desiredSetting(marked, setting))),
  observe: (desired) =>
    [...desired.marks.interfaces.values()].filter(hasSettings).map((marked) => ({
      ...build(marked, marked.ours ? 'ours' : 'shared', (setting) => marked.now.has(setting)),
      giveBack: Object.fromEntries(
        settingNames.flatMap((setting) => {
          const before = desiredSetting({ ...marked, desired: new Set() }, setting)
          return before === marked.now.has(setting) ? [] : [[setting, before]]
        })
      )
    })),
  rollbackTarget: rollbackInterfaces,
  update: (_, after, fields) => {
    const changed = settingNames.filter((setting) => fields.includes(fieldOf[setting]))
    return write(after.id, Object.fromEntries(changed.map((setting) => [setting, after[fieldOf[setting]]])))
  },
  remove: ({ id, giveBack }) => write(id, giveBack),
  summary: ({ giveBack }) => {
    const back = settingNames.flatMap((setting) => {
      const before = giveBack[setting]
      const { label, words } = fields[fieldOf[setting]]
      return before === undefined ? [] : [`${label}: ${words(!before)} → ${words(before)}`]
    })
    return back.length > 0 ? back.join(', ') : 'left as it is'
  },
  device: ({ id }) => id,
  removalNote: (resource) => sourceInterface.summary(resource)
}

/** Of a container's interface, spans have charge of its clsact alone: there is nothing to set on it, or to give back. */
function hasSettings({ desired, live }: MarkedInterface): boolean {
  const charges = [...desired, ...live]
  return charges.length === 0 || charges.some((setting) => setting !== 'clsact')
}

function build(
  marked: MarkedInterface,
  owner: SourceInterface['owner'],
  read: (setting: SettingOfKind) => boolean
): SourceInterface {
  return {
    kind: 'interface',
    id: marked.link.name,
    spans: marked.spans,
    owner,
    // Object.fromEntries forgets that the keys are all the fields.
    ...(Object.fromEntries(settingNames.map((setting) => [fieldOf[setting], read(setting)])) as SettingFields),
    giveBack: {}
  }
}

/** A setting that a span manages is set, one that a span has managed is given back, and any other stays. */
function desiredSetting(marked: MarkedInterface, setting: SettingOfKind): boolean {
  const now = marked.now.has(setting)
  if (offloadSettings.some((name) => name === setting && marked.link.offloads[name]?.fixed)) return now
  if (marked.desired.has(setting)) return switchedOn.has(setting)
  if (!marked.live.has(setting)) return now
  if (now && marked.needed.has(setting)) return true
  return marked.before.has(setting)
}

/** Settings that no span manages stay as others have set them, and an interface that the host has come to use stays up. */
function rollbackInterfaces(
  sources: readonly SourceInterface[],
  then: ObservedState,
  now: ObservedState
): SourceInterface[] {
  return sources.flatMap(({ id, owner }) => {
    const was = then.desired.marks.interfaces.get(id)
    const is = now.desired.marks.interfaces.get(id)
    if (was === undefined || is === undefined) return []
    const kept = (setting: SettingOfKind) => setting === 'up' && is.now.has(setting) && is.needed.has(setting)
    const charged = (setting: SettingOfKind) => was.desired.has(setting) || was.live.has(setting)
    return [
      build(was, owner, (setting) => (charged(setting) ? was.now.has(setting) || kept(setting) : is.now.has(setting)))
    ]
  })
}

/**
 * The interface is closed first, and opened last. IPv6 goes off first, and comes back last: an interface that is up with IPv6
 * would send frames into the mirrored line.
 */
function write(device: string, values: Values): Step[] {
  const flags = [
    ...(values.arp === undefined ? [] : ['arp', onOff(values.arp)]),
    ...(values.promiscuous === undefined ? [] : ['promisc', onOff(values.promiscuous)]),
    ...(values.up === undefined ? [] : [upDown(values.up)])
  ]
  const offloads = offloadSettings.flatMap((setting) => {
    const value = values[setting]
    return value === undefined ? [] : [setting, onOff(value)]
  })
  const ipv6 = `net/ipv6/conf/${device}/disable_ipv6`
  const switchTo = (on: boolean) =>
    closingSettings
      .filter((setting) => values[setting] === on)
      .map((setting) => step(device, closingCommand(device, setting, on)))
  return [
    ...switchTo(false),
    ...(values.ipv6 === false ? [step(device, [...sysctlSet, `${ipv6}=1`])] : []),
    ...(flags.length > 0 ? [step(device, ['ip', 'link', 'set', 'dev', device, ...flags])] : []),
    ...(values.ipv6 === true ? [step(device, [...sysctlSet, `${ipv6}=0`])] : []),
    ...(offloads.length > 0 ? [step(device, ['ethtool', '-K', device, ...offloads])] : []),
    ...switchTo(true)
  ]
}

function step(device: string, argv: readonly [string, ...string[]]): Step {
  return { summary: `set the interface ${device}`, argv }
}
