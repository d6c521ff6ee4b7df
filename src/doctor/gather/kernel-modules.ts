import { release } from 'node:os'
import { gunzipSync } from 'node:zlib'
import { type Output, run } from '../../host/exec.ts'
import { readOptional, readText } from '../../host/files/open-file.ts'
import type { TunnelModule } from '../../host/tunnels/tunnel-kind.ts'
import { keysOf } from '../../keys.ts'
import { outputKindOf } from '../../resources/outputs/registry.ts'
import { hostKindOf } from '../../resources/sources/registry.ts'
import type { Spec } from '../../spec/spec.ts'
import type { Known } from '../known.ts'
import { programTime } from './doctor-limits.ts'

/** The parts of the kernel that spans need, with the option that builds each, without its CONFIG_. */
const options = {
  bridge: 'bridge',
  veth: 'veth',
  sch_ingress: 'net_sch_ingress',
  cls_bpf: 'net_cls_bpf',
  act_mirred: 'net_act_mirred',
  vxlan: 'vxlan',
  ip_gre: 'net_ipgre'
} as const

export type ModuleName = keyof typeof options

/** Those that only tunnels need. */
const ofTunnels: ReadonlySet<string> = new Set<TunnelModule>(['vxlan', 'ip_gre'])

/** The modules that the spans of a file need; without a file, those that each span needs. */
export function listModules(spec: Spec | undefined): readonly ModuleName[] {
  const needs = spec?.spans.flatMap(({ sources }) => sources.map((source) => hostKindOf(source).needs(source, spec)))
  const sent = spec?.spans.flatMap(({ outputs }) => outputs.flatMap((output) => outputKindOf(output).modules(output)))
  const used = new Set<string>([...(needs?.flatMap(({ modules = [] }) => modules) ?? []), ...(sent ?? [])])
  return keysOf(options).filter((name) => !ofTunnels.has(name) || used.has(name))
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
  /** What `modprobe --show-depends` said; null: modprobe is not there. */
  readonly modprobe: Pick<Output, 'stdout' | 'status'> | null
}

/** Finds whether the running kernel has a module. Nothing is loaded. */
export async function readModule(name: ModuleName): Promise<Known<ModuleState>> {
  const argv = ['modprobe', '--show-depends', name] as const
  const modprobe = await run(argv, '', { milliseconds: programTime }).catch(() => null)
  const config = readOptional('/proc/config.gz') ?? readOptional(`/boot/config-${release()}`)
  const loaded = readText('/proc/modules')
  const locked = readText('/proc/sys/kernel/modules_disabled')?.trim() === '1'
  const state = judgeModule(name, { loaded, config: config && decodeConfig(config), locked, modprobe })
  if (state !== null) return { known: state }
  return { unknown: `whether the kernel has ${name} is not known: neither modprobe nor its configuration is here` }
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
