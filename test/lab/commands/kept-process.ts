/** spanplan in a lab, as often as wanted, without starting Node each time. */
import { createInterface } from 'node:readline'
import type { Lab, Outcome } from '../lab.ts'

interface RunOutcome extends Outcome {
  /** The programs that it called. */
  readonly calls: readonly string[]
}

/** The same program as bin/spanplan.js starts, in a process that ends with the lab. */
export class Spanplan {
  readonly #process: ReturnType<Lab['start']>
  readonly #lines: AsyncIterator<string>

  constructor(lab: Lab) {
    this.#process = lab.start([process.execPath, 'test/lab/commands/kept-process.cjs'])
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]()
  }

  /** One run at a time. */
  async run(args: readonly string[]): Promise<RunOutcome> {
    this.#process.stdin.write(`${JSON.stringify(args)}\n`)
    const answer = await this.#lines.next()
    if (answer.done) throw new Error(`spanplan ${args.join(' ')} ended its process`, { cause: await this.#process })
    return JSON.parse(answer.value)
  }
}
