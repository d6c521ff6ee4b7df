/** Taking over what other tools made, and giving it back: in the kernel alone. */
import { readdir } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { failAt, wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { labEnvironment } from '../lab/programs.ts'
import { expectConverged, expectRefusal, expectRestored, spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab
let first: string

const ip = (...argv: string[]) => lab.run(['ip', ...argv])
const tc = (...argv: string[]) => lab.run(['tc', ...argv])

const everything = ['protocol', 'all', 'u32', 'match', 'u32', '0', '0']
const intoSpan = ['action', 'mirred', 'egress', 'mirror', 'dev', 'span0']

beforeAll(async () => {
  lab = await createLab({ cables: [{ card: 'ens192' }, { card: 'ens224' }] })
  first = await lab.snapshotText()
})
afterAll(() => lab?.close())

afterEach(clear)
beforeEach(() => writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}'))

/** A bridge as ifupdown or a script makes it. */
async function makeBridge(): Promise<void> {
  // With an address of its own: without, it has an id of zeros until one is set, and never again.
  await ip('link', 'add', 'span0', 'address', '02:00:00:00:00:77', 'type', 'bridge', 'stp_state', '1')
  await ip('link', 'set', 'dev', 'span0', 'alias', 'made: by "hand"', 'mtu', '1400')
  await ip('link', 'set', 'dev', 'span0', 'up')
}

/** The mirrors of an old script: an ingress qdisc, and filters on the root qdisc. */
async function makeMirrors(): Promise<void> {
  await tc('qdisc', 'add', 'dev', 'ens192', 'ingress')
  await tc('filter', 'add', 'dev', 'ens192', 'parent', 'ffff:', ...everything, ...intoSpan)
  await tc('qdisc', 'add', 'dev', 'ens192', 'root', 'handle', '1:', 'htb', 'default', '1')
  await tc('class', 'add', 'dev', 'ens192', 'parent', '1:', 'classid', '1:1', 'htb', 'rate', '1gbit')
  await tc('filter', 'add', 'dev', 'ens192', 'parent', '1:', ...everything, ...intoSpan)
}

async function clear(): Promise<void> {
  await tc('qdisc', 'del', 'dev', 'ens192', 'root').catch(() => undefined)
  await tc('qdisc', 'del', 'dev', 'ens192', 'ingress').catch(() => undefined)
  await ip('link', 'del', 'dev', 'span0').catch(() => undefined)
  await expectRestored(lab, first)
}

test('a bridge is told of, taken over, kept, and given back with all that it had', async () => {
  await makeBridge()
  const before = await lab.snapshotText()
  expect(await expectRefusal(lab, ['apply'])).toContain('take it over with --adopt')
  const { stdout } = await spanplan(lab, ['plan', '--adopt'])
  expect(stdout).toMatch(/^ {2}= +bridge +span0 /m)
  expect(stdout).toContain('1 to adopt')
  await spanplan(lab, ['apply', '--adopt', '--yes'])
  await expectConverged(lab)
  const [link] = JSON.parse(await ip('-j', '-d', 'link', 'show', 'dev', 'span0'))
  expect(link).toMatchObject({ mtu: 9000, linkinfo: { info_data: { stp_state: 0, mcast_snooping: 0 } } })
  // Drift is mended as any.
  await ip('link', 'set', 'dev', 'span0', 'type', 'bridge', 'ageing_time', '300')
  await spanplan(lab, ['apply'])
  await expectConverged(lab)
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, before)
})

describe('a bridge that has lost its last port, and its address with that', () => {
  const readLink = async () => {
    const [{ linkinfo, address, mtu, flags, ifalias, inet6_addr_gen_mode }] = JSON.parse(
      await ip('-j', '-d', 'link', 'show', 'dev', 'span0')
    )
    const { ageing_time, forward_delay, stp_state, mcast_snooping } = linkinfo.info_data
    const options = { ageing_time, forward_delay, stp_state, mcast_snooping }
    return { address, kept: { mtu, flags: flags.sort(), ifalias, inet6_addr_gen_mode, ...options } }
  }
  const none = '00:00:00:00:00:00'

  beforeEach(async () => {
    await ip('link', 'add', 'name', 'span0', 'type', 'bridge')
    await ip('link', 'set', 'dev', 'span0', 'up')
    await ip('link', 'add', 'name', 'e1', 'type', 'veth', 'peer', 'name', 'e2')
    await ip('link', 'set', 'dev', 'e1', 'master', 'span0')
    await ip('link', 'del', 'dev', 'e1')
  })

  test('is given back, with all but the address, which the kernel takes from nobody, and is not removed by the next destroy', async () => {
    const { address, kept } = await readLink()
    expect(address).toBe(none)
    await spanplan(lab, ['apply', '--adopt', '--yes'])
    await expectConverged(lab)
    await spanplan(lab, ['destroy', '--yes'])
    expect((await readLink()).kept).toEqual(kept)
    const { stdout } = await spanplan(lab, ['destroy', '--yes'])
    expect(stdout).not.toContain('bridge')
    expect(await expectRefusal(lab, ['apply'])).toContain('take it over with --adopt')
  })

  test('is given back so by an apply that fails half-way too', async () => {
    const { kept } = await readLink()
    const { options } = await wrapPrograms(lab, { tc: failAt('filter replace dev ens192 egress') })
    const { stderr } = await spanplan(lab, ['apply', '--adopt', '--yes'], 5, options)
    expect(stderr).toContain('the host is as it was')
    expect((await readLink()).kept).toEqual(kept)
    expect(await expectRefusal(lab, ['apply'])).toContain('take it over with --adopt')
  })
})

test('mirrors of an old script are told of, converted, and gone after a destroy', async () => {
  await makeBridge()
  await makeMirrors()
  const refusal = await expectRefusal(lab, ['apply'])
  expect(refusal).toContain('the ingress of ens192 is already mirrored into span0')
  expect(refusal).toContain('the egress of ens192 is already mirrored into span0')
  expect(refusal).toContain('ens192 has an ingress qdisc')
  await spanplan(lab, ['apply', '--adopt', '--yes'])
  await expectConverged(lab)
  expect(await tc('filter', 'show', 'dev', 'ens192')).toBe('')
  expect(await tc('qdisc', 'show', 'dev', 'ens192')).not.toContain('ingress')
  await spanplan(lab, ['destroy', '--yes'])
  expect(await tc('qdisc', 'show', 'dev', 'ens192', 'root')).toContain('htb')
})

test("a mirror at spanplan's own preference, into one of two spans that copy the same, is in the way of none", async () => {
  await makeBridge()
  await tc('qdisc', 'add', 'dev', 'ens192', 'clsact')
  const everyFrame = ['bpf', 'bytecode', '1,6 0 0 4294967295']
  await tc('filter', 'add', 'dev', 'ens192', 'ingress', 'protocol', 'all', 'pref', '8', ...everyFrame, ...intoSpan)
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}, other0: {sources: [{interface: ens192}]}}')
  const refusal = await expectRefusal(lab, ['apply'])
  expect(refusal).toContain('the ingress of ens192 is already mirrored into span0')
  expect(refusal).not.toContain('has a filter at preference 8')
  await spanplan(lab, ['apply', '--adopt', '--yes'])
  await expectConverged(lab)
  await spanplan(lab, ['destroy', '--yes'])
  expect(await tc('filter', 'show', 'dev', 'ens192', 'ingress')).toBe('')
  await tc('qdisc', 'del', 'dev', 'ens192', 'clsact')
})

describe('what fails half-way is as it was', () => {
  test.each([
    ['tc', 'qdisc replace dev ens192 clsact'],
    ['tc', 'filter del dev ens192 parent 1:'],
    ['tc', 'filter replace dev ens192 ingress'],
    ['tc', 'filter replace dev ens192 egress'],
    ['bridge', 'fdb del'],
    ['ip', 'link set dev ens192']
  ] as const)('%s %s', async (program, pattern) => {
    await makeBridge()
    await makeMirrors()
    const before = await lab.snapshotText()
    const { options } = await wrapPrograms(lab, { [program]: failAt(pattern) })
    const { stderr } = await spanplan(lab, ['apply', '--adopt', '--yes'], 5, options)
    expect(stderr).toContain('the host is as it was')
    await expectRestored(lab, before)
  })
})

test('an old qdisc that cannot come back without the loss of what others have added meanwhile stays away', async () => {
  await makeBridge()
  await makeMirrors()
  const running = lab.startSpanplan(['apply', '--adopt', '--yes', '--rollback-after', '3s'])
  const add = ['filter', 'add', 'dev', 'ens192', 'ingress', 'pref', '7', ...everything, 'flowid', '1:5']
  await until('the hook is there', async () => (await tc('qdisc', 'show', 'dev', 'ens192')).includes('clsact'))
  await tc(...add)
  const { exitCode, stderr } = await running
  expect(exitCode).toBe(4)
  expect(stderr).toContain('could not restore the foreign mirror of ens192 ingress → span0')
  expect(await tc('filter', 'show', 'dev', 'ens192', 'ingress')).toContain('pref 7 u32')
  await tc('qdisc', 'del', 'dev', 'ens192', 'clsact')
})

test('a mirror that others have made again meanwhile is left, and ours goes', async () => {
  await makeBridge()
  await tc('qdisc', 'add', 'dev', 'ens192', 'clsact')
  const add = ['filter', 'add', 'dev', 'ens192', 'ingress', 'pref', '20', ...everything, ...intoSpan]
  await tc(...add)
  const before = await lab.snapshotText()
  const running = lab.startSpanplan(['apply', '--adopt', '--yes', '--rollback-after', '3s'])
  const folder = labEnvironment(lab.name).SPANPLAN_RUN_DIR ?? ''
  await until('the apply waits', async () =>
    (await readdir(folder).catch(() => [])).some((name) => name.endsWith('.sock'))
  )
  await tc(...add)
  expect((await running).exitCode).toBe(5)
  await expectRestored(lab, before)
  await tc('qdisc', 'del', 'dev', 'ens192', 'clsact')
})

describe('what does other work is not taken over', () => {
  const cases: Record<string, { readonly make: () => Promise<unknown>; readonly why: string }> = {
    'a bridge with an address': {
      make: () => ip('addr', 'add', '192.0.2.1/24', 'dev', 'span0'),
      why: 'it has the address 192.0.2.1/24'
    },
    'a bridge with a port': {
      make: () => ip('link', 'set', 'dev', 'ens224', 'master', 'span0'),
      why: 'ens224 is a port of it'
    },
    'an ingress qdisc with another filter': {
      make: async () => {
        await makeMirrors()
        await tc('filter', 'add', 'dev', 'ens192', 'parent', 'ffff:', 'pref', '7', ...everything, 'flowid', '1:5')
      },
      why: 'that no span takes over'
    },
    'a filter that also sorts into a class': {
      make: async () => {
        await tc('qdisc', 'add', 'dev', 'ens192', 'root', 'handle', '1:', 'htb', 'default', '1')
        await tc('class', 'add', 'dev', 'ens192', 'parent', '1:', 'classid', '1:1', 'htb', 'rate', '1gbit')
        await tc('filter', 'add', 'dev', 'ens192', 'parent', '1:', ...everything, 'flowid', '1:1', ...intoSpan)
      },
      why: 'also sorts frames into the class 1:1'
    }
  }
  test.each(Object.entries(cases))('%s', async (_, { make, why }) => {
    await makeBridge()
    await make()
    expect(await expectRefusal(lab, ['apply', '--adopt', '--yes'])).toContain(why)
    await ip('link', 'set', 'dev', 'ens224', 'nomaster')
  })
})
