/** Open vSwitch, Debian's own, in a lab alone: with a database, a folder and processes of its own. */
import { existsSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import type { Lab, Side } from '../lab.ts'
import { privateEnvironment, privateRoot } from '../programs.ts'
import { until } from '../spans.ts'

export interface OpenVSwitch {
  /** Runs ovs-vsctl, and gives what it printed. */
  vsctl(...words: string[]): Promise<string>
  /** What the reader of a document has for `ovs-vsctl`, as a line of a shell script. */
  readonly vsctlScript: string
  /** Ends the switch itself, and starts it again. */
  restart(): Promise<void>
  /** Ends all of it; what it has made in the kernel goes with its bridges. */
  stop(): Promise<void>
}

/** Starts Open vSwitch on a side of the lab: without a bridge. */
export async function startOpenVSwitch(lab: Lab, on: Side = 'host'): Promise<OpenVSwitch> {
  const folder = await mkdtemp(join(lab.files, 'ovs-'))
  const database = `unix:${folder}/db.sock`
  const variables = Object.entries({ ...privateEnvironment(lab.name), OVS_RUNDIR: folder, OVS_LOGDIR: folder })
  const env = ['env', ...variables.map(([name, value]) => `${name}=${value}`)] as const
  const usr = join(existsSync(join(privateRoot, 'usr/bin/ovs-vsctl')) ? privateRoot : '/', 'usr')
  const program = (name: string) => join(usr, name)
  const vsctlArgv = [...env, program('bin/ovs-vsctl'), `--db=${database}`, '--timeout=60'] as const
  const vsctl = (...words: string[]) => lab.run([...vsctlArgv, ...words], { on })
  const schema = program('share/openvswitch/vswitch.ovsschema')
  await lab.run([...env, program('bin/ovsdb-tool'), 'create', `${folder}/conf.db`, schema])
  const server = lab.start([...env, program('sbin/ovsdb-server'), `${folder}/conf.db`, `--remote=p${database}`], { on })
  // ovs-vsctl gives up at once where there is no socket yet: only a lost connection is tried again.
  await until('the database answers', async () => existsSync(`${folder}/db.sock`))
  const startSwitch = () => lab.start([...env, program('lib/openvswitch-switch/ovs-vswitchd'), database], { on })
  let vswitchd = startSwitch()
  const end = async (one: typeof server) => {
    one.kill('SIGTERM')
    await one.catch(() => undefined)
  }
  await vsctl('init')
  return {
    vsctl,
    vsctlScript: `exec ${vsctlArgv.map((word) => `'${word}'`).join(' ')} "$@"`,
    async restart() {
      await end(vswitchd)
      vswitchd = startSwitch()
    },
    async stop() {
      await end(vswitchd)
      await end(server)
    }
  }
}
