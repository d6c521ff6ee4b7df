import { type StructuredPatchHunk, structuredPatch } from 'diff'
import { groupsOf } from '../../host/host-index.ts'
import { oneLine, printable } from '../../printable.ts'
import type { Plan, PlannedChange } from '../plan.ts'

/** Unchanged lines around what differs. */
const context = 3

/** A piece of the diff: the fields of one resource, or a line for each of several that are created or removed. */
interface Section {
  /** What the lines are about; empty: each says it itself. */
  readonly heading: string
  readonly live: readonly string[]
  readonly desired: readonly string[]
}

/**
 * A unified diff from the live to the desired state, of everything that changes; empty if nothing does. Each span has a header. What is
 * created or removed is one line, with what the plan says of it.
 */
export function renderDiff({ changes }: Plan): string {
  return [...groupsOf(changes, ({ span }) => span ?? '')]
    .map(([span, own]) => {
      const name = span === '' ? '' : `/${printable(span)}`
      return [`--- live${name}`, `+++ desired${name}`, ...renderSections(own)].map((line) => `${line}\n`).join('')
    })
    .join('')
}

function renderSections(changes: readonly PlannedChange[]): string[] {
  let [liveBefore, desiredBefore] = [0, 0]
  return joinLines(changes.map(sectionOf)).flatMap(({ heading, live, desired }) => {
    const text = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join('')
    const { hunks } = structuredPatch('', '', text(live), text(desired), undefined, undefined, { context })
    const lines = hunks.flatMap((hunk) => {
      const [old, now] = [rangeOf(liveBefore, hunk, 'old'), rangeOf(desiredBefore, hunk, 'new')]
      return [`@@ -${old} +${now} @@ ${heading}`.trimEnd(), ...hunk.lines]
    })
    liveBefore += live.length
    desiredBefore += desired.length
    return lines
  })
}

/** Lines of a hunk, among those of the span. Of none, the line before is named. */
function rangeOf(before: number, hunk: StructuredPatchHunk, side: 'old' | 'new'): string {
  const count = hunk[`${side}Lines`]
  const first = before + hunk[`${side}Start`] - (count === 0 ? 1 : 0)
  return count === 1 ? String(first) : `${Math.max(0, first)},${count}`
}

/** What has no heading follows what has none in the same section. */
function joinLines(sections: readonly Section[]): readonly Section[] {
  const joined: Section[] = []
  for (const section of sections) {
    const last = joined.at(-1)
    if (last === undefined || last.heading !== '' || section.heading !== '') joined.push(section)
    else {
      const both = { live: [...last.live, ...section.live], desired: [...last.desired, ...section.desired] }
      joined[joined.length - 1] = { heading: '', ...both }
    }
  }
  return joined
}

function sectionOf(change: PlannedChange): Section {
  const { action, address, facts, summary, reason } = change
  const line = summary === '' ? printable(address) : `${printable(address)}: ${oneLine(summary)}`
  if (action === 'create') return { heading: '', live: [], desired: [line] }
  if (action === 'remove') return { heading: '', live: [line], desired: [] }
  const differing = facts.filter(({ changed }) => changed)
  // Recreated with what it depends on.
  if (differing.length === 0) return { heading: '', live: [line], desired: [`${line} (${reason})`] }
  const live = facts.flatMap(({ label, from }) => (from === null ? [] : [`${label}: ${printable(from)}`]))
  const desired = facts.flatMap(({ label, from, to, changed }) => {
    if (to === null) return []
    return [`${label}: ${printable(to)}${changed && from === to ? ' (renewed)' : ''}`]
  })
  return { heading: `${printable(address)}${headingNotes[action]}`, live, desired }
}

const headingNotes = { update: '', replace: ' (recreated)', adopt: ' (taken over)' } as const
