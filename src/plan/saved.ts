import { createHash } from 'node:crypto'
import type { Snapshot } from '../host/host.ts'
import type { Resource, Step } from '../resources/resource.ts'
import type { Spec } from '../spec/spec.ts'
import type { Plan, PlannedChange } from './plan.ts'
import { commandOf, countActions } from './render.ts'

/** Within a major version, fields are only added. */
const formatVersion = '1.0'

/** The file that a plan rests on; null for one that rests on the host alone. */
export type PlanSpec = Pick<Spec, 'name' | 'files' | 'digest'> | null

/** The plan as a program reads it, for `JSON.stringify`. `created` is an ISO 8601 time. */
export function planDocument(
  plan: Plan,
  context: { readonly spec: PlanSpec; readonly host: Snapshot; readonly version: string; readonly created: string }
) {
  return {
    format_version: formatVersion,
    spanplan_version: context.version,
    created: context.created,
    spec: context.spec && { name: context.spec.name, files: context.spec.files, digest: context.spec.digest },
    host: { boot_id: context.host.bootId, digest: digestHost(context.host) },
    changes: plan.changes.map(changeDocument),
    waiting: plan.waiting.map(({ kind, span, title, notice }) => ({ kind, span, title, ...notice })),
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
    reason: change.reason,
    ...(change.origin && { origin: change.origin }),
    steps: change.stages.flatMap((stage) => stage.steps.map(stepDocument))
  }
}

/** A step as a program reads it: always with the command, also where it is a request to Docker. */
export function stepDocument(step: Step) {
  return { summary: step.summary, argv: commandOf(step) }
}

function withoutOrigin({ origin: _, ...rest }: Resource) {
  return rest
}

/** Of every fact that was read; the boot is told apart. */
function digestHost({ bootId: _, programs, ...facts }: Snapshot): string {
  const text = JSON.stringify({ ...facts, programs: [...programs] })
  return `sha256:${createHash('sha256').update(text).digest('hex')}`
}
