/** Programs that tell how spanplan calls them, or fail on demand, in front of the real ones. */
import { chmod, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Lab, SpanplanOptions } from '../lab.ts'
import { findProgram, labEnvironment } from '../programs.ts'

const programs = ['ip', 'tc', 'bridge', 'ethtool', 'sysctl', 'tcpdump', 'bpftool', 'nft', 'perl'] as const

type Program = (typeof programs)[number]

interface Wrapped {
  /** For spanplan, so that it meets these programs. */
  readonly options: SpanplanOptions
  /** How each program was called, and what it read. */
  calls(): Promise<string[]>
  /** How many calls that were. */
  count(): Promise<number>
}

/** Puts a script before each program: what it prints is not seen, and where it ends with 1, the program is not run. */
export async function wrapPrograms(lab: Lab, scripts: Partial<Record<Program, string>> = {}): Promise<Wrapped> {
  const folder = await mkdtemp(join(lab.files, 'bin-'))
  // Some programs run as another user.
  await chmod(folder, 0o755)
  const log = join(folder, 'calls')
  await writeFile(log, '')
  for (const program of programs) {
    const file = join(folder, program)
    await writeFile(file, wrapper(program, log, scripts[program] ?? ''))
    await chmod(file, 0o755)
  }
  const { PATH } = labEnvironment(lab.name)
  const calls = async () => (await readFile(log, 'utf8')).split('\n').filter((line) => line !== '')
  return {
    options: { env: { PATH: `${folder}:${PATH}` } },
    calls,
    count: async () => (await calls()).filter((line) => line.startsWith('$ ')).length
  }
}

/** Of a program that stays, each question is a call: it ends with a line that no program knows. The lines before it are counted. */
function wrapper(program: Program, log: string, script: string): string {
  // The one that takes the lock goes on, and answers line by line.
  const goesOn = program === 'perl' ? `case "$*" in *flock*) exec ${findProgram(program)} "$@" ;; esac\n` : ''
  return `#!/bin/sh
${goesOn}run() { ${findProgram(program)} "$@"; }
begin() {
printf '%s\\n' "$ ${program} $*" "$input" >>${log}
${script}
}
answer() {
  for _ in $(seq $before); do echo; done
  printf '%s\\n' "$@"
}
case " $* " in
*" -force -batch - "* | *" -i ")
  before=0 lines=0 input=
  while IFS= read -r line; do
    case $line in
    fence-*)
      begin "$@"
      answer "$input" "$line" | run "$@"
      before=$((before + lines + 1)) lines=0 input= ;;
    *)
      lines=$((lines + 1))
      input="$input\${input:+
}$line" ;;
    esac
  done
  [ "$input" ] || exit 0
  begin "$@"
  answer "$input" | run "$@"
  exit ;;
*" monitor "* | *" --monitor ")
  input=
  begin "$@"
  # Whoever ends a monitor ends this process.
  exec ${findProgram(program)} "$@" ;;
esac
input=$(cat)
begin "$@"
printf '%s\\n' "$input" | run "$@"
`
}

/** What prints JSON, what ethtool shows, the compiler of filters, versions and the lock change nothing of the network. */
export function isReading(call: string): boolean {
  const command = call.replace(/^\$ /, '')
  return (
    / --?json /.test(command) ||
    /^(ethtool (-[kgi] )?[^-]|tcpdump (.*-ddd |--version$)|bpftool -j |nft -j list |nft -c |flock |perl -(T -)?e )/.test(
      command
    )
  )
}

/** Fails as iproute2 does at the first line of a batch that the pattern matches; what stands before is done. */
export function failAt(pattern: string): string {
  return `case "$*" in
*-json*) ;;
*-batch*)
  line=$(printf '%s\\n' "$input" | grep -n -m 1 -e '${pattern}' | cut -d : -f 1)
  if [ -n "$line" ]; then
    printf '%s\\n' "$input" | head -n $((line - 1)) | run "$@" || exit
    echo 'RTNETLINK answers: made up' >&2
    echo "Command failed -:$line" >&2
    exit 1
  fi
  ;;
esac`
}
