/**
 * Interfaces that get another name, number or place while a watch runs. ip, tc and bridge remember which name has which number for as
 * long as they run (lib/ll_map.c of iproute2): one that is kept running says an interface's old name, and changes what has that name now.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startWatch, type Watch } from '../lab/commands/watch.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { parseRows } from '../lab/parse-rows.ts'
import { findProgram, labEnvironment } from '../lab/programs.ts'
import { expectConverged, expectRestored, spanplan, until, writeSpans } from '../lab/spans.ts'
import { hostNamespace, switchNamespace } from '../lab/sweep.ts'

let lab: Lab
let watch: Watch
let first: string

beforeAll(async () => {
  lab = await createLab({ cables: [] })
  first = await lab.snapshotText()
})
afterAll(() => lab?.close())

/** Interfaces whose far ends are on the switch. Somebody has a filter on each, and no frame of theirs is copied but of src0's. */
const cards = ['src0', 'other', 'third'] as const

beforeEach(async () => {
  for (const card of cards) await addCard(card)
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: src0, direction: ingress}]}}')
  watch = await startWatch(lab, ['--interval', '1h'])
  await expectSettled('src0')
})
afterEach(async () => {
  await watch?.[Symbol.asyncDispose]()
  await spanplan(lab, ['destroy', '--all', '--yes'])
  for (const { ifname } of await readLinks()) if (ifname !== 'lo') await change(`link del dev ${ifname}`)
  await expectRestored(lab, first)
})

interface LinkRow {
  readonly ifname: string
  readonly ifindex: number
}

const readLinks = async () => parseRows<LinkRow>(await lab.run(['ip', '-j', 'link']))

/** Does all of it in one process, at once. */
const change = (...lines: readonly string[]) => lab.run(['ip', '-batch', '-'], { input: lines.join('\n') })

const numberOf = async (name: string) => (await readLinks()).find(({ ifname }) => ifname === name)?.ifindex

/** What makes an interface, with its cable. */
const making = (name: string, index = '') =>
  `link add name ${name} ${index} up type veth peer name far-${name} netns ${switchNamespace(lab.name)}`

async function addCard(name: string): Promise<void> {
  await change(making(name))
  await plug(name)
  await addForeign(name)
}

const plug = (name: string) => lab.run(['ip', 'link', 'set', 'dev', `far-${name}`, 'up'], { on: 'switch' })

/** A filter of somebody's that lets all pass. */
async function addForeign(name: string): Promise<void> {
  await lab.run(['tc', 'qdisc', 'replace', 'dev', name, 'clsact'])
  const program = ['bpf', 'da', 'bytecode', '1,6 0 0 4294967295']
  await lab.run(['tc', 'filter', 'add', 'dev', name, 'egress', 'protocol', 'all', 'pref', '99', ...program])
}

interface FilterRow {
  readonly pref: number
  readonly options?: { readonly actions?: readonly { readonly to_dev?: string }[] }
}

/** The filters of all interfaces, by the number of these, as new processes read them. */
async function readFilters() {
  const rows = await Promise.all(
    (await readLinks()).map(async ({ ifname, ifindex }) => {
      const show = (tcHook: string) => lab.run(['tc', '-j', 'filter', 'show', 'dev', ifname, tcHook])
      const texts = await Promise.all(['ingress', 'egress'].map(show))
      const filters = texts.flatMap((text) => parseRows<FilterRow>(text)).filter(({ options }) => options !== undefined)
      return { ifname, ifindex, filters }
    })
  )
  return {
    /** The numbers of the interfaces that somebody has a filter on. */
    foreign: rows.filter(({ filters }) => filters.some(({ pref }) => pref === 99)).map(({ ifindex }) => ifindex),
    /** From which interface to which frames are copied. */
    mirrors: rows.flatMap(({ ifname, filters }) =>
      filters.flatMap(({ options }) => (options?.actions ?? []).map(({ to_dev }) => `${ifname} → ${to_dev}`))
    )
  }
}

/** The watch has nothing to do any more, and frames of these interfaces alone are copied, to the span's bridge. */
async function expectMirrored(...sources: readonly string[]): Promise<void> {
  const wanted = sources.map((source) => `${source} → span0`)
  await until('frames are copied from where they should', async () => {
    const { mirrors } = await readFilters()
    return mirrors.join() === wanted.join()
  }).catch(() => undefined)
  await watch.settle()
  expect((await readFilters()).mirrors, watch.told).toEqual(wanted)
  expect((await watch.state()).degraded).toEqual([])
}

/** The same, and nobody else finds anything to do either. */
async function expectSettled(source: string): Promise<void> {
  await expectMirrored(source)
  await expectConverged(lab)
}

/** The foreign filters are on the same interfaces as before, whatever these are called now. */
async function expectForeignKept(act: () => Promise<void>): Promise<void> {
  const { foreign } = await readFilters()
  expect(foreign).toHaveLength(cards.length)
  await act()
  expect((await readFilters()).foreign).toEqual(foreign)
}

const rename = (from: string, to: string) => `link set dev ${from} name ${to}`

describe('a source', () => {
  test('is renamed, and another interface gets its name', () =>
    expectForeignKept(async () => {
      await change(rename('src0', 'away'), rename('other', 'src0'))
      await expectSettled('src0')
      // And back, with the watch's programs knowing both by now.
      await change(rename('src0', 'other'), rename('away', 'src0'))
      await expectSettled('src0')
    }))

  test('is renamed, and later another interface gets its name', () =>
    expectForeignKept(async () => {
      await change(rename('src0', 'away'))
      await watch.expectTold(/waits for the interface src0 \(somebody has renamed it, to away: /)
      await expectMirrored('away')
      await change(rename('third', 'src0'))
      await expectSettled('src0')
    }))

  test('and another interface swap their names, ten times', () =>
    expectForeignKept(async () => {
      const number = await numberOf('src0')
      for (let count = 0; count < 10; count++) {
        await change(rename('src0', 'aside'), rename('other', 'src0'), rename('aside', 'other'))
        await expectSettled('src0')
        expect(await numberOf(count % 2 === 0 ? 'other' : 'src0')).toBe(number)
      }
    }))

  test('and another interface swap their names and swap them back, again and again, before a look sees it', () =>
    expectForeignKept(async () => {
      const swap = [rename('src0', 'aside'), rename('other', 'src0'), rename('aside', 'other')]
      for (let count = 0; count < 20; count++) {
        for (let times = 0; times < 6; times++) {
          await change(...swap)
          // A program that is started now learns what is for this moment.
          await sleep(Math.random() * 20)
          await change(...swap)
          await sleep(Math.random() * 30)
        }
        await expectSettled('src0')
        // A watch that has seen more of that takes it for contention.
        await watch.stop()
        watch = await startWatch(lab, ['--interval', '1h'])
      }
    }))

  test('and another source swap their names: both are copied, each to its own span', async () => {
    await writeSpans(
      lab,
      `spans:
  span0: {sources: [{interface: src0, direction: ingress}]}
  span1: {sources: [{interface: other, direction: egress}]}`
    )
    const settled = async () => {
      await until('both are copied', async () => {
        const { mirrors } = await readFilters()
        return mirrors.sort().join() === 'other → span1,src0 → span0'
      })
      await watch.settle()
      await expectConverged(lab)
      expect((await readFilters()).mirrors.sort()).toEqual(['other → span1', 'src0 → span0'])
    }
    await settled()
    await expectForeignKept(async () => {
      await change(rename('src0', 'aside'), rename('other', 'src0'), rename('aside', 'other'))
      await settled()
    })
  })

  test('is deleted and made again at once, twenty times', async () => {
    const { foreign } = await readFilters()
    const gone = await numberOf('src0')
    for (let count = 0; count < 20; count++) {
      await change('link del dev src0', making('src0'))
      // Every other time, it comes and goes as the watch looks.
      if (count % 2 === 0) continue
      await plug('src0')
      await until('it is copied', async () => (await readFilters()).mirrors.length === 1)
    }
    await expectSettled('src0')
    expect((await readFilters()).foreign).toEqual(foreign.filter((index) => index !== gone))
  })

  test.each(['a new one', 'that of another'])(
    'is deleted, and another gets its number; then it gets %s',
    async (which) => {
      const [number, otherNumber] = [await numberOf('src0'), await numberOf('other')]
      await change('link del dev src0', making('late', `index ${number}`))
      await watch.expectTold(/waits for the interface src0/)
      await expectMirrored()
      await change('link del dev other', making('src0', which === 'a new one' ? '' : `index ${otherNumber}`))
      await plug('src0')
      await expectMirrored('src0')
      // The bridge's mark remembers that number as one of src0's. There is nothing to give back, and nothing else to do.
      const { stdout } = await lab.spanplan(['plan'])
      expect(stdout.replace(/^ +- +interface +late +left as it is\n/m, '')).not.toMatch(/^ +[-+~] /m)
      expect(await numberOf('late')).toBe(number)
      expect((await readFilters()).foreign).toEqual([await numberOf('third')])
    }
  )

  test('goes to another namespace, and comes back', () =>
    expectForeignKept(async () => {
      await change(`link set dev src0 netns ${switchNamespace(lab.name)}`)
      await watch.expectTold(/waits for the interface src0/)
      await expectMirrored()
      await lab.run(['ip', 'link', 'set', 'dev', 'src0', 'netns', hostNamespace(lab.name)], { on: 'switch' })
      await change('link set dev src0 up')
      // Its filters are gone with the namespace, somebody's too.
      await addForeign('src0')
      await expectSettled('src0')
    }))
})

test('the bridge is renamed, and back at once; then it is only renamed', () =>
  expectForeignKept(async () => {
    await change(rename('span0', 'elsewhere'), rename('elsewhere', 'span0'))
    await expectSettled('src0')
    await change(rename('span0', 'elsewhere'))
    // The watch has one of the right name by then, and takes the other away.
    await watch.expectTold(/ - bridge elsewhere /)
    await expectSettled('src0')
    expect(await numberOf('elsewhere')).toBeUndefined()
  }))

test('an interface above another is a source, and the one below is renamed', () =>
  expectForeignKept(async () => {
    // This kernel has no 802.1Q: a macvlan is built on an interface as a VLAN is.
    await change('link add link src0 name upper up type macvlan')
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: upper, direction: ingress}]}}')
    await expectSettled('upper')
    await change(rename('src0', 'away'), rename('other', 'src0'))
    await expectSettled('upper')
    await change(rename('src0', 'other'), rename('away', 'src0'))
    await expectSettled('upper')
    await change('link del dev upper')
  }))

test('an interface that gets its name while a look is under way is known by that name', async () => {
  await watch[Symbol.asyncDispose]()
  const slow = join(lab.files, 'slow')
  const folder = await mkdtemp(join(lab.files, 'bin-'))
  const tc = findProgram('tc')
  const script = `while IFS= read -r line; do [ ! -e ${slow} ] || sleep 0.5; printf '%s\\n' "$line"; done | ${tc} "$@"`
  const wrapper = `#!/bin/sh\ncase "$*" in "-json -force"*) ;; *) exec ${tc} "$@" ;; esac\n${script}\n`
  await writeFile(join(folder, 'tc'), wrapper, { mode: 0o755 })
  await writeSpans(
    lab,
    'spans: {span0: {sources: [{interface: src0, direction: ingress}, {interface: late, direction: ingress}]}}'
  )
  watch = await startWatch(lab, ['--interval', '1h'], { env: { PATH: `${folder}:${labEnvironment(lab.name).PATH}` } })
  await watch.expectTold(/waits for the interface late/)
  await watch.settle()
  await writeFile(slow, '')
  // The look reads the links at once, and the qdiscs half a second later: then the interface has the name that a driver gives.
  await change('link set dev third alias look')
  await sleep(250)
  await change(making('eth0'))
  await sleep(600)
  await change('link set dev eth0 down', rename('eth0', 'late'), 'link set dev late up')
  await plug('eth0')
  await rm(slow)
  await until('it is mirrored', async () =>
    (await lab.run(['tc', 'filter', 'show', 'dev', 'late', 'ingress'])).includes('mirred')
  )
  await watch.settle()
  await expectConverged(lab)
  expect(watch.told.match(/\+ qdisc late/g)).toHaveLength(1)
  expect(watch.told).not.toContain('keeps undoing')
})
