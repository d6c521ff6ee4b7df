import { meaningOf } from '../codes/meanings.ts'
import type { Diagnostic, ItemId, Origin, Subject } from '../errors.ts'
import type { DockerCall } from '../host/docker/docker-calls.ts'
import type { Argv } from '../host/exec.ts'
import type { HostIndex } from '../host/host-index.ts'
import { encodeBytes } from '../host/parsers/bytes.ts'
import type { Input } from '../host/snapshot.ts'
import { listAll } from '../text-lines.ts'
import type { DesiredState, MarkInventory } from './desired-state.ts'

/**
 * Whose a live thing is, seen from the spans in scope. `ours`: the thing bears our mark, and may be changed and removed.
 * `adopted`: the thing bears our mark, which says what it was like before; it may be changed, and is given back instead of
 * removed. `shared`: the thing belongs to the host (an interface, a container); the kind may change it, but never removes it.
 * `foreign`: none of these.
 */
export type Owner = 'ours' | 'adopted' | 'shared' | 'foreign'

/** What every kind of resource has. Its other fields are plain data, compared field by field. */
export interface Resource {
  readonly kind: string
  /** Unique within the kind. */
  readonly id: string
  /** The spans that the resource belongs to; none where its mark does not tell any more. */
  readonly spans: readonly string[]
  readonly owner: Owner
  /** The name in its mark, of a file that had other names before. */
  readonly markedBy?: string
  /** The place in the file that asks for the resource. */
  readonly origin?: Origin
  /** The item there. */
  readonly item?: ItemId
  /** Of a foreign resource. */
  readonly adoption?: Adoption
}

/** Whether a foreign thing may be taken over, or why not. */
export type Adoption = { readonly possible: true } | { readonly possible: false; readonly reason: string }

/** An adoption that is possible unless there is a reason against it. */
export function adoptUnless(reason: string | undefined): Adoption {
  return reason === undefined ? { possible: true } : { possible: false, reason }
}

/** What has to be done about one resource. */
export type Change<R extends Resource = Resource> =
  | { readonly action: 'create'; readonly after: R; readonly reason: string }
  | {
      readonly action: 'update' | 'adopt' | 'replace'
      readonly before: R
      readonly after: R
      readonly fields: readonly string[]
      readonly reason: string
    }
  | { readonly action: 'remove'; readonly before: R; readonly reason: string }

/** A setting of sysctl(8). */
export interface SysctlSetting {
  readonly key: string
  readonly value: number
}

/** One command or Docker call, and what it is for. */
export type Step =
  | {
      readonly summary: string
      readonly argv: Argv
      /** The kernel may take tens of milliseconds for it. */
      readonly isSlow?: true
      /** The link that it deletes: many links are deleted faster together. */
      readonly deletes?: string
      /** The setting that it gives to sysctl(8). */
      readonly sets?: SysctlSetting
    }
  | {
      readonly summary: string
      readonly docker: DockerCall
      /** Podman answers in Docker's place. */
      readonly podman?: true
    }

/** How a field is shown in a plan: its label, and its value in words. */
export interface Field<R, Key extends keyof R> {
  readonly label: string
  words(value: R[Key], resource: R): string
  /** The field cannot be changed in place: the resource is recreated. */
  readonly immutable?: true
  /** Without it, a sensor could send, or a mirrored frame reach the host: see `closes` of a kind. */
  readonly closes?: true
}

/** The fields that are compared. A field that is not in the table identifies the resource, or is only shown. */
export type Fields<R> = { readonly [Key in keyof R]?: Field<R, Key> }

/** What is left out where a foreign thing has the place of a resource: that alone, with what cannot be made without it, or its span. */
export type ConflictCost = 'itself' | 'dependants' | 'span'

/** The host at one time, what is desired of it, and what its marks say of that. */
export interface ObservedState {
  readonly desired: DesiredState
  readonly marks: MarkInventory
  readonly host: HostIndex
}

/** Observes each state or host once: other kinds observe parts of the same, and so do warnings and a rollback. */
export function memoized<Seen extends object, Found>(observe: (seen: Seen) => Found): (seen: Seen) => Found {
  const observed = new WeakMap<Seen, Found>()
  return (seen) => {
    const found = observed.get(seen) ?? observe(seen)
    observed.set(seen, found)
    return found
  }
}

/** An interface or a container, by its name. */
export type Remembered = { readonly device: string } | { readonly container: string }

/**
 * One kind of resource: all that spanplan knows of it, but when its turn is: the registry has the order. What every kind has
 * comes first; the rest has a default that most kinds keep. All are methods, so that a list of kinds may have kinds of
 * different resources: a kind is only handed what it has desired or observed itself.
 */
export interface Kind<R extends Resource = Resource> {
  readonly kind: R['kind']
  readonly fields: Fields<R>
  /**
   * The resources that the desired spans need together: several spans may share an interface.
   *
   * @param live what `observe` gives: what a resource keeps of how it is live is known from there.
   */
  desire(state: ObservedState, live: readonly R[]): R[]
  /** The live resources. */
  observe(state: ObservedState): readonly R[]
  /** What a plan says of a resource that will be created. */
  summary(resource: R): string

  /** The steps that create the resource; also for a replace, and for a rollback. None: others create it. */
  create?(after: R): Step[]
  /** The steps from one state to the other, also for an adoption. None: it is replaced, or its difference is only shown. */
  update?(before: R, after: R, fields: readonly string[]): Step[]
  /** The steps of an update that come before all others of the plan. None: an update has no such steps. */
  prepare?(before: R, after: R): Step[]
  /** The steps of an update that come as soon as the plan's mirrors are there. None: an update has no such steps. */
  close?(before: R, after: R): Step[]
  /** The steps of an update that come last, at the turn of what is removed. None: an update has no such steps. */
  finish?(before: R, after: R): Step[]
  /** The steps that remove the resource or give it back; also for a replace, before the creation. None: it goes by itself. */
  remove?(before: R): Step[]
  /** The name of the resource in a plan. None: its id. */
  title?(resource: R): string
  /** What tells the resource from the others of its kind and span: the `id` of a subject. None: its id. */
  address?(resource: R): readonly string[]
  /** The resource in the JSON of a plan, whose fields stay as they are within a major version of the format. None: as it is. */
  document?(resource: R, side: 'before' | 'after'): Pick<Resource, 'origin' | 'item'>
  /** The network device that the resource is, or is on: without the device, the resource is gone. None: it is Docker's. */
  device?(resource: R): string
  /** The name of the container that the resource is about: without the container, the resource is gone. None: no container. */
  container?(resource: R): string
  /** The resources keep sensors from sending, or the host from receiving. What is undone again and again is left alone for a while, but never these. */
  readonly closes?: true
  /** The resource is the device itself, and spanplan makes it: with another index, it is the same all the same. */
  readonly makesDevice?: true
  /** The container that the resource serves, whoever owns the resource: a log tells what is about one container in one line. */
  serves?(resource: R): string | null
  /** The resource that this one depends on, and is removed or recreated with. None: it depends on no other. */
  readonly hangsOn?: {
    readonly kind: string
    id(resource: R): string
    /** The kernel takes the resource away with what it depends on. Missing: it is removed before. */
    readonly goesWith?: true
  }
  /**
   * The inputs, besides the kernel, that have to be read to know whether a resource exists, or whose it is. While an input is
   * not read, the resource is neither created nor removed, and is no conflict. None: the kernel alone tells.
   */
  evidence?(resource: R, side: 'live' | 'desired', state: ObservedState): readonly Input[]
  /** Why a foreign thing in the place of a desired resource is not ours, and what to do. None: nothing of the kind is foreign. */
  conflict?(live: R, desired: R, host: HostIndex): Diagnostic
  /** What a conflict costs. None: the resource itself. */
  conflictCosts?(live: R): ConflictCost
  /** What keeps desired resources from being created, besides foreign things in their place. None: nothing of the kind does. */
  obstacles?(desired: DesiredState, host: HostIndex): readonly Diagnostic[]
  /**
   * What uses a resource and stays without it, each with what helps. To remove the resource would remove that too, or cut it off:
   * that is a conflict, whatever the flags. For one that is to be made: why it is not. None: a removal takes nothing else along.
   *
   * @param planned the state that the plan was made for: what has come since has no row in the plan.
   */
  blockers?(resource: R, now: ObservedState, planned: ObservedState): readonly Diagnostic[]
  /** The interfaces and containers whose earlier state the resource's mark keeps. None: no such mark. */
  remembers?(resource: R): readonly Remembered[]
  /**
   * The resource is where others may do as they like, and lasts as long as they let it: this describes a change that fails or does
   * not last, which fails no apply. What helps against it depends on why. None, or undefined: it fails the apply.
   */
  undone?(resource: R, reason: string): Diagnostic | undefined
  /** Completes the changes of this kind with what depends on several of them. */
  finalize?(changes: readonly Change<R>[], host: HostIndex): readonly Change<R>[]
  /**
   * Of the resources in an earlier state, those that can and should exist again: renamed things are found under their new
   * name, what went with foreign devices and containers stays away, and what others alone set stays as they have it now.
   * None: all of them.
   */
  rollbackTarget?(resources: readonly R[], then: ObservedState, now: ObservedState): readonly R[]

  /** What a plan says of a resource that will be removed, where it is not just removed. */
  removalNote?(resource: R): string
  /** What whoever reads the plan has to do beside it, where a resource is created. */
  createNote?(resource: R): string
  /** What it means for whoever reads the plan that a resource is recreated. */
  replaceNote?(before: R, after: R): string
  /** What it means for whoever reads the plan that a resource is changed. None, or undefined: no more than the plan says. */
  updateNote?(before: R, after: R): string | undefined
  /** The running sensors that lose their interface when a live resource is recreated, by name. None: no sensor does. */
  disconnects?(before: R, host: HostIndex): readonly string[]
  /** What it means that a resource stays as it is, because recreating it would disconnect sensors. None: nothing. */
  holdNote?(before: R, after: R): string
  /** What becomes later of a foreign resource that is adopted. */
  readonly adoptNote?: string
}

/** A resource that cannot be created yet. */
export interface Wait {
  readonly kind: string
  readonly span: string
  readonly title: string
  /** The container that is waited for, or what selects it; undefined: none is. */
  readonly container?: string
  readonly diagnostic: Diagnostic & { readonly subject: Subject }
}

/** A wait for the reason that a diagnostic gives. */
export function waitFor(subject: Subject & { readonly span: string }, title: string, diagnostic: Diagnostic): Wait {
  return { kind: subject.kind, span: subject.span, title, diagnostic: { ...diagnostic, subject } }
}

/** What things wait for, and why: the same for all of them. What is in the way of a thing is a sentence of its own. */
export function writeWait(titles: readonly string[], { code, message }: Diagnostic): string {
  const { isClause } = meaningOf({ code })
  if (titles.length > 1) return `${listAll(titles)}:${isClause ? ' each' : ''} ${message}`
  return `${listAll(titles)}${isClause ? '' : ':'} ${message}`
}

/** The command that gives settings to sysctl(8), which takes any number of them. */
export function sysctlCommand(settings: readonly SysctlSetting[]): Argv {
  return ['sysctl', '-q', '-w', ...settings.map(({ key, value }) => `${key}=${value}`)]
}

/** The step that gives a setting to sysctl(8). */
export function setSysctl(summary: string, sets: SysctlSetting): Step {
  return { summary, argv: sysctlCommand([sets]), sets }
}

/** The step that deletes a link. */
export function deleteLink(summary: string, link: string): Step {
  return { summary, argv: ['ip', 'link', 'del', 'dev', link], isSlow: true, deletes: link }
}

/** A subject as it is printed: the parts of an address are percent-encoded, so that a slash always separates two. */
export function writeAddress({ span, kind, id }: Subject): string {
  return [...(span === null ? [] : [span]), kind, ...id].map(encodePart).join('/')
}

/** Also a byte that is no UTF-8. */
function encodePart(part: string): string {
  if (part.isWellFormed()) return encodeURIComponent(part)
  const encode = (character: string) => encodeBytes(character).toString('hex').replace(/../g, '%$&')
  return [...part].map((one) => (one.isWellFormed() ? encodeURIComponent(one) : encode(one))).join('')
}

/** A diagnostic as a program reads it. */
export function diagnosticDocument({ subject, ...rest }: Diagnostic) {
  return { ...rest, ...(subject && { address: writeAddress(subject) }) }
}
