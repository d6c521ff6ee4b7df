import * as z from 'zod'
import { SpanplanError } from '../../errors.ts'
import { printable } from '../../printable.ts'
import { digestSaved, formatVersion, type PlanDocument } from './json.ts'

const text = z.string()
const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/, 'no digest')
const path = z.string().startsWith('/', 'no absolute path')
const resource = z.record(text, z.unknown()).nullable()

const change = z.looseObject({
  address: text,
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
  selection: z.looseObject({
    files: z.array(path).min(1),
    digests: z.record(path, digest),
    spans: z.array(text).min(1).nullable(),
    prune: z.boolean(),
    adopt: z.boolean(),
    defer_docker: z.boolean()
  }),
  digest
})

/** A plan as it was shown. */
export type ShownPlan = z.infer<typeof shownPlan>

/** One change of it. */
export type ShownChange = ShownPlan['changes'][number]

/** A plan as it was saved. */
export type SavedPlan = z.infer<typeof savedPlan>

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

function parse(bytes: Uint8Array, name: string): Record<string, unknown> {
  let document: unknown
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw invalid(name, bytes.length === 0 ? 'it is empty' : `it is not complete JSON: ${reasonOf(error)}`)
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
    hint: 'make a new plan, with the spanplan that is to apply it'
  })
}

function digestOf(document: Readonly<Record<string, unknown>>, name: string): string {
  try {
    return digestSaved(document)
  } catch (error) {
    throw invalid(name, reasonOf(error))
  }
}

function invalid(name: string, reason: string): SpanplanError {
  return new SpanplanError({
    code: 'PLAN_INVALID',
    message: `${printable(name)} is no saved plan: ${printable(reason)}`,
    hint: 'make a new one: spanplan plan --out FILE'
  })
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
