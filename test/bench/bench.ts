/**
 * How long spanplan takes, as ratios to something that everybody knows, measured side by side in one run: a number of
 * milliseconds says more about the machine than about the program. Prints a table; a missed aim is shown, and no failure.
 */

import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram, labEnvironment, projectRoot } from '../e2e/lab/programs.ts'
import { hostNamespace } from '../e2e/lab/sweep.ts'
import { createLab, type Lab } from '../e2e/lab.ts'
import { benchPauses } from './pauses.ts'
import { benchRecovery } from './recovery.ts'

const card = 'ens192'
const startRuns = 25
const applyRuns = 5

interface Row {
  readonly what: string
  readonly runs: number
  readonly milliseconds: number
  /** To the reference that ran beside it. */
  readonly ratio: number
  readonly target: number | null
}

type Timed = () => number

/** What `npm run bench PART ROUNDS` runs; all parts, if none is named. */
const parts: Readonly<Record<string, (rounds: number) => Promise<void>>> = {
  speed: benchSpeed,
  pauses: async () => console.log(await benchPauses()),
  recovery: benchRecovery
}

async function main([name, rounds = '100']: readonly string[]): Promise<void> {
  const chosen = name === undefined ? Object.values(parts) : [parts[name]]
  for (const part of chosen) {
    if (part === undefined) throw new Error(`there is no part ${name}, but ${Object.keys(parts).join(', ')}`)
    await part(Number(rounds))
  }
}

async function benchSpeed(): Promise<void> {
  await using lab = await createLab({ cables: [{ card, mtu: 1500 }], docker: true })
  print('start-up, against node -e 0', benchStart(lab, {}))
  // Node reads these at each start, its own -e 0 too, which makes every ratio smaller: told apart.
  const { NODE_EXTRA_CA_CERTS, NODE_OPTIONS } = process.env
  const own = { ...(NODE_EXTRA_CA_CERTS && { NODE_EXTRA_CA_CERTS }), ...(NODE_OPTIONS && { NODE_OPTIONS }) }
  if (Object.keys(own).length > 0)
    print(`the same with this shell's ${Object.keys(own).join(', ')}`, benchStart(lab, own))
  for (const count of [1, 10, 100])
    print(`${count} spans, against a shell loop of ${6 * count} processes`, benchApply(lab, count))
}

/** What a person waits for at a prompt: a file that is valid, and a host that is as it should be. */
function benchStart(lab: Lab, env: Readonly<Record<string, string>>): Row[] {
  const run = runner(lab, { ...env, DOCKER_HOST: `unix://${join(lab.files, 'no-docker.sock')}` })
  const runWithDocker = runner(lab, { ...env, DOCKER_HOST: lab.dockerHost })
  const plain = writeSpec(lab, 'plain', 1)
  const network = writeSpec(lab, 'network', 1, '    network: span')
  run(spanplan('apply', '-f', plain))
  runWithDocker(spanplan('apply', '-f', network))
  const node = () => run([process.execPath, '-e', '0'])
  const rows = compare(startRuns, node, [
    { what: 'node -e 0, once more', target: null, timed: node },
    { what: 'spanplan validate', target: 1.8, timed: () => run(spanplan('validate', '-f', plain)) },
    { what: 'spanplan plan, nothing to do', target: 2.2, timed: () => run(spanplan('plan', '-f', plain)) },
    {
      what: 'spanplan plan, nothing to do, with Docker',
      target: null,
      timed: () => runWithDocker(spanplan('plan', '-f', network))
    }
  ])
  runWithDocker(spanplan('destroy', '--all', '--yes'))
  return rows
}

/** What a host waits for at boot. The loop undoes what it did before spanplan takes its turn, and the other way round. */
function benchApply(lab: Lab, count: number): Row[] {
  const run = runner(lab, { DOCKER_HOST: `unix://${join(lab.files, 'no-docker.sock')}` })
  const file = writeSpec(lab, 'many', count)
  const destroyTimes: number[] = []
  const script = (text: string) => run(['sh', '-e', '-c', text, 'sh', String(count), card])
  let undoTime = 0
  const [applied] = compare(applyRuns, () => {
    const time = script(loop)
    undoTime = script(undoLoop)
    return time
  }, [
    {
      what: 'spanplan apply',
      target: count === 100 ? 0.3 : null,
      timed: () => {
        const time = run(spanplan('apply', '-f', file))
        destroyTimes.push(run(spanplan('destroy', '-f', file, '--yes')), undoTime)
        return time
      }
    }
  ])
  const pairs = Array.from({ length: applyRuns }, (_, index) => destroyTimes.slice(2 * index, 2 * index + 2))
  const destroyed = {
    what: 'spanplan destroy, against the loop that undoes it',
    runs: applyRuns,
    milliseconds: median(pairs.map(([time = 0]) => time)),
    ratio: median(pairs.map(([time = 0, undo = 1]) => time / undo)),
    target: null
  }
  return applied ? [applied, destroyed] : [destroyed]
}

/** As scripts of the tc-mirror kind do it, once for each mirror: six processes. */
const loop = `
n=1
while [ $n -le $1 ]; do
  ip link add dev many$n type bridge
  ip link set dev many$n type bridge ageing_time 0
  ip link set dev many$n up
  ip link set dev $2 promisc on
  tc qdisc add dev $2 ingress 2>/dev/null || true
  tc filter add dev $2 parent ffff: protocol all u32 match u32 0 0 action mirred egress mirror dev many$n
  n=$((n + 1))
done`

const undoLoop = `
tc qdisc del dev $2 ingress
ip link set dev $2 promisc off
n=1
while [ $n -le $1 ]; do
  ip link del dev many$n
  n=$((n + 1))
done`

function writeSpec(lab: Lab, name: string, count: number, more = ''): string {
  const spans = Array.from(
    { length: count },
    (_, index) => `  ${name}${index + 1}:\n    sources: [{interface: ${card}, direction: ingress}]\n${more}\n`
  )
  const path = join(lab.files, `${name}-${count}.yaml`)
  writeFileSync(path, `version: 1\nname: ${name}\nspans:\n${spans.join('')}`)
  return path
}

function spanplan(...args: string[]): string[] {
  return [process.execPath, join(projectRoot, 'bin/spanplan.js'), ...args]
}

/** Runs a command on the lab's host, and gives the milliseconds that it took. */
function runner(lab: Lab, env: Readonly<Record<string, string>>): (argv: readonly string[]) => number {
  const options = { env: { ...labEnvironment(lab.name), ...env }, encoding: 'utf8' } as const
  return (argv) => {
    const begin = performance.now()
    const { status, stderr } = spawnSync(
      findProgram('nsenter'),
      [`--net=${hostNamespace(lab.name)}`, '--', ...argv],
      options
    )
    const time = performance.now() - begin
    if (status !== 0) throw new Error(`${argv.join(' ')} exited with ${status}: ${stderr}`)
    return time
  }
}

/** In turns, so that what else the machine does meanwhile hits all alike. */
function compare(
  runs: number,
  reference: Timed,
  candidates: readonly { readonly what: string; readonly target: number | null; readonly timed: Timed }[]
): Row[] {
  const rounds = Array.from({ length: runs }, () => {
    const base = reference()
    return candidates.map(({ timed }) => {
      const time = timed()
      return { time, ratio: time / base }
    })
  })
  return candidates.map(({ what, target }, index) => {
    const column = rounds.flatMap((round) => round[index] ?? [])
    return {
      ...{ what, target, runs },
      milliseconds: median(column.map(({ time }) => time)),
      ratio: median(column.map(({ ratio }) => ratio))
    }
  })
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

function print(title: string, rows: readonly Row[]): void {
  const lines = rows.map(({ what, runs, milliseconds, ratio, target }) => {
    const verdict = target === null ? '' : `aim ${target.toFixed(1)}×  ${ratio <= target ? 'ok' : 'MISSED'}`
    return `  ${what.padEnd(50)} ${milliseconds.toFixed(0).padStart(6)} ms  ${ratio.toFixed(2).padStart(5)}×  ${verdict.padEnd(18)} ${runs} runs`
  })
  console.log([`${title}: median, ratio`, ...lines].join('\n'))
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
