import { randomUUID } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Argv, type Output, outputTooLong, start, within } from '../exec.ts'
import { decodeBytes, encodeBytes } from '../parsers/bytes.ts'
import type { RunLimits } from './run-limits.ts'

/** A program that reads commands from its stdin, a line each, and stays between them: `ip -force -batch -`, `nft -i`. */
export type KeptProgram = Awaited<ReturnType<typeof keepProgram>>

/** The limits of one answer. */
type AnswerLimits = Required<Pick<RunLimits, 'milliseconds' | 'bytes'>>

/** In /proc/PID/stat (proc_pid_stat(5)): a process that was stopped, or has ended; setpriv that has not become the program yet, and may fail to. */
const unable = /^\d+ \((?:setpriv\) |.*\) [TtZXx] )/s

/** What a command that has failed leaves: the number of its line (iproute2), or a sentence (nft). */
const failedLine = /^Command failed -:(\d+)$/gm
const failure = /^(Command failed -:|Error: )/m

/**
 * Starts a program that is kept.
 *
 * @param diesWithParent it is killed when this process ends, however that ends. Else it reads the end of its stdin then, and ends.
 * @throws SpanplanError PROGRAM_MISSING.
 */
export async function keepProgram(argv: Argv, diesWithParent: boolean) {
  const program = await start(diesWithParent ? ['setpriv', '--pdeathsig', 'KILL', '--', ...argv] : argv)
  // No program knows it as a command, so that the error for it ends an answer. Nobody can guess it.
  const fence = `fence-${randomUUID()}`
  const fenceError = fenceErrorOf(fence)
  let [stdout, stderr, size]: [Uint8Array[], string, number] = [[], '', 0]
  let lines = 0
  let hasEnded = false
  /** What it prints while nobody asks is no answer, and may have no end. */
  const endUnasked = () => {
    hasEnded = true
    clear()
    program.abandon()
  }
  let onOutput = endUnasked
  program.stdout?.on('data', (data: Uint8Array) => {
    stdout.push(data)
    size += data.length
    onOutput()
  })
  program.stderr?.on('data', (data: Buffer) => {
    stderr += data.toString('latin1')
    size += data.length
    onOutput()
  })
  // It has ended, which its status tells.
  program.stdin?.on('error', () => undefined)
  const status = program.status
    .catch(() => 1)
    .then((status) => {
      hasEnded = true
      return status
    })
  const clear = () => {
    ;[stdout, stderr, size] = [[], '', 0]
  }
  const read = (errors: string) => ({
    stdout: decodeBytes(Buffer.concat(stdout)),
    stderr: decodeBytes(Buffer.from(errors, 'latin1'))
  })
  program.hold(false)

  return {
    /** Whether it can be asked: it runs, as the program that it was started from, in the network namespace of this process. */
    isUsable: (): boolean => {
      if (hasEnded) return false
      try {
        const file = (name: string) => `/proc/${program.pid}/${name}`
        return (
          !unable.test(readFileSync(file('stat'), 'latin1')) &&
          // Another version was installed since.
          !readlinkSync(file('exe')).endsWith(' (deleted)') &&
          readlinkSync(file('ns/net')) === readlinkSync('/proc/self/ns/net')
        )
      } catch {
        return false
      }
    },
    /**
     * Has it carry out commands, one at a time: the caller waits for an answer before the next call.
     *
     * @returns what they print, as if the program had ended after them; null: it has ended before, or does not answer in time.
     * @throws SpanplanError OUTPUT_TOO_LONG. The program has to be ended then.
     */
    ask: async (commands: readonly string[], { milliseconds, bytes }: AnswerLimits): Promise<Output | null> => {
      clear()
      const linesBefore = lines
      lines += commands.length + 1
      program.hold(true)
      try {
        const answer = new Promise<'complete' | 'too long'>((resolve) => {
          onOutput = () => {
            if (size > bytes) resolve('too long')
            else if (fenceError.test(stderr.slice(-longestFence))) resolve('complete')
          }
        })
        program.stdin?.write(encodeBytes([...commands, fence].map((line) => `${line}\n`).join('')))
        const result = await within(milliseconds, Promise.race([answer, status.then(() => null)]))
        if (result === null) return null
        if (result === 'too long') throw outputTooLong(argv, bytes)
        // The program wrote all of stdout before the error for the fence. What is in that pipe by now, this process reads in its
        // next turn at the latest: libuv empties each pipe that poll(2) reports.
        await nextTurn()
        await nextTurn()
        const errors = stderr.replace(fenceError, '')
        const renumber = (_: string, line: string) => `Command failed -:${Number(line) - linesBefore}`
        const output = read(errors.replace(failedLine, renumber))
        return { ...output, status: failure.test(errors) ? 1 : 0 }
      } finally {
        onOutput = endUnasked
        clear()
        program.hold(false)
      }
    },
    /**
     * Has it carry out commands, and end.
     *
     * @returns null: it does not end in time, and was killed.
     * @throws SpanplanError OUTPUT_TOO_LONG.
     */
    finish: async (input: string, { milliseconds, bytes }: AnswerLimits): Promise<Output | null> => {
      program.hold(true)
      let isTooLong = false
      onOutput = () => {
        if (size <= bytes) return
        isTooLong = true
        program.abandon()
      }
      program.stdin?.end(encodeBytes(input))
      const ended = await within(milliseconds, status)
      if (isTooLong) throw outputTooLong(argv, bytes)
      if (ended === null) program.abandon()
      return ended === null ? null : { ...read(stderr), status: ended }
    },
    /** Ends it: it has nothing to do any more, or does not answer. */
    close: (): void => {
      if (hasEnded) return
      program.stdin?.destroy()
      // Where it is stopped or hangs, it does not read that.
      program.abandon()
    }
  }
}

/**
 * What a program says of the fence. iproute2: a line with it, and the number of its line. nft: a sentence, from 1.1.7 on what it expected
 * instead, a line with the fence, and one that points to it.
 */
export function fenceErrorOf(fence: string): RegExp {
  return new RegExp(`(?:^Error: .*\\n(?:expected .*\\n)?)?.*${fence}.*\\n.*\\n`, 'm')
}

/** Bytes of stderr in which the error for the fence is looked for. */
const longestFence = 1000
