import type { Argv } from '../host/exec.ts'
import { indexDesired } from '../resources/desired-state.ts'
import type { ObservedState, Step } from '../resources/kind.ts'
import { mirror } from '../resources/kinds/mirror.ts'
import { readMarks } from '../resources/read-marks.ts'

/** The commands that feed the bridge of a span for a capture, if mirrors feed all of its receivers. */
export interface BridgeFeed {
  readonly add: readonly Argv[]
  readonly remove: readonly Argv[]
}

/** Adds and removes the mirrors into the bridge of a span. They are those that a plan has for a span with a port that the bridge feeds. */
export function feedBridge({ desired, host }: ObservedState, span: string): BridgeFeed {
  const spans = desired.spans.map((one) => (one.name === span ? { ...one, feedsBridge: true } : one))
  const fed = indexDesired({ ...desired, spans })
  const mirrors = mirror.desire({ desired: fed, host, marks: readMarks(fed, host) }, [])
  const ofBridge = mirrors.filter(({ target }) => target === span)
  const commands = (steps: readonly Step[]) => steps.flatMap((step) => ('argv' in step ? [step.argv] : []))
  return {
    add: commands(ofBridge.flatMap((one) => mirror.create?.(one) ?? [])),
    remove: commands(ofBridge.flatMap((one) => mirror.remove?.(one) ?? []))
  }
}
