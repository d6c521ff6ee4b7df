import { groupsOf } from '../../host/host-index.ts'
import type { Sample } from '../../host/read-counters.ts'
import { type CopyPoint, linkOf } from '../../resources/desired-state.ts'
import { counted } from '../../text-lines.ts'
import { findMirror } from './counter-delta.ts'
import type { FramePath, PathMirror } from './frame-path.ts'

/** A source with a max_idle, and how long it has been without a frame. */
export interface SourceIdleness {
  readonly span: string
  /** The copy points that it ends in: of several containers where a label or a service selects them. */
  readonly points: readonly [CopyPoint, ...CopyPoint[]]
  /** Milliseconds since the last frame, or since the filter was made where it has seen none. */
  readonly idle: number
  /** A frame has come since the filters were made. */
  readonly heard: boolean
  /** Milliseconds. */
  readonly maxIdle: number
}

/** How long none of some mirrors has seen a frame; null: none of them has a filter. */
export function readIdleness(
  mirrors: readonly PathMirror[],
  sample: Sample
): Pick<SourceIdleness, 'idle' | 'heard'> | null {
  const counters = mirrors.flatMap((mirror) => findMirror(mirror, sample) ?? [])
  if (counters.length === 0) return null
  return {
    idle: Math.min(...counters.map(({ idle }) => idle * 1000)),
    heard: counters.some(({ packets, policer }) => (policer?.packets ?? packets) > 0)
  }
}

/** The sources of a span that have a max_idle and a filter. */
export function readSources({ span, mirrors }: FramePath, sample: Sample): SourceIdleness[] {
  return [...groupsOf(mirrors, ({ point }) => point.item).values()].flatMap((own) => {
    const [first, ...others] = own
    const { maxIdle } = first.point
    if (maxIdle === null) return []
    const idleness = readIdleness(own, sample)
    return idleness === null
      ? []
      : [{ ...idleness, span, points: [first.point, ...others.map(({ point }) => point)], maxIdle }]
  })
}

/** What a source is called of which any frame counts. Interfaces are counted: which are of one container may not be known. */
export function writeIdleSource([first, ...others]: SourceIdleness['points']): string {
  const [name] = first.source
  const more = new Set(others.flatMap(({ source, device }) => (source[0] === name ? [] : [device.name]))).size
  return more === 0 ? name : `${name} or ${counted(more, 'other interface')}`
}

/** What may keep the frames of a source away. */
export function askOfSilence(points: SourceIdleness['points']): string {
  if (points.some(({ serves }) => serves !== null)) return 'do its containers still send anything?'
  return points.some(({ device }) => linkOf(device)?.tunnel !== undefined)
    ? 'do its senders still send? The host\'s firewall, or "from" in the file, may keep them out: see spanplan doctor'
    : "is the switch's mirror session still there?"
}

/** Whether the source has been without a frame for as long as its max_idle. */
export function isIdle({ idle, maxIdle }: SourceIdleness): boolean {
  return idle >= maxIdle
}
