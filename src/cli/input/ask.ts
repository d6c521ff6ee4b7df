/**
 * Asks a person on the terminal, again until the answer is clear.
 *
 * @param read gives what an answer means; undefined: it is not clear.
 * @param signal withdraws the question.
 * @returns null: the terminal has gone, or the question was withdrawn.
 */
export async function ask<Answer extends string | object>(
  question: string,
  read: (answer: string) => Answer | undefined,
  signal?: AbortSignal
): Promise<Answer | null> {
  const { createInterface } = await import('node:readline/promises')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  // readline reads ^C before the terminal makes a signal of it.
  terminal.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  // readline passes on the errors of a terminal that has gone.
  terminal.on('error', () => undefined)
  const gone = new Promise<null>((resolve) => terminal.once('close', () => resolve(null)))
  try {
    for (;;) {
      const answer = await Promise.race([terminal.question(`${question} `, signal ? { signal } : {}), gone])
      const meaning = answer === null ? null : read(answer.trim())
      if (meaning !== undefined) return meaning
    }
  } catch {
    return null
  } finally {
    terminal.close()
  }
}
