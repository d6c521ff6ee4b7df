import { type HostIndex, indexHost } from '../../../src/host/host-index.ts'
import type { Compiled, CompiledFilters } from '../../../src/host/parsers/pcap.ts'
import type { Snapshot } from '../../../src/host/snapshot.ts'
import type { Facts } from '../../../src/plan/plan-view.ts'

/** A snapshot, and what tcpdump made of the filters. */
export interface CapturedHost extends Snapshot {
  readonly programs: CompiledFilters
}

/** The same as it stands in a host.json: a map of programs is an object there. */
type HostFile = Omit<CapturedHost, 'programs'> & { readonly programs: Readonly<Record<string, Compiled>> }

/** What a plan is made from. */
export function factsOf(captured: CapturedHost): Facts {
  return { host: indexHost(captured), filters: captured.programs }
}

/** One link, qdisc and filter a line, so that what a case has edited is seen at a glance. */
export function writeHost({
  bootId,
  links,
  opaque,
  qdiscs,
  filters,
  classFilters,
  attached,
  routes,
  nftables,
  silence,
  docker,
  programs
}: CapturedHost): string {
  const lines = (items: readonly unknown[]) =>
    `[\n${items.map((item) => `    ${JSON.stringify(item)}`).join(',\n')}\n  ]`
  const fields = [
    `"bootId": ${JSON.stringify(bootId)}`,
    `"links": ${lines(links)}`,
    ...(opaque.length > 0 ? [`"opaque": ${lines(opaque)}`] : []),
    `"qdiscs": ${lines(qdiscs)}`,
    `"filters": ${lines(filters)}`,
    `"classFilters": ${lines(classFilters)}`,
    `"attached": ${lines(attached)}`,
    `"routes": ${lines(routes)}`,
    `"nftables": ${JSON.stringify(nftables)}`,
    ...(silence === null ? [] : [`"silence": ${JSON.stringify(silence)}`]),
    `"docker": ${JSON.stringify(docker)}`,
    `"programs": ${JSON.stringify(Object.fromEntries(programs))}`
  ]
  return `{\n${fields.map((field) => `  ${field}`).join(',\n')}\n}\n`
}

export function readHostFile(text: string): CapturedHost {
  // Written by writeHost() and then edited: a field that is missing shows in the plan. What few cases are about may be.
  const {
    programs,
    opaque = [],
    attached = [],
    routes = [],
    nftables = null,
    silence = null,
    ...host
  } = JSON.parse(text) as HostFile
  const links = host.links.map(({ manager = null, xdp = null, bridge, ...link }) => ({
    ...link,
    carrier: link.carrier ?? link.up,
    manager,
    xdp,
    // The older of them were taken before it was read.
    bridge: bridge && { ...bridge, groupForward: bridge.groupForward ?? 0 }
  }))
  const docker = host.docker.state === 'read' ? completeDocker(host.docker) : host.docker
  return {
    ...host,
    links,
    opaque,
    attached,
    routes,
    nftables,
    silence,
    docker,
    programs: new Map(Object.entries(programs))
  }
}

/** The older of them were taken from Docker 26.1, whose containers ran and had no labels. */
function completeDocker({
  api = '1.45',
  containers,
  unread = [],
  names = containers.map(({ name }) => name),
  ...docker
}: Extract<Snapshot['docker'], { state: 'read' }>) {
  return {
    ...docker,
    api,
    unread,
    names,
    containers: containers.map(({ labels = {}, running = true, veths = null, ...container }) => ({
      ...{ sandbox: running ? `/run/docker/netns/${container.id.slice(0, 12)}` : null },
      ...{ restarts: 0, paused: false, startedAt: null, finishedAt: null, exitStatus: 0 },
      ...{ ...container, labels, running, veths }
    }))
  }
}

/** What was read of a host, without its indexes. */
export function asData({
  bootId,
  links,
  opaque,
  qdiscs,
  filters,
  classFilters,
  attached,
  routes,
  nftables,
  silence,
  docker
}: HostIndex): Snapshot {
  return { bootId, links, opaque, qdiscs, filters, classFilters, attached, routes, nftables, silence, docker }
}
