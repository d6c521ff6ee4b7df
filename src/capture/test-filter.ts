import { hearAll } from '../host/traffic/listen.ts'
import { readCapture } from '../host/traffic/read-capture.ts'
import { countKinds, judgedBytes } from '../host/traffic/tally-kinds.ts'
import { judgeBy, seenByTc } from '../resources/programs/run-program.ts'
import type { FilterReport } from './filter-report.ts'

/** What to hear, and what to judge it by. */
export interface FilterTest {
  readonly name: string
  /** The bridge of a span. */
  readonly isBridge: boolean
  /** What the filter compiles to. */
  readonly program: string
}

/** KiB: every frame counts. */
const bufferSize = 65_536

/**
 * Hears every frame on an interface for a time, and judges each by the program that tc would get. Both see the same frames, so that the
 * shares are right also where some are missed.
 *
 * @returns what was counted; or why tcpdump could not listen.
 * @throws SpanplanError PROGRAM_MISSING.
 */
export async function testFilter(
  { name, isBridge, program }: FilterTest,
  milliseconds: number,
  signal: AbortSignal
): Promise<Omit<FilterReport, 'expression' | 'on'> | { readonly failure: string }> {
  const counter = countKinds()
  const judge = judgeBy(program)
  const reader = readCapture(judgedBytes, (frame, size) => {
    counter.count(frame, size, judge(seenByTc(frame, size)))
    return true
  })
  // Nothing comes to a bridge that is in promiscuous mode but what it hands on anyway.
  const place = { name, isPromiscuous: !isBridge, bytes: judgedBytes, bufferSize }
  const heard = await hearAll(place, milliseconds, reader.push, signal)
  if ('failure' in heard) return reader.isSound() || reader.isEmpty() ? heard : notEthernet
  return reader.isSound() ? { ...heard, tally: counter.tally() } : notEthernet
}

const notEthernet = { failure: 'what it carries are no Ethernet frames' } as const
