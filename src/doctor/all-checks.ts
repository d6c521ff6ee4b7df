import { docker, liveRestore } from './checks/docker-checks.ts'
import { file, runDirectory } from './checks/file-checks.ts'
import { firewall } from './checks/firewall-checks.ts'
import { installation } from './checks/installation-checks.ts'
import { carrier, managers, mtu, offloads } from './checks/interface-checks.ts'
import { modules } from './checks/kernel-checks.ts'
import { listeners, xdp } from './checks/listener-checks.ts'
import { marks } from './checks/mark-checks.ts'
import { bpftool, ethtool, iproute2, nftables, node, tcpdump, tools } from './checks/program-checks.ts'
import { rights } from './checks/right-checks.ts'
import { pauses, sensors, silence, spans } from './checks/span-checks.ts'
import { units, watch } from './checks/watch-checks.ts'
import type { Check, Finding } from './finding.ts'
import type { DoctorReadings } from './readings.ts'

/** All checks by their ids, which are stable, in the order in which they are shown: what others depend on comes first. */
const checks: Readonly<Record<string, Check>> = {
  node,
  iproute2,
  ethtool,
  tcpdump,
  nftables,
  bpftool,
  tools,
  kernel_modules: modules,
  rights,
  docker,
  live_restore: liveRestore,
  file,
  run_directory: runDirectory,
  spans,
  carrier,
  managers,
  offloads,
  mtu,
  firewall,
  sensors,
  xdp,
  listeners,
  silence,
  pauses,
  watch,
  units,
  installation,
  marks
}

/** A finding, with the check that has found it. */
export interface CheckedFinding extends Finding {
  readonly id: string
}

/** Does all checks. */
export function runChecks(readings: DoctorReadings): CheckedFinding[] {
  return Object.entries(checks).flatMap(([id, check]) => check(readings).map((finding) => ({ id, ...finding })))
}
