/** What is Docker's on a span's bridge: the span's own network goes with it, and other people's networks stay. */
import type Docker from 'dockerode'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectRefusal, expectRestored, networksOf, spanplan, writeSpans } from '../lab/spans.ts'

let lab: Lab
let first: string
let suricata: Docker.Container

const docker = (...argv: string[]) => lab.run(['docker', ...argv])
const ip = (...argv: string[]) => lab.run(['ip', ...argv])

beforeAll(async () => {
  lab = await createLab({ docker: true })
  suricata = await lab.startSensor('suricata')
  await lab.startSensor('web')
  await docker('network', 'disconnect', 'none', 'web')
  first = await lab.snapshotText()
})
afterAll(() => lab?.close())
beforeEach(async () => {
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}], network: span, sensors: [suricata]}}')
  await spanplan(lab, ['apply'])
})
afterEach(async () => {
  await docker('network', 'disconnect', '--force', 'shop', 'web').catch(() => undefined)
  await docker('network', 'rm', 'shop').catch(() => undefined)
  await ip('link', 'del', 'dev', 'mv0').catch(() => undefined)
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, first)
  // Taken off its last network, it was put back there.
  await docker('network', 'disconnect', 'none', 'web').catch(() => undefined)
})

async function addShop(...options: string[]): Promise<void> {
  await docker('network', 'create', '--internal', '--subnet', '192.0.3.0/24', ...options, 'shop')
  await docker('network', 'connect', 'shop', 'web')
}

const onBridge = [
  ...['--opt', 'com.docker.network.bridge.name=span0'],
  ...['--opt', 'com.docker.network.bridge.inhibit_ipv4=true']
]

/** Runs the commands that an error tells, one after the other. */
async function obey(said: string): Promise<void> {
  const commands = [...said.matchAll(/if nothing needs it: (.*)$/gm)].map(([, command]) => command)
  await lab.run(['sh', '-ec', commands.join('\n')])
}

test("somebody's network with a running container is named, with what takes it off", async () => {
  // Docker has one network for a bridge: the span has none.
  await spanplan(lab, ['destroy', '--yes'])
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
  await spanplan(lab, ['apply'])
  await addShop(...onBridge)
  const said = await expectRefusal(lab, ['destroy', '--yes'])
  expect(said.match(/^error: .*$/gm)).toEqual([
    'error: the bridge span0 cannot be removed: the Docker network shop is on it, with the container web'
  ])
  expect(said).toContain('docker network disconnect --force shop web; docker network rm shop')
  expect(await networksOf(suricata)).toEqual(['none'])
  await writeSpans(lab, 'spans: {}')
  expect(await expectRefusal(lab, ['apply', '--yes', '--adopt', '--allow-empty'])).toContain('the Docker network shop')
  await obey(said)
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, first)
})

test('a network of macvlans on the bridge, which no link of the host shows, is named', async () => {
  await addShop('--driver', 'macvlan', '--opt', 'parent=span0')
  const said = await expectRefusal(lab, ['destroy', '--yes'])
  expect(said).toContain('the bridge span0 cannot be removed: the Docker network shop is on it')
})

test("the span's own network stands in nobody's way: its sensors run, have stopped, or were connected by others", async () => {
  await docker('network', 'connect', 'span', 'web')
  await suricata.stop()
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, first)
  await suricata.start()
})

test('without Docker, a span that has a network stays as a whole', async () => {
  const before = await lab.snapshotText()
  const { stdout } = await spanplan(lab, ['destroy', '--yes', '--defer-docker'])
  expect(stdout).toContain('... bridge     span0                     waits for Docker, to be removed')
  expect(stdout).toContain('No changes to what was checked')
  expect(await lab.snapshotText()).toBe(before)
})

test('a container that comes to the bridge while the span goes keeps the bridge', async () => {
  const connect = `docker network create --internal --subnet 192.0.3.0/24 ${onBridge.join(' ')} shop
docker network connect shop web`
  // The mirrors go before the bridge, and after the span's own network.
  const script = `case "$* $input" in
*-json*) ;;
*"filter del"*) { ${connect}; } </dev/null >&2 ;;
esac`
  const { options } = await wrapPrograms(lab, { tc: script })
  const { stderr } = await spanplan(lab, ['destroy', '--yes'], 4, options)
  expect(stderr).toMatch(/the bridge span0 cannot be removed: the veth veth[0-9a-f]{7} was added to it as a port/)
  expect(await ip('link', 'show', 'master', 'span0')).toContain('veth')
})
