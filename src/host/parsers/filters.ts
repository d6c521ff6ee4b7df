import { isDeepStrictEqual } from 'node:util'
import * as z from 'zod'
import type { ClassPlace, HookPlace, MirrorAction, Program, Selection, TcFilter, U32Key } from '../snapshot.ts'
import {
  belowLimit,
  clsactHandle,
  controls,
  flowerKeys,
  overLimit,
  parseU32Handle,
  readLimitCookie,
  uncountedBytes
} from '../tc-conventions.ts'
import { isSamePref, isTable, parseRows, type Root, type Row, tableOf } from './u32.ts'

/** Loose, so that unknown keys can be noticed. */
const mirredOutput = z.looseObject({
  kind: z.literal('mirred'),
  mirred_action: z.literal('mirror'),
  direction: z.literal('egress'),
  to_dev: z.string(),
  control_action: z.object({ type: z.string() }),
  cookie: z.string().optional(),
  ref: z.unknown().optional(),
  bind: z.unknown().optional()
})

/** Frames go out of the device, and no further on their own way. */
const redirectOutput = mirredOutput.extend({ mirred_action: z.literal('redirect') })

/** A policer, whatever it does. */
const policerOutput = z.object({ kind: z.literal('police') })

/** One that spanplan has written, at a place with this many uncounted bytes. */
const limitOutput = policerOutput.extend({
  exceed_action: z.object({ type: z.literal(overLimit) }),
  control_action: z.object({ type: z.literal(belowLimit) }),
  overhead: z.number(),
  cookie: z.string().transform(readLimitCookie),
  ref: z.literal(1),
  bind: z.literal(1)
})

const bytecodeOutput = z.object({
  insns: z.array(z.object({ code: z.number(), jt: z.number(), jf: z.number(), k: z.number() }))
})

const hexadecimal = z
  .string()
  .regex(/^[0-9a-f]{1,8}$/)
  .transform((digits) => Number.parseInt(digits, 16))

/** `offmask` is empty if the offset is a number, and not read from the packet. */
const keyOutput = z
  .strictObject({ value: hexadecimal, mask: hexadecimal, offmask: z.literal(''), off: z.number().int() })
  .transform(({ off, value, mask }): U32Key => ({ offset: off, value, mask }))

/** tc prints a range of ports as an object. */
const flowerOutput = z.record(z.string(), z.union([z.string(), z.number()])).default({})

/** The state of a filter in the hardware, which is not part of its configuration. */
const stateOptions = ['not_in_hw', 'in_hw', 'in_hw_count']

/** Whether the hardware or the kernel filters. */
const hardwareOptions = ['skip_hw', 'skip_sw']

/** The options of each kind of filter that spanplan knows. Any other option may change the meaning of the filter. */
const optionsOf: Readonly<Record<string, readonly string[]>> = {
  bpf: ['handle', 'flowid', 'direct-action', 'bytecode', 'actions'],
  matchall: ['handle', 'flowid', 'actions'],
  u32: ['fh', 'order', 'key_ht', 'bkt', 'flowid', 'match', 'actions'],
  flower: ['handle', 'classid', 'keys', 'actions']
}

const actionOptions: ReadonlySet<string> = new Set([
  ...['order', 'kind', 'mirred_action', 'direction', 'to_dev', 'control_action', 'index', 'ref', 'bind', 'cookie'],
  ...[...stateOptions, 'used_hw_stats']
])

type Options = NonNullable<Row['options']>

/** Parses `tc -json filter show` of a place; leaves out the summary row of each preference. */
export function parseFilters<Place extends HookPlace | ClassPlace>(
  place: Place,
  document: unknown,
  roots: readonly Root[] = []
): (TcFilter & Place)[] {
  const rows = parseRows(document)
  const tables = rows.filter(isTable)
  const local = roots.filter((root) => root.place.device === place.device && qdiscOf(root.place) === qdiscOf(place))
  return rows.flatMap((row) => {
    const { options, ...key } = row
    if (options === undefined) return []
    const [only, ...others] = tables.filter((table) => isSamePref(table, row))
    const own = local.find((root) => isSamePref(root, row) && isDeepStrictEqual(root.place, place))
    const root = others.length === 0 ? only?.options?.fh : own?.table
    const table = tableOf(options)
    const isOfAnotherParent = local.some((one) => one.table === table && one !== own)
    // A root table is no filter.
    if (table !== null && (isOfAnotherParent || (table === root && isTable(row)))) return []
    return [{ ...place, ...key, ...parseOptions(place, row.kind, options, table !== null && table === root) }]
  })
}

/** The handle of the queueing discipline that a place is in. */
function qdiscOf(place: HookPlace | ClassPlace): string {
  return 'parent' in place ? place.parent : clsactHandle
}

function parseOptions(
  place: HookPlace | ClassPlace,
  kind: string,
  options: Options,
  inRoot: boolean
): Omit<TcFilter, keyof Row> {
  const all = Array.isArray(options.actions) ? options.actions : []
  const limit = all.length === 2 ? parseLimit(all[0], place) : null
  // What is limited is a mirror, and the policer is a part of it.
  const actions = limit === null ? all : all.slice(1)
  const mirrors = actions.flatMap((action) => parseMirror(action) ?? [])
  const copies = mirrors.map(({ mirror }) => (limit === null ? mirror : { ...mirror, limit }))
  const redirects = actions.flatMap((action) => redirectOutput.safeParse(action).data?.to_dev ?? [])
  const known = [...stateOptions, ...hardwareOptions, ...(optionsOf[kind] ?? [])]
  const hasUnknown =
    optionsOf[kind] === undefined ||
    !Array.isArray(options.actions ?? []) ||
    Object.keys(options).some((option) => !known.includes(option))
  const hasHardware = hardwareOptions.some((option) => option in options)
  const bytecode = bytecodeOutput.safeParse(options.bytecode)
  // As tc's argument has it.
  const words = bytecode.data?.insns.map(({ code, jt, jf, k }) => `${code} ${jt} ${jf} ${k}`)
  const program = words === undefined ? null : [words.length, ...words].join(',')
  const classId = options.flowid ?? options.classid
  return {
    handle: parseHandle(kind, options),
    classId: typeof classId === 'string' ? classId : null,
    program,
    directAction: options['direct-action'] === true,
    selects: hasUnknown ? { kind: 'unknown' } : parseSelection(kind, options, program, inRoot),
    copies,
    ...(redirects.length > 0 && { redirects }),
    others:
      hasUnknown ||
      hasHardware ||
      limit === 'unknown' ||
      mirrors.length < actions.length ||
      !mirrors.every(({ plain }) => plain),
    mirror: actions.length === 1 ? (copies[0] ?? null) : null
  }
}

/** A filter's handle as the kernel's number. */
function parseHandle(kind: string, { handle, fh }: Options): number | null {
  if (typeof handle === 'number') return handle
  if (kind === 'bpf' && typeof handle === 'string') return Number(handle)
  return typeof fh === 'string' ? parseU32Handle(fh) : null
}

function parseSelection(kind: string, options: Options, program: Program | null, inRoot: boolean): Selection {
  switch (kind) {
    case 'bpf':
      return program === null ? { kind: 'unknown' } : { kind: 'bpf' }
    case 'matchall':
      return { kind: 'matchall' }
    case 'u32': {
      // A frame reaches another table only through a link of the root table.
      const keys = inRoot ? z.array(keyOutput).default([]).safeParse(options.match) : undefined
      return keys?.success ? { kind: 'u32', keys: keys.data } : { kind: 'unknown' }
    }
    case 'flower': {
      const keys = flowerOutput.safeParse(options.keys)
      const plain = keys.success && Object.keys(keys.data).every((key) => flowerKeys.has(key))
      return plain ? { kind: 'flower', keys: keys.data } : { kind: 'unknown' }
    }
    default:
      return { kind: 'unknown' }
  }
}

/** The limit that a policer sets to the mirror behind it; `unknown`: spanplan has not written it so; null: it is no policer. */
function parseLimit(action: unknown, place: HookPlace | ClassPlace): number | 'unknown' | null {
  if (!policerOutput.safeParse(action).success) return null
  const { overhead, cookie = null } = limitOutput.safeParse(action).data ?? {}
  return cookie === null || overhead !== uncountedBytes(place) ? 'unknown' : cookie
}

/** `plain`: writing the action again loses nothing, and no other filter shares the action. */
function parseMirror(action: unknown): { readonly mirror: MirrorAction; readonly plain: boolean } | null {
  const mirred = mirredOutput.safeParse(action)
  if (!mirred.success) return null
  const { to_dev, control_action, cookie, ref, bind } = mirred.data
  const isUnshared = ref === 1 && bind === 1
  const plain = controls.has(control_action.type) && Object.keys(mirred.data).every((key) => actionOptions.has(key))
  return {
    mirror: { target: to_dev, control: control_action.type, cookie: cookie ?? null },
    plain: isUnshared && plain
  }
}
