import type { Filter, Program, TcHook } from '../../host/snapshot.ts'
import type { CopyPoint, FeedId, Part } from '../desired-state.ts'
import type { ReplacedMirrors } from '../foreign/mirrors.ts'
import type { Resource, Step } from '../kind.ts'

/** One tc filter that copies the frames at one hook of one interface into one span: to its bridge, or straight to one receiver. */
export interface Mirror extends Resource, ReplacedMirrors {
  readonly kind: 'mirror'
  readonly point: CopyPoint
  readonly handle: number
  /** The receiver; null: it feeds the span's bridge. */
  readonly feed: FeedId | null
  /** What the receiver takes of the source's frames; null: all, or what only the program of a live mirror says. */
  readonly part: Pick<Part, 'expression' | 'program' | 'share'> | null
  /** The link that gets the copies; `*` if that is gone, also where there is a new link of the same name. */
  readonly target: string
  /** While the point's is not known, the live one. */
  readonly program: Program
  /** What happens to the frame itself: `continue` hands it to the next filter. */
  readonly control: string
  /** The protocol of the frames that the filter sees, or `all`. */
  readonly protocol: string
  /** With direct-action, the program's result is the verdict, and the action that copies is not run. */
  readonly directAction: boolean
  /** Bits per second that it copies at most; null: no limit. `unknown`: another policer stands before it. */
  readonly limit: number | null | 'unknown'
  readonly cookie: string
  /** What is done to other mirrors first. */
  readonly widening: readonly Step[]
  /** The class of its frames, which is the mark of the interface's receive ring. Missing: there is nothing to say of that. */
  readonly classId?: string
}

/** Whether a resource is a mirror. */
export function isMirror(resource: Resource): resource is Mirror {
  return resource.kind === 'mirror'
}

/** The id of the mirror that a filter is. */
export function filterId(filter: Filter): string {
  return mirrorId(filter.device, filter.tcHook, filter.handle ?? 0)
}

/** The id of the mirror with a handle at a hook. */
export function mirrorId(device: string, tcHook: TcHook, handle: number): string {
  return `${device} ${tcHook} ${handle.toString(16)}`
}
