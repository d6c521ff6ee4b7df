/** Destroy leaves the host as it was before the first apply, whatever happened in between. */
import { join } from 'node:path'
import type Docker from 'dockerode'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { everything, openUsedHost, type UsedHost } from '../lab/interfaces-in-use.ts'
import type { Lab } from '../lab/lab.ts'
import { projectRoot } from '../lab/programs.ts'
import { expectConverged, expectHeard, expectRefusal, networksOf, spanplan, until, writeSpans } from '../lab/spans.ts'

let host: UsedHost
let lab: Lab
let suricata: Docker.Container
let zeek: Docker.Container

const ip = (...argv: string[]) => lab.run(['ip', ...argv])
const tc = (...argv: string[]) => lab.run(['tc', ...argv])

beforeAll(async () => {
  host = await openUsedHost()
  ;({ lab, suricata, zeek } = host)
})
afterAll(() => lab?.close())

const expectNothingLeft = () => host.expectNothingLeft()

async function destroy(...args: string[]): Promise<string> {
  const { stdout } = await spanplan(lab, ['destroy', '--yes', ...args])
  return stdout
}

describe('nothing is left of', () => {
  test.each([
    ['a span of a card in use', 'spans: {span0: {sources: [{interface: ens192}]}}'],
    ['a span of a card that was down', 'spans: {span0: {sources: [{interface: ens224}]}}'],
    [
      'one that is not sealed, nor wire-size',
      'spans: {span0: {sources: [{interface: ens192}], sealed: false, wire: false}}'
    ],
    [
      'a span of a card that was down, and is dedicated',
      'interfaces: {ens224: {dedicated: true}}\nspans: {span0: {sources: [{interface: ens224}], sensors: [suricata]}}'
    ],
    [
      'a span of a card that had an address by IPv6, and is dedicated',
      'interfaces: {ens256: {dedicated: true}}\nspans: {span0: {sources: [{interface: ens256}], sensors: [zeek]}}'
    ],
    [
      'a span of a card that others listen on and filter',
      'spans: {span0: {sources: [{interface: ens161}], sensors: [suricata, zeek]}}'
    ],
    ['several spans of several cards', everything]
  ])('%s', async (_, file) => {
    await writeSpans(lab, file)
    await spanplan(lab, ['apply'])
    await destroy()
    await expectNothingLeft()
    expect(await destroy()).toContain('No changes.')
  })
})

interface Row {
  readonly name: string
  readonly by: () => Promise<unknown>
}

async function loseCookie(device: string, hook: string): Promise<void> {
  const rows: { options?: { handle?: string; actions?: { to_dev: string }[] } }[] = JSON.parse(
    await tc('-j', 'filter', 'show', 'dev', device, hook)
  )
  for (const { options } of rows) {
    const target = options?.actions?.[0]?.to_dev
    if (options?.handle === undefined || target === undefined) continue
    const words = ['dev', device, hook, 'protocol', 'all', 'pref', '8', 'handle', options.handle, 'bpf']
    const action = ['action', 'mirred', 'egress', 'mirror', 'dev', target, 'continue']
    await tc('filter', 'replace', ...words, 'bytecode', '1,6 0 0 4294967295', ...action)
  }
}

const drift: readonly Row[] = [
  { name: "a card's clsact was deleted", by: () => tc('qdisc', 'del', 'dev', 'ens192', 'clsact') },
  {
    name: 'all mirrors were deleted',
    by: async () => {
      for (const card of ['ens192', 'ens161', 'ens224', 'ens256']) {
        for (const hook of ['ingress', 'egress']) {
          // Not every hook has one.
          await tc('filter', 'del', 'dev', card, hook, 'pref', '8').catch(() => undefined)
        }
      }
    }
  },
  { name: 'a bridge was deleted', by: () => ip('link', 'del', 'dev', 'span1') },
  {
    name: 'all bridges were deleted',
    by: async () => {
      for (const span of ['span0', 'span1', 'span2']) await ip('link', 'del', 'dev', span)
    }
  },
  {
    name: 'mirrors lost their marks',
    by: async () => {
      await loseCookie('ens192', 'ingress')
      await loseCookie('ens161', 'egress')
    }
  },
  {
    name: "a card's mirrors lost their marks and their bridge",
    by: async () => {
      await loseCookie('ens192', 'egress')
      await ip('link', 'del', 'dev', 'span0')
    }
  },
  { name: 'a bridge lost its alias', by: () => ip('link', 'set', 'dev', 'span0', 'alias', '') },
  {
    name: "the cards' settings were changed",
    by: async () => {
      await ip('link', 'set', 'dev', 'ens192', 'promisc', 'off')
      await ip('link', 'set', 'dev', 'ens224', 'down')
      await ip('link', 'set', 'dev', 'ens256', 'arp', 'on')
      await lab.run(['ethtool', '-K', 'ens256', 'gro', 'on'])
    }
  },
  {
    name: 'a network was removed',
    by: async () => {
      await lab.docker.getNetwork('span1').disconnect({ Container: 'suricata' })
      await lab.docker.getNetwork('span1').remove()
    }
  },
  {
    name: 'dockerd was restarted while a bridge was gone',
    by: async () => {
      await lab.stopDocker()
      await ip('link', 'del', 'dev', 'span0')
      await lab.startDocker()
      await suricata.start()
    }
  }
]

describe('nothing is left, at once, where', () => {
  test.each(drift)('$name', async ({ by }) => {
    await writeSpans(lab, everything)
    await spanplan(lab, ['apply'])
    await by()
    await destroy()
    await expectNothingLeft()
  })
})

// What the repair after one of them forgets is missing in the end.
test('nothing is left where all of that has happened, and another apply came after each', async () => {
  await writeSpans(lab, everything)
  await spanplan(lab, ['apply'])
  for (const { by } of drift) {
    await by()
    await spanplan(lab, ['apply', '--yes'])
  }
  await expectConverged(lab)
  await destroy()
  await expectNothingLeft()
})

describe('destroys', () => {
  test('one span, and the others go on', async () => {
    await writeSpans(lab, everything)
    await spanplan(lab, ['apply'])
    await destroy('--span', 'span0')
    expect(await ip('link', 'show', 'dev', 'ens192')).toContain('PROMISC')
    await expectHeard(lab, [suricata], { span: 'span1' })
    expect(await networksOf(zeek)).toEqual(['web'])
    await destroy('--span', 'span1', '--span', 'span2')
    await expectNothingLeft()
  })

  test('the spans of a name, without a file', async () => {
    await writeSpans(lab, `name: one\n${everything}`)
    await spanplan(lab, ['apply'])
    await writeSpans(lab, '')
    expect(await destroy('--name', 'two')).toContain('No changes.')
    await destroy('--name', 'one')
    await expectNothingLeft()
  })

  test("every name's, without a file", async () => {
    await writeSpans(lab, 'name: one\nspans: {span0: {sources: [{interface: ens192}], sensors: [suricata]}}')
    await spanplan(lab, ['apply'])
    await writeSpans(lab, 'name: two\nspans: {span1: {sources: [{interface: ens192}], sensors: [suricata]}}')
    await spanplan(lab, ['apply'])
    await writeSpans(lab, '')
    await destroy('--all')
    await expectNothingLeft()
  })

  test("one name's, and the other's go on", async () => {
    const dedicated = 'interfaces: {ens224: {dedicated: true}}'
    await writeSpans(lab, 'name: one\nspans: {span0: {sources: [{interface: ens224}]}}')
    await spanplan(lab, ['apply'])
    await writeSpans(
      lab,
      `name: two\n${dedicated}\nspans: {span1: {sources: [{interface: ens224}], sensors: [suricata]}}`
    )
    await spanplan(lab, ['apply'])
    await destroy('--name', 'one')
    await expectConverged(lab)
    await expectHeard(lab, [suricata], { span: 'span1', from: 'sw1' })
    await destroy('--name', 'two')
    await expectNothingLeft()
  })

  test('a network that others have joined, who stay where they were before', async () => {
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}], network: tap}}')
    await spanplan(lab, ['apply'])
    await lab.docker.getNetwork('tap').connect({ Container: 'zeek' })
    await expectConverged(lab)
    await destroy()
    await expectNothingLeft()
  })

  test('nothing without being told to', async () => {
    await writeSpans(lab, everything)
    await spanplan(lab, ['apply'])
    expect(await expectRefusal(lab, ['destroy'])).toContain('--yes')
    await destroy()
    await expectNothingLeft()
  })

  test('the rest later, where Docker is away', async () => {
    await writeSpans(lab, everything)
    await spanplan(lab, ['apply'])
    await lab.stopDocker()
    const { stderr } = await spanplan(lab, ['destroy', '--yes'], 1)
    expect(stderr).toContain('systemctl start docker')
    await destroy('--defer-docker')
    await lab.startDocker()
    await suricata.start()
    await destroy()
    await expectNothingLeft()
  })
})

describe('gives back, but does not cut,', () => {
  const rows: readonly (Row & { readonly undo: () => Promise<unknown> })[] = [
    {
      name: 'a card that has got an address',
      by: () => ip('addr', 'add', '198.51.100.1/24', 'dev', 'ens224'),
      undo: () => ip('addr', 'flush', 'dev', 'ens224')
    },
    {
      name: 'a card that has become a port of a bridge',
      by: async () => {
        await ip('link', 'add', 'br0', 'type', 'bridge')
        await ip('link', 'set', 'dev', 'ens224', 'master', 'br0')
      },
      undo: () => ip('link', 'del', 'br0')
    },
    {
      name: 'a card that has got a macvlan',
      by: () => ip('link', 'add', 'link', 'ens224', 'name', 'mac0', 'type', 'macvlan'),
      undo: () => ip('link', 'del', 'mac0')
    }
  ]
  test.each(rows)('$name', async ({ by, undo }) => {
    await writeSpans(lab, 'interfaces: {ens224: {dedicated: true}}\nspans: {span0: {sources: [{interface: ens224}]}}')
    await spanplan(lab, ['apply'])
    await by()
    await destroy()
    const text = await ip('link', 'show', 'dev', 'ens224')
    expect(text).toMatch(/<.*\bUP\b.*>/)
    expect(text).not.toMatch(/NOARP/)
    await undo()
    await ip('link', 'set', 'dev', 'ens224', 'down')
    await expectNothingLeft()
  })
})

describe('on a terminal, on a host with many networks, which Docker lists in another order each time', () => {
  const names = Array.from({ length: 6 }, (_, index) => `many${index}`)

  beforeAll(async () => {
    const spans = names.map((name) => `${name}: {sources: [{interface: ens192}], network: ${name}}`)
    await writeSpans(lab, `spans: {${spans.join(', ')}}`)
    await spanplan(lab, ['apply'])
  })

  /** Answers yes, once something was done while the question stood. */
  async function destroyOnTerminal(meanwhile: () => Promise<unknown>) {
    const program = `${process.execPath} ${join(projectRoot, 'bin/spanplan.js')} destroy -f ${lab.files}/spans.yaml`
    const terminal = lab.start(['script', '-qec', program, '/dev/null'])
    let said = ''
    terminal.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    await until('it asks', async () => said.includes('Apply this plan') || terminal.exitCode !== null)
    await meanwhile()
    terminal.stdin?.write('y\n')
    const { exitCode } = await terminal.catch((error: { exitCode: number }) => error)
    return { exitCode, said }
  }

  test('what has changed meanwhile is said', async () => {
    const { exitCode, said } = await destroyOnTerminal(() => tc('qdisc', 'del', 'dev', 'ens192', 'clsact'))
    expect(exitCode).toBe(1)
    expect(said).toMatch(
      /the host has changed since the plan was shown:\s+qdisc ens192: was to be removed, needs nothing now/
    )
    expect(said).toMatch(/and \d+ more\s+Nothing was changed\./)
    await spanplan(lab, ['apply'])
  })

  test('nothing has, and it is done', async () => {
    const { exitCode, said } = await destroyOnTerminal(async () => undefined)
    expect(said).not.toContain('has changed')
    expect(exitCode).toBe(0)
    await expectNothingLeft()
  })
})
