import { createHash } from 'node:crypto'
import type { Resource, Step } from '../../resources/kind.ts'
import type { Spec } from '../../spec/spec.ts'
import type { Plan, PlannedChange } from '../plan.ts'
import type { Facts } from '../plan-view.ts'
import { commandOf, countActions } from './text.ts'

/** Within a major version, fields are only added. */
export const formatVersion = '1.0'

/** The file that a plan rests on; null for one that rests on the host alone. */
export type PlanSpec = Pick<Spec, 'name' | 'files' | 'digest'> | null

/** What it takes to plan for the same spans of the same files again; paths are absolute. */
export interface SavedSelection {
  /** As they were given: files, and folders of files. */
  readonly files: readonly string[]
  /** The digest of each file that was read, by its path: it shows which file has changed. */
  readonly digests: Readonly<Record<string, string>>
  /** null: all. */
  readonly spans: readonly string[] | null
  readonly prune: boolean
  readonly adopt: boolean
  readonly defer_docker: boolean
}

/** The plan as a program reads it. */
export type PlanDocument = ReturnType<typeof planDocument>

/** The plan as a program reads it, for `JSON.stringify`. `created` is an ISO 8601 time. */
export function planDocument(
  plan: Plan,
  context: Facts & { readonly spec: PlanSpec; readonly version: string; readonly created: string }
) {
  return {
    format_version: formatVersion,
    spanplan_version: context.version,
    created: context.created,
    spec: context.spec && { name: context.spec.name, files: context.spec.files, digest: context.spec.digest },
    host: { boot_id: context.host.bootId, digest: digestFacts(context) },
    changes: plan.changes.map(changeDocument),
    waiting: plan.waiting.map(({ kind, span, title, diagnostic }) => ({ kind, span, title, ...diagnostic })),
    warnings: plan.warnings,
    summary: countActions(plan)
  }
}

function changeDocument(change: PlannedChange) {
  return {
    address: change.address,
    kind: change.kind,
    span: change.span,
    action: change.action,
    before: change.before && withoutOrigin(change.before),
    after: change.after && withoutOrigin(change.after),
    fields: change.facts.filter(({ changed }) => changed).map(({ key }) => key),
    facts: change.facts.map(({ key, label, from, to }) => ({ key, label, before: from, after: to })),
    reason: change.reason,
    ...(change.origin && { origin: change.origin }),
    steps: change.stages.flatMap((stage) => stage.steps.map(stepDocument))
  }
}

/** The plan as it is saved: with the selection to plan for again, and a digest that shows whether the file is complete. */
export function savedDocument(document: PlanDocument, selection: SavedSelection) {
  const saved = { ...document, selection }
  // As it will be read later: JSON leaves out what is undefined.
  return { ...saved, digest: digestSaved(JSON.parse(JSON.stringify(saved))) }
}

/**
 * The digest of everything in a saved plan but its digest, whatever the order of its keys and its white space.
 *
 * @throws RangeError if the document is nested more deeply than any plan.
 */
export function digestSaved({ digest: _, ...document }: Readonly<Record<string, unknown>>): string {
  return digestText(JSON.stringify(sortKeys(document)))
}

/** Objects become lists of their pairs: a key such as `__proto__` has no effect in a list. */
function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return ['[]', ...value.map(sortKeys)]
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, item]) => [key, sortKeys(item)] as const)
  return ['{}', ...entries.sort(([a], [b]) => (a < b ? -1 : 1))]
}

/** As sha256sum prints it, after the name of the algorithm. */
export function digestText(text: string | Uint8Array): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`
}

/** A step as a program reads it: always with the command, also where it is a request to Docker. */
export function stepDocument(step: Step) {
  return { summary: step.summary, argv: commandOf(step) }
}

function withoutOrigin({ origin: _, ...rest }: Resource) {
  return rest
}

/** A digest of every fact that was read, without the boot id, which is compared by itself. */
function digestFacts({ host, filters }: Facts): string {
  const { links, qdiscs, filters: attached, classFilters, attached: programs, routes, docker } = host
  return digestText(
    JSON.stringify({ links, qdiscs, attached, classFilters, programs, routes, docker, filters: [...filters] })
  )
}
