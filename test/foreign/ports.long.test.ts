/** What others put on a span's bridge is closed like a sensor's port while it is there, and gets back what it had. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { failAt, wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, expectRestored, spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab
/** With the foreign veth, before any span. */
let first: string

const sh = (script: string) => lab.run(['sh', '-ec', script])
const join = (port = 'ext0') => sh(`ip link set dev ${port} master span0`)
const leave = () => sh('ip link set dev ext0 nomaster')
const span = (more = '') => writeSpans(lab, `spans: {span0: {sources: [{interface: ens192}]${more}}}`)

beforeAll(async () => {
  lab = await createLab()
  await sh(`ip link add ext0 mtu 1400 type veth peer name ext1 mtu 1400 netns ${lab.name}-sw`)
  await lab.run(['ip', 'link', 'set', 'dev', 'ext1', 'up'], { on: 'switch' })
  await sh('sysctl -q -w net.ipv6.conf.ext0.disable_ipv6=0; ip link set dev ext0 up')
  // The link-local address is there at once: duplicates are not looked for.
  await until('ext0 has its address', async () => (await sh('ip -6 addr show dev ext0')).includes('fe80::'))
  first = await lab.snapshotText()
})
beforeEach(() => span())
afterAll(() => lab?.close())

const filters = () => sh('tc filter show dev ext0 ingress')
const disabled = async () => (await sh('cat /proc/sys/net/ipv6/conf/ext0/disable_ipv6')).trim()

async function expectClosed(): Promise<void> {
  await expectConverged(lab)
  expect(await filters()).toContain("bytecode '1,6 0 0 2'")
  expect(await disabled()).toBe('1')
}

test('destroy gives it back', async () => {
  await spanplan(lab, ['apply'])
  await join()
  await spanplan(lab, ['apply'])
  await expectClosed()
  const { stdout } = await spanplan(lab, ['destroy', '--yes'])
  expect(stdout).toMatch(/port +ext0 → span0 +given back/)
  await expectRestored(lab, first)
})

test('so does a file that has dropped the span', async () => {
  await spanplan(lab, ['apply'])
  await join()
  await spanplan(lab, ['apply'])
  await writeSpans(lab, 'spans: {}')
  await spanplan(lab, ['apply', '--yes', '--allow-empty'])
  await expectRestored(lab, first)
})

test('taken off the bridge, it is drift, and is given back', async () => {
  await spanplan(lab, ['apply'])
  await join()
  await spanplan(lab, ['apply'])
  await leave()
  const { stdout } = await spanplan(lab, ['plan', '--detailed-exitcode'], 2)
  expect(stdout).toMatch(/- +port +ext0 +given back/)
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, first)
})

test('so it is where the bridge was deleted by hand', async () => {
  await spanplan(lab, ['apply'])
  await join()
  await spanplan(lab, ['apply'])
  await sh('ip link del dev span0')
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, first)
})

test('with "sealed: false", what it sends is let in again, and off the bridge it is as it was', async () => {
  await spanplan(lab, ['apply'])
  await join()
  await spanplan(lab, ['apply'])
  await span(', sealed: false')
  await spanplan(lab, ['apply'])
  await expectConverged(lab)
  expect(await filters()).not.toContain("bytecode '1,6 0 0 2'")
  expect(JSON.parse(await sh('ip -j -d link show dev ext0'))[0].linkinfo.info_slave_data.isolated).toBe(false)
  await leave()
  await spanplan(lab, ['apply', '--yes'])
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, first)
})

test('what it had of its own it has again: MTU, no IPv6, down, a hook with a filter', async () => {
  await sh(`
    ip link set dev ext0 down
    sysctl -q -w net.ipv6.conf.ext0.disable_ipv6=1
    tc qdisc add dev ext0 clsact
    tc filter add dev ext0 ingress protocol all pref 20 bpf da bytecode '1,6 0 0 0'
  `)
  const own = await lab.snapshotText()
  await spanplan(lab, ['apply'])
  await join()
  await spanplan(lab, ['apply'])
  await expectClosed()
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, own)
  await sh('tc qdisc del dev ext0 clsact; sysctl -q -w net.ipv6.conf.ext0.disable_ipv6=0; ip link set dev ext0 up')
  await expectRestored(lab, first)
})

test('under another name it is given back too', async () => {
  await spanplan(lab, ['apply'])
  await join()
  await spanplan(lab, ['apply'])
  await sh('ip link set dev ext0 name named0')
  await expectConverged(lab)
  await spanplan(lab, ['destroy', '--yes'])
  await sh('ip link set dev named0 name ext0')
  await expectRestored(lab, first)
})

test("so does the tap of a virtual machine's", async () => {
  await sh('ip tuntap add dev tap0 mode tap; ip link set dev tap0 addrgenmode none; ip link set dev tap0 up')
  const own = await lab.snapshotText()
  await spanplan(lab, ['apply'])
  await join('tap0')
  await spanplan(lab, ['apply'])
  await expectConverged(lab)
  expect(await sh('tc filter show dev tap0 ingress')).toContain("bytecode '1,6 0 0 2'")
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, own)
  await sh('ip link del dev tap0')
})

test('a watch closes it as it comes, and gives it back as it goes', async () => {
  await using watch = await startWatch(lab)
  await join()
  await until('it is closed', async () => (await filters()).includes("bytecode '1,6 0 0 2'"))
  await until('it has no IPv6', async () => (await disabled()) === '1')
  await leave()
  await until('it is open', async () => !(await sh('tc qdisc show dev ext0')).includes('clsact'))
  await until('it has IPv6', async () => (await disabled()) === '0')
  await watch.stop()
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, first)
})

test('on a bridge that is given back, it is the port that it was', async () => {
  const flags = 'isolated on learning off flood off mcast_flood off bcast_flood off'
  const build = async () => {
    // Without an address of its own: whether it has one depends on when it had a carrier.
    await sh('ip link add span0 address 02:00:00:00:0b:01 mtu 1499 type bridge; ip link set dev span0 addrgenmode none')
    await sh('ip link set dev span0 mtu 1500 up')
  }
  const put = async () => {
    await join()
    await sh(`ip link set dev ext0 type bridge_slave ${flags}`)
  }
  await build()
  await put()
  const own = await lab.snapshotText()
  const entries = await sh('bridge fdb show br span0 | sort')
  await sh('ip link del dev span0')
  await build()
  await spanplan(lab, ['apply', '--adopt', '--yes'])
  await put()
  await spanplan(lab, ['apply'])
  await expectClosed()
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, own)
  expect(await sh('bridge fdb show br span0 | sort')).toBe(entries)
  await sh('ip link del dev span0')
  await expectRestored(lab, first)
})

test('a bridge that is given back keeps a filter that others have put on it meanwhile', async () => {
  await sh('ip link add span0 type bridge; ip link set dev span0 up')
  await spanplan(lab, ['apply', '--adopt', '--yes'])
  await sh("tc filter add dev span0 ingress protocol all pref 20 bpf da bytecode '1,6 0 0 0'")
  await spanplan(lab, ['destroy', '--yes'])
  const left = await sh('tc filter show dev span0 ingress')
  expect(left).toContain('pref 20')
  expect(left).not.toContain('pref 9')
  await sh('ip link del dev span0')
  await expectRestored(lab, first)
})

test('an apply that fails leaves it as it was', async () => {
  await spanplan(lab, ['apply'])
  await join()
  await sh('ip link set dev ext0 type bridge_slave isolated on')
  const open = await lab.snapshotText()
  const { options } = await wrapPrograms(lab, { sysctl: 'case "$*" in *=1*) exit 1;; esac' })
  await spanplan(lab, ['apply'], 5, options)
  await expectRestored(lab, open)
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, first)
})

test('a destroy that fails puts it back onto the bridge, closed', async () => {
  await spanplan(lab, ['apply'])
  await join()
  await spanplan(lab, ['apply'])
  const closed = await lab.snapshotText()
  const { options } = await wrapPrograms(lab, { tc: failAt('qdisc del dev ext0') })
  await spanplan(lab, ['destroy', '--yes'], 5, options)
  await expectRestored(lab, closed)
  await expectClosed()
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, first)
})

test('names that differ in bytes that are no UTF-8 are names like any', async () => {
  const names = ['377', '376'].map((byte) => `"$(printf 'p\\${byte}')"`)
  for (const [index, name] of names.entries()) {
    await sh(
      `ip link add name ${name} type veth peer name inside${index} netns ${lab.name}-sw; ip link set dev ${name} up`
    )
  }
  const before = await lab.snapshotText()
  await spanplan(lab, ['apply'])
  await Promise.all(names.map(join))
  const { stdout } = await spanplan(lab, ['plan', '--commands'])
  // What is printed can be pasted, and means the same bytes.
  expect(stdout).toContain(`printf '\\377'`)
  await spanplan(lab, ['apply'])
  await expectConverged(lab)
  for (const name of names) {
    expect(await sh(`tc filter show dev ${name} ingress`)).toContain("bytecode '1,6 0 0 2'")
    expect(await sh(`ip -j -d link show dev ${name}`)).toContain('"isolated":true')
    expect(await sh(`cat /proc/sys/net/ipv6/conf/${name}/disable_ipv6`)).toBe('1')
  }
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, before)
  for (const name of names) await sh(`ip link del dev ${name}`)
  await expectRestored(lab, first)
})
