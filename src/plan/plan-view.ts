import { SpanplanError } from '../errors.ts'
import { shellLine } from '../host/quote-command.ts'
import type { Snapshot } from '../host/snapshot.ts'
import { writeAddress } from '../resources/kind.ts'
import { diagnostic, isInScope, readMarks } from '../resources/mark-inventory.ts'
import { readMark } from '../resources/marks.ts'
import { namesGoingDown } from '../run-dir/going-down.ts'
import { exceptSpans, namedSpans } from '../spec/scope.ts'
import { makePlan, makeRollback, type Plan } from './plan.ts'
import { type Desired, resolveNothing, resolveSpec, type Wait } from './resolve.ts'
import type { SpecTarget, Target } from './target.ts'

/** The host as it was read, the desired state, and the plan that leads there. */
export interface PlanView {
  readonly host: Snapshot
  readonly desired: Desired
  readonly plan: Plan
}

/**
 * Plans what leads from the host to the target.
 *
 * @throws SpanplanError with all conflicts and all that cannot be resolved.
 */
export function planTarget(asked: Target, host: Snapshot): PlanView {
  const { target, waiting } = deferWhatNeedsDocker(asked, host)
  const resolved = resolve(target, host)
  const desired = {
    ...resolved,
    waiting: [...resolved.waiting, ...waiting],
    warnings: [...resolved.warnings, ...warnOfUnreadContainers(host)]
  }
  const plan = makePlan(desired, host)
  if (asked.want === 'nothing') return { host, desired, plan }
  const warnings = [...plan.warnings, ...warnOfUnlistedSpans(asked, host), ...warnOfEmptyFile(asked, plan)]
  return { host, desired, plan: { ...plan, warnings } }
}

/** Plans what leads from the host as it is now back to the host of an earlier plan view. */
export function planRollback(first: PlanView, host: Snapshot): PlanView {
  const { wanted } = first.desired
  const also = new Set(wanted.interfaces.map(({ link }) => link.index))
  const desired = { ...first.desired, wanted: readMarks({ ...wanted, also }, host) }
  const plan = makeRollback(first.plan, { wanted, host: first.host }, { wanted: desired.wanted, host })
  return { host, desired, plan }
}

function resolve(target: Target, host: Snapshot): Desired {
  if (target.want === 'spec') {
    return resolveSpec({ ...target, goingDown: namesGoingDown(target.goingDown, host.links) }, host)
  }
  return resolveNothing(target.owner, host, target.scope, [...namedSpans(target.scope.spans), ...target.known])
}

/**
 * Without Docker, a span that has a Docker network cannot be removed whole. A bridge's mark says whether its span has one.
 * Where the target is patient, the removal of such spans waits; else it is an error.
 */
function deferWhatNeedsDocker(
  target: Target,
  host: Snapshot
): { readonly target: Target; readonly waiting: readonly Wait[] } {
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

function warnOfUnreadContainers({ docker }: Snapshot) {
  if (docker.state !== 'read') return []
  return docker.unread.map(({ name, reason }) =>
    diagnostic(
      'CONTAINER_UNREAD',
      `the container ${name} is left as it is, for nothing is known of it: ${reason.message}`,
      shellLine(['docker', 'inspect', name])
    )
  )
}

/** How many resources a plan removes because the file has no spans: probably by accident. 0 where the file has spans. */
export function countEmptyFileRemovals(target: Target, { changes }: Plan): number {
  if (target.want === 'nothing' || target.spec.spans.length > 0) return 0
  return changes.filter(({ action }) => action === 'remove').length
}

function warnOfEmptyFile(target: SpecTarget, plan: Plan) {
  if (countEmptyFileRemovals(target, plan) === 0) return []
  const message = `the file has no spans: apply would remove all that the name ${target.spec.name} has here`
  return [diagnostic('FILE_REMOVES_ALL', message, 'apply does so with --allow-empty only')]
}

/** Live spans with the file's name that neither the file nor the scope has. */
function warnOfUnlistedSpans({ spec, scope }: SpecTarget, host: Snapshot) {
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
