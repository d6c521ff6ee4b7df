import { existsSync } from 'node:fs'
import { release } from 'node:os'
import { gunzipSync } from 'node:zlib'
import { keysOf } from '../../keys.ts'
import { type Output, run } from '../exec.ts'
import { readOptional, readText } from '../files/open-file.ts'
import { shellLine } from '../quote-command.ts'
import type { LackingModule } from '../snapshot.ts'
import type { TunnelModule } from './tunnel-kind.ts'

/** The parts of the kernel that spans need, with the option that builds each, without its CONFIG_. */
const options = {
  bridge: 'bridge',
  veth: 'veth',
  sch_ingress: 'net_sch_ingress',
  cls_bpf: 'net_cls_bpf',
  act_mirred: 'net_act_mirred',
  act_police: 'net_act_police',
  vxlan: 'vxlan',
  ip_gre: 'net_ipgre'
} as const

export type ModuleName = keyof typeof options

/** What limits a mirror. */
export const limitModule = 'act_police'

/** A module that not every span needs. */
export type OptionalModule = TunnelModule | typeof limitModule

const optional: ReadonlySet<string> = new Set<OptionalModule>(['vxlan', 'ip_gre', limitModule])

/** The modules that spans need which have these needs besides. */
export function listModules(needed: ReadonlySet<string>): readonly ModuleName[] {
  return keysOf(options).filter((name) => !optional.has(name) || needed.has(name))
}

/**
 * Whether the kernel has a module. `loadable`: the kernel loads it when it is needed. `blocked`: modprobe is configured to run
 * something else instead. `locked`: it is there, but the kernel loads no modules until it is restarted. `missing`: it is nowhere.
 */
export type ModuleState = 'built in' | 'loaded' | 'loadable' | 'blocked' | 'locked' | 'missing'

/** The files that show the state of the modules. */
export interface ModuleEvidence {
  /** /proc/modules; null: the kernel has none, or it cannot be read. */
  readonly loaded: string | null
  /** The kernel's configuration; null: it cannot be read. */
  readonly config: string | null
  /** The kernel loads no further modules: kernel.modules_disabled. */
  readonly locked: boolean
  /** What `modprobe --show-depends` said; null: modprobe is not there, or no modules of this kernel are. */
  readonly modprobe: Pick<Output, 'stdout' | 'status'> | null
}

/** Milliseconds for modprobe, which reads an index. */
const modprobeTime = 5000

/** Finds whether the running kernel has a module. Nothing is loaded. null: nothing tells. */
export async function readModule(name: ModuleName): Promise<ModuleState | null> {
  const argv = ['modprobe', '--show-depends', name] as const
  // In a container or a chroot, the kernel's modules need not be where modprobe looks for them.
  const modprobe = existsSync(`/lib/modules/${release()}`)
    ? await run(argv, '', { milliseconds: modprobeTime }).catch(() => null)
    : null
  const config = readOptional('/proc/config.gz') ?? readOptional(`/boot/config-${release()}`)
  const loaded = readText('/proc/modules')
  const locked = readText('/proc/sys/kernel/modules_disabled')?.trim() === '1'
  return judgeModule(name, { loaded, config: config && decodeConfig(config), locked, modprobe })
}

/** null: nothing tells. */
export function judgeModule(name: ModuleName, evidence: ModuleEvidence): ModuleState | null {
  const { loaded, config, locked, modprobe } = evidence
  if (loaded?.split('\n').some((line) => line.startsWith(`${name} `))) return 'loaded'
  const built =
    config === null ? undefined : new RegExp(`^CONFIG_${options[name].toUpperCase()}=([ym])$`, 'm').exec(config)?.[1]
  const found = modprobe?.status === 0 ? modprobe.stdout.trim().split('\n').at(-1) : undefined
  if (built === 'y' || found?.startsWith('builtin ')) return 'built in'
  if (found?.startsWith('install ')) return 'blocked'
  if (found?.startsWith('insmod ')) return locked ? 'locked' : 'loadable'
  // Without modprobe, nothing can be loaded; a configuration alone does not tell that the module's file is there.
  if (modprobe !== null || (config !== null && built === undefined)) return 'missing'
  return null
}

/** gzip's files begin with 1f 8b (RFC 1952). */
function decodeConfig(bytes: Buffer): string {
  return (bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes).toString()
}

/** Node's names of processors, and Debian's. */
const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }

/** The processor's name, as Debian has it. */
export const ownArchitecture = architectures[process.arch] ?? process.arch

type Fault = Omit<LackingModule, 'name'>

const faults: Readonly<Record<ModuleState, ((name: ModuleName, architecture: string) => Fault) | null>> = {
  'built in': null,
  loaded: null,
  loadable: null,
  blocked: (name) => ({
    message: `modprobe is configured not to load ${name}: see "install ${name}" in /etc/modprobe.d`,
    command: `sed -i '/^ *install  *${name} /d' /etc/modprobe.d/*.conf`
  }),
  locked: (name) => ({
    message: `the kernel no longer loads modules (kernel.modules_disabled), and ${name} is not loaded: load it at boot, and restart the host`,
    command: `echo ${name} >>/etc/modules-load.d/spanplan.conf`
  }),
  missing: (name, architecture) => ({
    message: `the running kernel has no ${name}: install a kernel that has it, and restart the host`,
    command: shellLine(['apt-get', 'install', `linux-image-${architecture}`])
  })
}

/** null: the kernel has it, or loads it. */
export function findModuleFault(name: ModuleName, state: ModuleState, architecture: string): Fault | null {
  return faults[state]?.(name, architecture) ?? null
}

/** Reads which of these modules the kernel surely lacks. */
export async function readLacking(names: readonly OptionalModule[]): Promise<LackingModule[]> {
  const found = await Promise.all(
    names.map(async (name) => {
      const state = await readModule(name)
      const fault = state && findModuleFault(name, state, ownArchitecture)
      return fault ? [{ name, ...fault }] : []
    })
  )
  return found.flat()
}
