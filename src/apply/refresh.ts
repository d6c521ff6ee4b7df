import { Exit, SpanplanError } from '../errors.ts'
import { label } from '../host/parsers/docker.ts'
import { shellLine } from '../host/quote.ts'
import { type Question, readDocker, readHost, readKernel } from '../host/read-snapshot.ts'
import type { DockerState, KernelState, Snapshot } from '../host/snapshot.ts'
import { makePlan, makeReturn, type Plan } from '../plan/plan.ts'
import { type Desired, type Order, resolveNothing, resolveSpec, type Wait } from '../plan/resolve.ts'
import { routedLinks } from '../resources/interface-use.ts'
import { type Moment, writeAddress } from '../resources/kind.ts'
import { covers, everySpan, leaveOut, namedSpans, notice, type Scope, survey } from '../resources/mark-inventory.ts'
import { readMark } from '../resources/marks.ts'
import { dedicatedInterfaces } from '../resources/sources/interface.ts'
import { type GoingDown, namesGoingDown } from '../run-dir/pauses.ts'
import { suggestHint } from '../spec/schema/did-you-mean.ts'
import type { SpanSpec } from '../spec/spec.ts'

/** What a command is to make true of the host. */
export type Aim =
  | (Omit<Order, 'away'> & {
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
 * The kernel's part of it.
 *
 * @throws SpanplanError if it cannot be read.
 */
export function readKernelFor(aim: Aim): Promise<KernelState> {
  return readKernel(questionOf(aim))
}

/**
 * Docker's part of it.
 *
 * @throws SpanplanError if it cannot be read.
 */
export function readDockerFor(aim: Aim): Promise<DockerState> {
  return readDocker(questionOf(aim))
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
  const known = docker.state === 'read' ? docker.containers.map(({ name }) => ({ container: name })) : []
  const containers = [...question.containers, ...known]
  // The bridges that this apply has made are to go.
  const routed: Question['routed'] = (links, filters) => routedLinks(links, filters, () => false)
  return planBack(first, await readHost({ ...question, containers, routed }))
}

/**
 * The kernel's part of the host as it is in the middle of an apply, when Docker's part of what was to go has gone: the
 * containers of the first look are on none of its networks any more.
 *
 * @throws SpanplanError if it cannot be read.
 */
export async function lookBetween(aim: Aim, { host: { docker }, desired: { wanted } }: View): Promise<Moment> {
  const kernel = await readKernelFor(aim)
  const host = { ...kernel, docker: docker.state === 'read' ? { ...docker, containers: [] } : docker }
  return { wanted: survey(wanted, host), host }
}

/** What leads from the host as it is now back to what it was like at an earlier look. */
export function planBack(first: View, host: Snapshot): View {
  const { wanted } = first.desired
  const also = new Set(wanted.cards.map(({ link }) => link.index))
  const desired = { ...first.desired, wanted: survey({ ...wanted, also }, host) }
  const plan = makeReturn(first.plan, { wanted, host: first.host }, { wanted: desired.wanted, host })
  return { host, desired, plan }
}

/** The pcap expressions of these spans. */
export function expressionsOf(spans: readonly SpanSpec[]): string[] {
  return spans.flatMap((span) => span.sources.flatMap(({ filter }) => filter?.expression ?? []))
}

function questionOf(aim: Aim): Question {
  const spans = aim.want === 'spec' ? aim.spec.spans : []
  return {
    expressions: expressionsOf(spans),
    ...(aim.want === 'spec' && aim.filterPatience !== undefined && { filterPatience: aim.filterPatience }),
    copies: spans.length > 0,
    routed: (links, filters) => {
      const marked = routedLinks(links, filters, (name) => spans.some((span) => span.name === name))
      return [...new Set([...marked, ...(aim.want === 'spec' ? dedicatedInterfaces(aim.spec, links) : [])])]
    },
    networks: new Set(spans.flatMap(({ network }) => network?.name ?? [])),
    bridges: new Set(spans.map(({ name }) => name)),
    containers: spans.flatMap(({ sensors }) => sensors),
    deferDocker: aim.deferDocker
  }
}

/**
 * What leads from the host as it was found to the aim.
 *
 * @throws SpanplanError with what stands in the way.
 */
export function planFor(asked: Aim, host: Snapshot): View {
  const { aim, waiting } = needDocker(asked, host)
  const wanted = desire(aim, host)
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

function desire(aim: Aim, host: Snapshot): Desired {
  if (aim.want === 'spec') return resolveSpec({ ...aim, away: namesGoingDown(aim.away, host.links) }, host)
  return resolveNothing(aim.owner, host, aim.scope, [...namedSpans(aim.scope.spans), ...aim.known])
}

/** A span that is selected and that neither the file nor the host knows is a slip of the pen. */
function checkSpans(aim: Aim, host: Snapshot): void {
  const names = [...(aim.want === 'spec' ? aim.spec.spans.map(({ name }) => name) : aim.known), ...liveSpans(aim, host)]
  const unknown = namedSpans(aim.scope.spans).filter((span) => !names.includes(span))
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
export function liveSpans({ scope }: Pick<Aim, 'scope'>, host: Snapshot): string[] {
  const anySpan = { scope: { ...scope, spans: everySpan } }
  const bridges = host.links.flatMap((link) => (covers(anySpan, readMark(link)?.owner, link.name) ? [link.name] : []))
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
 * host without Docker, it has with none. What cannot go without it is left for later, with a wait, by those who are patient.
 */
function needDocker(aim: Aim, host: Snapshot): { readonly aim: Aim; readonly waiting: readonly Wait[] } {
  if (host.docker.state !== 'unreachable') return { aim, waiting: [] }
  const stays = aim.want === 'spec' ? aim.spec.spans.map(({ name }) => name) : []
  const needed = host.links
    .filter((link) => {
      const mark = readMark(link)
      return mark?.network === true && covers(aim, mark.owner, link.name) && !stays.includes(link.name)
    })
    .map(({ name }) => name)
  if (needed.length === 0) return { aim, waiting: [] }
  if (aim.want === 'nothing' || !aim.patient) throw new SpanplanError(host.docker.reason)
  const { scope } = aim
  return {
    aim: { ...aim, scope: { ...scope, spans: leaveOut(scope.spans, needed) } },
    waiting: needed.map((name) => ({
      ...{ kind: 'network', span: name, title: name },
      notice: {
        ...notice('DOCKER_UNREACHABLE', 'waits for Docker, to be removed'),
        address: writeAddress(name, 'network', name)
      }
    }))
  }
}

function unreadContainers({ docker }: Snapshot) {
  if (docker.state !== 'read') return []
  return docker.unread.map(({ name, reason }) =>
    notice(
      'CONTAINER_UNREAD',
      `the container ${name} is left as it is, for nothing is known of it: ${reason.message}`,
      shellLine(['docker', 'inspect', name])
    )
  )
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
      (link) =>
        readMark(link)?.owner === spec.name &&
        !spec.spans.some((span) => span.name === link.name) &&
        !covers({ scope }, spec.name, link.name)
    )
    .map(({ name }) =>
      notice(
        'SPAN_UNLISTED',
        `span ${name} is live, and not in the file: it is left as it is`,
        shellLine(['spanplan', 'destroy', '--span', name])
      )
    )
}
