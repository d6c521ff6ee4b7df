/** Real shells complete what spanplan's scripts have them complete: names of files and of the kernel, too, and nothing of a hostile name. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { privateRoot, projectRoot } from '../../lab/programs.ts'

const execute = promisify(execFile)

/** Names that a shell would run, or a terminal obey, in a list of words. The kernel takes them. */
const hostile = ['$(id>ran)', '`id>ran`', 'a;id>ran', 'd\u001b[31m', "d'x", '--force', 'd*']

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'spanplan-shells-'))
  await mkdir(join(folder, 'bin'))
  const start = `#!/bin/sh\nexec node '${projectRoot}/bin/spanplan.js' "$@"\n`
  await writeFile(join(folder, 'bin/spanplan'), start, { mode: 0o755 })
  const span = '{sources: [interface: ens192], sensors: [suricata]}'
  await writeFile(join(folder, 'spans.yaml'), `{version: 1, spans: {core: ${span}, dmz: ${span}}}\n`)
  await writeFile(join(folder, 'other.yaml'), `{version: 1, spans: {other: ${span}}}\n`)
  await writeFile(
    join(folder, 'named.yaml'),
    `{version: 1, spans: {named: {bridge: live0, sources: [interface: ens192]}}}\n`
  )
  await writeFile(join(folder, 'host.sh'), host)
  await writeFile(join(folder, 'ask.bash'), askBash)
  await writeFile(join(folder, 'ask.zsh'), askZsh)
  await writeFile(join(folder, 'ask.fish'), askFish)
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { stdout } = await execute('node', ['bin/spanplan.js', 'completion', shell])
    await writeFile(join(folder, shell === 'zsh' ? '_spanplan' : `spanplan.${shell}`), stdout)
  }
})

afterAll(() => rm(folder, { recursive: true, force: true }))

const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`

/** A host of its own: a live span, an interface, and hostile names, of spans and of interfaces. The shells are as if they were installed. */
const host = `set -e
mount -t overlay -o lowerdir=/usr:${privateRoot}/usr overlay /usr
mount -t sysfs sysfs /sys
ip link add name live0 type bridge
ip link add name dummy0 type bridge
ip link set dev live0 alias spanplan:default:owned:
${hostile
  .map(
    (name) =>
      `ip link add name ${quoted(name)} type bridge; ip link set dev ${quoted(name)} alias spanplan:default:owned:`
  )
  .join('\n')}
exec "$@"
`

const askBash = `. ./spanplan.bash
for line; do
  echo "== $line"
  read -ra COMP_WORDS <<<"$line"
  case $line in *' ') COMP_WORDS+=('') ;; esac
  COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
  _spanplan
  printf '%s\\n' "\${COMPREPLY[@]}"
done
`

/** Types the lines into an interactive zsh, as from a keyboard, and prints all that is offered for each. */
const askZsh = `zmodload zsh/zpty
export OUT=$PWD/offered
: >$OUT
await() { repeat 600; do [[ $(<$OUT) != *$1* ]] || return 0; sleep 0.05; done; return 1 }
zpty shell zsh -f -i
zpty -w shell 'fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D; autoload -Uz _spanplan'
zpty -w shell 'compadd() { local -a hits; builtin compadd -O hits "$@"; (( ! $#hits )) || print -rl -- $hits >>$OUT }'
zpty -w shell 'marked() { _spanplan "$@"; print has-ended >>$OUT }; compdef marked spanplan; print has-ended >>$OUT'
for line; do
  await has-ended || exit 1
  print -r -- "== $line"
  : >$OUT
  zpty -w -n shell $'\\C-u'"$line"$'\\t'
  await has-ended || exit 1
  grep -v has-ended $OUT
done
zpty -d shell
`

const askFish = `source spanplan.fish
for line in $argv
  echo "== $line"
  complete -C $line | string replace -r '\\t.*' ''
end
`

const shells = {
  bash: ['bash', '--norc', '-eu', 'ask.bash'],
  zsh: ['zsh', '-f', 'ask.zsh'],
  fish: ['fish', 'ask.fish']
} as const

/** What a shell offers for each line, sorted. */
async function complete(shell: keyof typeof shells, lines: readonly string[]) {
  const env = { PATH: `${folder}/bin:${process.env.PATH}`, HOME: folder, TERM: 'dumb', LC_ALL: 'C.UTF-8' }
  const words = ['--net', '--mount', 'sh', 'host.sh', ...shells[shell], ...lines]
  const { stdout } = await execute('unshare', words, { cwd: folder, env })
  const parts = stdout.split(/^== /m).slice(1)
  return parts.map((part) => {
    const [line = '', ...offered] = part.split('\n')
    return [line, [...new Set(offered.filter((one) => one !== ''))].sort()] as const
  })
}

const rows: readonly (readonly [line: string, offered: readonly string[]])[] = [
  ['spanplan cap', ['capture']],
  ['spanplan plan --span ', ['core', 'dmz', 'live0']],
  ['spanplan plan -f other.yaml --span ', ['live0', 'other']],
  ['spanplan plan -f missing.yaml --span ', ['live0']],
  ['spanplan plan -f named.yaml --span ', ['named']],
  ['spanplan capture d', ['dmz']],
  ['spanplan pause l', ['live0']],
  ['spanplan resume c', ['core']],
  ['spanplan hook --interface d', ['dummy0']],
  ['spanplan help LOCK', ['LOCKED']],
  ['spanplan help env', ['environment']],
  ['spanplan help exi', ['exit-codes']],
  ['spanplan plan -f oth', ['other.yaml']],
  ['spanplan validate oth', ['other.yaml']],
  ['spanplan apply --color al', ['always']]
]

test.each(Object.keys(shells) as (keyof typeof shells)[])(
  '%s completes names, topics, codes and files',
  async (shell) => {
    const lines = rows.map(([line]) => line)
    expect(await complete(shell, lines)).toEqual(rows)
    await expect(execute('ls', [join(folder, 'ran')])).rejects.toThrow('No such file')
  }
)
