import { Exit, SpanplanError } from '../errors.ts'
import { label } from '../host/parsers/docker.ts'
import { shellLine } from '../host/quote.ts'
import { type ReadRequest, readDocker, readKernel, readSnapshot } from '../host/read-snapshot.ts'
import type { DockerState, KernelState, Snapshot } from '../host/snapshot.ts'
import { makePlan, makeRollback, type Plan } from '../plan/plan.ts'
import { type Desired, type ResolveTarget, resolveNothing, resolveSpec, type Wait } from '../plan/resolve.ts'
import { routedLinks } from '../resources/interface-use.ts'
import { type ObservedState, writeAddress } from '../resources/kind.ts'
import { diagnostic, isInScope, readMarks } from '../resources/mark-inventory.ts'
import { readMark } from '../resources/marks.ts'
import { dedicatedInterfaces } from '../resources/sources/interface.ts'
import { type GoingDown, namesGoingDown } from '../run-dir/pauses.ts'
import { suggestHint } from '../spec/schema/did-you-mean.ts'
import { everySpan, exceptSpans, namedSpans, type Scope } from '../spec/scope.ts'
import type { SpanSpec } from '../spec/spec.ts'

/** What a command is to make true of the host. */
export type Target =
  | (Omit<ResolveTarget, 'away'> & {
      readonly want: 'spec'
      readonly deferDocker: boolean
      /** What hooks have said of interfaces; which of them still go down, the host says. */
      readonly away: readonly GoingDown[]
      /** As a {@link Question} has it. */
      readonly filterPatience?: number
    })
  | {
      readonly want: 'nothing'
      readonly owner: string
      readonly scope: Scope
      /** The names of spans that the file, if there is one, knows. */
      readonly known: readonly string[]
      readonly deferDocker: boolean
    }

/** The host as it was found, what is desired of it, and what leads there. */
export interface PlanView {
  readonly host: Snapshot
  readonly desired: Desired
  readonly plan: Plan
}

/**
 * The first look of a command, which may still be wrongly aimed.
 *
 * @throws SpanplanError SPAN_UNKNOWN, or with what stands in the way.
 */
export async function refreshFirst(target: Target): Promise<PlanView> {
  const view = await refresh(target)
  checkSpans(target, view.host)
  return view
}

/**
 * Reads the host and plans.
 *
 * @throws SpanplanError with what stands in the way.
 */
export async function refresh(target: Target): Promise<PlanView> {
  return planTarget(target, await readSnapshotFor(target))
}

/**
 * Reads of the host what a plan for the aim rests on.
 *
 * @throws SpanplanError if it cannot be read.
 */
export function readSnapshotFor(target: Target): Promise<Snapshot> {
  return readSnapshot(readRequestOf(target))
}

/**
 * The kernel's part of it.
 *
 * @throws SpanplanError if it cannot be read.
 */
export function readKernelFor(target: Target): Promise<KernelState> {
  return readKernel(readRequestOf(target))
}

/**
 * Docker's part of it.
 *
 * @throws SpanplanError if it cannot be read.
 */
export function readDockerFor(target: Target): Promise<DockerState> {
  return readDocker(readRequestOf(target))
}

/**
 * Reads the host, and plans back to what it was like at an earlier look.
 *
 * @throws SpanplanError if it cannot be read.
 */
export async function refreshForRollback(target: Target, first: PlanView): Promise<PlanView> {
  const request = readRequestOf(target)
  const { docker } = first.host
  // Also what no span names any more, and is on no network of ours by now.
  const known = docker.state === 'read' ? docker.containers.map(({ name }) => ({ container: name })) : []
  const containers = [...request.containers, ...known]
  // The bridges that this apply has made are to go.
  const routed: ReadRequest['routed'] = (links, filters) => routedLinks(links, filters, () => false)
  return planRollback(first, await readSnapshot({ ...request, containers, routed }))
}

/**
 * The kernel's part of the host as it is in the middle of an apply, when Docker's part of what was to go has gone: the
 * containers of the first look are on none of its networks any more.
 *
 * @throws SpanplanError if it cannot be read.
 */
export async function refreshBetween(
  target: Target,
  { host: { docker }, desired: { wanted } }: PlanView
): Promise<ObservedState> {
  const kernel = await readKernelFor(target)
  const host = { ...kernel, docker: docker.state === 'read' ? { ...docker, containers: [] } : docker }
  return { wanted: readMarks(wanted, host), host }
}

/** What leads from the host as it is now back to what it was like at an earlier look. */
export function planRollback(first: PlanView, host: Snapshot): PlanView {
  const { wanted } = first.desired
  const also = new Set(wanted.interfaces.map(({ link }) => link.index))
  const desired = { ...first.desired, wanted: readMarks({ ...wanted, also }, host) }
  const plan = makeRollback(first.plan, { wanted, host: first.host }, { wanted: desired.wanted, host })
  return { host, desired, plan }
}

/** The pcap expressions of these spans. */
export function expressionsOf(spans: readonly SpanSpec[]): string[] {
  return spans.flatMap((span) => span.sources.flatMap(({ filter }) => filter?.expression ?? []))
}

function readRequestOf(target: Target): ReadRequest {
  const spans = target.want === 'spec' ? target.spec.spans : []
  return {
    expressions: expressionsOf(spans),
    ...(target.want === 'spec' && target.filterPatience !== undefined && { filterPatience: target.filterPatience }),
    copies: spans.length > 0,
    routed: (links, filters) => {
      const marked = routedLinks(links, filters, (name) => spans.some((span) => span.name === name))
      return [...new Set([...marked, ...(target.want === 'spec' ? dedicatedInterfaces(target.spec, links) : [])])]
    },
    networks: new Set(spans.flatMap(({ network }) => network?.name ?? [])),
    bridges: new Set(spans.map(({ name }) => name)),
    containers: spans.flatMap(({ sensors }) => sensors),
    deferDocker: target.deferDocker
  }
}

/**
 * What leads from the host as it was found to the aim.
 *
 * @throws SpanplanError with what stands in the way.
 */
export function planTarget(asked: Target, host: Snapshot): PlanView {
  const { target, waiting } = needDocker(asked, host)
  const wanted = desire(target, host)
  const desired = {
    ...wanted,
    waiting: [...wanted.waiting, ...waiting],
    warnings: [...wanted.warnings, ...unreadContainers(host)]
  }
  const plan = makePlan(desired, host)
  if (asked.want === 'nothing') return { host, desired, plan }
  return {
    host,
    desired,
    plan: { ...plan, warnings: [...plan.warnings, ...unlisted(asked, host), ...empties(asked, plan)] }
  }
}

function desire(target: Target, host: Snapshot): Desired {
  if (target.want === 'spec') return resolveSpec({ ...target, away: namesGoingDown(target.away, host.links) }, host)
  return resolveNothing(target.owner, host, target.scope, [...namedSpans(target.scope.spans), ...target.known])
}

/** A span that is selected and that neither the file nor the host knows is a slip of the pen. */
function checkSpans(target: Target, host: Snapshot): void {
  const names = [
    ...(target.want === 'spec' ? target.spec.spans.map(({ name }) => name) : target.known),
    ...liveSpans(target, host)
  ]
  const unknown = namedSpans(target.scope.spans).filter((span) => !names.includes(span))
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

/** The names of the spans of the scope's owner that the host knows. */
export function liveSpans({ scope }: Pick<Target, 'scope'>, host: Snapshot): string[] {
  const anySpan = { scope: { ...scope, spans: everySpan } }
  const bridges = host.links.flatMap((link) =>
    isInScope(anySpan, readMark(link)?.owner, link.name) ? [link.name] : []
  )
  const networks =
    host.docker.state === 'read'
      ? host.docker.networks.flatMap(({ labels }) =>
          isInScope(anySpan, labels[label.name], labels[label.span] ?? '') ? [labels[label.span] ?? ''] : []
        )
      : []
  return [...new Set([...bridges, ...networks])]
}

/**
 * Docker that is away is no reason to forget that it has to do with what goes. A bridge's mark says whether it has; on a
 * host without Docker, it has with none. What cannot go without it is left for later, with a wait, by those who are patient.
 */
function needDocker(target: Target, host: Snapshot): { readonly target: Target; readonly waiting: readonly Wait[] } {
  if (host.docker.state !== 'unreachable') return { target, waiting: [] }
  const stays = target.want === 'spec' ? target.spec.spans.map(({ name }) => name) : []
  const needed = host.links
    .filter((link) => {
      const mark = readMark(link)
      return mark?.network === true && isInScope(target, mark.owner, link.name) && !stays.includes(link.name)
    })
    .map(({ name }) => name)
  if (needed.length === 0) return { target, waiting: [] }
  if (target.want === 'nothing' || !target.patient) throw new SpanplanError(host.docker.reason)
  const { scope } = target
  return {
    target: { ...target, scope: { ...scope, spans: exceptSpans(scope.spans, needed) } },
    waiting: needed.map((name) => ({
      ...{ kind: 'network', span: name, title: name },
      diagnostic: {
        ...diagnostic('DOCKER_UNREACHABLE', 'waits for Docker, to be removed'),
        address: writeAddress(name, 'network', name)
      }
    }))
  }
}

function unreadContainers({ docker }: Snapshot) {
  if (docker.state !== 'read') return []
  return docker.unread.map(({ name, reason }) =>
    diagnostic(
      'CONTAINER_UNREAD',
      `the container ${name} is left as it is, for nothing is known of it: ${reason.message}`,
      shellLine(['docker', 'inspect', name])
    )
  )
}

function empties({ spec }: Extract<Target, { want: 'spec' }>, { changes }: Plan) {
  if (spec.spans.length > 0 || changes.length === 0) return []
  const message = `the file has no spans: apply would remove all that the name ${spec.name} has here`
  return [diagnostic('FILE_REMOVES_ALL', message, 'apply does so with --allow-empty only')]
}

/** Spans of this name that are live, and that the file does not know. */
function unlisted({ spec, scope }: Extract<Target, { want: 'spec' }>, host: Snapshot) {
  return host.links
    .filter(
      (link) =>
        readMark(link)?.owner === spec.name &&
        !spec.spans.some((span) => span.name === link.name) &&
        !isInScope({ scope }, spec.name, link.name)
    )
    .map(({ name }) =>
      diagnostic(
        'SPAN_UNLISTED',
        `span ${name} is live, and not in the file: it is left as it is`,
        shellLine(['spanplan', 'destroy', '--span', name])
      )
    )
}
