/** Programs that tell how spanplan calls them, or fail on demand, in front of the real ones. */
import { chmod, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findProgram, labEnvironment } from './lab/programs.ts'
import type { Lab, SpanplanOptions } from './lab.ts'

const programs = ['ip', 'tc', 'bridge', 'ethtool', 'sysctl', 'tcpdump'] as const

type Program = (typeof programs)[number]

interface Wrapped {
  /** For spanplan, so that it meets these programs. */
  readonly options: SpanplanOptions
  /** How each program was called, then what it read. */
  calls(): Promise<string[]>
}

/** Puts a script before each program: what it prints is not seen, and where it ends with 1, the program is not run. */
export async function wrapPrograms(lab: Lab, scripts: Partial<Record<Program, string>> = {}): Promise<Wrapped> {
  const folder = await mkdtemp(join(lab.files, 'bin-'))
  const log = join(folder, 'calls')
  await writeFile(log, '')
  for (const program of programs) {
    const file = join(folder, program)
    await writeFile(file, wrapper(program, log, scripts[program] ?? ''))
    await chmod(file, 0o755)
  }
  const { PATH } = labEnvironment(lab.name)
  return {
    options: { env: { PATH: `${folder}:${PATH}` } },
    calls: async () => (await readFile(log, 'utf8')).split('\n').filter((line) => line !== '')
  }
}

function wrapper(program: Program, log: string, script: string): string {
  return `#!/bin/sh
input=$(cat)
printf '%s\\n' "${program} $*" "$input" >>${log}
${script}
printf '%s\\n' "$input" | ${findProgram(program)} "$@"
`
}

/** Fails as iproute2 does at the first line of a batch, if that is one that matches; changes nothing. */
export function failingBatch(pattern: string): string {
  return `case "$*\n$input" in *-json*) ;; *-batch*${pattern}*)
  echo 'RTNETLINK answers: made up' >&2; echo 'Command failed -:1' >&2; exit 1 ;; esac`
}
