/** How evenly flows are spread over members with as many buckets each. */
import { describe, expect, test } from 'vitest'
import { bucketOf, type Flow, flow, frameOf, packet, randomNumbers, udp } from './any-frame.ts'

const random = randomNumbers(1)
const count = 10_000
const many = <Item>(make: (index: number) => Item, length = count) => Array.from({ length }, (_, index) => make(index))

function ipv6(network: number, host: number): Buffer {
  const bytes = Buffer.from('20010db8000000000000000000000000', 'hex')
  bytes.writeUInt32BE(network, 4)
  bytes.writeUInt32BE(host, 12)
  return bytes
}

function flow6(source: Buffer, destination: Buffer): Flow {
  return { source, destination, protocol: udp, sourcePort: 40_000, destinationPort: 53 }
}

const server = 0xc0000250
const pairsWithin = many((first) => many((step) => [first, first + step + 1] as const, 125 - first), 126).flat()
const pairsBetween = many((first) => many((second) => [first, second] as const, 126), 126).flat()

const byAddresses: Readonly<Record<string, readonly Flow[]>> = {
  'the hosts of one network to one server': many((host) => flow(0x0a010001 + host, server)),
  'random hosts of a /16 to random ones of another': many(() =>
    flow(0x0a010000 + random(65_536), 0x0a020000 + random(65_536))
  ),
  'anybody to anybody': many(() => flow(random(2 ** 32), random(2 ** 32))),
  'all pairs within a /25': pairsWithin.map(([one, other]) => flow(0x0a000001 + one, 0x0a000001 + other)),
  'all pairs between two of them': pairsBetween.map(([one, other]) => flow(0x0a000001 + one, 0x0a000081 + other)),
  'the first hosts of 10,000 networks to one server': many((network) => flow(0x0a000001 + network * 256, server)),
  'IPv6 with only the last bits different': many((host) => flow6(ipv6(1, host + 1), ipv6(2, 80))),
  'random hosts of one network of IPv6': many(() => flow6(ipv6(1, random(65_536)), ipv6(1, random(65_536)))),
  'the first hosts of 10,000 networks of IPv6': many((network) => flow6(ipv6(network, 1), ipv6(77_777, 1)))
}

const byPorts: Readonly<Record<string, readonly Flow[]>> = {
  'one client of one server': many((index) => flow(0x0a000001, server, udp, [20_000 + index, 443])),
  'random ports of one pair of hosts': many(() => flow(0x0a000001, server, udp, [random(65_536), random(65_536)]))
}

const all = [
  ...Object.entries(byAddresses).map(([what, flows]) => ['addresses', what, flows] as const),
  ...Object.entries(byPorts).map(([what, flows]) => ['ports', what, flows] as const)
]

/** How far the most uneven of several members is from its share, as a part of that. */
function deviation(buckets: readonly number[], members: number): number {
  const counts = many(() => 0, members)
  for (const bucket of buckets) counts[bucket % members] = (counts[bucket % members] ?? 0) + 1
  const fair = buckets.length / members
  return Math.max(...counts.map((one) => Math.abs(one - fair) / fair))
}

describe.each(all)('by %s, %s', (hash, _, flows) => {
  test('are spread over 2 to 8 members within 10 percent', () => {
    const buckets = flows.map((one) => bucketOf(hash, { frame: frameOf(packet(one)) }) ?? 0)
    expect(deviation(buckets, 2)).toBeLessThan(0.05)
    expect(deviation(buckets, 4)).toBeLessThan(0.06)
    expect(deviation(buckets, 8)).toBeLessThan(0.1)
  })
})

test('a /24 to one server is spread as chance would', () => {
  const clients = many((host) => flow(0x0a000001 + host, server), 254)
  const buckets = clients.map((one) => bucketOf('addresses', { frame: frameOf(packet(one)) }) ?? 0)
  // The standard deviation of 254 throws at 4 is 11 percent.
  expect(deviation(buckets, 4)).toBeLessThan(0.22)
})
