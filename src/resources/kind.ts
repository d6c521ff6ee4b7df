import type { Diagnostic, Origin } from '../errors.ts'
import type { DockerCall } from '../host/docker/docker-calls.ts'
import type { Argv } from '../host/exec.ts'
import type { HostIndex } from '../host/host-index.ts'
import type { Input } from '../host/snapshot.ts'
import type { DesiredState } from './desired-state.ts'

/**
 * Whose a live thing is, seen from the spans in question. `ours`: it bears our mark, and may be changed and removed.
 * `adopted`: it bears our mark, which says what it was like before; it may be changed, and is given back instead of
 * removed. `shared`: it is another's by nature (a card, a container), and may be changed in the ways that the kind knows,
 * but never removed. `foreign`: none of these.
 */
export type Owner = 'ours' | 'adopted' | 'shared' | 'foreign'

/** What every kind of resource has. The rest is plain data, comparable field by field. */
export interface Resource {
  readonly kind: string
  /** Unique within the kind. */
  readonly id: string
  /** The spans that it belongs to; none where that cannot be told any more. */
  readonly spans: readonly string[]
  readonly owner: Owner
  /** Where the file wants it. */
  readonly origin?: Origin
  /** Of a foreign one: whether it may be taken over; if not, why not. */
  readonly adoption?: { readonly possible: true } | { readonly possible: false; readonly reason: string }
}

/** What has to be done to one resource. */
export type Change<R extends Resource = Resource> =
  | { readonly action: 'create'; readonly after: R; readonly reason: string }
  | {
      readonly action: 'update' | 'adopt'
      readonly before: R
      readonly after: R
      readonly fields: readonly string[]
    }
  | {
      readonly action: 'replace'
      readonly before: R
      readonly after: R
      readonly fields: readonly string[]
      readonly reason: string
    }
  | { readonly action: 'remove'; readonly before: R; readonly reason: string }

/** What a kind is asked to write steps for: a replace is a removal and, later, a creation; what is adopted is changed. */
export type Transition<R extends Resource> =
  | { readonly action: 'create'; readonly after: R }
  | { readonly action: 'update'; readonly before: R; readonly after: R; readonly fields: readonly string[] }
  | { readonly action: 'remove'; readonly before: R }

/** One thing to do, and what for. */
export type Step =
  | { readonly summary: string; readonly argv: Argv }
  | { readonly summary: string; readonly docker: DockerCall }

/** How a field is shown in a plan: what it is called, and its value in words. */
export interface Field<R, Key extends keyof R> {
  readonly label: string
  readonly words: (value: R[Key], resource: R) => string
  /** It cannot be changed: the thing is made anew. */
  readonly immutable?: true
}

/** The fields that are compared; what is not in the table says which resource it is, or is only shown. */
export type Fields<R> = { readonly [Key in keyof R]?: Field<R, Key> }

/** The host as it is or was, with the marks that it bears or bore. */
export interface ObservedState {
  readonly wanted: DesiredState
  readonly host: HostIndex
}

/** A card or a container, by its name. */
export type Remembered = { readonly device: string } | { readonly container: string }

/**
 * One kind of resource: all that spanplan knows of it, but when its turn is: the registry has the order. What every kind has
 * comes first; the rest has a default that most kinds keep.
 */
export interface Kind<R extends Resource = Resource> {
  readonly kind: R['kind']
  readonly fields: Fields<R>
  /** What the spans want, all together: a card may serve several. */
  desire(wanted: DesiredState, host: HostIndex): R[]
  /** What is there. */
  observe(wanted: DesiredState, host: HostIndex): R[]
  /** How to get from one to the other, whichever two states these are: a rollback goes the other way. */
  steps(transition: Transition<R>): Step[]
  /** What it is called in a plan. */
  title(resource: R): string
  /** What is worth knowing of one that is about to be made. */
  summary(resource: R): string
  /** The parts of its address after span and kind. */
  address(resource: R): readonly string[]

  /** The device that it is, or is on: where that has gone, so has it. None: it is Docker's. */
  device?(resource: R): string
  /** The name of the container that it is about: where that has gone, so has it. None: no container's. */
  container?(resource: R): string
  /** The kind and the id of the resource that this one depends on: removed or recreated, it takes this one along. None: no other. */
  readonly hangsOn?: { readonly kind: string; readonly id: (resource: R) => string }
  /**
   * What else than the kernel has to be read to know that a resource is there, or whose it is. While an input is not read, the
   * resource is neither created nor removed, and is no conflict. None: the kernel alone tells.
   */
  evidence?(resource: R, side: 'live' | 'desired', host: HostIndex): readonly Input[]
  /** Why a foreign thing that stands where ours should be is not ours, and what to do. None: nothing of it is foreign. */
  conflict?(live: R, desired: R, host: HostIndex): Diagnostic
  /**
   * What others have put on it, each with the command that takes it off. Removing the resource would remove these too, or cut
   * them off: that is a conflict, whatever the flags. None: a removal takes nothing foreign along.
   *
   * @param planned when the plan was made that is being carried out: what has come since is in no row of it.
   */
  blockers?(resource: R, now: ObservedState, planned: ObservedState): readonly Diagnostic[]
  /** Whose earlier state its mark keeps. None: it bears no such mark. */
  remembers?(resource: R): readonly Remembered[]
  /** Completes changes of this kind with what only all of them together tell. */
  finalize?(changes: readonly Change<R>[], host: HostIndex): readonly Change<R>[]
  /**
   * Of what was there at an earlier moment, what can and should be there again now: what bears another name by now is
   * found, what went with others' devices and containers stays away, and what others alone set is as they have it now.
   * None: all of it.
   */
  rollbackTarget?(resources: readonly R[], then: ObservedState, now: ObservedState): readonly R[]

  /** What becomes of one that is removed, where that is more than that it goes. */
  removalNote?(resource: R): string
  /** What it means, for the person who reads the plan, that it is made anew. */
  readonly replaceNote?: string
  /** What becomes later of a foreign one that is taken over. */
  readonly adoptNote?: string
}

/** A resource that cannot be made yet. */
export interface Wait {
  readonly kind: string
  readonly span: string
  readonly title: string
  readonly diagnostic: Diagnostic
}

/** A resource's address: its parts are percent-encoded, so that a slash is always a border. */
export function writeAddress(...parts: readonly string[]): string {
  return parts.map(encodeURIComponent).join('/')
}

/** A switch in words. */
export const onOff = (value: boolean): string => (value ? 'on' : 'off')

/** A fact in words. */
export const yesNo = (value: boolean): string => (value ? 'yes' : 'no')
