import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff'
import { printable } from '../../printable.ts'
import type { Plan, PlannedChange } from '../plan.ts'

/** A unified diff from the live to the desired state, of everything that changes; empty if nothing does. */
export function renderDiff(plan: Plan): string {
  if (plan.changes.length === 0) return ''
  const text = (side: 'from' | 'to') => plan.changes.map((change) => factLines(change, side)).join('')
  return createTwoFilesPatch('live', 'desired', text('from'), text('to'), undefined, undefined, {
    context: 3,
    headerOptions: FILE_HEADERS_ONLY
  })
}

function factLines({ address, facts }: PlannedChange, side: 'from' | 'to'): string {
  const lines = facts.flatMap((fact) => {
    const value = fact[side]
    return value === null ? [] : [`  ${fact.label}: ${printable(value)}\n`]
  })
  return lines.length > 0 ? `${address}:\n${lines.join('')}` : ''
}
