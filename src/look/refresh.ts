import { setTimeout as sleep } from 'node:timers/promises'
import { SpanplanError } from '../errors.ts'
import type { CallLimits } from '../host/docker/call-limits.ts'
import { indexHost } from '../host/host-index.ts'
import type { ReadRequest } from '../host/read-request.ts'
import { readKernel, readSnapshot } from '../host/read-snapshot.ts'
import type { DockerState } from '../host/snapshot.ts'
import { checkSelectedSpans } from '../plan/live-spans.ts'
import { findDifferences, listDifferences } from '../plan/output/compare-plans.ts'
import { showView } from '../plan/output/saved-plan.ts'
import { type PlanView, planRollback, planTarget } from '../plan/plan-view.ts'
import { readRequestOf, type Target } from '../plan/target.ts'
import { routedLinks, routedTunnels } from '../resources/interface-use.ts'
import type { ObservedState } from '../resources/kind.ts'
import { readMarks } from '../resources/read-marks.ts'
import { namesOf } from '../spec/scope.ts'
import { keepNames } from './listening.ts'
import { readHostFor, readKernelFor, withDocker } from './read-host.ts'

/**
 * Reads the host, plans, and checks the spans that a user selected by name.
 *
 * @param limits of each call of Docker.
 * @throws SpanplanError SPAN_UNKNOWN, that the host cannot be read, or all conflicts of the plan.
 */
export async function refreshAndCheckSpans(target: Target, limits?: CallLimits): Promise<PlanView> {
  const view = await refreshSettled(target, limits)
  checkSelectedSpans(target, view.host)
  return view
}

/**
 * Reads the host and plans.
 *
 * @param limits of each call of Docker.
 * @throws SpanplanError that the host cannot be read, or all conflicts of the plan.
 */
export async function refresh(target: Target, limits?: CallLimits): Promise<PlanView> {
  return keepNames(target, planTarget(target, await readHostFor(target, limits)))
}

/** Milliseconds: the most time for the kernel to tell a bridge of a port's carrier. It takes a second (net/core/link_watch.c). */
const carrierLimit = 2000
/** Milliseconds between two looks at that. */
const carrierPause = 100

/**
 * Reads the host and plans, once no port of a span is about to forward by itself. A watch has no need of that: it gets an event then.
 *
 * @param limits of each call of Docker.
 * @throws SpanplanError that the host cannot be read, or all conflicts of the plan.
 */
export async function refreshSettled(target: Target, limits?: CallLimits): Promise<PlanView> {
  const deadline = performance.now() + carrierLimit
  const bridges = new Set(target.spec.spans.map(({ bridge }) => bridge))
  for (;;) {
    const view = await refresh(target, limits)
    const isPending = view.host.snapshot.links.some(
      ({ master, port, carrierIsLate }) => port?.isDisabled && carrierIsLate && master !== null && bridges.has(master)
    )
    if (!isPending || performance.now() >= deadline) return view
    await sleep(carrierPause)
  }
}

/**
 * Reads the kernel alone and plans: of Docker, what it answered for an earlier plan view counts.
 *
 * @throws SpanplanError that the kernel cannot be read, or all conflicts of the plan.
 */
export async function refreshKernel(target: Target, { host: { docker } }: PlanView): Promise<PlanView> {
  const kernelTarget = { ...target, deferDocker: true }
  const known: DockerState = docker.state === 'read' ? { state: 'deferred', last: docker } : docker
  return keepNames(kernelTarget, planTarget(kernelTarget, withDocker(await readKernelFor(kernelTarget), known)))
}

/**
 * Reads the host and plans again after a person has approved a plan. Whatever else has changed meanwhile is what a rollback
 * would lead back to.
 *
 * @throws SpanplanError HOST_CHANGED, with what has changed, if the plan is not the approved plan any more.
 */
export async function refreshUnchanged(target: Target, approved: PlanView): Promise<PlanView> {
  const view = await refresh(target)
  const differences = findDifferences(showView(approved), showView(view))
  if (differences.length === 0) return view
  throw new SpanplanError({
    code: 'HOST_CHANGED',
    message: `the host has changed since the plan was shown:${listDifferences(differences)}\nNothing was changed.`,
    hint: 'run it again, and read the new plan'
  })
}

/**
 * Reads the host, and plans the rollback to the host of an earlier plan view.
 *
 * @throws SpanplanError if the host cannot be read.
 */
export async function refreshForRollback(target: Target, first: PlanView): Promise<PlanView> {
  const request = readRequestOf(target)
  // By now, some containers may be named by no span and be on no network of ours.
  const known = first.host.containers.map(({ name }) => ({ container: name }))
  const containers = [...request.containers, ...known]
  // The rollback removes the bridges and tunnels that this apply has created.
  const routed: ReadRequest['routed'] = (links, filters) => [
    ...routedLinks(links, filters, () => false),
    ...routedTunnels(links, namesOf(target.spec), [])
  ]
  return planRollback(first, indexHost(await readSnapshot({ ...request, containers, routed })))
}

/**
 * Reads the kernel's part of the host in the middle of an apply, after Docker's removals: no container of the first
 * snapshot is on one of its networks any more.
 *
 * @throws SpanplanError if the kernel's state cannot be read.
 */
export async function observeDuringApply(
  target: Target,
  { host: { docker }, desired }: PlanView
): Promise<ObservedState> {
  const kernel = await readKernel(readRequestOf(target))
  const host = indexHost({ ...kernel, docker: docker.state === 'read' ? { ...docker, containers: [] } : docker })
  return { desired, marks: readMarks(desired, host), host }
}
