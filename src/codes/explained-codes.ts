import { hostErrors } from './explanations/host-errors.ts'
import type { MessageText } from './explanations/message-text.ts'
import { problems } from './explanations/problems.ts'
import { runErrors } from './explanations/run-errors.ts'
import { specErrors } from './explanations/spec-errors.ts'
import { waits } from './explanations/waits.ts'
import { warnings } from './explanations/warnings.ts'

const texts = {
  error: { ...specErrors, ...hostErrors, ...runErrors },
  warning: warnings,
  wait: waits,
  problem: problems
}

type Codes = { [Kind in keyof typeof texts]: keyof (typeof texts)[Kind] }

/** A code of an error, a warning, a wait or a problem. */
export type Code = Codes[keyof Codes]

/** A code of a wait. */
export type WaitCode = Codes['wait']

/** One code of a message: for `spanplan help CODE`, for docs/reference/messages.md, and for the compiler. */
export interface Message extends MessageText {
  readonly code: string
  readonly kind: string
}

/**
 * Every code. Codes are stable: programs compare them. A message says what is wrong in one case; these texts say what its code
 * means in all of them.
 */
export const messages = Object.entries(texts).flatMap(([kind, ofKind]) =>
  Object.entries<MessageText>(ofKind).map(([code, text]): Message => ({ code, kind, ...text }))
)
