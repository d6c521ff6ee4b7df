/**
 * What a run of Ansible over ten hosts takes, and how much of it is spanplan's: the time in its commands, as each host's own
 * clock counts it. The hosts share this machine's processors, with each other and with the node that runs Ansible; on a real
 * fleet, each has its own. Needs what `npm run test:long` needs.
 */
import { type Fleet, makeFleet } from '../lab/system/fleet.ts'
import { makeRow, type Row, type Table } from './measure.ts'

const names = Array.from({ length: 10 }, (_, index) => `host${index + 1}`)
const rounds = 3

/** Stands before the real one, and notes how many milliseconds each command took. */
const timed = `#!/bin/sh
begin=$(date +%s%N)
/usr/bin/spanplan "$@"
status=$?
echo $((($(date +%s%N) - begin) / 1000)) >>/var/log/spanplan-times
exit $status
`

/** One that is in sync, and one that changes a filter and installs the file, with a window that is confirmed. */
export async function* benchFleet(): AsyncIterable<Table> {
  await using fleet = await makeFleet({ hosts: Object.fromEntries(names.map((name) => [name, { docker: false }])) })
  await fleet.write(
    'inventory/hosts.yaml',
    JSON.stringify({
      sensors: { children: { amsterdam: { hosts: Object.fromEntries(names.map((name) => [name, null])) } } }
    })
  )
  await play(fleet, `-e spanplan_package=${fleet.package}`)
  for (const name of names) {
    await fleet.host(name).write('/usr/local/bin/spanplan', timed)
    await fleet.host(name).sh('chmod 755 /usr/local/bin/spanplan')
  }
  yield {
    title: 'ansible-playbook site.yml, ten hosts, forks: 10, in sync',
    floor: 'the run',
    rows: await measure(fleet, () => '')
  }
  const change = (round: number) => `-e '{"spans_of_host": {"core": {"description": "round ${round}"}}}'`
  yield { title: 'the same, with a change of each file', floor: 'the run', rows: await measure(fleet, change) }
  const filter = (round: number) =>
    `-e '{"spans_of_host": {"core": {"sources": [{"interface": "ens192", "filter": "port ${round + 1}"}]}}}'`
  yield {
    title: 'the same, with a change of each mirror and a window',
    floor: 'the run',
    rows: await measure(fleet, filter)
  }
}

async function measure(fleet: Fleet, options: (round: number) => string): Promise<Row[]> {
  const whole: number[] = []
  const own: number[] = []
  for (let round = 0; round < rounds; round++) {
    for (const name of names) await fleet.host(name).sh('rm -f /var/log/spanplan-times')
    whole.push(await play(fleet, options(round)))
    for (const name of names) {
      const text = await fleet.host(name).sh('cat /var/log/spanplan-times')
      own.push(text.split('\n').reduce((sum, line) => sum + Number(line) / 1000, 0))
    }
  }
  const bases = own.map((_, index) => whole[Math.floor(index / names.length)] ?? Number.NaN)
  return [makeRow('the run, of all hosts', whole), makeRow('commands of spanplan, on a host', own, { bases })]
}

/** Milliseconds. */
async function play(fleet: Fleet, options: string): Promise<number> {
  const begin = performance.now()
  const { exitCode, stdout, stderr } = await fleet.run(`ansible-playbook site.yml -e spanplan_package= ${options}`)
  if (exitCode !== 0) throw new Error(`${stdout}\n${stderr}`)
  return performance.now() - begin
}
