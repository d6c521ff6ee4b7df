/** All that decides what a frame meets at the hooks of a span: "no changes" and "healthy" are said of nothing else. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { writeProgram } from '../../src/host/xdp/object.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, expectRefusal, expectRestored, spanplan, writeSpans } from '../lab/spans.ts'

let lab: Lab
let first: string
/** Two spans copy from one card; a port of somebody else's is on the first. */
let live: string

const sh = (script: string) => lab.run(['sh', '-ec', script])
/** Lets every frame in, and asks no other filter (TC_ACT_OK). */
const accept = "bpf da bytecode '1,6 0 0 0'"
/** Hands every frame to the next filter (TC_ACT_UNSPEC). */
const transparent = "bpf da bytecode '1,6 0 0 4294967295'"

beforeAll(async () => {
  lab = await createLab()
  await sh(`ip link add ext0 type veth peer name ext1 netns ${lab.name}-sw; ip link set dev ext0 addrgenmode none`)
  await lab.run(['ip', 'link', 'set', 'dev', 'ext1', 'up'], { on: 'switch' })
  await sh('ip link set dev ext0 up')
  first = await lab.snapshotText()
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}, span1: {sources: [{interface: ens192}]}}')
  await spanplan(lab, ['apply'])
  await sh('ip link set dev ext0 master span0')
  await spanplan(lab, ['apply'])
  live = await lab.snapshotText()
})
afterEach(() => expectRestored(lab, live))
afterAll(async () => {
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, first)
  await lab.close()
})

/** It is drift, which apply repairs. */
async function expectRepair(pattern: RegExp): Promise<void> {
  const { stdout } = await spanplan(lab, ['plan', '--detailed-exitcode'], 2)
  expect(stdout).toMatch(pattern)
  await spanplan(lab, ['status', '--for', '100ms'], 2)
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
}

interface LiveFilter {
  readonly handle: string
  readonly actions?: readonly { readonly to_dev?: string; readonly cookie?: string }[]
}

async function filtersOf(device: string): Promise<LiveFilter[]> {
  const rows: { readonly options?: LiveFilter }[] = JSON.parse(await sh(`tc -j filter show dev ${device} ingress`))
  return rows.flatMap(({ options }) => options ?? [])
}

const handleOf = async (device: string) => (await filtersOf(device))[0]?.handle ?? ''

describe('a mirror', () => {
  /** Runs a command for each mirror of one hook, with its handle, its target and its cookie. */
  async function rewrite(command: string, before = ''): Promise<void> {
    const mirrors = (await filtersOf('ens192')).map(({ handle, actions: [action] = [] }) =>
      command
        .replace('HANDLE', handle)
        .replace('TO', action?.to_dev ?? '')
        .replace('COOKIE', action?.cookie ?? '')
    )
    await sh([before, ...mirrors].join('\n'))
  }

  test('that is a direct action copies nothing', async () => {
    await rewrite(`
      tc filter replace dev ens192 ingress protocol all pref 8 handle HANDLE bpf da bytecode '1,6 0 0 4294967295' \\
        action mirred egress mirror dev TO continue cookie COOKIE`)
    await expectRepair(/~ +mirror +ens192 ingress → span0 +direct-action: on → off/)
  })

  test('of one protocol misses the others', async () => {
    const command = `
      tc filter replace dev ens192 ingress protocol ip pref 8 handle HANDLE bpf bytecode '1,6 0 0 4294967295' \\
        action mirred egress mirror dev TO continue cookie COOKIE`
    await rewrite(command, 'tc filter del dev ens192 ingress')
    await expectRepair(/~ +mirror +ens192 ingress → span1 +protocol: ip → all/)
  })

  test('in another chain is never asked', async () => {
    await sh(`
      handle=${await handleOf('ens192')}
      tc filter del dev ens192 ingress pref 8 handle $handle bpf
      tc filter add dev ens192 ingress chain 5 protocol all pref 8 handle $handle bpf bytecode '1,6 0 0 4294967295'
    `)
    const { stdout } = await spanplan(lab, ['plan', '--detailed-exitcode'], 2)
    expect(stdout).toMatch(/\+ +mirror +ens192 ingress/)
    await sh('tc filter del dev ens192 ingress chain 5')
    await spanplan(lab, ['apply'])
  })

  test('after a filter that may end classification is not healthy; after one that hands all on, it is', async () => {
    await sh(`tc filter add dev ens192 ingress protocol all pref 3 ${transparent}`)
    expect((await spanplan(lab, ['plan'])).stderr).not.toContain('MIRROR')
    expect((await spanplan(lab, ['plan'])).stderr).not.toContain('preference 3')
    await sh(`tc filter replace dev ens192 ingress protocol all pref 3 handle 1 ${accept}`)
    expect((await spanplan(lab, ['plan'])).stderr).toContain('ens192 ingress has a bpf filter at preference 3')
    const { stdout } = await spanplan(lab, ['status', '--for', '100ms'], 2)
    expect(stdout).toContain('ens192 ingress has a bpf filter at preference 3')
    await sh('tc filter del dev ens192 ingress pref 3')
  })
})

describe.each(['span0', 'ext0'])('the seal of %s', (device) => {
  const kind = device === 'span0' ? 'bridge' : 'port'

  test('that has moved to another chain seals nothing', async () => {
    await sh(`
      handle=${await handleOf(device)}
      tc filter del dev ${device} ingress
      tc filter add dev ${device} ingress chain 5 protocol all pref 9 handle $handle bpf da bytecode '1,6 0 0 2'
    `)
    const { stdout } = await spanplan(lab, ['plan', '--detailed-exitcode'], 2)
    expect(stdout).toMatch(new RegExp(`~ +${kind} +${device}.* sealed: no → yes`))
    await sh(`tc filter del dev ${device} ingress chain 5`)
    await spanplan(lab, ['apply'])
    expect(await sh(`tc filter show dev ${device} ingress`)).toContain('chain 0 handle')
  })

  test.each([
    ['of one protocol', `protocol ip pref 9 handle HANDLE bpf da bytecode '1,6 0 0 2'`],
    ['that only classifies', `protocol all pref 9 handle HANDLE bpf bytecode '1,6 0 0 2'`],
    ['that lets all in', `protocol all pref 9 handle HANDLE bpf da bytecode '1,6 0 0 0'`]
  ])('%s is repaired', async (_, words) => {
    await sh(`
      handle=${await handleOf(device)}
      tc filter del dev ${device} ingress
      tc filter add dev ${device} ingress ${words.replace('HANDLE', '$handle')}
    `)
    const { stdout } = await spanplan(lab, ['plan', '--detailed-exitcode'], 2)
    expect(stdout).toMatch(new RegExp(`~ +${kind} +${device}.* sealed: no → yes`))
    await spanplan(lab, ['apply'])
    await expectConverged(lab)
    expect(await sh(`tc filter show dev ${device} ingress`)).toContain("direct-action not_in_hw bytecode '1,6 0 0 2'")
  })

  test.each([
    ['all', accept],
    ['ip', accept],
    ['all', `u32 match u32 0 0 flowid 1:1`]
  ])('behind a filter that lets frames in (protocol %s, %s) is a conflict', async (protocol, words) => {
    await sh(`tc filter add dev ${device} ingress protocol ${protocol} pref 1 ${words}`)
    expect(await expectRefusal(lab, ['plan'])).toContain(
      `${device} has a filter at preference 1, before the one that seals it: `
    )
    const { stdout } = await spanplan(lab, ['status', '--for', '100ms'], 2)
    expect(stdout.replace(/\s+/g, ' ')).toMatch(
      new RegExp(`span0: NOT HEALTHY, (ext0 → )?span0: ${device} has a filter at preference 1, before`)
    )
    await sh(`tc filter del dev ${device} ingress pref 1`)
  })

  test('behind a filter that hands all on is none', async () => {
    await sh(`tc filter add dev ${device} ingress protocol all pref 1 ${transparent}`)
    await expectConverged(lab)
    await sh(`tc filter del dev ${device} ingress pref 1`)
  })

  test('in a shared block is a conflict', async () => {
    await sh(`
      tc qdisc del dev ${device} clsact
      tc qdisc add dev ${device} ingress_block 7 clsact
    `)
    expect(await expectRefusal(lab, ['plan'])).toContain(`${device} takes filters from the shared block 7`)
    await sh(`tc qdisc del dev ${device} clsact`)
    await spanplan(lab, ['apply'])
  })

  test('what may hide copies from sensors on their way out is not healthy', async () => {
    await sh(`tc filter add dev ${device} egress protocol all pref 5 bpf da bytecode '1,6 0 0 2'`)
    const said = `${device} egress has a filter at preference 5: bpf, protocol all`
    expect((await spanplan(lab, ['plan'])).stderr).toContain(said)
    const { stdout } = await spanplan(lab, ['status', '--for', '100ms'], 2)
    expect(stdout).toContain(`${device} egress has a filter at preference 5`)
    await sh(`tc filter del dev ${device} egress`)
  })
})

test('an eBPF program before the seal is not healthy', async () => {
  const file = join(lab.files, 'look.o')
  // TCX_NEXT in linux/bpf.h: it hides nothing, but spanplan cannot know.
  await writeFile(file, writeProgram('tcx/ingress', 'look', -1))
  const load = 'bpftool prog load "$1" "$2" && bpftool net attach tcx_ingress pinned "$2" dev span0'
  const pin = `/sys/fs/bpf/${lab.name}-look`
  await lab.run(['unshare', '--mount', 'sh', '-c', `mount -t bpf bpf /sys/fs/bpf && ${load}`, 'sh', file, pin])
  const said = /span0 ingress has the tcx program look \(\d+\) before\s+the\s+filter\s+that\s+seals\s+it/
  expect((await spanplan(lab, ['plan'])).stderr).toMatch(said)
  expect((await spanplan(lab, ['status', '--for', '100ms'], 2)).stdout).toMatch(said)
  await lab.run(['bpftool', 'net', 'detach', 'tcx_ingress', 'dev', 'span0'])
})
