import { Exit, SpanplanError } from '../../errors.ts'
import { printable } from '../../printable.ts'

/** From the command line; what is not given is taken from the environment. */
export interface HookSelection {
  readonly interface?: string
  readonly phase?: string
  readonly file: readonly string[]
}

/** What a hook is called for. */
export interface HookEvent {
  /** The interface; ifupdown's `--all` is every one. */
  readonly name: string
  readonly direction: 'up' | 'down'
  /** The files and folders to read. */
  readonly file: readonly string[]
}

/** ifupdown's $IFACE after `ifup -a` and before `ifdown -a`, which also call the hook for each interface. */
export const everyInterface = '--all'

/** The folder that the service and hooks read. The current folder is no default of a hook: ifupdown chooses that. */
export const serviceFolder = '/etc/spanplan'

/**
 * The phases of ifupdown, ifupdown2, ifupdown-ng and NetworkManager, and ifupdown's modes. null: there is nothing to do yet.
 */
const phases: ReadonlyMap<string, HookEvent['direction'] | null> = new Map([
  ...['depend', 'create', 'pre-up', 'destroy'].map((phase) => [phase, null] as const),
  ...['up', 'post-up', 'start'].map((phase) => [phase, 'up'] as const),
  ...['down', 'pre-down', 'post-down', 'stop'].map((phase) => [phase, 'down'] as const)
])

/** The name of the interface; empty if it is not given. */
export function hookInterface({ interface: name }: HookSelection): string {
  return name ?? process.env.IFACE ?? ''
}

/**
 * Reads what a hook is called for; null: there is nothing to do.
 *
 * @throws SpanplanError HOOK_UNCLEAR.
 */
export function readHookEvent(selection: HookSelection): HookEvent | null {
  const direction = readPhase(selection.phase)
  if (direction === null) return null
  const name = hookInterface(selection)
  if (name === '') throw hookUnclear('the name of the interface is not given', 'use --interface NAME, or set $IFACE')
  // The hook is called for each interface that goes down. The spans of the others stay as they are.
  if (name === everyInterface && direction === 'down') return null
  const file = selection.file.length > 0 ? selection.file : [process.env.SPANPLAN_FILE || serviceFolder]
  return { name, direction, file }
}

function readPhase(option?: string): HookEvent['direction'] | null {
  const { PHASE, MODE } = process.env
  const phase = option || PHASE || MODE || ''
  const direction = phases.get(phase)
  if (direction !== undefined) return direction
  const message =
    phase === ''
      ? 'whether the interface goes up or down is not given'
      : `"${printable(phase)}" is not a phase of a hook`
  throw hookUnclear(message, `use --phase up or --phase down, or set $PHASE as ifupdown does`)
}

function hookUnclear(message: string, hint: string): SpanplanError {
  return new SpanplanError({ code: 'HOOK_UNCLEAR', message, hint }, Exit.usage)
}
