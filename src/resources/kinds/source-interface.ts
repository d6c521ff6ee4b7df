import type { Argv } from '../../host/exec.ts'
import { keysOf, tableOf } from '../../keys.ts'
import { type DesiredState, linkOf, type MarkedInterface } from '../desired-state.ts'
import { type Fields, type Kind, type ObservedState, type Resource, type Step, setSysctl } from '../kind.ts'
import {
  closingSettings,
  columnOf,
  onOff,
  type SourceSetting,
  sourceSettings,
  switchClosing,
  switchIpv6
} from '../settings.ts'

type SettingFields = Readonly<Record<(typeof sourceSettings)[SourceSetting]['field'], boolean>>

type Values = Readonly<Partial<Record<SourceSetting, boolean>>>

/** An interface that traffic is copied from, with the settings that a span manages. */
export interface SourceInterface extends Resource, SettingFields {
  readonly kind: 'interface'
  /** The settings to change so that the interface is as it was before the first span. */
  readonly giveBack: Values
}

const settings = columnOf(sourceSettings, 'field')

const fields: Fields<SourceInterface> = tableOf(settings.map(([setting, field]) => [field, sourceSettings[setting]]))

/** How interfaces are set, and given back. */
export const sourceInterface: Kind<SourceInterface> = {
  kind: 'interface',
  fields,
  desire: ({ marks }) =>
    [...marks.interfaces.values()]
      .filter((marked) => marked.desired.size > 0 && hasSettings(marked))
      .map((marked) => build(marked, 'ours', (setting) => desiredSetting(marked, setting))),
  observe: ({ desired, marks }) =>
    [...marks.interfaces.values()]
      .filter(hasSettings)
      .map((marked) => ({ marked, giveBack: readGiveBack(marked) }))
      .filter(({ marked, giveBack }) => keysOf(giveBack).length > 0 || !staysRemembered(desired, marked))
      .map(({ marked, giveBack }) => ({
        ...build(marked, marked.ours ? 'ours' : 'shared', (setting) => marked.now.has(setting)),
        giveBack
      })),
  rollbackTarget: rollbackInterfaces,
  update: (_, after, fields) => {
    const changed = settings.filter(([, field]) => fields.includes(field))
    return write(after.id, Object.fromEntries(changed.map(([setting, field]) => [setting, after[field]])))
  },
  remove: ({ id, giveBack }) => write(id, giveBack),
  summary: ({ giveBack }) => {
    const back = settings.flatMap(([setting]) => {
      const before = giveBack[setting]
      const { label, words } = sourceSettings[setting]
      return before === undefined ? [] : [`${label}: ${words(!before)} → ${words(before)}`]
    })
    return back.length > 0 ? back.join(', ') : 'left as it is'
  },
  device: ({ id }) => id,
  removalNote: (resource) => sourceInterface.summary(resource)
}

/** What the interface is given back that it had before. */
function readGiveBack(marked: MarkedInterface): Values {
  const owed = settings.flatMap(([setting]) => {
    const before = desiredSetting({ ...marked, desired: new Set() }, setting)
    return before === marked.now.has(setting) ? [] : [[setting, before] as const]
  })
  return Object.fromEntries(owed)
}

/** Whether a bridge goes on remembering an interface that no span copies from: a source that was not read may be on it. */
function staysRemembered(desired: DesiredState, { desired: wanted, spans }: MarkedInterface): boolean {
  return wanted.size === 0 && spans.some((span) => desired.spanOf(span)?.isUnread === true)
}

/** Of a container's interface, spans have charge of its clsact alone: there is nothing to set on it, or to give back. */
function hasSettings({ desired, live }: MarkedInterface): boolean {
  const charges = [...desired, ...live]
  return charges.length === 0 || charges.some((setting) => setting !== 'clsact')
}

function build(
  marked: MarkedInterface,
  owner: SourceInterface['owner'],
  read: (setting: SourceSetting) => boolean
): SourceInterface {
  return {
    kind: 'interface',
    id: marked.device.name,
    spans: marked.spans,
    owner,
    ...tableOf(settings.map(([setting, field]) => [field, read(setting)])),
    giveBack: {}
  }
}

/** A setting that a span manages is set, one that a span has managed is given back, and any other stays. */
function desiredSetting(marked: MarkedInterface, setting: SourceSetting): boolean {
  const now = marked.now.has(setting)
  const row = sourceSettings[setting]
  if ('offload' in row && linkOf(marked.device)?.offloads[row.offload]?.fixed) return now
  if (marked.desired.has(setting)) return 'wanted' in row
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
    const was = then.marks.interfaces.get(id)
    const is = now.marks.interfaces.get(id)
    if (was === undefined || is === undefined) return []
    const kept = (setting: SourceSetting) => setting === 'up' && is.now.has(setting) && is.needed.has(setting)
    const charged = (setting: SourceSetting) => was.desired.has(setting) || was.live.has(setting)
    const read = (setting: SourceSetting) =>
      charged(setting) ? was.now.has(setting) || kept(setting) : is.now.has(setting)
    return build(was, owner, read)
  })
}

/**
 * The interface is closed first, and opened last. IPv6 goes off first, and comes back last: an interface that is up with IPv6
 * would send frames into the mirrored line.
 */
function write(device: string, values: Values): Step[] {
  // It is set up when the rest is set.
  const flags = columnOf(sourceSettings, 'ip')
    .reverse()
    .flatMap(([setting, words]) => (values[setting] === undefined ? [] : words(values[setting])))
  const offloads = columnOf(sourceSettings, 'offload').flatMap(([setting, name]) =>
    values[setting] === undefined ? [] : [name, onOff(values[setting])]
  )
  const closing = (open: boolean) =>
    closingSettings.flatMap(([setting, tcHook]) =>
      values[setting] === open ? [switchClosing(device, tcHook, open)] : []
    )
  const summary = `set the interface ${device}`
  const step = (argv: Argv): Step => ({ summary, argv })
  const ipv6 = (on: boolean) => (values.ipv6 === on ? [setSysctl(summary, switchIpv6(device, on))] : [])
  return [
    ...closing(false).map(step),
    ...ipv6(false),
    ...(flags.length > 0 ? [step(['ip', 'link', 'set', 'dev', device, ...flags])] : []),
    ...ipv6(true),
    ...(offloads.length > 0 ? [step(['ethtool', '-K', device, ...offloads])] : []),
    ...closing(true).map(step)
  ]
}
