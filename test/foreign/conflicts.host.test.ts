/** What stands in a span's way: whose it is, by what its owner has left on the host. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { writeProgram } from '../../src/host/xdp/object.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, expectRefusal, expectRestored, spanplan, warningsIn, writeSpans } from '../lab/spans.ts'

let lab: Lab
let first: string

const ip = (...argv: string[]) => lab.run(['ip', ...argv])
const tc = (...argv: string[]) => lab.run(['tc', ...argv])

beforeAll(async () => {
  lab = await createLab({ cables: [{ card: 'ens192' }, { card: 'ens224' }] })
  first = await lab.snapshotText()
})
afterAll(() => lab?.close())
beforeEach(() => writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}'))

async function indexOf(device: string): Promise<number> {
  const [link]: { ifindex: number }[] = JSON.parse(await ip('-j', 'link', 'show', 'dev', device))
  if (link === undefined) throw new Error(`no link ${device}`)
  return link.ifindex
}

describe('a bridge of another tool', () => {
  beforeEach(() => ip('link', 'add', 'span0', 'type', 'bridge'))
  afterEach(() => ip('link', 'del', 'dev', 'span0'))

  /** What spanplan says where /run holds that file, and sysfs shows the lab's links, as they do on a host. */
  async function refusal(file: string, text: string, sysfs = ['mount -t sysfs sysfs /sys']): Promise<string> {
    const script = [
      ...['set -e', ...sysfs, 'mount -t tmpfs tmpfs /run'],
      ...[`mkdir -p "$(dirname '${file}')"`, `printf '${text}' >'${file}'`, 'exec "$@"']
    ].join('\n')
    return expectRefusal(lab, ['plan'], 1, { through: ['unshare', '--mount', 'sh', '-c', script, 'sh'] })
  }

  test("ifupdown's", async () => {
    // ifupdown 0.8.44 leaves this after "ifup span0".
    const said = await refusal('/run/network/ifstate.span0', 'span0\\n')
    expect(said).toContain("a bridge span0 already exists, and spanplan did not create it; it seems to be ifupdown's")
    expect(said).toContain('ifdown span0 (and take it out of /etc/network/interfaces)')
    expect(await refusal('/run/network/ifstate.span0', '')).not.toContain('ifupdown')
  })

  test("systemd-networkd's", async () => {
    const file = `/run/systemd/netif/links/${await indexOf('span0')}`
    const state = (admin: string) => `# This is private data. Do not parse.\\nADMIN_STATE=${admin}\\nOPER_STATE=off\\n`
    expect(await refusal(file, state('configured'))).toContain("it seems to be systemd-networkd's")
    expect(await refusal(file, state('unmanaged'))).not.toContain('networkd')
  })

  test("NetworkManager's", async () => {
    const file = `/run/NetworkManager/devices/${await indexOf('span0')}`
    const state = (owned: boolean) => `[device]\\nmanaged=true\\nnm-owned=${owned}\\n`
    expect(await refusal(file, state(true))).toContain("it seems to be NetworkManager's")
    expect(await refusal(file, state(false))).not.toContain('NetworkManager')
  })

  test('what another network namespace has in /run is not believed', async () => {
    // Here sysfs shows the links of the machine.
    expect(await refusal('/run/network/ifstate.span0', 'span0\\n', [])).not.toContain('ifupdown')
  })

  test('its ports tell too', async () => {
    await ip('link', 'add', 'vnet7', 'type', 'veth', 'peer', 'name', 'guest0')
    await ip('link', 'set', 'dev', 'vnet7', 'master', 'span0')
    expect(await expectRefusal(lab, ['plan'])).toContain("its port vnet7 seems to be libvirt's")
    await ip('link', 'del', 'dev', 'vnet7')
  })
})

test('what an ingress qdisc holds, what a filter does, and who shares a block', async () => {
  await ip('link', 'add', 'mon7', 'type', 'veth', 'peer', 'name', 'mon8')
  const all = ['protocol', 'all', 'u32', 'match', 'u32', '0', '0']
  const mirror = ['action', 'mirred', 'egress', 'mirror', 'dev', 'mon7']
  await tc('qdisc', 'add', 'dev', 'ens192', 'ingress')
  await tc('filter', 'add', 'dev', 'ens192', 'ingress', 'pref', '8', ...all, ...mirror)
  const said = await expectRefusal(lab, ['plan'])
  expect(said).toContain('it holds 1 u32 filter that mirrors into mon7, as old scripts make')
  expect(said).toContain('did not create: u32, protocol all, handle 800:0:800, which mirrors into mon7')
  const [, removal] = /if nothing needs it: (tc filter del .*)$/m.exec(said) ?? []
  await lab.run(['sh', '-c', removal ?? 'false'])
  expect(await tc('filter', 'show', 'dev', 'ens192', 'ingress')).not.toContain('mirred')
  await tc('qdisc', 'del', 'dev', 'ens192', 'ingress')
  for (const card of ['ens192', 'ens224']) await tc('qdisc', 'add', 'dev', card, 'ingress_block', '21', 'clsact')
  expect(await expectRefusal(lab, ['plan'])).toContain('the shared block 21, which ens224 uses too')
  for (const card of ['ens192', 'ens224']) await tc('qdisc', 'del', 'dev', card, 'clsact')
  await ip('link', 'del', 'dev', 'mon7')
  await expectRestored(lab, first)
})

test("where the kernel cannot have spanplan's table, somebody's own of that name is no proof that it can", async () => {
  await lab.run(['nft', 'add', 'table', 'bridge', 'spanplan_default'])
  await spanplan(lab, ['apply'])
  await expectConverged(lab)
  await spanplan(lab, ['destroy', '--yes'])
  await lab.run(['nft', 'delete', 'table', 'bridge', 'spanplan_default'])
  await expectRestored(lab, first)
})

test('eBPF programs before the mirrors are told of', async () => {
  /** TCX_NEXT and XDP_PASS in linux/bpf.h: these hide nothing, but spanplan cannot know. */
  const programs = [
    ['tcx/ingress', 'tcx_ingress', -1],
    ['xdp', 'xdpgeneric', 2]
  ] as const
  const pins: string[] = []
  for (const [section, hook, result] of programs) {
    const file = join(lab.files, `${hook}.o`)
    await writeFile(file, writeProgram(section, `look_${hook}`, result))
    pins.push(`/sys/fs/bpf/${lab.name}-${hook}`)
    // In a mount namespace: the pin, and the file system for it, go with the command.
    const script = `mount -t bpf bpf /sys/fs/bpf && bpftool prog load "$1" "$2" && bpftool net attach ${hook} pinned "$2" dev ens192`
    await lab.run(['unshare', '--mount', 'sh', '-c', script, 'sh', file, pins.at(-1) ?? ''])
  }
  const { stderr } = await spanplan(lab, ['plan'])
  expect(stderr).toMatch(/warning: ens192 ingress has the tcx program look_tcx_ingress? \(\d+\) before the mirrors/)
  expect(stderr).toMatch(/warning: ens192 ingress has the xdp program \d+ before the mirrors/)
  expect(stderr).not.toContain('egress')
  // Without the right to look, only what the kernel shows to everybody is said.
  const through = ['setpriv', '--reuid', '65534', '--clear-groups', '--']
  const { stderr: seen } = await spanplan(lab, ['plan', '-f', join(lab.files, 'spans.yaml')], 0, { through })
  expect(seen).not.toContain('before the mirrors')
  expect(seen).toMatch(/warning: ens192 has the xdp program \d+ in generic mode: /)
  for (const [, hook] of programs) await lab.run(['bpftool', 'net', 'detach', hook, 'dev', 'ens192'])
  expect(warningsIn((await spanplan(lab, ['plan'])).stderr)).toBe('')
  await expectRestored(lab, first)
})
