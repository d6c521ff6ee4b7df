/** What a person waits for at a prompt, and a host at boot, where nothing has to be done: against a Node.js that does nothing. */
import { once } from 'node:events'
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { readCommands } from '../../src/host/read-commands.ts'
import { createLab } from '../lab/lab.ts'
import { projectRoot } from '../lab/programs.ts'
import { compare, ratioAtMost, type Table } from './measure.ts'
import { openRunner, spanplan } from './programs.ts'

const rounds = 15
const cacheFolder = '/var/cache/spanplan'
const floor = 'node -e 0 in the same round'
/** Milliseconds that a run of the watch takes at most, which a hook asks for. */
const ofTheWatch = 400

/** The programs with which each look at the host begins, each once. */
const inputs = new Map<string, string>()
for (const { argv, input } of Object.values(readCommands)) {
  const key = JSON.stringify(argv)
  inputs.set(key, (inputs.get(key) ?? '') + input)
}
const programs = [...inputs].map(([key, input]) => ({ argv: JSON.parse(key), input }))

/** What a plan cannot do without: Node.js, and these programs, side by side. */
const starter = `
const { spawn } = require('node:child_process')
for (const { argv: [program, ...words], input } of ${JSON.stringify(programs)}) {
  const env = { ...process.env, PATH: process.env.PATH + ':/usr/sbin:/sbin' }
  const child = spawn(program, words, { env, stdio: [input === '' ? 'ignore' : 'pipe', 'pipe', 'ignore'] })
  // bpftool need not be there.
  child.on('error', () => {})
  child.stdout.resume()
  child.stdin?.end(input)
}`

export async function* benchStart(): AsyncGenerator<Table> {
  await using lab = await createLab({ cables: [{ card: 'ens192', mtu: 1500 }], docker: true })
  const bare = openRunner(lab, 'no docker')
  const docker = openRunner(lab, 'docker')
  const write = (name: string, more: string) => {
    const path = join(lab.files, `${name}.yaml`)
    const span = `{sources: [{interface: ens192, direction: ingress}]${more}}`
    writeFileSync(path, `version: 1\nname: ${name}\nspans: {${name}: ${span}}\n`)
    return path
  }
  const plain = write('plain', '')
  const network = write('network', ', network: span')
  bare.time(spanplan('apply', '-f', plain))
  docker.time(spanplan('apply', '-f', network))
  const node = { what: 'node -e 0', timed: () => bare.time([process.execPath, '-e', '0']) }
  const plan = spanplan('plan', '-f', plain)
  const commands = await compare(rounds, [
    node,
    { what: '--version', timed: () => bare.time(spanplan('--version')), aim: ratioAtMost(1.5) },
    { what: 'validate', timed: () => bare.time(spanplan('validate', '-f', plain)), aim: ratioAtMost(2) },
    { what: "node that starts a plan's first programs", timed: () => bare.time([process.execPath, '-e', starter]) },
    { what: 'plan, in sync, no Docker', timed: () => bare.time(plan) },
    {
      what: 'plan, in sync, with Docker',
      timed: () => docker.time(spanplan('plan', '-f', network)),
      aim: ratioAtMost(3)
    },
    { what: 'hook, no watch, in sync', timed: () => bare.time(hook(plain)) }
  ])
  yield { title: 'Start', floor, rows: commands }
  const first = await compare(rounds, [
    node,
    {
      what: 'plan, the first after an upgrade',
      timed: () => {
        rmSync(cacheFolder, { recursive: true, force: true })
        return bare.time(plan)
      }
    },
    {
      what: 'plan, the first after boot',
      timed: () => {
        forgetFiles((argv) => bare.time(argv))
        return bare.time(plan)
      }
    }
  ])
  yield { title: 'First start', floor, rows: first }
  const watch = lab.startSpanplan(['watch', '-f', network])
  await once(watch.stderr, 'data')
  const watched = await compare(rounds, [
    node,
    {
      what: 'hook, and a watch runs',
      timed: async () => {
        const time = docker.time(hook(network))
        await sleep(ofTheWatch)
        return time
      },
      aim: ratioAtMost(1.6)
    }
  ])
  watch.kill('SIGTERM')
  await watch
  yield { title: 'Hook', floor, rows: watched }
}

function hook(file: string): string[] {
  return spanplan('hook', '--interface', 'ens192', '--phase', 'up', '--strict', '-f', file)
}

/** Has the kernel forget what it has read of spanplan's own files. Node.js itself is in use, and stays in memory. */
function forgetFiles(run: (argv: readonly string[]) => void): void {
  for (const folder of [join(projectRoot, 'bin'), join(projectRoot, 'dist'), cacheFolder]) {
    for (const name of readdirSync(folder)) {
      run(['dd', `if=${join(folder, name)}`, 'iflag=nocache', 'count=0', 'status=none'])
    }
  }
}
