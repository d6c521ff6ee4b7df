import { hostErrors } from './help-texts/host-errors.ts'
import { problems } from './help-texts/problems.ts'
import { runErrors } from './help-texts/run-errors.ts'
import { specErrors } from './help-texts/spec-errors.ts'
import { usageErrors } from './help-texts/usage-errors.ts'
import { waits } from './help-texts/waits.ts'
import { warnings } from './help-texts/warnings.ts'

/** What a code means, in all of its messages, and what to do about it. */
type Explanation = readonly [means: string, todo: string]

const explanations = {
  error: { ...specErrors, ...hostErrors, ...runErrors, ...usageErrors },
  warning: warnings,
  wait: waits,
  problem: problems
} satisfies Readonly<Record<string, Readonly<Record<string, Explanation>>>>

type Codes = { [Kind in keyof typeof explanations]: keyof (typeof explanations)[Kind] }

/** A code of an error, a warning, a wait or a problem. */
export type Code = Codes[keyof Codes]

/** A code of a wait. */
export type WaitCode = Codes['wait']

/**
 * Every code, for `spanplan help CODE` and docs/reference/messages.md. Codes are stable: programs compare them. A message says what
 * is wrong in one case; these texts say what its code means in all of them.
 */
export const messages = Object.entries(explanations).flatMap(([kind, ofKind]) =>
  Object.entries<Explanation>(ofKind).map(([code, [means, todo]]) => ({ code, kind, means, todo }))
)
