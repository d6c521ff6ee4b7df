import { type Argv, type Output, run } from './exec.ts'

/** A program that reads the host, and its stdin. */
export interface Reading {
  readonly argv: Argv
  readonly input: string
}

/** A reading by a program that has no stdin. */
export const alone = (...argv: Argv): Reading => ({ argv, input: '' })

/** A reading by a program of iproute2, with a command a line. With -force, the program goes on after a command that fails. */
export const batch = (program: Argv, lines: readonly string[]): Reading => ({
  argv: [...program, '-force', '-batch', '-'],
  input: lines.map((line) => `${line}\n`).join('')
})

/** The readings with which each look at the host begins: they depend on nothing. */
export const readings = {
  links: batch(['ip', '-json', '-details'], ['link show', 'addr show']),
  forwarding: alone('bridge', '-json', 'fdb', 'show'),
  offloads: alone('ethtool', '--json', '-k', '*'),
  qdiscs: alone('tc', '-json', 'qdisc', 'show'),
  /** All tables of the family that spanplan's are of, with what is in them. */
  tables: alone('nft', '-j', 'list', 'ruleset', 'bridge'),
  programs: alone('bpftool', '-j', 'prog', 'show')
} as const satisfies Readonly<Record<string, Reading>>

const ahead = new Map<Reading, Promise<Output>>()
let cancel = new AbortController()

/** Starts all readings. A command whose file is still to be read and parsed has them run meanwhile. */
export function readAhead(): void {
  cancel = new AbortController()
  for (const reading of Object.values(readings)) {
    const output = run(reading.argv, reading.input, { cancel: cancel.signal })
    // Whoever takes the reading learns of it.
    output.catch(() => undefined)
    ahead.set(reading, output)
  }
}

/** Ends the readings that nobody has taken. */
export function endReadAhead(): void {
  ahead.clear()
  cancel.abort()
}

/**
 * The output of a reading: of the one that was started ahead, once; else of a new one.
 *
 * @throws SpanplanError PROGRAM_MISSING, PROGRAM_HANGS or OUTPUT_TOO_LONG.
 */
export function read(reading: Reading): Promise<Output> {
  const output = ahead.get(reading)
  ahead.delete(reading)
  return output ?? run(reading.argv, reading.input)
}
