import { printable } from '../../printable.ts'
import { listFew, wrap, writeCount } from '../../text-lines.ts'
import type { TrafficVerdict } from '../judge-mirror.ts'

/** Sources that a sentence names, and columns of a line. */
const [fewSources, width] = [3, 80]

/** What was heard and is no warning, in lines for people. Nothing: warnings say all. */
export function writeVerdicts(verdicts: readonly TrafficVerdict[]): string {
  const sentences = verdicts.flatMap(({ span, sources, isWhole }) => {
    const frames = sources.reduce((sum, one) => sum + one.frames, 0)
    const names = listFew([...new Set(sources.map(({ name }) => printable(name)))], fewSources)
    const told = `span ${span}: ${writeCount(frames)} ${frames === 1 ? 'frame' : 'frames'} of ${names}`
    if (isWhole === null) return `${told}: too few to tell whether the traffic is whole.`
    return isWhole ? `${told} were looked at: before filters, the traffic is whole, as far as frames tell.` : []
  })
  return sentences.length === 0 ? '' : `\n${sentences.flatMap((sentence) => wrap(sentence, width)).join('\n')}\n`
}
