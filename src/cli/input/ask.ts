import { createInterface } from 'node:readline/promises'

/** What a person answered; `silence`: the terminal has gone, or the question was withdrawn. */
export type Reply = 'yes' | 'no' | 'silence'

/**
 * Asks a person on the terminal, again until the answer is clear.
 *
 * @param signal withdraws the question.
 * @param byDefault the reply for any unclear answer; without it, the question is asked again.
 */
export async function ask(question: string, signal: AbortSignal, byDefault?: Reply): Promise<Reply> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  // readline reads ^C before the terminal makes a signal of it.
  terminal.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  // readline passes on the errors of a terminal that has gone.
  terminal.on('error', () => undefined)
  const gone = new Promise<null>((resolve) => terminal.once('close', () => resolve(null)))
  const options = byDefault === undefined ? '[y/n]' : '[y/N]'
  try {
    for (;;) {
      const answer = await Promise.race([terminal.question(`${question} ${options} `, { signal }), gone])
      if (answer === null) return 'silence'
      if (/^y(es)?$/i.test(answer.trim())) return 'yes'
      if (/^no?$/i.test(answer.trim())) return 'no'
      if (byDefault !== undefined) return byDefault
    }
  } catch {
    return 'silence'
  } finally {
    terminal.close()
  }
}
