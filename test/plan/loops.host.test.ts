/** A frame that a span hands out must not come up at one of its sources: a single one would go round for ever. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { ether, filler } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, expectRestored, spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab
let first: string

const ip = (...argv: string[]) => lab.run(['ip', ...argv])
const tc = (...argv: string[]) => lab.run(['tc', ...argv])
const broadcast = () => ether('ff:ff:ff:ff:ff:ff', '02:00:00:00:0a:01', filler(100, 1))

beforeAll(async () => {
  lab = await createLab({ cables: [{ card: 'ens192' }, { card: 'ens224' }] })
  first = await lab.snapshotText()
})
afterAll(() => lab?.close())
beforeEach(async () => {
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}, span1: {sources: [{interface: ens192}]}}')
  await spanplan(lab, ['apply'])
})
afterEach(async () => {
  for (const device of ['patch0', 'patch2', 'mv0', 'br0', 'br1']) {
    await ip('link', 'del', 'dev', device).catch(() => undefined)
  }
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, first)
})

/** Makes a device that is quiet, and up. */
async function add(name: string, ...words: string[]): Promise<void> {
  await ip('link', 'add', 'name', name, ...words)
  await start(name)
}

async function start(name: string): Promise<void> {
  await ip('link', 'set', 'dev', name, 'addrgenmode', 'none')
  await ip('link', 'set', 'dev', name, 'up')
}

/** A cable between two bridges. */
async function patch(number: number, near: string, far: string | null): Promise<void> {
  const [one, other] = [`patch${number}`, `patch${number + 1}`]
  await add(one, 'type', 'veth', 'peer', 'name', other)
  await start(other)
  await ip('link', 'set', 'dev', one, 'master', near)
  if (far !== null) await ip('link', 'set', 'dev', other, 'master', far)
}

/** How often something was sent by a device. */
async function countSent(device: string): Promise<number> {
  const [link] = JSON.parse(await ip('-j', '-s', 'link', 'show', 'dev', device))
  return link.stats64.tx.packets
}

interface Shape {
  readonly name: string
  readonly by: () => Promise<unknown>
  readonly sources: string
  /** Where the frame begins, and the hook of the source. */
  readonly copied: readonly [device: string, hook: string]
  readonly port: string
  readonly way: string
  /** Where nothing on the way waits in a queue, the kernel ends it: MIRRED_NEST_LIMIT in net/sched/act_mirred.c. */
  readonly rounds?: number
}

const shapes: readonly Shape[] = [
  {
    name: 'a cable to a bridge that is a source',
    by: async () => {
      await add('br0', 'type', 'bridge')
      await patch(0, 'span0', 'br0')
    },
    sources: '{interface: br0}',
    copied: ['br0', 'ingress'],
    port: 'patch0',
    way: 'span0 → patch1 → br0 → span0'
  },
  {
    name: 'a cable to a bridge, a port of which is a source',
    by: async () => {
      await add('br0', 'type', 'bridge')
      await ip('link', 'set', 'dev', 'ens224', 'master', 'br0')
      await patch(0, 'span0', 'br0')
    },
    sources: '{interface: ens224, direction: egress}',
    copied: ['ens224', 'egress'],
    port: 'patch0',
    way: 'span0 → patch1 → ens224 → span0'
  },
  {
    name: 'two cables, with a bridge between them',
    by: async () => {
      await add('br0', 'type', 'bridge')
      await patch(0, 'span0', 'br0')
      await patch(2, 'br0', null)
    },
    sources: '{interface: patch3, direction: ingress}',
    copied: ['patch3', 'ingress'],
    port: 'patch0',
    way: 'span0 → patch1 → patch3 → span0'
  },
  {
    name: 'a cable whose far end has a macvlan that is a source',
    by: async () => {
      await patch(0, 'span0', null)
      await add('mv0', 'link', 'patch1', 'type', 'macvlan')
    },
    sources: '{interface: mv0, direction: ingress}',
    copied: ['mv0', 'ingress'],
    port: 'patch0',
    way: 'span0 → patch1 → mv0 → span0'
  },
  {
    name: 'a macvlan of a source',
    by: async () => {
      await add('mv0', 'link', 'ens224', 'type', 'macvlan')
      await ip('link', 'set', 'dev', 'mv0', 'master', 'span0')
    },
    sources: '{interface: ens224, direction: egress}',
    copied: ['ens224', 'egress'],
    port: 'mv0',
    way: 'span0 → mv0 → ens224 → span0',
    rounds: 2
  }
]

describe('refuses', () => {
  test.each(shapes)('$name, where one frame goes round', async ({ by, sources, copied, port, way, rounds = 1000 }) => {
    await by()
    await writeSpans(lab, `spans: {span0: {sources: [{interface: ens192}, ${sources}]}}`)
    const { stderr } = await spanplan(lab, ['apply', '--yes'], 1)
    expect(stderr).toContain(`span span0 would copy its own frames in a loop: ${way}`)
    // It is what would happen: the mirror is made by hand, for a moment.
    const [device, hook] = copied
    await tc('qdisc', 'replace', 'dev', device, 'clsact')
    const before = await countSent(port)
    const words = ['pref', '8', 'protocol', 'all', 'bpf', 'bytecode', '1,6 0 0 4294967295']
    const mirror = ['action', 'mirred', 'egress', 'mirror', 'dev', 'span0', 'continue']
    await tc('filter', 'add', 'dev', device, hook, ...words, ...mirror)
    try {
      await lab.send([broadcast()], 'span0')
      await until('it goes round', async () => (await countSent(port)) > before + rounds)
    } finally {
      await tc('qdisc', 'del', 'dev', device, 'clsact')
    }
  })

  test('two spans that feed each other over cables', async () => {
    for (const bridge of ['br0', 'br1']) await add(bridge, 'type', 'bridge')
    await patch(0, 'span0', 'br0')
    await patch(2, 'span1', 'br1')
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: br1}]}, span1: {sources: [{interface: br0}]}}')
    const { stderr } = await spanplan(lab, ['apply', '--yes'], 1)
    expect(stderr).toContain(
      'span span0 would copy its own frames in a loop: span0 → patch1 → br0 → span1 → patch3 → br1 → span0'
    )
  })
})

test('what only leaves the host, or is beside it, is none', async () => {
  await add('br0', 'type', 'bridge')
  await ip('link', 'set', 'dev', 'ens224', 'master', 'br0')
  await add('mv0', 'link', 'ens192', 'type', 'macvlan')
  await ip('link', 'set', 'dev', 'mv0', 'master', 'span0')
  // The copies go out by ens192, and only what comes in there is copied.
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: br0}, {interface: ens192, direction: ingress}]}}')
  await spanplan(lab, ['apply', '--yes', '--no-prune'])
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}, span1: {sources: [{interface: span0}]}}')
  // The macvlan is a port of span0, and what ens192 sends is copied.
  expect((await spanplan(lab, ['apply', '--yes'], 1)).stderr).toContain('span0 → mv0 → ens192 → span0')
  await ip('link', 'del', 'dev', 'mv0')
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
  await spanplan(lab, ['apply', '--yes'])
  await writeSpans(lab, 'spans: {}')
})

test('a loop that somebody closes under a watch: the mirror goes, loudly, and comes back once the cable is out', async () => {
  await add('br0', 'type', 'bridge')
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}, {interface: br0}]}}')
  await spanplan(lab, ['apply', '--yes'])
  await using watch = await startWatch(lab)
  await patch(0, 'span0', 'br0')
  await lab.send([broadcast()], 'span0')
  await watch.expectTold(/span0.*span span0 would copy its own frames in a loop: span0 → patch1 → br0 → span0/)
  const mirrors = async (device: string) => (await tc('filter', 'show', 'dev', device, 'ingress')).includes('span0')
  await until('its mirror has gone', async () => !(await mirrors('br0')))
  await until('nothing goes round', async () => {
    const before = await countSent('patch0')
    return before === (await countSent('patch0'))
  })
  expect(await mirrors('ens192')).toBe(true)
  expect((await watch.state()).degraded).toMatchObject([{ span: 'span0', diagnostic: { code: 'LOOP' } }])
  await ip('link', 'del', 'dev', 'patch0')
  await until('its mirror is back', () => mirrors('br0'))
  await until('nothing is degraded', async () => (await watch.state()).degraded.length === 0)
})
