import { compileFilters } from '../host/compile-filters.ts'
import type { CallLimits } from '../host/docker/call-limits.ts'
import { readDocker } from '../host/docker/read-docker.ts'
import { indexHost, isTorn } from '../host/host-index.ts'
import { readKernel } from '../host/read-snapshot.ts'
import type { DockerState, KernelState } from '../host/snapshot.ts'
import type { Facts } from '../plan/plan-view.ts'
import { expressionsOf, readRequestOf, type Target } from '../plan/target.ts'

/**
 * Reads what a plan for the target needs to know. Where a container starts or ends between the kernel's answer and Docker's, both
 * are asked again, once.
 *
 * @param limits of each call of Docker.
 * @throws SpanplanError if the host cannot be read.
 */
export async function readFactsFor(target: Target, limits?: CallLimits): Promise<Facts> {
  const read = async () => {
    const [kernel, docker] = await Promise.all([readKernelFor(target), readDockerFor(target, limits)])
    return withDocker(kernel, docker)
  }
  const facts = await read()
  return isTorn(facts.host) ? read() : facts
}

/** The kernel's part of the facts. */
export interface KernelFacts extends Pick<Facts, 'filters'> {
  readonly kernel: KernelState
}

/** Completes the kernel's part of the facts. */
export function withDocker({ kernel, filters }: KernelFacts, docker: DockerState): Facts {
  return { host: indexHost({ ...kernel, docker }), filters }
}

/**
 * Reads the kernel's part of the facts, and compiles the filters.
 *
 * @throws SpanplanError if the kernel's state cannot be read, or tcpdump cannot be run.
 */
export async function readKernelFor(target: Target): Promise<KernelFacts> {
  const [kernel, filters] = await Promise.all([
    readKernel(readRequestOf(target)),
    compileFilters(expressionsOf(target.spec), target.filterPatience)
  ])
  return { kernel, filters }
}

/**
 * Reads Docker's part of the snapshot.
 *
 * @throws SpanplanError if Docker fails.
 */
export function readDockerFor(target: Target, limits?: CallLimits): Promise<DockerState> {
  return readDocker(readRequestOf(target), limits)
}
