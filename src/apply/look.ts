import { Exit, SpanplanError } from '../errors.ts'
import { label } from '../host/docker.ts'
import type { Snapshot } from '../host/host.ts'
import { type Question, readHost } from '../host/read.ts'
import { shellLine } from '../host/words.ts'
import { type Desired, resolveNothing, resolveSpec } from '../plan/desired.ts'
import { makePlan, makeReturn, type Plan } from '../plan/plan.ts'
import { readAlias } from '../resources/mark.ts'
import { covers, notice, type Scope, survey } from '../resources/wanted.ts'
import type { Spec } from '../spec/spec.ts'
import { suggestHint } from '../spec/suggest.ts'

/** What a command is to make true of the host. */
export type Aim =
  | {
      readonly want: 'spec'
      readonly spec: Spec
      /** Of the spans in it, those that the file does not know go. */
      readonly scope: Scope
      readonly deferDocker: boolean
      /** What of others' may be taken over is. */
      readonly adopt: boolean
    }
  | {
      readonly want: 'nothing'
      readonly owner: string
      readonly scope: Scope
      /** The names of spans that the file, if there is one, knows. */
      readonly known: readonly string[]
      readonly deferDocker: boolean
    }

/** The host as it was found, what is desired of it, and what leads there. */
export interface View {
  readonly host: Snapshot
  readonly desired: Desired
  readonly plan: Plan
}

/**
 * The first look of a command, which may still be wrongly aimed.
 *
 * @throws SpanplanError SPAN_UNKNOWN, or with what stands in the way.
 */
export async function lookFirst(aim: Aim): Promise<View> {
  const view = await look(aim)
  checkSpans(aim, view.host)
  return view
}

/**
 * Reads the host and plans.
 *
 * @throws SpanplanError with what stands in the way.
 */
export async function look(aim: Aim): Promise<View> {
  return planFor(aim, await readFor(aim))
}

/**
 * Reads of the host what a plan for the aim rests on.
 *
 * @throws SpanplanError if it cannot be read.
 */
export function readFor(aim: Aim): Promise<Snapshot> {
  return readHost(questionOf(aim))
}

/**
 * Reads the host, and plans back to what it was like at an earlier look.
 *
 * @throws SpanplanError if it cannot be read.
 */
export async function lookBack(aim: Aim, first: View): Promise<View> {
  const question = questionOf(aim)
  const { docker } = first.host
  // Also what no span names any more, and is on no network of ours by now.
  const known = docker.state === 'read' ? docker.containers.map(({ name }) => name) : []
  return planBack(first, await readHost({ ...question, containers: new Set([...question.containers, ...known]) }))
}

/** What leads from the host as it is now back to what it was like at an earlier look. */
export function planBack(first: View, host: Snapshot): View {
  const { wanted } = first.desired
  const also = new Set(wanted.cards.map(({ link }) => link.index))
  const desired = { ...first.desired, wanted: survey({ ...wanted, also }, host) }
  const plan = makeReturn(first.plan, { wanted, host: first.host }, { wanted: desired.wanted, host })
  return { host, desired, plan }
}

function questionOf(aim: Aim): Question {
  const spans = aim.want === 'spec' ? aim.spec.spans : []
  return {
    expressions: spans.flatMap((span) => span.sources.flatMap(({ filter }) => filter?.expression ?? [])),
    copies: spans.length > 0,
    networks: new Set(spans.flatMap(({ network }) => network?.name ?? [])),
    bridges: new Set(spans.map(({ name }) => name)),
    containers: new Set(spans.flatMap(({ sensors }) => sensors.map(({ container }) => container))),
    deferDocker: aim.deferDocker
  }
}

/**
 * What leads from the host as it was found to the aim.
 *
 * @throws SpanplanError with what stands in the way.
 */
export function planFor(aim: Aim, host: Snapshot): View {
  needDocker(aim, host)
  const desired = desire(aim, host)
  const plan = makePlan(desired, host)
  if (aim.want === 'nothing') return { host, desired, plan }
  return {
    host,
    desired,
    plan: { ...plan, warnings: [...plan.warnings, ...unlisted(aim, host), ...empties(aim, plan)] }
  }
}

function desire(aim: Aim, host: Snapshot): Desired {
  if (aim.want === 'spec') return resolveSpec(aim.spec, host, aim.scope, aim.adopt)
  return resolveNothing(aim.owner, host, aim.scope, [...(aim.scope.spans ?? []), ...aim.known])
}

/** A span that is selected and that neither the file nor the host knows is a slip of the pen. */
function checkSpans(aim: Aim, host: Snapshot): void {
  const names = [...(aim.want === 'spec' ? aim.spec.spans.map(({ name }) => name) : aim.known), ...liveSpans(aim, host)]
  const unknown = [...(aim.scope.spans ?? [])].filter((span) => !names.includes(span))
  if (unknown.length === 0) return
  throw new SpanplanError(
    unknown.map((span) => ({
      code: 'SPAN_UNKNOWN',
      message: `--span ${span}: neither the file nor this host has such a span`,
      hint: suggestHint(span, names) ?? `there are: ${names.join(', ') || 'none'}`
    })),
    Exit.usage
  )
}

/** The spans of the aim's owner that the host knows. */
function liveSpans({ scope }: Aim, host: Snapshot): string[] {
  const anySpan = { scope: { ...scope, spans: null } }
  const bridges = host.links.flatMap(({ alias, name }) =>
    covers(anySpan, readAlias(alias)?.owner, name) ? [name] : []
  )
  const networks =
    host.docker.state === 'read'
      ? host.docker.networks.flatMap(({ labels }) =>
          covers(anySpan, labels[label.name], labels[label.span] ?? '') ? [labels[label.span] ?? ''] : []
        )
      : []
  return [...new Set([...bridges, ...networks])]
}

/**
 * Docker that is away is no reason to forget that it has to do with what goes. A bridge's mark says whether it has; on a
 * host without Docker, it has with none.
 */
function needDocker(aim: Aim, host: Snapshot): void {
  if (host.docker.state !== 'unreachable') return
  const stays = aim.want === 'spec' ? aim.spec.spans.map(({ name }) => name) : []
  const needed = host.links.some(({ alias, name }) => {
    const mark = readAlias(alias)
    return mark?.network === true && covers(aim, mark.owner, name) && !stays.includes(name)
  })
  if (needed) throw new SpanplanError(host.docker.reason)
}

function empties({ spec }: Extract<Aim, { want: 'spec' }>, { changes }: Plan) {
  if (spec.spans.length > 0 || changes.length === 0) return []
  const message = `the file has no spans: apply would remove all that the name ${spec.name} has here`
  return [notice('FILE_REMOVES_ALL', message, 'apply does so with --allow-empty only')]
}

/** Spans of this name that are live, and that the file does not know. */
function unlisted({ spec, scope }: Extract<Aim, { want: 'spec' }>, host: Snapshot) {
  return host.links
    .filter(
      ({ alias, name }) =>
        readAlias(alias)?.owner === spec.name &&
        !spec.spans.some((span) => span.name === name) &&
        !covers({ scope }, spec.name, name)
    )
    .map(({ name }) =>
      notice(
        'SPAN_UNLISTED',
        `span ${name} is live, and not in the file: it is left as it is`,
        shellLine(['spanplan', 'destroy', '--span', name])
      )
    )
}
