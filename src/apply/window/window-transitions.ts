/**
 * A window: the time in which an apply that is done can be confirmed, or is rolled back. Here is where it stands, what each event
 * makes of that, how it ends, and which exit status that gives. Nothing here reads or writes.
 */
import * as z from 'zod'
import type { Code } from '../../codes/explained-codes.ts'
import { asForeseen, type Diagnostic, diagnostic, diagnosticOf, Exit, type ExitCode } from '../../errors.ts'
import { printable } from '../../printable.ts'
import type { Installation } from '../install-file.ts'

/** What a person decides on an apply that waits for confirmation. */
export type Decision = 'confirm' | 'rollback'

/** How a window has ended, for its record, and for the process that has sent a decision. */
export const endSchema = z.object({
  /** Whether the changes stay; else they were rolled back. */
  confirmed: z.boolean(),
  message: z.string(),
  /** What went wrong; left out where nothing did. A newer spanplan may have written a code that this one does not know. */
  code: z.custom<Code>((value) => typeof value === 'string').optional(),
  /** The file that was installed. */
  installed: z.string().optional()
})

export type WindowEnd = z.infer<typeof endSchema>

/** The phases of a window that has not ended, as they are recorded. */
export const openPhases = ['applying', 'open', 'held', 'confirmed'] as const

type OpenPhase = (typeof openPhases)[number]

/**
 * Where a window stands. `applying`: the apply has not ended. `open`: the apply has left the window to a unit. `held`: the unit, or
 * the apply itself, waits for a decision. `confirmed`: somebody has confirmed, and the file is to be installed. `rejected`: the
 * apply is to be rolled back.
 */
export type WindowState =
  | { readonly phase: OpenPhase }
  | { readonly phase: 'rejected'; readonly reason: Diagnostic }
  | { readonly phase: 'ended'; readonly end: WindowEnd }

/**
 * What happens to a window. `applied`: the apply is done. `held`: the unit begins to wait. `expired`, `interrupted`: nobody has
 * decided until then. `killed`: the process that had the window was. `superseded`: another apply has changed the host since.
 */
type Occasion = Decision | 'applied' | 'held' | 'expired' | 'interrupted' | 'killed' | 'superseded'

/** An occasion; or how the apply ended: its file is installed, if it has one; cannot be; or something else has failed. */
export type WindowEvent =
  | Occasion
  | { readonly installed: Installed | null }
  | { readonly uninstallable: unknown }
  | { readonly failed: unknown }

type Installed = Pick<Installation, 'path'>

const rejected = (message: string): WindowState => ({
  phase: 'rejected',
  reason: diagnostic('NOT_CONFIRMED', message)
})

const superseded: WindowState = {
  phase: 'ended',
  end: {
    confirmed: false,
    message: 'it was not rolled back: its unit was killed, and another apply has changed the host',
    code: 'ROLLBACK_PARTIAL'
  }
}

/** What ends the wait for a confirmation. */
const unconfirmed = {
  rollback: rejected('rollback requested'),
  expired: rejected('not confirmed in time'),
  interrupted: rejected('interrupted before it was confirmed'),
  killed: rejected('the unit of the window was killed'),
  superseded
}

const transitions: Readonly<Record<OpenPhase, Partial<Readonly<Record<Occasion, WindowState>>>>> = {
  applying: { ...unconfirmed, applied: { phase: 'open' }, killed: rejected('the apply was killed') },
  open: { ...unconfirmed, held: { phase: 'held' } },
  held: { ...unconfirmed, confirm: { phase: 'confirmed' } },
  confirmed: { superseded }
}

/** The state after an event. An event that means nothing to a state changes nothing. */
export function next(state: WindowState, event: WindowEvent): WindowState {
  if (state.phase === 'ended') return state
  if (typeof event === 'string') return state.phase === 'rejected' ? state : (transitions[state.phase][event] ?? state)
  if ('installed' in event) return { phase: 'ended', end: confirmedEnd(event.installed) }
  if ('failed' in event) return { phase: 'ended', end: failedEnd(event.failed) }
  return { phase: 'rejected', reason: diagnosticOf(event.uninstallable) }
}

/** The end of a window that was confirmed. */
export function confirmedEnd(installed: Installed | null): WindowEnd {
  const message = 'Confirmed: the changes stay.'
  if (installed === null) return { confirmed: true, message }
  const { path } = installed
  return { confirmed: true, message: `${message} ${printable(path)} is installed.`, installed: path }
}

/** The codes of an apply that may not be rolled back completely, each with its exit status. */
const incomplete: readonly (readonly [Code, ExitCode])[] = [
  ['ROLLBACK_PARTIAL', Exit.partial],
  ['BUG', Exit.bug]
]

/** The end of a window by an error: that of its apply, or of the rollback. */
export function failedEnd(error: unknown): WindowEnd {
  const { code, message } = diagnosticOf(error)
  const { exit } = asForeseen(error)
  const [worse] = incomplete.find(([, status]) => status === exit) ?? []
  const wrong = worse ?? (code === 'NOT_CONFIRMED' ? undefined : code)
  return { confirmed: false, message, ...(wrong !== undefined && { code: wrong }) }
}

/** The exit status of who waits for a window, by how it has ended. */
export function exitOfEnd({ confirmed, code }: WindowEnd): ExitCode {
  if (confirmed) return Exit.done
  return incomplete.find(([known]) => known === code)?.[1] ?? Exit.rolledBack
}
