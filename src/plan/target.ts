import type { ReadRequest } from '../host/read-request.ts'
import { routedLinks } from '../resources/interface-use.ts'
import { dedicatedInterfaces } from '../resources/sources/interface.ts'
import { sourceContainers } from '../resources/sources/registry.ts'
import type { GoingDown } from '../run-dir/going-down.ts'
import type { Scope } from '../spec/scope.ts'
import type { SpanSpec, Spec } from '../spec/spec.ts'

/** What a command brings the host to: the spans of a file, or nothing. */
export type Target = SpecTarget | NothingTarget

/** The spans of a file. */
export interface SpecTarget {
  readonly want: 'spec'
  readonly spec: Spec
  /** Live spans in scope that the file does not have are removed. */
  readonly scope: Scope
  /** Foreign things that can be adopted are adopted. */
  readonly adopt: boolean
  /** A missing interface, or a Docker that does not answer, is a wait; else it is an error. */
  readonly patient: boolean
  readonly deferDocker: boolean
  /** What hooks have recorded. Which of these interfaces are still going down depends on the host. */
  readonly goingDown: readonly GoingDown[]
  /** Milliseconds to wait for tcpdump; null: as long as it takes. */
  readonly filterPatience: number | null
}

/** Nothing: all that spanplan made in this scope is removed. */
export interface NothingTarget {
  readonly want: 'nothing'
  readonly owner: string
  readonly scope: Scope
  /** The names of the spans in the file; none without a file. */
  readonly known: readonly string[]
  readonly deferDocker: boolean
}

/** The pcap expressions of these spans. */
export function expressionsOf(spans: readonly SpanSpec[]): string[] {
  return spans.flatMap((span) => span.sources.flatMap(({ filter }) => filter?.expression ?? []))
}

/** What has to be read of the host to plan for a target. */
export function readRequestOf(target: Target): ReadRequest {
  const spans = target.want === 'spec' ? target.spec.spans : []
  return {
    copies: spans.length > 0,
    routed: (links, filters) => {
      const marked = routedLinks(links, filters, (name) => spans.some((span) => span.name === name))
      return [...new Set([...marked, ...(target.want === 'spec' ? dedicatedInterfaces(target.spec, links) : [])])]
    },
    networks: new Set(spans.flatMap(({ network }) => network?.name ?? [])),
    bridges: new Set(spans.map(({ name }) => name)),
    containers: spans.flatMap(({ sensors, sources }) => [...sensors, ...sources.flatMap(sourceContainers)]),
    deferDocker: target.deferDocker
  }
}
