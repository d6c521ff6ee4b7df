/** What is typed that spanplan does not take: each line, with the whole answer as it is printed, is in one table. */
import { spawnSync } from 'node:child_process'
import { CommanderError } from '@commander-js/extra-typings'
import { expect, test, vi } from 'vitest'
import { program } from '../../../src/cli/commands-and-flags.ts'
import { renderDiagnostic } from '../../../src/cli/output/render-diagnostic.ts'
import { explainRefusal } from '../../../src/cli/usage/refuse.ts'
import type { Facts } from '../../../src/cli/usage/repair-command.ts'
import { plain } from '../../../src/printable.ts'

/** What is accepted is not run here: that would change the host, and the question is only whether the line is taken. */
const run = vi.hoisted(() => vi.fn(async () => undefined))
vi.mock('../../../src/cli/run-command.ts', () => ({ runCommand: run }))
vi.mock('../../../src/cli/leave-to-watch.ts', () => ({ leaveToWatch: async () => null }))

const facts: Facts = {
  spans: ['span0', 'dmz'],
  interfaces: ['dmz', 'ens192', 'span0'],
  isFile: (path) => ['notes.txt', '/etc/spanplan'].includes(path),
  shell: 'zsh'
}

/** In order: commands, options, arguments, values. A word in quotes has spaces, or is empty. */
const lines = `
diff
up
up -d
up --build -d
up --dry-run
-f spans.yaml up
down
down --remove-orphans
rm span0
delete span span0
delete span/span0
list
list --json
ls
ps
setup
interfaces
get spans
describe span0
show span0
logs
logs -f
start
stop
restart
enable
top
try
generate
deploy -auto-approve
destory
aply
Apply
plans
statuses
pln spans.yaml
stats
state
undo
revert
commit
approve
unpause span0
hold span0
check spans.yaml
lint
fmt
config
verify
test span0
ping
debug
sniff span0
tcpdump -i span0 -c 5
monitor
metrics
version
man plan
env
filters
exit-codes
LOCKED
sensor_missing
span0
dmz
ens192
spans.yaml
spans.yaml --json
/etc/spanplan
notes.txt
qwertyuiop
--list
--plan
--dry-run
-v
-?
-f spans.yaml
--live
--yes
-f spans.yaml plan
--json status
plan --dry-run
apply --dry-run
apply -n
apply -f a.yaml --check
destroy --dry-run
apply --auto-approve
apply -auto-approve
destroy --force
apply -auto-approve -target=span0
plan --target span0
plan -target=span0
plan --yes
plan --wait 60s
plan --rollback-after 2m
apply --live
apply --diff
apply --out plan.json
plan --all
status -a
status --watch
status --short
status --brief --json
summary
status -w
apply --watch
plan --follow
plan --verbose
status -v
apply --no-color
plan --no-colour
plan -o json
graph --json
graph --svg
rates
status --since 2d
status --since 25h
status --since 0s
events --since 24h1s
import --json
status --output json
plan --config spans.yaml
plan -c spans.yaml
plan --flie spans.yaml
plan --jsn
plan --detailed-exit-code
resume -f spans.yaml
confirm --yes
pause --span span0 --for 30m
capture --interface span0
capture span0 -nn -e
capture span0 -i ens192
capture span0 --filter 'tcp port 80'
capture --span span0
validate --span span0
apply --timeout 60s
watch --dryrun
watch --yes
plan –json
plan —json
plan --zzzzzzzz
plan spans.yaml
plan --json spans.yaml
plan --out a.yaml /etc/spanplan
plan -f a.yaml b.yml
plan -
plan span0 span1
plan apply
destroy all
apply spans.yaml
apply spans.yaml --span span0
apply a.yml b.yaml
apply a.json b.json
apply spans.yaml plan.json
status spans.yaml
status span0
status 10s
watch spans.yaml
watch 30s
graph span0
doctor spans.yaml
hook a.yaml
hook span0
confirm a b
import ens192
pause span0 30m
pause 30m
pause
pause span0
pause spans.yaml
resume span0 span1
capture
completion
completion csh
completion zhs
help span0
help diff
help dry-run
help plna
help lokced
help spans.yml
help --plan
help enviroment
help __proto__
help zzzzzzzz
plan --file=
plan --file
plan --span=
plan --span
plan --out
apply --wait
apply --wait 60
apply --rollback-after
pause --for
pause span0 --for 30
capture span0 -c
capture span0 -c many
filter 'tcp port 80' --on ens192
filter test 'tcp port 80'
filter test 'tcp port 80' -i ens192
filter tset 'tcp port 80' --on ens192
filter test --on ens192
filter
capture span0 --for 10
capture span0 --duration 10s
capture span0 --timeout 10s
watch --listen
watch --listen 9477
watch --interval 5
watch --log-level warn
status --color alwys
graph --format png
plan --json --diff
destroy --all -f spans.yaml
destroy --name a --all
apply plan.json --span span0
apply plan.json --wait 60s
apply --detach
status --live --json
'\u001b[31mred'
'$(reboot)' --yes
`
  .trim()
  .split('\n')

/** The words of a line. */
const split = (line: string) =>
  [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare = '']) => (quoted ?? bare).replace('\\u001b', '\u001b'))

/** Why the command line refuses these words; null: it takes them. */
async function refusalOf(words: readonly string[]): Promise<CommanderError | null> {
  // Commander prints a help that was asked for; it would stand among the results of the tests.
  const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true)
  try {
    await program.parseAsync(words, { from: 'user' })
    return null
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return error.exitCode === 0 ? null : error
  } finally {
    write.mockRestore()
  }
}

async function answer(line: string) {
  const words = split(line)
  const error = await refusalOf(words)
  return error && explainRefusal(program, error, words, facts)
}

test('each wrong word is answered, as the table has it', async () => {
  const answers: string[] = []
  for (const line of lines) {
    const found = await answer(line)
    answers.push(
      `$ spanplan ${line}\n${found ? renderDiagnostic('error', found, [], plain) : 'is taken'}\n  ${found?.code}\n`
    )
  }
  await expect(answers.join('\n')).toMatchFileSnapshot('../../fixtures/wrong-words.txt')
})

test('each line that is suggested is one that spanplan takes', async () => {
  const refused: string[] = []
  for (const line of lines) {
    const found = await answer(line)
    const [, meant] = /: spanplan ([^|]*)/.exec(found?.hint ?? '') ?? []
    if (meant === undefined) continue
    const error = await refusalOf(split(meant.trim()))
    if (error) refused.push(`${line} → ${meant}: ${error.message}`)
  }
  expect(refused).toEqual([])
})

test('it is printed for people and for programs', () => {
  const start = (...words: readonly string[]) => {
    const { stdout, stderr, status } = spawnSync('node', ['bin/spanplan.js', ...words], { encoding: 'utf8' })
    return { stdout, stderr, status }
  }
  const message = "unknown command 'up'"
  const hint = 'did you mean: spanplan apply'
  const stderr = `error: ${message}\n  ${hint}\n`
  expect(start('up')).toEqual({ stdout: '', stderr, status: 64 })
  const { stdout, ...rest } = start('up', '--json')
  expect(rest).toEqual({ stderr: `${stderr.trimEnd()} --json\n`, status: 64 })
  const error = { code: 'COMMAND_UNKNOWN', message, hint: `${hint} --json` }
  expect(JSON.parse(stdout)).toEqual({ type: 'error', errors: [error], exit: 64 })
})
