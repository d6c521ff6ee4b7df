import { isDeepStrictEqual } from 'node:util'
import { keysOf } from '../keys.ts'
import type { Change, Kind, Resource } from '../resources/kind.ts'

/** A foreign thing in the place of a desired resource. */
export interface Conflict<R extends Resource> {
  readonly live: R
  readonly desired: R
}

/** What happens to resources that others hang on, as `KIND ID`. */
export type Fates = ReadonlyMap<string, 'replace' | 'remove'>

/**
 * Compares the live resources of one kind with the desired ones. A foreign thing in the place of a desired resource is a
 * conflict, unless it can be adopted and `adopt` says so.
 */
export function diff<R extends Resource>(
  kind: Kind<R>,
  live: readonly R[],
  desired: readonly R[],
  fates: Fates,
  adopt: boolean
) {
  const conflicts: Conflict<R>[] = []
  const changes: Change<R>[] = []
  const liveById = new Map(live.map((resource) => [resource.id, resource]))
  const desiredIds = new Set(desired.map((resource) => resource.id))
  for (const after of desired) {
    const before = liveById.get(after.id)
    if (before === undefined) changes.push({ action: 'create', after, reason: 'missing' })
    else if (before.owner === 'foreign' && kind.conflict) {
      if (adopt && before.adoption?.possible) {
        changes.push({ action: 'adopt', before, after, fields: differing(kind, before, after), reason: 'differs' })
      } else conflicts.push({ live: before, desired: after })
    } else {
      const change = compare(kind, before, after, fates)
      if (change !== null) changes.push(change)
    }
  }
  for (const before of live) {
    if (desiredIds.has(before.id)) continue
    if (before.owner === 'ours' || before.owner === 'adopted')
      changes.push({ action: 'remove', before, reason: 'no longer needed' })
    else if (isLostWith(kind, before, fates))
      changes.push({ action: 'remove', before, reason: 'what it depends on is removed' })
  }
  return { changes, conflicts }
}

function differing<R extends Resource>(kind: Kind<R>, before: R, after: R): (keyof R & string)[] {
  return comparedFields(kind).filter((key) => !isDeepStrictEqual(before[key], after[key]))
}

function compare<R extends Resource>(kind: Kind<R>, before: R, after: R, fates: Fates): Change<R> | null {
  const fields = differing(kind, before, after)
  if (isLostWith(kind, before, fates))
    return { action: 'replace', before, after, fields, reason: 'what it depends on is recreated' }
  if (fields.some((key) => kind.fields[key]?.immutable)) {
    return { action: 'replace', before, after, fields, reason: 'it cannot be changed in place' }
  }
  return fields.length > 0 ? { action: 'update', before, after, fields, reason: 'differs' } : null
}

/** The keys of the kind's table, in its order. */
export function comparedFields<R extends Resource>(kind: Kind<R>): (keyof R & string)[] {
  return keysOf(kind.fields)
}

/** Whether the kernel takes a live resource away with what it hangs on. */
function isLostWith<R extends Resource>({ hangsOn }: Kind<R>, before: R, fates: Fates): boolean {
  return fateOf(hangsOn, before, fates) !== undefined
}

/** What happens to the resource that another one hangs on; undefined: nothing does, or there is no such. */
export function fateOf<R extends Resource>(on: Kind<R>['hangsOn'], resource: R, fates: Fates) {
  return on && fates.get(`${on.kind} ${on.id(resource)}`)
}
