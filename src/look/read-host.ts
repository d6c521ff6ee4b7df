import { compileFilters } from '../host/compile-filters.ts'
import type { CallLimits } from '../host/docker/call-limits.ts'
import { readDocker } from '../host/docker/read-docker.ts'
import { indexHost, isTorn } from '../host/host-index.ts'
import { readKernel } from '../host/read-snapshot.ts'
import type { DockerState, KernelState } from '../host/snapshot.ts'
import type { HostReading } from '../plan/plan-view.ts'
import { expressionsOf, readRequestOf, type Target } from '../plan/target.ts'

/**
 * Reads what a plan for the target needs to know. Where a container starts or ends between the kernel's answer and Docker's, both
 * are asked again, once.
 *
 * @param limits of each call of Docker.
 * @throws SpanplanError if the host cannot be read.
 */
export async function readHostFor(target: Target, limits?: CallLimits): Promise<HostReading> {
  const read = async () => {
    const [kernel, docker] = await Promise.all([readKernelFor(target), readDockerFor(target, limits)])
    return withDocker(kernel, docker)
  }
  const reading = await read()
  return isTorn(reading.host) ? read() : reading
}

/** What was read of the kernel, and the compiled filters. */
export interface KernelReading extends Pick<HostReading, 'filters'> {
  readonly kernel: KernelState
}

/** Adds what was read of Docker. */
export function withDocker({ kernel, filters }: KernelReading, docker: DockerState): HostReading {
  return { host: indexHost({ ...kernel, docker }), filters }
}

/**
 * Reads the kernel, and compiles the filters.
 *
 * @throws SpanplanError if the kernel's state cannot be read, or tcpdump cannot be run.
 */
export async function readKernelFor(target: Target): Promise<KernelReading> {
  const [kernel, filters] = await Promise.all([
    readKernel(readRequestOf(target)),
    compileFilters(expressionsOf(target.spec), target.filterPatience)
  ])
  return { kernel, filters }
}

/**
 * Reads Docker.
 *
 * @throws SpanplanError if Docker fails.
 */
export function readDockerFor(target: Target, limits?: CallLimits): Promise<DockerState> {
  return readDocker(readRequestOf(target), limits)
}
