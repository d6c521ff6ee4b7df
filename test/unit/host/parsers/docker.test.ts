import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parseContainer, parseNetworks } from '../../../../src/host/parsers/docker.ts'
import { parseToolJson } from '../../../../src/host/parsers/json.ts'

const read = (name: string) =>
  parseToolJson(readFileSync(new URL(`../../../fixtures/host/${name}.json`, import.meta.url), 'utf8'))

describe('Docker', () => {
  const networks = parseNetworks(read('docker-networks'))

  test('networks', () => {
    expect(networks.find(({ name }) => name === 'span')).toMatchObject({
      driver: 'bridge',
      internal: true,
      ipv6: false,
      attachable: false,
      pools: [{ subnet: '198.19.55.0/26', gateway: null, range: null, reserved: {} }],
      options: { 'com.docker.network.bridge.name': 'span0', 'com.docker.network.driver.mtu': '9000' },
      labels: { 'spanplan.name': 'default', 'spanplan.span': 'span0', 'spanplan.bridge': 'owned' }
    })
    expect(networks.find(({ name }) => name === 'none')).toMatchObject({ driver: 'null', pools: [], labels: {} })
  })

  test('a container on two networks', () => {
    const container = parseContainer(read('docker-inspect'))
    expect(container).toMatchObject({
      name: 'suricata',
      running: true,
      restarting: false,
      sandbox: expect.stringMatching(/\/netns\/[0-9a-f]{12}$/),
      labels: {},
      networkMode: 'none'
    })
    expect(container.endpoints).toHaveLength(2)
    expect(container.endpoints).toContainEqual(
      expect.objectContaining({ network: 'extra', aliases: ['ids'], fixedAddress: '10.77.0.9', driverOptions: {} })
    )
    expect(container.endpoints).toContainEqual(
      expect.objectContaining({
        network: 'span',
        networkId: networks.find(({ name }) => name === 'span')?.id,
        driverOptions: { 'spanplan.name': 'default' },
        fixedAddress: null
      })
    )
  })

  test('a container that has stopped', () => {
    expect(parseContainer(read('docker-inspect-stopped'))).toMatchObject({
      name: 'zeek',
      running: false,
      restarting: false,
      sandbox: null,
      endpoints: [{ network: 'span', port: 'unknown' }]
    })
  })
})
