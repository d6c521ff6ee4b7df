/** What others hang on a span's bridge is not taken along when the span goes: it is named, and the bridge stays. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, expectRefusal, expectRestored, spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab
let first: string

const ip = (...argv: string[]) => lab.run(['ip', ...argv])
const span = (name: string) => `${name}: {sources: [{interface: ens192}]}`
const one = `spans: {${span('span0')}}`
const both = `spans: {${span('span0')}, ${span('span1')}}`

beforeAll(async () => {
  lab = await createLab()
  first = await lab.snapshotText()
})
afterAll(() => lab?.close())
afterEach(async () => {
  for (const device of ['mv0', 'patch0', 'br0']) await ip('link', 'del', 'dev', device).catch(() => undefined)
  await lab.spanplan(['destroy', '--all', '--yes'])
  await expectRestored(lab, first)
})

async function isThere(device: string): Promise<boolean> {
  const links: { ifname: string }[] = JSON.parse(await ip('-j', 'link', 'show'))
  return links.some(({ ifname }) => ifname === device)
}

async function addMacvlan(lower = 'span0'): Promise<void> {
  await ip('link', 'add', 'mv0', 'link', lower, 'type', 'macvlan')
  await ip('link', 'set', 'dev', 'mv0', 'addrgenmode', 'none')
}

async function addPort(): Promise<void> {
  await ip('link', 'add', 'patch0', 'type', 'veth', 'peer', 'name', 'patch1')
  await ip('link', 'set', 'dev', 'patch0', 'addrgenmode', 'none')
  await ip('link', 'set', 'dev', 'patch0', 'master', 'span0')
}

interface Row {
  readonly name: string
  readonly by: () => Promise<unknown>
  readonly said: string
  readonly command: string
}

const rows: readonly Row[] = [
  {
    name: 'a macvlan',
    by: () => addMacvlan(),
    said: 'the macvlan mv0 is built on it',
    command: 'ip link del dev mv0'
  },
  {
    name: 'a macvlan with an address',
    by: async () => {
      await addMacvlan()
      await ip('addr', 'add', '10.9.9.1/24', 'dev', 'mv0')
    },
    said: 'the macvlan mv0 is built on it, with the address 10.9.9.1/24',
    command: 'ip link del dev mv0'
  },
  {
    name: 'an address',
    by: () => ip('addr', 'add', '10.9.9.1/24', 'dev', 'span0'),
    said: 'it has the address 10.9.9.1/24',
    command: 'ip addr del 10.9.9.1/24 dev span0'
  },
  {
    name: 'an address of IPv6',
    by: async () => {
      await ip('-6', 'addr', 'add', '2001:db8::1/64', 'dev', 'span0', 'nodad')
      await until('it has its route', async () =>
        (await ip('-6', 'route', 'show', 'table', 'local')).includes('2001:db8::1')
      )
    },
    said: 'it has the address 2001:db8::1/64',
    command: 'ip addr del 2001:db8::1/64 dev span0'
  },
  {
    name: 'a route',
    by: () => ip('route', 'add', '203.0.113.0/24', 'dev', 'span0'),
    said: 'the host has a route through it: 203.0.113.0/24 dev span0',
    command: 'ip route del 203.0.113.0/24 dev span0'
  },
  {
    name: 'a filter',
    by: () => {
      const words = ['egress', 'pref', '20', 'protocol', 'all', 'bpf', 'da', 'bytecode', '1,6 0 0 4294967295']
      return lab.run(['tc', 'filter', 'add', 'dev', 'span0', ...words])
    },
    said: 'it has an egress filter at preference 20',
    command: 'tc filter del dev span0 egress'
  }
]

describe('a bridge is not removed, and the error names the command that takes off', () => {
  test.each(rows)('$name', async ({ by, said, command }) => {
    await writeSpans(lab, both)
    await spanplan(lab, ['apply'])
    await by()
    const destroyed = await expectRefusal(lab, ['destroy', '--yes'])
    expect(destroyed).toContain(`the bridge span0 cannot be removed: ${said}`)
    expect(destroyed).toContain(`if nothing needs it: ${command}`)
    await writeSpans(lab, `spans: {${span('span1')}}`)
    expect(await expectRefusal(lab, ['apply', '--yes', '--adopt'])).toContain(said)
    const [, removal = 'false'] = /if nothing needs it: (.*)$/m.exec(destroyed) ?? []
    await lab.run(['sh', '-c', removal])
    await spanplan(lab, ['apply', '--yes'])
    expect(await isThere('span0')).toBe(false)
    await expectConverged(lab)
  })

  test('all of it, of all spans, at once', async () => {
    await writeSpans(lab, both)
    await spanplan(lab, ['apply'])
    await addMacvlan('span1')
    await ip('addr', 'add', '10.9.9.1/24', 'dev', 'span0')
    const said = await expectRefusal(lab, ['destroy', '--yes'])
    expect(said.match(/^error: the bridge .*$/gm)).toEqual([
      'error: the bridge span0 cannot be removed: it has the address 10.9.9.1/24',
      'error: the bridge span1 cannot be removed: the macvlan mv0 is built on it'
    ])
    await ip('addr', 'flush', 'dev', 'span0')
  })
})

test('a span that copies from the bridge of one that goes keeps it', async () => {
  await writeSpans(lab, one)
  await spanplan(lab, ['apply'])
  await writeSpans(lab, 'name: other\nspans: {span1: {sources: [{interface: span0}]}}')
  await spanplan(lab, ['apply'])
  await writeSpans(lab, one)
  const told = await expectRefusal(lab, ['destroy', '--yes'])
  expect(told).toContain('the bridge span0 cannot be removed: span span1 copies from it')
  expect(told).toContain('take the source off, or remove that span: spanplan destroy --name other --span span1')
})

test('what is put on an adopted bridge stays on it, when that is given back', async () => {
  await ip('link', 'add', 'span0', 'type', 'bridge')
  await writeSpans(lab, one)
  await spanplan(lab, ['apply', '--adopt', '--yes'])
  await addMacvlan()
  await addPort()
  await spanplan(lab, ['destroy', '--yes'])
  for (const device of ['span0', 'mv0', 'patch0']) expect(await isThere(device)).toBe(true)
  await ip('link', 'del', 'dev', 'span0')
})

/** Somebody hangs a macvlan on a bridge as soon as a program is called that changes something, and matches. */
const hangAt = (pattern: string) => `case "$* $input" in
*-json*) ;;
*"${pattern}"*) ip link add mv0 link span0 type macvlan </dev/null 2>&1 ;;
esac`

describe('what comes after the plan was made', () => {
  test('keeps its bridge: destroy stops there, and says what is left', async () => {
    await writeSpans(lab, both)
    await spanplan(lab, ['apply'])
    // The mirrors go before the bridges.
    const { options } = await wrapPrograms(lab, { tc: hangAt('filter del') })
    const { stderr } = await spanplan(lab, ['destroy', '--yes'], 4, options)
    expect(stderr).toContain('the bridge span0 cannot be removed: the macvlan mv0 is built on it')
    expect(stderr).toMatch(/Everything else was done\. What is left .*:\n *- +bridge +span0/)
    expect(stderr).not.toMatch(/- +bridge +span1/)
    expect(await isThere('mv0')).toBe(true)
    expect(await isThere('span1')).toBe(false)
    await ip('link', 'del', 'dev', 'mv0')
    await spanplan(lab, ['destroy', '--yes'])
    await expectRestored(lab, first)
  })

  test('keeps the bridge that a failing apply has made, and would take back', async () => {
    await writeSpans(lab, one)
    const { options } = await wrapPrograms(lab, { tc: `${hangAt('')}\ncase "$*" in *-json*) ;; *) exit 1 ;; esac` })
    const { stderr } = await spanplan(lab, ['apply'], 4, options)
    expect(stderr).toContain('It could not be rolled back completely')
    expect(stderr).toContain('the bridge span0 cannot be removed')
    expect(await isThere('span0')).toBe(true)
  })
})

test('a watch leaves such a span as it is, says so, keeps the others, and removes the span once that is off', async () => {
  await writeSpans(lab, both)
  await spanplan(lab, ['apply'])
  await addMacvlan('span1')
  await writeFile(join(lab.files, 'spans.yaml'), `version: 1\n${one}`)
  await using watch = await startWatch(lab)
  const status = await lab.spanplan(['status'])
  expect(`${status.stdout}${status.stderr}`).not.toContain('error:')
  await watch.expectTold(/span1.*the bridge span1 cannot be removed: the macvlan mv0 is built on it/)
  await ip('link', 'set', 'dev', 'span0', 'down')
  await until('span0 is up again', async () => (await ip('link', 'show', 'dev', 'span0')).includes(',UP'))
  expect(await isThere('mv0')).toBe(true)
  await ip('link', 'del', 'dev', 'mv0')
  await until('span1 has gone', async () => !(await isThere('span1')))
  await until('nothing is degraded', async () => (await watch.state()).degraded.length === 0)
})
