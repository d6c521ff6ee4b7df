import { type Diagnostic, nullIfForeseen } from '../errors.ts'
import { groupsOf } from '../host/host-index.ts'
import { canBeHeard, findDeafness, hearAll } from '../host/traffic/listen.ts'
import { readCapture } from '../host/traffic/read-capture.ts'
import { countMirror, type MirrorTally, talliedBytes } from '../host/traffic/tally-mirror.ts'
import type { PlanView } from '../plan/plan-view.ts'
import type { CopyPoint } from '../resources/desired-state.ts'
import type { KindName } from '../resources/registry.ts'

/** What was heard of a source. */
export interface HeardPoint {
  readonly span: string
  readonly point: CopyPoint
  /** One hook alone was heard. */
  readonly isOneHook: boolean
  readonly tally: MirrorTally
}

/** Interfaces on which somebody listens at a time. */
const mostEars = 16

/** Frames of an interface that are looked at. A busy link has them in less than the time. */
const mostFrames = 200_000

/** While one of these is to change, what comes is not yet what the source carries. */
const unready: ReadonlySet<KindName> = new Set(['interface', 'mirror', 'tunnel'])

/**
 * Listens on the interfaces of the sources that are copied from, at the hooks that are copied, and changes nothing: an interface that
 * is not in promiscuous mode stays so.
 *
 * @returns what was heard; and why nobody could listen at all, or null.
 */
export async function hearSources(
  { desired, plan, host }: PlanView,
  milliseconds: number,
  signal: AbortSignal
): Promise<{ readonly heard: readonly HeardPoint[]; readonly deafness: Diagnostic | null }> {
  const busy = new Set(plan.changes.flatMap(({ span, kind }) => (unready.has(kind) ? [span] : [])))
  const points = desired.spans.flatMap(({ name, mirrors }) =>
    busy.has(name) ? [] : mirrors.map((point) => ({ span: name, point }))
  )
  const isHeard = (device: string) => canBeHeard(device) && host.linkOf(device)?.carrier === true
  const devices = [...groupsOf(points, ({ point }) => point.device.name)].filter(([device]) => isHeard(device))
  if (devices.length === 0) return { heard: [], deafness: null }
  const deafness = await findDeafness()
  if (deafness !== null) return { heard: [], deafness }
  const all = devices.slice(0, mostEars).map(async ([device, [first, ...others]]) => {
    if (first === undefined) return []
    const hooks = new Set([first, ...others].map(({ point }) => point.tcHook))
    const only = hooks.size > 1 ? undefined : first.point.tcHook
    const tally = await hearDevice(device, only, milliseconds, signal).catch(nullIfForeseen)
    const spans = [...groupsOf([first, ...others], ({ span }) => span).values()]
    return tally === null
      ? []
      : spans.flatMap(([one]) => (one === undefined ? [] : { ...one, isOneHook: hooks.size === 1, tally }))
  })
  return { heard: (await Promise.all(all)).flat(), deafness: null }
}

async function hearDevice(
  name: string,
  only: CopyPoint['tcHook'] | undefined,
  milliseconds: number,
  signal: AbortSignal
): Promise<MirrorTally | null> {
  const counter = countMirror()
  let frames = 0
  const reader = readCapture(talliedBytes, (frame, size) => {
    counter.count(frame, size)
    frames++
    return frames < mostFrames
  })
  const place = { name, isPromiscuous: false, bytes: talliedBytes, ...(only && { only }) }
  const heard = await hearAll(place, milliseconds, reader.push, signal)
  // It ends by itself where it has heard enough.
  const isEnough = frames >= mostFrames
  return reader.isSound() && (isEnough || !('failure' in heard)) ? counter.tally() : null
}
