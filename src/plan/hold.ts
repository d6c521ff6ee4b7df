import { type Diagnostic, diagnostic, type Origin, type Subject } from '../errors.ts'
import type { HostIndex } from '../host/host-index.ts'
import { shellLine } from '../host/quote-command.ts'
import type { Filter } from '../host/snapshot.ts'
import type { DesiredOutput, DesiredState } from '../resources/desired-state.ts'
import { type ObservedState, type Resource, type Wait, waitFor } from '../resources/kind.ts'
import { findListeners } from '../resources/kinds/network.ts'
import { readCookie } from '../resources/marks.ts'
import { filterId, isMirror, type Mirror } from '../resources/mirrors/mirror-resource.ts'
import { waitForOutput } from '../resources/outputs/host-output-kind.ts'
import { isOutput } from '../resources/outputs/output-port.ts'
import { ownsNetwork } from '../resources/ownership.ts'
import type { Context } from '../resources/sources/host-source-kind.ts'
import type { SpanSpec } from '../spec/items/span-item.ts'
import { listNames } from '../text-lines.ts'
import { findCreatedOn } from './resolve/resolve-sensors.ts'

/**
 * The wait for a person: what would be done disconnects sensors that run, and nobody has asked for that.
 *
 * @param subject what would be done, as the file wants it.
 * @param sensors the names of the containers.
 * @param differs what is different from the file.
 * @param note what it means until then; empty: nothing.
 */
export function waitForPerson(
  subject: Subject & { readonly span: string },
  { title, origin }: { readonly title: string; readonly origin: Origin | undefined },
  sensors: readonly string[],
  differs: string,
  note = ''
): Wait {
  const reason = `waits for spanplan apply, because that disconnects ${listNames(sensors)} for a moment`
  const message = [`${reason}${differs === '' ? '' : ` (${differs})`}`, note].filter((part) => part !== '').join('; ')
  const held = diagnostic('RECREATE_DEFERRED', message, 'apply the file when that suits', origin)
  return waitFor(subject, title, held)
}

/**
 * A span whose running sensors are on a network of another name: they stay there, and the file's network waits for a person. So
 * it does where nobody can be told that a sensor was created on that network, and could be connected to none without it.
 */
export function holdNetwork(span: SpanSpec, recreate: boolean, { host, spec, scope, names, patient }: Context) {
  const { name, bridge, network } = span
  if (network === null) return null
  const live = host
    .networksOfSpan(bridge)
    .find((one) => one.name !== network.name && ownsNetwork({ scope, names }, one))
  if (live === undefined) return null
  const sensors = recreate ? [] : findListeners(host, live.name)
  const isGoing = spec.spans.every((one) => one.network?.name !== live.name)
  const [bound] = patient && isGoing ? findCreatedOn(span, live, host) : []
  if (sensors.length === 0 && bound === undefined) return null
  const subject = { span: name, kind: 'network', id: [network.name] }
  const row = { title: network.name, origin: network.origin }
  const held = { ...span, network: { ...network, name: live.name, subnet: null } }
  if (sensors.length > 0 || bound === undefined) {
    return { span: held, wait: waitForPerson(subject, row, sensors, `network: ${live.name} → ${network.name}`) }
  }
  const message = `stays ${live.name}: the container ${bound.name} was created on it, and could be connected to no network without it`
  const hint = `write network: ${live.name}, or recreate the container`
  const found = diagnostic('SENSOR_NETWORK_LOST', message, hint, network.origin)
  return { span: held, wait: waitFor(subject, row.title, found) }
}

/** What has to be known of a change to find what it waits for. */
interface Row {
  readonly before: Resource | null
  readonly after: Resource | null
  readonly stages: readonly unknown[]
}

/**
 * The changes without the outputs that wait for a mirror, which copies from the interface itself. Where the plan changes or removes all of these mirrors, the output is
 * attached in a later round, which has read that they are so.
 */
export function holdCopied<Change extends Row>(changes: readonly Change[], { desired, host }: ObservedState) {
  const isSame = (live: Mirror, after: Resource | null) => after && isMirror(after) && after.program === live.program
  const going = new Set(
    changes.flatMap(({ before, after }) => (before && isMirror(before) && !isSame(before, after) ? before.id : []))
  )
  const parts = changes.map((change) => {
    const joined = findJoined(change, desired)
    const copying = joined === null ? [] : findCopying(joined.output, host)
    if (joined === null || copying.length === 0) return { changes: [change], waits: [], held: [] }
    const held = [joined.output.device]
    const staying = copying.find((filter) => !going.has(filterId(filter)))
    if (staying === undefined) return { changes: [{ ...change, stages: [] }], waits: [], held }
    const { span, output } = joined
    const wait = waitForOutput(span.name, output.name, { id: output.item, ...output }, explainCopying(staying))
    return { changes: [], waits: [wait], held }
  })
  const held = new Set(parts.flatMap((part) => part.held))
  const isFeeding = ({ after }: Change) => after !== null && isMirror(after) && held.has(after.target)
  return {
    changes: parts.flatMap((part) => part.changes.filter((change) => !isFeeding(change))),
    waits: parts.flatMap((part) => part.waits)
  }
}

/** The output that a change puts on the bridge of its span; null: the change does not do that. */
function findJoined({ before, after }: Row, desired: DesiredState) {
  if (after === null || !isOutput(after)) return null
  if (before !== null && isOutput(before) && before.master === after.master) return null
  const [name] = after.spans
  const span = name === undefined ? undefined : desired.spanOf(name)
  const output = span?.outputs.find(({ device }) => device === after.id)
  return span && output ? { span, output } : null
}

/** The live mirrors that an output has to wait for. */
function findCopying({ device }: DesiredOutput, host: HostIndex) {
  return host.filtersOf(device).filter(({ mirror }) => readCookie(mirror?.cookie ?? null) !== null)
}

function explainCopying({ device, tcHook, pref }: Filter): Diagnostic {
  const message = `waits until no mirror copies what it sends: the one at ${device} ${tcHook}, preference ${pref} does`
  const hint = `see it with: ${shellLine(['tc', 'filter', 'show', 'dev', device, tcHook])}`
  return diagnostic('OUTPUT_COPIED', message, hint)
}
