import type { Argv } from '../host/exec.ts'
import { type HostIndex, indexHost } from '../host/host-index.ts'
import { hasListener } from '../plan/resolve/resolve-feeds.ts'
import { indexDesired } from '../resources/desired-state.ts'
import { fedLinks } from '../resources/feeds/feeds.ts'
import type { ObservedState, Step } from '../resources/kind.ts'
import { mirror } from '../resources/kinds/mirror.ts'
import { readMarks } from '../resources/read-marks.ts'
import type { SpanSpec } from '../spec/items/span-item.ts'

/** Whether mirrors feed this bridge of a live span, or there are none at all: what is on it hears all that its sensors hear. */
export function isBridgeFed(host: HostIndex, bridge: string): boolean {
  const isFedAlone = host.portsOf(bridge).some((port) => host.filtersInto(port.name).length > 0)
  return host.filtersInto(bridge).length > 0 || (!isFedAlone && fedLinks(host, bridge).length === 0)
}

/** The commands that feed the bridge of a span for a capture, if mirrors feed all of its receivers. */
export interface BridgeFeed {
  readonly add: readonly Argv[]
  readonly remove: readonly Argv[]
}

/** Adds and removes the mirrors into this bridge of a span. They are those that a plan has for a span with a port that the bridge feeds. */
export function feedBridge({ desired, host }: ObservedState, bridge: string): BridgeFeed {
  const spans = desired.spans.map((one) => (one.bridge === bridge ? { ...one, feedsBridge: true } : one))
  const fed = indexDesired({ ...desired, spans })
  const mirrors = mirror.desire({ desired: fed, host, marks: readMarks(fed, host) }, [])
  const ofBridge = mirrors.filter(({ target }) => target === bridge)
  const commands = (steps: readonly Step[]) => steps.flatMap((step) => ('argv' in step ? [step.argv] : []))
  return {
    add: commands(ofBridge.flatMap((one) => mirror.create?.(one) ?? [])),
    remove: commands(ofBridge.flatMap((one) => mirror.remove?.(one) ?? []))
  }
}

/** Whether a link of this name is a port of a capture. */
export const isCapturePort = (name: string) => /^capture[0-9a-f]{8}$/.test(name)

/** Whether mirrors may feed this bridge of a span for captures alone: there is one, or some port gets nothing of what the bridge gets. */
export function mayBeFedForCaptures(host: HostIndex, bridge: string): boolean {
  return host.portsOf(bridge).some(({ name, port }) => isCapturePort(name) || port?.isDisabled === true)
}

/** Whether somebody else would get what the bridge of a span is fed, if nobody captured. */
export function isFedWithoutCaptures({ desired, host }: Pick<ObservedState, 'desired' | 'host'>, spec: SpanSpec) {
  const span = desired.spanOf(spec.name)
  const links = host.links.filter(({ name }) => !isCapturePort(name))
  const without = { scope: desired.scope, host: indexHost({ ...host.snapshot, links }) }
  return span === undefined || hasListener(span, spec, without)
}
