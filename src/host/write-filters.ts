import type { TcHook } from '../spec/spec.ts'
import type { ClassFilter, Filter, MirrorAction, Program, TcFilter } from './snapshot.ts'
import { dropProgram, mirrorPref, nodeOf, sealPref, writeProtocol, writeU32Handle } from './tc-syntax.ts'

/** tc's arguments that add a mirror, or change the one that is there. */
export function writeMirror(mirror: {
  device: string
  tcHook: TcHook
  handle: number
  program: Program
  /** Default: `all`. */
  protocol?: string
  directAction?: boolean
  target: string
  cookie: string
}): string[] {
  const { target, cookie } = mirror
  return [
    ...writeOwnFilter('replace', mirror.device, mirror.tcHook, mirrorPref, mirror.handle, mirror.protocol ?? 'all'),
    ...(mirror.directAction === true ? ['da'] : []),
    ...['bytecode', mirror.program],
    // mirred's own default, "pipe", ends classification: a second mirror would see nothing.
    ...writeAction({ target, control: 'continue', cookie })
  ]
}

/** tc's arguments for spanplan's filter on a device that drops every frame that enters, or passes it. */
export function writeSeal(device: string, handle: number, program: Program = dropProgram, classId = ''): string[] {
  return [
    ...writeOwnFilter('replace', device, 'ingress', sealPref, handle, 'all'),
    ...['da', ...(classId === '' ? [] : ['classid', classId]), 'bytecode', program]
  ]
}

/** tc's arguments that delete one of spanplan's filters. */
export function deleteFilter(device: string, tcHook: TcHook, pref: number, handle: number): string[] {
  return writeOwnFilter('del', device, tcHook, pref, handle)
}

/** Without a protocol, tc deletes the filter of any protocol. */
function writeOwnFilter(
  verb: 'replace' | 'del',
  device: string,
  tcHook: TcHook,
  pref: number,
  handle: number,
  protocol?: string
): string[] {
  return [
    ...['filter', verb, 'dev', device, tcHook],
    ...(protocol === undefined ? [] : ['protocol', writeProtocol(protocol)]),
    ...['pref', String(pref), 'handle', `0x${handle.toString(16)}`, 'bpf']
  ]
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
    ...writePlace('add', filter, `0x${handle.toString(16)}`),
    ...selection,
    ...(filter.classId === null ? [] : ['classid', filter.classId]),
    ...filter.copies.flatMap(writeAction)
  ]
}

/** tc's arguments that delete a filter, whoever made it; null: the filter has no handle. */
export function removeFilter(filter: Filter | ClassFilter): string[] | null {
  const handle = writeHandle(filter)
  return handle === null ? null : writePlace('del', filter, handle)
}

/** A filter's handle as tc reads it; null: the filter has none. */
export function writeHandle({ kind, handle }: TcFilter): string | null {
  if (handle === null) return null
  return kind === 'u32' ? writeU32Handle(handle) : `0x${handle.toString(16)}`
}

function writePlace(verb: 'add' | 'del', filter: Filter | ClassFilter, handle: string): string[] {
  return [
    ...['filter', verb, 'dev', filter.device],
    ...('tcHook' in filter ? [filter.tcHook] : ['parent', filter.parent]),
    ...(filter.chain === 0 ? [] : ['chain', String(filter.chain)]),
    ...['protocol', writeProtocol(filter.protocol), 'pref', String(filter.pref), 'handle', handle, filter.kind]
  ]
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
  return [
    ...['action', 'mirred', 'egress', 'mirror', 'dev', target, control],
    ...(cookie === null ? [] : ['cookie', cookie])
  ]
}
