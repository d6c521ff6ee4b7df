import { listModules, type ModuleName, type ModuleState, readModule } from '../../host/tunnels/kernel-modules.ts'
import { modulesOfLimits } from '../../plan/target.ts'
import { outputKindOf } from '../../resources/outputs/registry.ts'
import { hostKindOf } from '../../resources/sources/registry.ts'
import type { Spec } from '../../spec/spec.ts'
import type { Known } from '../known.ts'

/** The modules that the spans of a file need; without a file, those that each span needs. */
export function neededModules(spec: Spec | undefined): readonly ModuleName[] {
  const needs = spec?.spans.flatMap(({ sources }) => sources.map((source) => hostKindOf(source).needs(source, spec)))
  const sent = spec?.spans.flatMap(({ outputs }) => outputs.flatMap((output) => outputKindOf(output).modules(output)))
  const limits = spec === undefined ? [] : modulesOfLimits(spec, [])
  return listModules(new Set([...(needs?.flatMap(({ modules = [] }) => modules) ?? []), ...(sent ?? []), ...limits]))
}

/** Reads the state of each of them. */
export async function readModules(spec: Spec | undefined): Promise<(readonly [ModuleName, Known<ModuleState>])[]> {
  return Promise.all(
    neededModules(spec).map(async (name) => {
      const known = await readModule(name)
      if (known !== null) return [name, { known }] as const
      const unknown = `whether the kernel has ${name} is not known: neither modprobe with its modules nor its configuration is here`
      return [name, { unknown }] as const
    })
  )
}
