/** The port of a container on somebody's network, that is put on a span's bridge by hand for a while. */
import type Docker from 'dockerode'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, expectRestored, interfacesOf, spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab
let first: string
let web: Docker.Container
let port: string
let theirs: string

const ip = (...argv: string[]) => lab.run(['ip', ...argv])
const isSealed = async () => (await lab.run(['tc', 'filter', 'show', 'dev', port, 'ingress'])).includes('1,6 0 0 2')
const span = 'spans: {span0: {sources: [{interface: ens192}], sensors: [suricata]}}'

beforeAll(async () => {
  lab = await createLab({ docker: true })
  await lab.startSensor('suricata')
  const shop = await lab.docker.createNetwork({
    Name: 'shop',
    Internal: true,
    IPAM: { Config: [{ Subnet: '192.0.3.0/24' }] }
  })
  theirs = `br-${shop.id.slice(0, 12)}`
  web = await lab.startSensor('web', { NetworkMode: 'shop' })
  const [{ peer } = { peer: 0 }] = await interfacesOf(web)
  const links: { ifname: string; ifindex: number }[] = JSON.parse(await ip('-j', 'link'))
  port = links.find(({ ifindex }) => ifindex === peer)?.ifname ?? ''
  // The kernel gives a link without a queue length one with its first qdisc, and nothing takes that back.
  await ip('link', 'set', 'dev', port, 'txqueuelen', '1000')
  first = await lab.snapshotText()
  await writeSpans(lab, span)
})
afterAll(() => lab?.close())

test('it is sealed there, told of as what it may be, and given back when it is back', async () => {
  await spanplan(lab, ['apply'])
  await ip('link', 'set', 'dev', port, 'master', 'span0')
  await spanplan(lab, ['apply'])
  expect(await isSealed()).toBe(true)
  const { stderr } = await spanplan(lab, ['plan'])
  expect(stderr).toContain(`put it back on that network's bridge; if nobody needs it: ip link del dev ${port}`)
  await ip('link', 'set', 'dev', port, 'master', theirs)
  const { stdout } = await spanplan(lab, ['apply', '--yes'])
  expect(stdout).toMatch(new RegExp(`port +${port} .*given back`))
  await expectConverged(lab)
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, first)
})

test('a watch gives it back, too, also where it is put back in the middle of a run', async () => {
  await using watch = await startWatch(lab)
  await ip('link', 'set', 'dev', port, 'master', 'span0')
  await until('it is sealed', isSealed)
  await ip('link', 'set', 'dev', port, 'master', theirs)
  await until('it is open', async () => !(await isSealed()))
  await watch.stop()
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, first)
})

test('what a run still set of it once it was back is given back; what others set is not', async () => {
  await spanplan(lab, ['apply'])
  await ip('link', 'set', 'dev', port, 'master', 'span0')
  await spanplan(lab, ['apply'])
  await ip('link', 'set', 'dev', port, 'master', theirs)
  await ip('link', 'set', 'dev', port, 'type', 'bridge_slave', 'isolated', 'on', 'learning', 'off')
  await spanplan(lab, ['apply', '--yes'])
  expect(await isSealed()).toBe(false)
  await expectConverged(lab)
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, first)
  await spanplan(lab, ['apply'])
  await ip('link', 'set', 'dev', port, 'master', 'span0')
  await spanplan(lab, ['apply'])
  await ip('link', 'set', 'dev', port, 'master', theirs)
  await ip('link', 'set', 'dev', port, 'type', 'bridge_slave', 'isolated', 'on')
  await spanplan(lab, ['apply', '--yes'])
  expect(JSON.parse(await ip('-d', '-j', 'link', 'show', 'dev', port))).toMatchObject([
    { linkinfo: { info_slave_data: { isolated: true } } }
  ])
  await ip('link', 'set', 'dev', port, 'type', 'bridge_slave', 'isolated', 'off')
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, first)
})

test('put back after the span is destroyed, it is given back by the next destroy', async () => {
  await spanplan(lab, ['apply'])
  await ip('link', 'set', 'dev', port, 'master', 'span0')
  await spanplan(lab, ['apply'])
  await spanplan(lab, ['destroy', '--yes'])
  await ip('link', 'set', 'dev', port, 'master', theirs)
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, first)
})
