import * as z from 'zod'
import { messageOf, SpanplanError } from '../../errors.ts'
import { printable } from '../../printable.ts'
import type { PlanView } from '../plan-view.ts'
import { digestText, formatVersion, type PlanDocument, planDocument } from './plan-json.ts'

const text = z.string()
const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/, 'no digest')
const path = z.string().startsWith('/', 'no absolute path')
const resource = z.record(text, z.unknown()).nullable()

const change = z.looseObject({
  address: text,
  kind: text,
  /** Added later. */
  title: text.optional(),
  action: z.enum(['create', 'update', 'replace', 'remove', 'adopt']),
  before: resource,
  after: resource,
  fields: z.array(text),
  facts: z.array(z.looseObject({ key: text, label: text, before: text.nullable(), after: text.nullable() })),
  reason: text,
  steps: z.array(z.looseObject({ summary: text, argv: z.array(text) }))
})

/** The parts of a plan that are compared when it is planned again. */
const shownPlan = z.looseObject({
  spanplan_version: text,
  host: z.looseObject({ boot_id: text }),
  changes: z.array(change),
  waiting: z.array(z.looseObject({ address: text.optional(), message: text }))
})

const savedPlan = shownPlan.extend({
  spec: z.looseObject({ digest }),
  /** What it takes to plan for the same spans of the same files again. */
  selection: z.looseObject({
    /** As they were given: files, and folders of files. */
    files: z.array(path).min(1),
    /** The digest of each file that was read, by its path: it shows which file has changed. */
    digests: z.record(path, digest),
    /** null: all. */
    spans: z.array(text).min(1).nullable(),
    prune: z.boolean(),
    adopt: z.boolean(),
    /** Added later: the plans before it recreate. */
    recreate: z.boolean().default(true),
    defer_docker: z.boolean(),
    /** Chooses the subnets of new networks. Missing: an earlier version saved it. */
    subnet_seed: text.optional()
  }),
  digest
})

/** A plan as it was shown. */
export type ShownPlan = z.infer<typeof shownPlan>

/** One change of it. */
export type ShownChange = ShownPlan['changes'][number]

/** A plan as it was saved. */
export type SavedPlan = z.infer<typeof savedPlan>

/** The plan as it is saved: with the selection to plan for again, and a digest that shows whether the file is complete. */
export function savedDocument(document: PlanDocument, selection: SavedPlan['selection']) {
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

/**
 * Reads a plan that `plan --out` wrote.
 *
 * @param name the file's, for messages.
 * @throws SpanplanError PLAN_INVALID if the file is incomplete or no saved plan; PLAN_VERSION if it has another major format.
 */
export function readSavedPlan(bytes: Uint8Array, name: string): SavedPlan {
  const document = parse(bytes, name)
  checkVersion(document, name)
  const read = savedPlan.safeParse(document)
  if (!read.success) {
    const [first] = read.error.issues
    throw invalid(name, `${first?.path.join('.') ?? ''}: ${first?.message ?? ''}`)
  }
  if (digestOf(document, name) !== read.data.digest) {
    throw invalid(name, 'its content does not match its digest: it was edited, or damaged on its way')
  }
  return read.data
}

/** A plan that was made just now, as it would be read after it was saved. */
export function asShown(document: PlanDocument): ShownPlan {
  return shownPlan.parse(JSON.parse(JSON.stringify(document)))
}

/** The plan of a view, as it would be read after it was saved. */
export function showView(view: PlanView): ShownPlan {
  return asShown(planDocument(view.plan, { ...view, spec: null, version: '', created: '' }))
}

function parse(bytes: Uint8Array, name: string): Record<string, unknown> {
  let document: unknown
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw invalid(
      name,
      bytes.length === 0 ? 'it is empty' : `it is not complete JSON: ${messageOf(error)}`,
      bytes.at(0) !== brace
    )
  }
  const record = z.record(z.string(), z.unknown()).safeParse(document)
  if (!record.success) throw invalid(name, 'it is no JSON object')
  return record.data
}

function checkVersion({ format_version }: Readonly<Record<string, unknown>>, name: string): void {
  if (typeof format_version !== 'string' || !/^\d+\.\d+$/.test(format_version)) {
    throw invalid(name, 'it has no format_version')
  }
  const major = (version: string) => version.split('.')[0]
  if (major(format_version) === major(formatVersion)) return
  throw new SpanplanError({
    code: 'PLAN_VERSION',
    message: `${printable(name)} has the plan format ${format_version}, and this spanplan reads ${formatVersion}`,
    hint: 'make a new plan with this version: spanplan plan --out FILE'
  })
}

function digestOf(document: Readonly<Record<string, unknown>>, name: string): string {
  try {
    return digestSaved(document)
  } catch (error) {
    throw invalid(name, messageOf(error))
  }
}

/** A plan begins with it. */
const brace = 0x7b

function invalid(name: string, reason: string, isOther = false): SpanplanError {
  return new SpanplanError({
    code: 'PLAN_INVALID',
    message: `${printable(name)} is not a saved plan: ${printable(reason)}`,
    hint:
      isOther && !/\.json$/.test(name)
        ? `did you mean: spanplan apply -f ${printable(name)}`
        : 'make a new one: spanplan plan --out FILE'
  })
}
