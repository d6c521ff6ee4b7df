import { createHash } from 'node:crypto'
import { diagnosticDocument, type Resource, type Step, type Wait } from '../../resources/kind.ts'
import { type KindName, kindOf } from '../../resources/registry.ts'
import type { Spec } from '../../spec/spec.ts'
import type { Plan, PlannedChange } from '../plan.ts'
import type { HostReading } from '../plan-view.ts'
import { commandOf, countActions } from './plan-text.ts'

/** Within a major version, fields are only added. */
export const formatVersion = '1.0'

/** The file that a plan rests on; null for one that rests on the host alone. */
export type PlanSpec = Pick<Spec, 'name' | 'files' | 'digest'> | null

/** Which file --install would write, and whether that is not there yet. */
export interface InstallPlan {
  readonly file: string
  readonly changed: boolean
}

/** The plan as a program reads it. */
export type PlanDocument = ReturnType<typeof planDocument>

/** The plan as a program reads it, for `JSON.stringify`. `created` is an ISO 8601 time. */
export function planDocument(
  plan: Plan,
  context: HostReading & {
    readonly spec: PlanSpec
    readonly version: string
    readonly created: string
    /** What --install would do. */
    readonly install?: InstallPlan | null
  }
) {
  return {
    format_version: formatVersion,
    spanplan_version: context.version,
    created: context.created,
    spec: context.spec && { name: context.spec.name, files: context.spec.files, digest: context.spec.digest },
    host: { boot_id: context.host.bootId, digest: digestFacts(context) },
    changes: plan.changes.map(plannedDocument),
    waiting: plan.waiting.map(waitDocument),
    warnings: plan.warnings.map(diagnosticDocument),
    summary: countActions(plan),
    ...(context.install && { install: context.install })
  }
}

/** What a plan and a watch say of a wait. */
export function waitDocument({ kind, span, title, diagnostic }: Wait) {
  return { kind, span, title, ...diagnosticDocument(diagnostic) }
}

/** What every document says of a change. */
export function changeDocument({ address, kind, span, action, title, reason }: PlannedChange) {
  return { address, kind, span, action, title, reason }
}

function plannedDocument(change: PlannedChange) {
  return {
    ...changeDocument(change),
    before: change.before && resourceDocument(change.kind, change.before, 'before'),
    after: change.after && resourceDocument(change.kind, change.after, 'after'),
    fields: change.facts.filter(({ changed }) => changed).map(({ key }) => key),
    facts: change.facts.map(({ key, label, from, to }) => ({ key, label, before: from, after: to })),
    ...(change.origin && { origin: change.origin }),
    steps: change.stages.flatMap((stage) => stage.steps.map(stepDocument))
  }
}

/** As sha256sum prints it, after the name of the algorithm. */
export function digestText(text: string | Uint8Array): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`
}

/** A step as a program reads it: always with the command, also where it is a request to Docker. */
export function stepDocument(step: Step) {
  return { summary: step.summary, argv: commandOf(step) }
}

function resourceDocument(kind: KindName, resource: Resource, side: 'before' | 'after'): object {
  const { origin: _, item: __, ...rest } = kindOf(kind).document?.(resource, side) ?? resource
  return rest
}

/** A digest of every fact that was read, without the boot id, which is compared by itself. */
function digestFacts({ host, filters }: HostReading): string {
  const { bootId: _, ...facts } = host.snapshot
  return digestText(JSON.stringify([facts, [...filters]]))
}
