import { docker, liveRestore } from './checks/docker.ts'
import { file, runDirectory } from './checks/files.ts'
import { installation } from './checks/installation.ts'
import { carrier, managers, mtu, offloads } from './checks/interfaces.ts'
import { modules } from './checks/kernel.ts'
import { listeners, xdp } from './checks/listeners.ts'
import { marks } from './checks/marks.ts'
import { bpftool, ethtool, iproute2, nftables, node, tcpdump, tools } from './checks/programs.ts'
import { rights } from './checks/rights.ts'
import { pauses, sensors, silence, spans } from './checks/spans.ts'
import { units, watch } from './checks/watch.ts'
import type { DoctorFacts } from './facts.ts'
import type { Check, Finding } from './finding.ts'

/** All checks, in the order in which they are shown: what others depend on comes first. */
const checks: readonly Check[] = [
  ...[node, iproute2, ethtool, tcpdump, nftables, bpftool, tools, modules, rights],
  ...[docker, liveRestore, file, runDirectory],
  ...[spans, carrier, managers, offloads, mtu, sensors, xdp, listeners, silence, pauses],
  ...[watch, units, installation, marks]
]

/** A finding, with the check that has found it. */
export interface CheckedFinding extends Finding {
  readonly id: string
}

/** Does all checks. */
export function runChecks(facts: DoctorFacts): CheckedFinding[] {
  return checks.flatMap(({ id, find }) => find(facts).map((finding) => ({ id, ...finding })))
}
