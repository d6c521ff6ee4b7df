import { type Diagnostic, diagnostic } from '../errors.ts'
import type { HostIndex } from '../host/host-index.ts'
import { readSubnet, type Subnet, subnetsOverlap, writeSubnet } from '../spec/values/subnet.ts'
import type { DesiredSpan, DesiredState } from './desired-state.ts'
import { hashOf } from './marks.ts'

/** 198.18.0.0/15 is for benchmarks of networks (RFC 2544): no real hosts have addresses there. */
const pool = { base: 198 * 2 ** 24 + 18 * 2 ** 16, length: 15 } as const
const length = 26
const size = 2 ** (32 - length)
const poolSize = 2 ** (length - pool.length)

/**
 * A free /26 of the pool: the first after a place that the seed decides. Were that a function of the bridge's name alone, whoever
 * sends on the mirrored wire could aim at the sensors' addresses.
 */
export function findFreeSubnet(seed: string, bridge: string, taken: readonly Subnet[]): string {
  const first = hashOf(seed, bridge) % poolSize
  for (let offset = 0; offset < poolSize; offset++) {
    const subnet = { base: pool.base + ((first + offset) % poolSize) * size, length }
    if (!taken.some((other) => subnetsOverlap(other, subnet))) return writeSubnet(subnet)
  }
  // All 2,048 are taken. Docker then says what is wrong.
  return writeSubnet({ base: pool.base + first * size, length })
}

/** A subnet with its user, in words. */
export interface UsedSubnet {
  readonly subnet: string
  readonly user: string
}

/** The subnets of Docker's networks, of the host's addresses and of the file. */
export function takenSubnets(desired: DesiredState, host: HostIndex): Subnet[] {
  const networks = host.networks.flatMap(({ pools }) => pools.map(({ subnet }) => subnet))
  const addresses = hostSubnets(host).map(({ subnet }) => subnet)
  const asked = desired.spans.flatMap((span) => span.network?.subnet ?? [])
  return readSubnets([...networks, ...addresses, ...asked])
}

/** What the host reaches without a default route, as far as that was read: by its own addresses, and by routes. */
function hostSubnets(host: HostIndex): UsedSubnet[] {
  const addresses = host.links.flatMap(({ name, addresses }) =>
    addresses
      .filter(({ family }) => family === 'inet')
      .map(({ address, prefix }) => ({
        subnet: networkOf(address, prefix),
        user: `the address ${address}/${prefix} of ${name}`
      }))
  )
  const routes = host.routes
    .filter(({ family }) => family === 'inet')
    .map(({ text, device }) => {
      const [to = ''] = text.split(' ')
      return { subnet: to.includes('/') ? to : `${to}/32`, user: `the route to ${to} through ${device}` }
    })
  return [...addresses, ...routes]
}

/** Prefixes of any length: a single address of the host is taken too. */
export function readSubnets(texts: readonly string[]): Subnet[] {
  return texts.flatMap((text) => readSubnet(text) ?? [])
}

/** The first of these subnets that shares an address with a span's, in words. */
export function writeOverlap(span: string, text: string, used: readonly UsedSubnet[]): string | null {
  const subnet = readSubnet(text)
  if (subnet === undefined) return null
  const found = used.find((one) => readSubnets([one.subnet]).some((other) => subnetsOverlap(subnet, other)))
  return found === undefined ? null : `span ${span}: the subnet ${text} overlaps ${found.subnet}, ${found.user}`
}

/** What to do about a subnet that is taken. */
export const chooseSubnet = 'choose another one, or remove the key "subnet": spanplan then chooses a free one'

/**
 * Warns where a subnet of the file is also a network of the host: the span's own network gives the host no route, but a sensor
 * gets one. The bridges of Docker's networks have the subnets of these, which are reported as such.
 */
export function warnOfSubnet({ name, bridge, network }: DesiredSpan, host: HostIndex): Diagnostic[] {
  if (network?.subnet == null) return []
  const links = host.links.filter((link) => link.name !== bridge && host.networksOn(link.name).length === 0)
  const overlap = writeOverlap(name, network.subnet, hostSubnets({ ...host, links }))
  if (overlap === null) return []
  const message = `${overlap}: sensors cannot reach these addresses by their other networks`
  return [diagnostic('SUBNET_SHADOWS', message, chooseSubnet, network.origin)]
}

function networkOf(address: string, prefix: number): string {
  const base = address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0)
  return writeSubnet({ base: base - (base % 2 ** (32 - prefix)), length: prefix })
}
