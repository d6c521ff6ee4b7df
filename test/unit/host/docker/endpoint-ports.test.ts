/** The port of each endpoint: found by what the kernel says, and only if it is certain. */
import { describe, expect, test } from 'vitest'
import { addPorts } from '../../../../src/host/docker/endpoint-ports.ts'
import type { Veth } from '../../../../src/host/parsers/veths.ts'
import type { Container, DockerNetwork } from '../../../../src/host/snapshot.ts'

const folder = '/run/docker/netns'

const network = (name: string, driver = 'bridge'): DockerNetwork => ({
  ...{ id: `id of ${name}`, name, driver, internal: true, ipv6: false, attachable: false },
  ...{ pools: [], labels: {}, options: { 'com.docker.network.bridge.name': `br-${name}` } }
})

const networks = [network('span'), network('extra'), network('lan', 'macvlan'), network('others')]

function portsOf(on: readonly string[], veths: readonly Partial<Veth>[], sandbox = `${folder}/a`) {
  const container: Container = {
    ...{
      id: 'f00d',
      name: 'zeek',
      labels: {},
      running: true,
      restarting: false,
      veths: null,
      networkMode: 'none',
      sandbox
    },
    endpoints: on.map((name) => ({
      ...{ network: name, networkId: `id of ${name}`, aliases: [], driverOptions: {} },
      ...{ fixedAddress: null, port: 'unknown' }
    }))
  }
  const complete = veths.map((veth, index): Veth => {
    const place = { host: 10 + index, inside: 20 + index, namespace: 1 }
    return { ...place, master: null, hasAddress: false, ...veth }
  })
  const { endpoints } = addPorts(container, networks, new Map([[`${folder}/a`, complete]]))
  return endpoints.map(({ port }) => (typeof port === 'string' ? port : port.host))
}

const onSpan = { master: 'br-span' }
const onExtra = { master: 'br-extra' }
const loose = { master: null }

describe('the port of an endpoint is', () => {
  test.each<[what: string, on: string[], veths: Partial<Veth>[], ports: unknown[]]>([
    ['the one on the bridge of its network', ['span', 'extra'], [onExtra, onSpan], [11, 10]],
    ['the one that is on no bridge, where no other endpoint lacks one', ['span', 'extra'], [onExtra, loose], [11, 10]],
    ['missing, where there is none', ['span', 'extra'], [onExtra], ['absent', 10]],
    ['missing, where two are on no bridge', ['span'], [loose, loose], ['absent']],
    ['missing, where another endpoint may have the one on no bridge', ['span', 'extra'], [loose], ['absent', 'absent']],
    ['missing, where the one on no bridge has an address', ['span'], [{ ...loose, hasAddress: true }], ['absent']],
    ["missing, where there are another network's alone", ['span'], [{ master: 'br-others' }], ['absent']],
    ['not known, where two are on its bridge', ['span'], [onSpan, onSpan], ['unknown']],
    ['not known, where somebody has put one on his own bridge', ['span'], [{ master: 'br0' }, loose], ['unknown']],
    ['not known, on a network without a bridge', ['span', 'lan'], [onSpan, loose], [10, 'unknown']],
    ['not known, on a network that Docker does not know', ['gone'], [loose], ['unknown']]
  ])('%s', (_, on, veths, ports) => expect(portsOf(on, veths)).toEqual(ports))

  test('not known, where the kernel has no name for the namespace', () => {
    expect(portsOf(['span'], [onSpan], `${folder}/b`)).toEqual(['unknown'])
  })
})
