/** Programs that count the changes spanplan makes by them, and let one of these go wrong. */
import { chmod, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Lab } from '../lab.ts'
import { findProgram, labEnvironment } from '../programs.ts'

const tools = ['ip', 'tc', 'bridge', 'ethtool', 'sysctl'] as const

export type Tool = (typeof tools)[number]

/** What goes wrong with a program. */
export interface Mishap {
  readonly tool: Tool
  /** The n-th line that a tool is told to do, from 1, over all its batches in one run; a command of its own is a line. */
  readonly line: number
  readonly how: keyof typeof hows
  /** What goes, where something is deleted. */
  readonly device?: string
}

/** In sh; `done_before` does the lines before, `all` does them all. */
const hows = {
  /** Does what stands before, and fails as iproute2 does, once. */
  fail: 'done_before; refuse',
  /** The same, and so with every line that comes later. */
  'fail from there on': 'done_before; refuse',
  /** spanplan is killed half-way through the batch, and the batch with it. */
  'kill amid': 'done_before; kill -KILL $PPID; exit 1',
  /** spanplan is killed, and the batch is done all the same. */
  'kill before': 'kill -KILL $PPID; all "$@"',
  'kill after': 'all "$@"; kill -KILL $PPID',
  /** A device goes just before. */
  delete: `${findProgram('ip')} link del dev "$FAULT_DEVICE"; all "$@"`,
  INT: 'kill -INT $PPID; all "$@"',
  TERM: 'kill -TERM $PPID; all "$@"'
} as const

/** One process that changes something. */
export interface Call {
  readonly tool: Tool
  /** The number of its first line. */
  readonly first: number
  readonly lines: readonly string[]
}

export interface FaultyPrograms {
  /** For one run of spanplan, so that it meets the programs, and the mishap. */
  prepare(mishap?: Mishap): Promise<Run>
}

export interface Run {
  readonly env: Readonly<Record<string, string>>
  /** What has been called to change something, in that order. */
  calls(): Promise<Call[]>
}

/** Puts the programs into a folder of the lab. */
export async function installFaultyPrograms(lab: Lab): Promise<FaultyPrograms> {
  const folder = await mkdtemp(join(lab.files, 'faulty-'))
  for (const tool of tools) {
    await writeFile(join(folder, tool), script(tool))
    await chmod(join(folder, tool), 0o755)
  }
  let runs = 0
  return {
    async prepare(mishap) {
      const log = join(folder, String(runs++))
      await mkdir(log)
      const { PATH } = labEnvironment(lab.name)
      return { env: { PATH: `${folder}:${PATH}`, FAULT_LOG: log, ...environment(mishap) }, calls: () => readCalls(log) }
    }
  }
}

function environment(mishap: Mishap | undefined): Readonly<Record<string, string>> {
  if (mishap === undefined) return {}
  const { tool, line, how, device = '' } = mishap
  return { FAULT_TOOL: tool, FAULT_LINE: String(line), FAULT: how, FAULT_DEVICE: device }
}

/** Side by side, programs would count the same lines twice: `flock` keeps them apart. */
function script(tool: Tool): string {
  const cases = Object.entries(hows).map(([how, words]) => `'${how}') ${words} ;;`)
  return `#!/bin/sh
case " $* " in
${readings[tool]}) exec ${findProgram(tool)} "$@" ;;
*' -batch '*) batch=yes input=$(cat) ;;
*) batch= input="$*" ;;
esac
run() { ${findProgram(tool)} "$@"; }
set -f
IFS='
'
exec 9>>"$FAULT_LOG/lock"
flock 9
read first 2>/dev/null <"$FAULT_LOG/${tool}" || first=1
count=0
for words in $input; do
  printf '%s\\n' "${tool} $first $words"
  count=$((count + 1))
done >>"$FAULT_LOG/calls"
echo $((first + count)) >"$FAULT_LOG/${tool}"
exec 9>&-
all() {
  if [ "$batch" ]; then run "$@" <<END
$input
END
  else run "$@"; fi
}
line=$((\${FAULT_LINE:-0} - first + 1))
[ "$FAULT" = 'fail from there on' ] && [ $line -lt 1 ] && line=1
if [ "$FAULT_TOOL" != ${tool} ] || [ $line -lt 1 ] || [ $line -gt $count ]; then
  all "$@"
  exit
fi
done_before() {
  [ $line -gt 1 ] || return 0
  printf '%s\\n' "$input" | head -n $((line - 1)) | run -batch - || exit
}
refuse() {
  echo 'RTNETLINK answers: made up' >&2
  [ "$batch" ] && echo "Command failed -:$line" >&2
  exit 1
}
case $FAULT in
${cases.join('\n')}
esac
`
}

/** How each of them is called where nothing is changed. */
const readings: Readonly<Record<Tool, string>> = {
  ip: "*' -json '*",
  tc: "*' -json '*",
  bridge: "*' -json '*",
  ethtool: "' -k '*",
  sysctl: "' -n '*"
}

async function readCalls(log: string): Promise<Call[]> {
  const text = await readFile(join(log, 'calls'), 'utf8').catch(() => '')
  const calls: { tool: Tool; first: number; lines: string[] }[] = []
  for (const [, name, first, line] of text.matchAll(/^(\w+) (\d+) (.*)$/gm)) {
    const tool = tools.find((one) => one === name)
    if (tool === undefined || line === undefined) continue
    const last = calls.at(-1)
    if (last?.tool === tool && last.first === Number(first)) last.lines.push(line)
    else calls.push({ tool, first: Number(first), lines: [line] })
  }
  return calls
}
