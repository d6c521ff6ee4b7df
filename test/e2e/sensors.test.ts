import { afterAll, beforeAll, expect, test } from 'vitest'
import { createLab, type Lab } from './lab.ts'
import { expectConverged, expectHeard, findTap, portOf, spanplan, until, writeSpans } from './spans.ts'

let lab: Lab

beforeAll(async () => {
  lab = await createLab({ docker: true })
})
afterAll(() => lab.close())

async function endpointOf(name: string, network = 'span') {
  return (await lab.docker.getContainer(name).inspect()).NetworkSettings.Networks[network]
}

async function applySpan(options: string): Promise<void> {
  await writeSpans(lab, `spans: {span0: {sources: [{interface: ens192}], ${options}}}`)
  await spanplan(lab, ['apply', '--yes'])
}

test('a listed sensor that somebody else connected keeps its alias and address when the network is made anew', async () => {
  await applySpan('network: {name: span, subnet: 198.18.9.0/26}')
  const zeek = await lab.startSensor('zeek')
  await lab.docker.getNetwork('none').disconnect({ Container: 'zeek' })
  const EndpointConfig = { Aliases: ['ids'], IPAMConfig: { IPv4Address: '198.18.9.40' } }
  await lab.docker.getNetwork('span').connect({ Container: 'zeek', EndpointConfig })
  await applySpan('network: {name: span, subnet: 198.18.9.0/26}, sensors: [zeek], mtu: 9001')
  await expectConverged(lab)
  expect(await endpointOf('zeek')).toMatchObject({ Aliases: ['ids'], IPAddress: '198.18.9.40' })
  await expectHeard(lab, [zeek])
  // Who connected it goes on to have the say: off the list, it stays.
  await applySpan('network: {name: span, subnet: 198.18.9.0/26}, mtu: 9001')
  expect(await endpointOf('zeek')).toBeDefined()
})

test('a container of others that cannot be connected again is told, and is where it was', async () => {
  await writeSpans(
    lab,
    'spans: {span0: {sources: [{interface: ens192}], network: {name: span, subnet: 198.18.10.0/26}}}'
  )
  const { stderr } = await spanplan(lab, ['apply', '--yes'], 5)
  expect(stderr).toContain('could not connect zeek to span')
  expect(await endpointOf('zeek')).toMatchObject({ Aliases: ['ids'], IPAddress: '198.18.9.40' })
  await lab.docker.getContainer('zeek').remove({ force: true })
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
})

test('a sensor that ends as soon as it starts waits, and keeps no other from being connected', async () => {
  const loop = await lab.docker.createContainer({
    name: 'loop',
    Image: 'spanplan-sensor',
    Cmd: ['/bin/false'],
    HostConfig: { NetworkMode: 'none', RestartPolicy: { Name: 'always' } }
  })
  await loop.start()
  await until('it restarts', async () => (await loop.inspect()).State.Restarting)
  const suricata = await lab.startSensor('suricata')
  await writeSpans(
    lab,
    'spans: {span0: {sources: [{interface: ens192}], network: {name: span, subnet: 198.18.10.0/26}, sensors: [loop, suricata]}}'
  )
  await until('it is seen to restart', async () => {
    const { stdout } = await spanplan(lab, ['plan'])
    return stdout.includes('waits for the container loop, which ends as soon as it starts')
  })
  await loop.remove({ force: true })
  await spanplan(lab, ['apply', '--yes'])
  await expectHeard(lab, [suricata])
})

test('a sensor with NET_ADMIN cannot have a card of the host’s put on the bridge', async () => {
  const suricata = lab.docker.getContainer('suricata')
  const { name } = await findTap(lab, suricata, 'span0')
  const port = await portOf(lab, suricata)
  const { State } = await suricata.inspect()
  const inside = (...argv: string[]) => lab.run(['nsenter', `--net=/proc/${State.Pid}/ns/net`, ...argv])
  const [card] = JSON.parse(await lab.run(['ip', '-j', 'link', 'show', 'dev', 'ens192']))
  const mac = (await endpointOf('suricata'))?.MacAddress ?? ''
  await inside('ip', 'link', 'add', 'base', 'index', String(card.ifindex + 1000), 'type', 'bridge')
  await inside('ip', 'link', 'add', 'link', 'base', 'name', '0macvlan', 'address', mac, 'type', 'macvlan')
  await expectConverged(lab)
  await inside('ip', 'link', 'del', 'dev', '0macvlan')
  await inside('ip', 'link', 'del', 'dev', 'base')
  await inside('ip', 'link', 'add', 'base', 'index', String(card.ifindex), 'type', 'bridge')
  await inside('ip', 'link', 'add', 'link', 'base', 'name', '0macvlan', 'address', mac, 'type', 'macvlan')
  await spanplan(lab, ['apply', '--yes'])
  const [after] = JSON.parse(await lab.run(['ip', '-j', 'link', 'show', 'dev', 'ens192']))
  expect(after.master).toBeUndefined()
  expect(await portOf(lab, suricata)).toBe(port)
  expect(name).not.toBe('0macvlan')
})
