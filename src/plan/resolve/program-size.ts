import { longestLimited, longestProgram } from '../../host/parsers/pcap.ts'
import type { Program } from '../../host/snapshot.ts'

/** The program of a mirror, and its limit, which takes room of the same message to the kernel. */
interface Sized {
  readonly program: Program
  readonly limit: number | null
}

/** What helps against a filter that is too large. */
export const tooLarge = 'use wider networks, or split it over several spans'

/** How much too long the program of a mirror is, as the end of a sentence; null: tc takes it. */
export function explainExcess({ program, limit }: Sized): string | null {
  const length = lengthOf(program)
  const [longest, beside] = limit === null ? [longestProgram, ''] : [longestLimited, ' beside a limit']
  return length <= longest ? null : `${length} instructions; tc accepts at most ${longest}${beside}`
}

/** The longest of these programs that tc does not take, with the words of {@link explainExcess}; null: tc takes all. */
export function findExcess(mirrors: readonly Sized[]): string | null {
  const inOrder = [...mirrors].sort((one, other) => lengthOf(other.program) - lengthOf(one.program))
  return inOrder.map(explainExcess).find((excess) => excess !== null) ?? null
}

const lengthOf = (program: Program) => Number.parseInt(program, 10)
