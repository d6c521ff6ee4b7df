/** Marks that spanplan did not write: nothing that does not bear a true one is changed, whatever it says. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bridgeMac } from '../../src/resources/marks.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, expectRefusal, expectRestored, spanplan, writeSpans } from '../lab/spans.ts'
import { expectClean } from '../lab/unharmed.ts'

let lab: Lab
let first: string

const ip = (...argv: string[]) => lab.run(['ip', ...argv])
const sh = (script: string) => lab.run(['sh', '-ec', script])

beforeAll(async () => {
  lab = await createLab({ cables: [{ card: 'ens192' }, { card: 'ens224' }] })
  first = await lab.snapshotText()
  await writeSpans(lab, 'spans: {}')
})
afterAll(() => lab?.close())

/** No command that looks or removes finds anything of ours, says anything that a terminal would obey, or changes anything. */
async function expectIgnored(): Promise<void> {
  await writeSpans(lab, 'spans: {}')
  const before = await lab.snapshotText()
  for (const args of [
    ['plan', '--detailed-exitcode'],
    ['apply', '--yes', '--allow-empty'],
    ['destroy', '--yes'],
    ['destroy', '--all', '--yes']
  ]) {
    expectClean(await spanplan(lab, args))
    expect(await lab.snapshotText(), args.join(' ')).toBe(before)
  }
}

describe('the alias of a link', () => {
  test.each(['spanplan:default:owned:', 'spanplan:default:owned+network:2.0183', 'spanplan:default:owned:3.0103'])(
    'that is no bridge makes it no span, and says nothing of a card: %s',
    async (alias) => {
      await ip('link', 'set', 'dev', 'ens224', 'alias', alias)
      await expectIgnored()
      await writeSpans(lab, 'spans: {ens224: {sources: [{interface: ens192}]}}')
      expect(await expectRefusal(lab, ['plan'])).toContain('ens224')
      await ip('link', 'set', 'dev', 'ens224', 'alias', '')
      await expectRestored(lab, first)
    }
  )

  test('that is a bridge of others makes it no span where the mark is malformed', async () => {
    const aliases = [
      ...['spanplan:', 'spanplan::owned:', 'spanplan:default:adopted:', 'SPANPLAN:default:owned:'],
      ...['spanplan:default:owned+network+network:', 'spanplan:default:adopted:zz.1.1.1.000.:'],
      'spanplan:default:adopted:020000000b01.zzzzzzzzzzzz.n5c.15o.1f5.:',
      'spanplan:default:adopted:020000000b01.1.n5c.15o.1f5.:',
      'spanplan:default:adopted:020000000b01.15o.zzzzzzzz.15o.1f5.:'
    ]
    for (const [index, alias] of aliases.entries()) {
      await ip('link', 'add', `br${index}`, 'type', 'bridge')
      await ip('link', 'set', 'dev', `br${index}`, 'alias', alias)
    }
    await expectIgnored()
    for (const index of aliases.keys()) await ip('link', 'del', 'dev', `br${index}`)
    await expectRestored(lab, first)
  })

  test('names cards that are not there, and an owner that a terminal would obey', async () => {
    const owner = '\u001b[2J\u009b1m\u202eevil'
    await ip('link', 'add', 'span0', 'address', bridgeMac(owner, 'span0'), 'type', 'bridge')
    await ip('link', 'set', 'dev', 'span0', 'alias', `spanplan:${owner}:owned:zzzzzzzzzzzzzzzzzzzz.ffff,0.ffff,2.ffff`)
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens224}]}}')
    const before = await lab.snapshotText()
    const refused = await lab.spanplan(['apply'])
    expect(refused).toMatchObject({ exitCode: 1 })
    expect(refused.stderr).toContain('belongs to another spans.yaml')
    expectClean(refused)
    expectClean(await spanplan(lab, ['destroy', '--yes']))
    expect(await lab.snapshotText()).toBe(before)
    await ip('link', 'del', 'dev', 'span0')
    await expectRestored(lab, first)
  })

  test('that claims a card does not take down one that is in use', async () => {
    const [link] = JSON.parse(await ip('-j', 'link', 'show', 'dev', 'ens224'))
    await ip('addr', 'add', '192.0.2.9/24', 'dev', 'ens224')
    const used = await lab.snapshotText()
    await ip('link', 'add', 'br9', 'address', bridgeMac('default', 'br9'), 'type', 'bridge')
    // Before, it was down; since, spanplan has charge of that.
    await ip('link', 'set', 'dev', 'br9', 'alias', `spanplan:default:owned:${link.ifindex.toString(36)}.0001`)
    await spanplan(lab, ['destroy', '--yes'])
    await expectRestored(lab, used)
    await ip('addr', 'flush', 'dev', 'ens224')
  })

  test("on a bridge of somebody's own that bears a copy claims nothing, and a warning says how to take it off", async () => {
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
    await spanplan(lab, ['apply'])
    const [{ ifalias }] = JSON.parse(await ip('-j', 'link', 'show', 'dev', 'span0'))
    await ip('link', 'add', 'br9', 'type', 'bridge')
    await ip('link', 'set', 'dev', 'br9', 'alias', ifalias)
    const copied = await lab.snapshotText()
    const keep = "ip link set dev br9 alias ''"
    for (const args of [['plan'], ['apply', '--yes']]) {
      const { stderr, stdout } = await spanplan(lab, args)
      expect(stderr).toContain('warning: the alias of the bridge br9 is a copy of a mark of spanplan')
      expect(stderr).toContain(`take the copy off: ${keep}`)
      expect(stdout).toContain('No changes.')
    }
    await ip('link', 'set', 'dev', 'ens192', 'promisc', 'off')
    await spanplan(lab, ['apply', '--yes'])
    expect(await lab.snapshotText()).toBe(copied)
    const status = await spanplan(lab, ['status', '--for', '10ms'])
    expect(status.stdout).toMatch(/^span0: healthy/m)
    expect(status.stdout).not.toContain('br9')
    // A file that names a span like that bridge does not take the bridge, not even with --adopt: a destroy would delete it.
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}, br9: {sources: [{interface: ens224}]}}')
    for (const adopt of [[], ['--adopt']]) {
      const refused = await expectRefusal(lab, ['apply', '--yes', ...adopt])
      expect(refused.match(/error: /g)).toHaveLength(1)
      expect(refused).toContain(
        `cannot be adopted: its alias is a copy of a mark of spanplan: take it off with ${keep}`
      )
    }
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
    expect(await lab.snapshotText()).toBe(copied)
    // The copy claims nothing: the card is given back, and br9 is no span.
    const { stderr } = await spanplan(lab, ['plan', '--span', 'span0'])
    expect(stderr).not.toContain('br9')
    await spanplan(lab, ['destroy', '--span', 'span0', '--yes'])
    const [card] = JSON.parse(await ip('-j', '-d', 'link', 'show', 'dev', 'ens192'))
    expect(card.promiscuity).toBe(0)
    expect(await lab.run(['tc', 'qdisc', 'show', 'dev', 'ens192'])).not.toContain('clsact')
    await spanplan(lab, ['apply', '--span', 'span0'])
    await spanplan(lab, ['destroy', '--yes'])
    await ip('link', 'del', 'dev', 'br9')
    await expectRestored(lab, first)
  })
})

describe('the cookie of a filter', () => {
  const magic = '7370616e706c616e'

  test.each([
    ['of another version', `${magic}020183 00 ed954e41`],
    ['too short', `${magic}01`],
    ['with bytes of nobody', `${magic.replace('73', '53')}01018300ed954e41`],
    ['of another owner', `${magic}01018300deadbeef`]
  ])('%s is not ours: the filter stays', async (what, text) => {
    await sh(`
      ip link add br9 type bridge
      ip link set dev br9 up
      tc qdisc add dev ens224 clsact
      tc filter add dev ens224 ingress protocol all pref 8 handle 0x77 bpf bytecode '1,6 0 0 4294967295' \\
        action mirred egress mirror dev br9 continue cookie ${text.replaceAll(' ', '')}
    `)
    const before = await lab.snapshotText()
    await writeSpans(lab, 'spans: {}')
    await spanplan(lab, ['destroy', '--yes'])
    expect(await lab.snapshotText()).toBe(before)
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens224, direction: ingress}]}}')
    if (what === 'of another owner') {
      // Both copy, each into its own.
      await spanplan(lab, ['apply'])
      await expectConverged(lab)
      await spanplan(lab, ['destroy', '--yes'])
    } else expect(await expectRefusal(lab, ['apply'])).toContain('that spanplan did not create')
    expect(await sh('tc filter show dev ens224 ingress')).toContain('handle 0x77')
    await sh('tc qdisc del dev ens224 clsact; ip link del dev br9; ip link set dev ens224 promisc off')
    await expectRestored(lab, first)
  })
})

test('the class of a filter that is not quite ours is no mark of a port', async () => {
  const filters = [
    "pref 9 bpf classid 5dc:5500 da bytecode '1,6 0 0 2'",
    "pref 10 bpf classid 5dc:5300 da bytecode '1,6 0 0 2'",
    "pref 9 bpf classid 5dc:5300 da bytecode '1,6 0 0 0'",
    "pref 9 bpf classid 5dc:5300 bytecode '1,6 0 0 2'"
  ]
  await sh('ip link add many0 type veth peer name many1; ip link add many2 type veth peer name many3')
  for (const [index, words] of filters.entries()) {
    await sh(`tc qdisc add dev many${index} clsact; tc filter add dev many${index} ingress protocol all ${words}`)
  }
  await expectIgnored()
  await sh('ip link del dev many0; ip link del dev many2')
  await expectRestored(lab, first)
})
