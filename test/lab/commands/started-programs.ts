/** Which programs a process starts, as strace sees it. */
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Lab, SpanplanOptions } from '../lab.ts'

interface Trace {
  /** For spanplan, so that it is traced. Its process keeps its number. */
  readonly options: SpanplanOptions
  /**
   * What it, and all that it has started, have started so far, in order: the words of each, the program without its folder. What test/run
   * has in place of nft counts, and nft itself, which that starts, does not.
   */
  starts(): Promise<readonly (readonly string[])[]>
}

const traced = [
  '-D',
  '-f',
  '-qq',
  '--seccomp-bpf',
  '-e',
  'trace=execve',
  '-e',
  'signal=none',
  '-s',
  '4096',
  '-v'
] as const

/** A call that has begun: the number of its process, the file, the words, and what follows these. */
const begun = /^(\d+) +execve\("([^"]*)", \[(.*?)\], \[.*?(\] *<unfinished \.\.\.>|\]\) = -?\d+.*)$/
/** strace pads what follows to a column. */
const resumed = /^(\d+) +<\.\.\. execve resumed>\) += (-?\d+)/

/** Has a lab's spanplan traced. */
export function traceStarts(lab: Lab): Trace {
  const file = join(lab.files, 'starts')
  return {
    options: { through: ['strace', ...traced, '-o', file] },
    starts: async () => parseStarts(await readFile(file, 'utf8'))
  }
}

function parseStarts(text: string): string[][] {
  const starts: { words: string[]; failed: boolean }[] = []
  const unfinished = new Map<string, { failed: boolean }>()
  for (const line of text.split('\n')) {
    const [, pid, path = '', words = '', end = ''] = begun.exec(line) ?? []
    if (pid !== undefined) {
      // A script is started by its own path.
      const [, ...others] = JSON.parse(`[${words}]`)
      const start = { words: [basename(path), ...others], failed: end.includes('= -') }
      starts.push(start)
      if (end.includes('unfinished')) unfinished.set(pid, start)
      continue
    }
    const [, again = '', status] = resumed.exec(line) ?? []
    const start = unfinished.get(again)
    if (start && status?.startsWith('-')) start.failed = true
  }
  return starts
    .filter(({ words: [program = ''], failed }) => !failed && !program.endsWith('.real'))
    .map(({ words }) => words)
}
