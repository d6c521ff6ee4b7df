import { createTwoFilesPatch } from 'diff'
import { printable } from '../printable.ts'
import type { Resource } from '../resources/resource.ts'
import type { Plan, PlannedChange } from './plan.ts'

/** What says which resource it is, not what it is like. */
const identity: ReadonlySet<string> = new Set(['kind', 'id', 'spans', 'owner', 'origin'])

/** A unified diff from what is live to what is wanted, of everything that changes; empty if nothing does. */
export function renderDiff(plan: Plan): string {
  if (plan.changes.length === 0) return ''
  const text = (side: 'before' | 'after') => plan.changes.map((change) => describe(change, change[side])).join('')
  return createTwoFilesPatch('live', 'wanted', text('before'), text('after'), undefined, undefined, { context: 3 })
}

function describe(change: PlannedChange, resource: Resource | null): string {
  if (resource === null) return ''
  const fields = Object.entries(resource)
    .filter(([key]) => !identity.has(key))
    .map(([key, value]) => `  ${key}: ${printable(typeof value === 'string' ? value : JSON.stringify(value))}\n`)
  return `${change.address}:\n${fields.join('')}`
}
