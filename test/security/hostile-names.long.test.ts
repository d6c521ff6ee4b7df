/** Names, aliases, filters and paths that are words, options, code or escape sequences to whoever is less careful. */
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { batchWord } from '../../src/host/quote-command.ts'
import { wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { createLab, type Lab, type SpanplanOptions } from '../lab/lab.ts'
import { expectConverged, expectRefusal, expectRestored, spanplan } from '../lab/spans.ts'
import { expectClean, expectNoMarker, MARKER } from '../lab/unharmed.ts'

/** What the kernel takes as a card's name, and so do we. */
const carried = [
  ...['up', 'm', 'dev', 'type', 'help', 'name', 'ingress', '-batch', '-K', '--', '...', '.x', 'a.b', '0x1'],
  ...[`$(id>${MARKER})`, `\`id>${MARKER}\``, `a;id>${MARKER}`, `a|id>${MARKER}`, `a&id>${MARKER}`, 'a"b', "a'b"],
  ...['unspeakable', '$IFS', '?', '~', '!x', '[x]', '{a,b}', '<x>', '@x', 'ü日本', 'c23456789012345']
]

/** What the kernel takes, and one of the programs would take for another's. */
const refused: readonly { readonly name: string; readonly dedicated?: true }[] = [
  ...['a#b', 'a\\b', `a"b'c`, 'a\u001b[31mb', 'a\u007fb', 'a\u009bb', 'a\u202eb'].map((name) => ({ name })),
  { name: 'a=b', dedicated: true },
  { name: '*', dedicated: true }
]

/** To a reader of JSON, to a terminal, and to who looks for our mark. */
const alias = `"}],{"ifname":"eth9\u001b[2J\u007f\u009b1m\r\n\u0007\u202e $(id>${MARKER}) \\' spanplan:default:owned:`

let lab: Lab

beforeAll(async () => {
  lab = await createLab({ cables: [...carried, ...refused].map((_, index) => ({ card: `card${index}`, mtu: 1500 })) })
  for (const [index, name] of [...carried, ...refused.map((one) => one.name)].entries()) {
    const card = `card${index}`
    // A veth has it off: switched on, there is something to switch off on a dedicated card.
    await lab.run(['ethtool', '-K', card, 'gro', 'on'])
    await lab.run(['ip', 'link', 'set', 'dev', card, 'alias', alias])
    await lab.run(['ip', 'link', 'set', 'dev', card, 'name', name])
  }
})
afterEach(() => expectNoMarker(lab))
afterAll(() => lab?.close())

/** JSON is YAML. Cards are known by their addresses: their names come from the host. */
async function writeFor(cards: readonly { index: number; dedicated: boolean }[], span = 'span0'): Promise<void> {
  const interfaces = cards.map(({ index, dedicated }) => [
    `c${index}`,
    { match: { macaddress: lab.cables[index]?.cardMac }, dedicated }
  ])
  const sources = cards.map(({ index }) => ({ interface: `c${index}`, direction: 'both' }))
  await writeData({ interfaces: Object.fromEntries(interfaces), spans: { [span]: { sources } } })
}

async function writeData(data: object, path = 'spans.yaml'): Promise<void> {
  await writeFile(join(lab.files, path), JSON.stringify({ version: 1, ...data }))
}

const everyOther = carried.map((_, index) => ({ index, dedicated: index % 2 === 0 }))

const looks = [
  ['plan'],
  ['plan', '--json'],
  ['plan', '--diff'],
  ['plan', '--commands'],
  ['validate', '--print'],
  ['validate', '--json']
]

/** Does what the plan says by its script. */
async function runScript(): Promise<void> {
  const { stdout } = await spanplan(lab, ['plan', '--commands'])
  await writeFile(join(lab.files, 'script'), stdout)
  await lab.run(['sh', join(lab.files, 'script')])
}

/** All that only looks prints nothing that a terminal obeys; what it exits with is another test's. */
async function expectCleanLooks(options: SpanplanOptions = {}): Promise<void> {
  for (const args of looks) expectClean(await lab.spanplan(args, options))
  expectClean(await lab.spanplan(['plan', '--color', 'always'], options), { colours: true })
}

const literally = (text: string) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')

/** What asks whether there can be the table: it names no interface of this host. */
const tableCommands = [
  'add table bridge spanplan',
  'add chain bridge spanplan spanplan',
  'add set bridge spanplan spans { type ifname; elements = { "span0" }; }',
  'add chain bridge spanplan prerouting { type filter hook prerouting priority -300; policy accept; }',
  'add chain bridge spanplan input { type filter hook input priority -300; policy accept; }',
  'add rule bridge spanplan prerouting meta ibrname @spans drop',
  'add rule bridge spanplan input meta ibrname @spans drop'
].join('; ')

/** Every call that may be made for these names, each with a name at its place and nowhere else. */
function allowedCalls(names: readonly string[]): RegExp {
  const quoted = names.map((name) => literally(batchWord(name) ?? 'none')).join('|')
  const plain = names.map(literally).join('|')
  const calls = [
    String.raw`\$ (ethtool -k \*|bpftool -j (prog show|batch file -))`,
    `net show dev (${plain}|span0)`,
    String.raw`\$ (ip|tc|bridge) (-[46] )?(-json (-details )?-force )?-batch -`,
    String.raw`\$ nft -c -j (-t )?-i`,
    'list ruleset (bridge|inet)',
    literally(tableCommands),
    '(link|addr|qdisc|fdb) show',
    'nexthop show',
    `route show table all( dev (${quoted}|span0))?`,
    `filter show dev (${quoted}|span0) (in|e)gress`,
    `link set dev (${quoted}) (arp (on|off) )?promisc (on|off)`,
    `qdisc (replace|del) dev (${quoted}|span0) clsact`,
    `filter replace dev (${quoted}) (in|e)gress protocol all pref 8 handle 0x[0-9a-f]+ bpf bytecode "1,6 0 0 4294967295" action mirred egress mirror dev span0 continue cookie [0-9a-f]{32}`,
    // Closes a dedicated interface to the host.
    `filter replace dev (${quoted}) (in|e)gress protocol all pref 65535 handle 0x[0-9a-f]+ bpf da bytecode "1,6 0 0 2"`,
    `filter del dev (${quoted}) (in|e)gress pref (8|65535) handle 0x[0-9a-f]+ bpf`,
    String.raw`\$ ethtool -K (${plain}) gro (on|off)`,
    String.raw`\$ sysctl -q -w( net/ipv6/conf/(${plain})/disable_ipv6=[01])+`,
    // The bridge's own, whose name is of the file.
    String.raw`(link (add|set|del)|fdb del [0-9a-f:]+|filter replace) dev span0 .*|link del dev span0|fdb del [0-9a-f:]+ dev span0 self|\$ ethtool -K span0 .*`
  ]
  return new RegExp(`^(${calls.join('|')})$`)
}

describe('names that the kernel takes', () => {
  test('stand where a name belongs, and nowhere else', async () => {
    const before = await lab.snapshotText()
    await writeFor(everyOther)
    await expectCleanLooks()
    const { options, calls } = await wrapPrograms(lab)
    expectClean(await spanplan(lab, ['apply'], 0, options))
    await expectConverged(lab)
    await expectCleanLooks()
    expectClean(await spanplan(lab, ['destroy', '--yes', '--json'], 0, options))
    const allowed = allowedCalls(carried)
    expect((await calls()).filter((call) => !allowed.test(call))).toEqual([])
    await expectRestored(lab, before)
  })

  test('the script does the same as apply', async () => {
    const before = await lab.snapshotText()
    await writeFor(everyOther)
    await runScript()
    await expectConverged(lab)
    await spanplan(lab, ['destroy', '--yes'])
    await expectRestored(lab, before)
  })

  test('a card that is renamed after it was set is still given back', async () => {
    const before = await lab.snapshotText()
    await writeFor([{ index: 0, dedicated: false }])
    await spanplan(lab, ['apply'])
    for (const name of ['a#c', 'a\u001b[31mc', 'a\u009bc']) {
      await lab.run(['ip', 'link', 'set', 'dev', 'up', 'name', name])
      await writeFor([{ index: 1, dedicated: false }])
      await expectCleanLooks()
      // Twice: the bridge forgets a card once that is back as it was.
      for (let run = 0; run < 2; run++) await runScript()
      await expectConverged(lab)
      expectClean(await spanplan(lab, ['destroy', '--yes']))
      await lab.run(['ip', 'link', 'set', 'dev', name, 'name', 'up'])
      await expectRestored(lab, before)
      await writeFor([{ index: 0, dedicated: false }])
      await spanplan(lab, ['apply'])
    }
    await spanplan(lab, ['destroy', '--yes'])
    await expectRestored(lab, before)
  })
})

test('names that a program would take for another are refused, all at once', async () => {
  await writeFor(refused.map(({ dedicated = false }, at) => ({ index: carried.length + at, dedicated })))
  const stderr = await expectRefusal(lab, ['apply', '--yes'])
  expect(stderr.match(/ error: the name of interface .* cannot be passed to (tc|sysctl|ethtool)$/gm)).toHaveLength(
    refused.length
  )
  await expectCleanLooks()
})

test('so is a name that is no UTF-8: it would be another, asked for', async () => {
  await lab.run(['sh', '-c', `ip link set dev up name "$(printf 'a\\377b')"`])
  await writeFor([{ index: 0, dedicated: false }])
  const { stderr } = await spanplan(lab, ['apply'], 1)
  expect(stderr).toContain(' error: the name of interface a\\udcffb cannot be passed to tc')
  await expectCleanLooks()
  await lab.run(['sh', '-c', `ip link set dev "$(printf 'a\\377b')" name up`])
})

test("others' filters are named as they can be shown, and the command as it can be pasted", async () => {
  const name = `$(id>${MARKER})`
  const program = ['bpf', 'bytecode', '1,6 0 0 0', 'action', 'mirred', 'egress', 'mirror', 'dev', 'up']
  await lab.run(['tc', 'qdisc', 'add', 'dev', name, 'clsact'])
  await lab.run(['tc', 'filter', 'add', 'dev', name, 'ingress', 'protocol', 'all', 'pref', '8', ...program])
  await writeFor([{ index: carried.indexOf(name), dedicated: false }])
  const stderr = await expectRefusal(lab, ['apply', '--yes'])
  const command = /^ {2}see it with: (.*?);/m.exec(stderr)?.[1] ?? ''
  expect(await lab.run(['sh', '-c', command])).toContain('pref 8 bpf')
  await expectCleanLooks()
  await lab.run(['tc', 'qdisc', 'del', 'dev', name, 'clsact'])
})

describe('names in the file', () => {
  /** What iproute2 abbreviates, or takes in a name's place. */
  const spans = ['up', 'm', 'dev', 'type', 'help', 'name', 'master', 'alias', 'a.b', '_', '0', 'b23456789012345']

  test('a card is no bridge, whatever it is called', async () => {
    await writeFor([{ index: 5, dedicated: false }], 'up')
    const stderr = await expectRefusal(lab, ['apply'])
    expect(stderr).toMatch(/ error: .*\bup\b/)
  })

  test('are names of bridges, whatever else they mean to iproute2', async () => {
    const empty = await createLab({ cables: [{ card: 'ens192' }] })
    try {
      const before = await empty.snapshotText()
      const data = Object.fromEntries(spans.map((name) => [name, { sources: [{ interface: 'ens192' }] }]))
      await writeFile(join(empty.files, 'spans.yaml'), JSON.stringify({ version: 1, spans: data }))
      await spanplan(empty, ['apply'])
      await expectConverged(empty)
      const links: { ifname: string }[] = JSON.parse(await empty.run(['ip', '-j', 'link', 'show', 'type', 'bridge']))
      expect(links.map(({ ifname }) => ifname).sort()).toEqual([...spans].sort())
      await spanplan(empty, ['destroy', '--yes'])
      await expectRestored(empty, before)
    } finally {
      await empty.close()
    }
  })

  test.each(['-batch', '..', 'a b', 'a/b', '$(id>pwn)', 'a\u001b[31m', 'a\nb', 'ü', 'b'.repeat(255), '', '`id`', "'"])(
    'no bridge can be called %j',
    async (name) => {
      await writeData({ spans: { [name]: { sources: [{ interface: 'up' }], sensors: [name], network: name } } })
      const outcome = await lab.spanplan(['apply', '--yes'])
      expect(outcome.exitCode).toBe(65)
      expect(outcome.stderr).toMatch(/ error: (a span's name|a key must be)/)
      expectClean(outcome)
      expectClean(await spanplan(lab, ['validate', '--json'], 65))
    }
  )
})

describe('filters', () => {
  test.each([
    '-i eth0',
    `-w ${MARKER}`,
    '--help',
    `$(id>${MARKER})`,
    `\`id>${MARKER}\``,
    `tcp'; id>${MARKER}; '`,
    `tcp"\n;id>${MARKER}`,
    '@/etc/passwd',
    'port 22 \u200c'
  ])('%j is one word to tcpdump, which does not understand it', async (filter) => {
    await writeData({ spans: { span0: { sources: [{ interface: 'up', filter }] } } })
    const { options, calls } = await wrapPrograms(lab)
    const outcome = await spanplan(lab, ['apply'], 65, options)
    expect(outcome.stderr).toContain(' error: ')
    expectClean(outcome)
    const asked = (await calls()).join('\n')
    expect(asked).toContain(`$ tcpdump -ddd -y EN10MB -- ${filter.trim()}`)
    expect(asked.match(/^\$ tcpdump/gm)).toHaveLength(1)
  })

  test('one that is too large is told by its size', async () => {
    const nets = Array.from({ length: 200 }, (_, at) => `net 10.${at >> 8}.${at & 255}.0/24`)
    await writeData({ spans: { span0: { sources: [{ interface: 'up', filter: nets.join(' or ') }] } } })
    const stderr = await expectRefusal(lab, ['apply'], 65)
    expect(stderr).toMatch(/ error: .*1,?960/)
  })
})

test('what is no Ethernet is told by an error of its own', async () => {
  await writeData({ spans: { span0: { sources: [{ interface: 'lo' }] } } })
  expect(await expectRefusal(lab, ['apply'], 65)).toContain('must be an Ethernet interface, not "lo"')
  if (!existsSync('/dev/net/tun')) return
  await lab.run(['ip', 'tuntap', 'add', 'dev', 'tun0', 'mode', 'tun'])
  await writeData({ spans: { span0: { sources: [{ interface: 'tun0' }] } } })
  expect(await expectRefusal(lab, ['apply'])).toContain(' error: tun0 is not Ethernet but "')
  await lab.run(['ip', 'link', 'del', 'dev', 'tun0'])
})

describe('paths', () => {
  test.each([
    '-batch.yaml',
    ' a b .yaml',
    `$(id>${MARKER}).yaml`,
    `\`id>${MARKER}\`'".yaml`,
    'a\u001b[31m\r\nerror: b\u009b\u202e.yaml',
    `${'n'.repeat(250)}.yaml`,
    '日本😀.yaml'
  ])('%j', async (name) => {
    await mkdir(join(lab.files, 'folder'), { recursive: true })
    const path = join('folder', name)
    await writeData({ spans: { span0: { sources: [{ interface: 'up' }] } } }, path)
    const file = ['-f', path]
    for (const args of [['plan'], ['plan', '--json'], ['validate', '--json']]) {
      expectClean(await spanplan(lab, [...args, ...file]))
    }
    expectClean(await spanplan(lab, ['plan', '-f', `./folder/../${path}`]))
    await writeData({ spans: { span0: { sources: [{ interface: 'none' }] }, '-': {} } }, path)
    for (const args of [['plan', '--json'], ['apply']]) expectClean(await spanplan(lab, [...args, ...file], 65))
    expectClean(await spanplan(lab, ['plan', '-f', `${path}\u001b[31m\n`], 65))
    expectClean(await spanplan(lab, ['plan', '--json', '-f', `${path}\u009b`], 65))
  })

  test('and words that are no command, no flag and no span', async () => {
    await writeFor([{ index: 0, dedicated: false }])
    const word = '\u001b[31m\u009b\u202e'
    for (const args of [
      [word],
      ['plan', `--${word}`],
      ['plan', '--color', word],
      ['plan', '--span', word],
      ['plan', word]
    ]) {
      expectClean(await spanplan(lab, args, 64))
    }
  })
})
