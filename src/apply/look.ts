import type { Notice } from '../errors.ts'
import { SpanplanError } from '../errors.ts'
import type { Snapshot } from '../host/host.ts'
import { readHost } from '../host/read.ts'
import { resolveNothing, resolveSpec } from '../plan/desired.ts'
import { makePlan, type Plan } from '../plan/plan.ts'
import { readAlias } from '../resources/mark.ts'
import { covers, notice, type Scope } from '../resources/wanted.ts'
import type { Spec } from '../spec/spec.ts'

/** What a command is to make true of the host. */
export type Aim =
  | { readonly want: 'spec'; readonly spec: Spec; readonly scope: Scope; readonly deferDocker: boolean }
  | {
      readonly want: 'nothing'
      readonly owner: string
      readonly scope: Scope
      /** The names of spans that the file, if there is one, knows. */
      readonly known: readonly string[]
      readonly deferDocker: boolean
    }

/** The host as it was found, and what leads from there to the aim. */
export interface View {
  readonly host: Snapshot
  readonly plan: Plan
}

/**
 * Reads the host and plans.
 *
 * @throws SpanplanError with what stands in the way.
 */
export async function look(aim: Aim): Promise<View> {
  const spans = aim.want === 'spec' ? aim.spec.spans : []
  const host = await readHost({
    expressions: spans.flatMap((span) => span.sources.flatMap(({ filter }) => filter?.expression ?? [])),
    networks: new Set(spans.flatMap(({ network }) => network?.name ?? [])),
    bridges: new Set(spans.map(({ name }) => name)),
    containers: new Set(spans.flatMap(({ sensors }) => sensors.map(({ container }) => container))),
    deferDocker: aim.deferDocker
  })
  return { host, plan: planFor(aim, host) }
}

/**
 * What leads from the host as it was found to the aim.
 *
 * @throws SpanplanError with what stands in the way.
 */
export function planFor(aim: Aim, host: Snapshot): Plan {
  if (aim.want === 'nothing') {
    if (host.docker.state === 'unreachable' && hasNetworks(aim.scope, host)) throw new SpanplanError(host.docker.reason)
    const known = [...(aim.scope.spans ?? []), ...aim.known]
    return makePlan(resolveNothing(aim.owner, host, aim.scope, known), host)
  }
  const desired = resolveSpec(aim.spec, host, aim.scope)
  const plan = makePlan(desired, host)
  return { ...plan, warnings: [...plan.warnings, ...unlisted(aim.spec, host)] }
}

/** A bridge's mark says whether Docker has to do with it; on a host without Docker, none does. */
function hasNetworks(scope: Scope, host: Snapshot): boolean {
  return host.links.some(({ alias, name }) => {
    const mark = readAlias(alias)
    return mark?.network === true && covers({ scope }, mark.owner, name)
  })
}

/** Spans of this name that are live, and that the file does not know. */
function unlisted(spec: Spec, host: Snapshot): Notice[] {
  return host.links
    .filter(
      ({ alias, name }) => readAlias(alias)?.owner === spec.name && !spec.spans.some((span) => span.name === name)
    )
    .map(({ name }) =>
      notice(
        'SPAN_UNLISTED',
        `span ${name} is live, and not in the file: it is left as it is`,
        `spanplan destroy --span ${name}`
      )
    )
}
