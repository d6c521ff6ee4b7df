import { option } from './quote-command.ts'
import type { ClassFilter, Filter, HookPlace, MirrorAction, Program, TcFilter, TcHook } from './snapshot.ts'
import { dropProgram, mirrorPref, nodeOf, writeKey, writeU32Handle } from './tc-conventions.ts'

/** tc's arguments that add a mirror, or change the one that is there. */
export function writeMirror(
  mirror: HookPlace & {
    readonly handle: number
    readonly program: Program
    /** Default: `all`. */
    readonly protocol?: string
    readonly directAction?: boolean
    readonly target: string
    readonly cookie: string
    /** Default: none. */
    readonly classId?: string
  }
): string[] {
  const { device, tcHook, handle, protocol = 'all', target, cookie } = mirror
  return [
    ...writeKey('replace', { device, tcHook, protocol, pref: mirrorPref, kind: 'bpf' }, hexadecimal(handle)),
    ...(mirror.directAction === true ? ['da'] : []),
    ...option('classid', mirror.classId),
    ...['bytecode', mirror.program],
    // mirred's own default, "pipe", ends classification: a second mirror would see nothing.
    ...writeAction({ target, control: 'continue', cookie })
  ]
}

/** tc's arguments for a filter of spanplan's whose program drops every frame at a hook, or passes it. */
export function writeDirectAction(
  { device, tcHook }: HookPlace,
  pref: number,
  handle: number,
  program: Program = dropProgram,
  classId?: string
): string[] {
  const key = { device, tcHook, protocol: 'all', pref, kind: 'bpf' }
  return [
    ...writeKey('replace', key, hexadecimal(handle)),
    ...['da', ...option('classid', classId), 'bytecode', program]
  ]
}

/** tc's arguments that delete one of spanplan's filters. */
export function deleteFilter(device: string, tcHook: TcHook, pref: number, handle: number): string[] {
  return writeKey('del', { device, tcHook, pref, kind: 'bpf' }, hexadecimal(handle))
}

/**
 * tc's arguments that add a filter again as it was read, whoever made it. The kernel chooses the table of a u32 filter, and
 * may choose another one.
 *
 * @returns null: the filter was not parsed completely, or the target of a mirror is gone.
 */
export function writeFilter(filter: Filter | ClassFilter): string[] | null {
  const selection = writeSelection(filter)
  const unwritable = filter.copies.some(
    // tc gives an action without a cookie that of the action before (tc/m_action.c).
    ({ target, cookie }, index) =>
      target === '*' || (cookie === null && (filter.copies[index - 1]?.cookie ?? null) !== null)
  )
  if (selection === null || filter.handle === null || filter.others || unwritable) return null
  const handle = filter.kind === 'u32' ? nodeOf(filter.handle) : filter.handle
  return [
    ...writeKey('add', filter, hexadecimal(handle)),
    ...selection,
    ...option('classid', filter.classId),
    ...filter.copies.flatMap(writeAction)
  ]
}

/** tc's arguments that delete a filter, whoever made it; null: the filter has no handle. */
export function removeFilter(filter: Filter | ClassFilter): string[] | null {
  const handle = writeHandle(filter)
  return handle === null ? null : writeKey('del', filter, handle)
}

/** A filter's handle as tc reads it; null: the filter has none. */
export function writeHandle({ kind, handle }: TcFilter): string | null {
  if (handle === null) return null
  return kind === 'u32' ? writeU32Handle(handle) : hexadecimal(handle)
}

function hexadecimal(handle: number): string {
  return `0x${handle.toString(16)}`
}

function writeSelection({ selects, program, directAction }: TcFilter): string[] | null {
  switch (selects.kind) {
    case 'bpf':
      return program === null ? null : [...(directAction ? ['da'] : []), 'bytecode', program]
    case 'matchall':
      return []
    case 'u32':
      return selects.keys.flatMap(({ offset, value, mask }) => [
        ...['match', 'u32', `0x${value.toString(16)}`, `0x${mask.toString(16)}`, 'at', String(offset)]
      ])
    case 'flower':
      return Object.entries(selects.keys).flatMap(([key, value]) => (key === 'eth_type' ? [] : [key, String(value)]))
    case 'unknown':
      return null
  }
}

function writeAction({ target, control, cookie }: MirrorAction): string[] {
  return ['action', 'mirred', 'egress', 'mirror', 'dev', target, control, ...option('cookie', cookie)]
}
