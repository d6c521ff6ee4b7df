import { diagnostic, type Origin, type Subject } from '../errors.ts'
import { type Wait, waitFor } from '../resources/kind.ts'
import { findListeners } from '../resources/kinds/network.ts'
import { ownsNetwork } from '../resources/ownership.ts'
import type { Context } from '../resources/sources/host-source-kind.ts'
import type { SpanSpec } from '../spec/items/span-item.ts'
import { listNames } from '../text-lines.ts'
import { findCreatedOn } from './resolve-sensors.ts'

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
export function holdNetwork(span: SpanSpec, recreate: boolean, { host, spec, scope, patient }: Context) {
  const { name, network } = span
  if (network === null) return null
  const live = host.networksOfSpan(name).find((one) => one.name !== network.name && ownsNetwork({ scope }, one))
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
