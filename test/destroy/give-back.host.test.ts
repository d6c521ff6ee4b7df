import { afterAll, beforeAll, expect, test } from 'vitest'
import { wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, expectRefusal, expectRestored, spanplan, writeSpans } from '../lab/spans.ts'

let lab: Lab
let first: string

beforeAll(async () => {
  lab = await createLab({ cables: [{ card: 'ens192' }, { card: 'ens224' }] })
  first = await lab.snapshotText()
})
afterAll(() => lab.close())

const sources = (...cards: string[]) => `sources: [${cards.map((card) => `{interface: ${card}}`).join(', ')}]`

test('a card that stops being dedicated, and whose change fails half-way, is dedicated again', async () => {
  await writeSpans(lab, `interfaces: {ens224: {dedicated: true}}\nspans: {span0: {${sources('ens224')}}}`)
  await spanplan(lab, ['apply'])
  await writeSpans(lab, `spans: {span0: {${sources('ens224')}}}`)
  const { options } = await wrapPrograms(lab, { sysctl: 'exit 1' })
  const dedicated = await lab.snapshotText()
  const { stderr } = await spanplan(lab, ['apply'], 5, options)
  expect(stderr).toContain('the host is as it was')
  expect(await lab.snapshotText()).toBe(dedicated)
  const { stdout } = await spanplan(lab, ['plan', '--detailed-exitcode'], 2)
  expect(stdout).toMatch(/interface +ens224 +.*IPv6: off → on/)
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, first)
})

test('a span that drops a card which another one uses leaves it to that one', async () => {
  await writeSpans(lab, `spans: {a: {${sources('ens192', 'ens224')}}, b: {${sources('ens224')}}}`)
  await spanplan(lab, ['apply'])
  await writeSpans(lab, `spans: {a: {${sources('ens192')}}, b: {${sources('ens224')}}}`)
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  await spanplan(lab, ['destroy', '--span', 'b', '--yes'])
  const [link] = JSON.parse(await lab.run(['ip', '-j', 'link', 'show', 'dev', 'ens224']))
  expect(link.flags).not.toContain('PROMISC')
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, first)
})

test('a card that a span drops, and others have come to use, stays up; their filter keeps its clsact', async () => {
  await lab.run(['ip', 'link', 'set', 'dev', 'ens224', 'down'])
  await writeSpans(lab, `spans: {span0: {${sources('ens224')}}}`)
  await spanplan(lab, ['apply'])
  await lab.run(['ip', 'addr', 'add', '10.9.9.1/24', 'dev', 'ens224'])
  const filter = ['pref', '20', 'bpf', 'da', 'bytecode', '1,6 0 0 4294967295']
  await lab.run(['tc', 'filter', 'add', 'dev', 'ens224', 'ingress', 'protocol', 'all', ...filter])
  await writeSpans(lab, `spans: {span0: {${sources('ens192')}}}`)
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  expect(await lab.run(['tc', 'filter', 'show', 'dev', 'ens224', 'ingress'])).toContain('pref 20')
  expect(await lab.run(['ip', 'route'])).toContain('10.9.9.0/24 dev ens224')
  await spanplan(lab, ['destroy', '--yes'])
  await lab.run(['tc', 'qdisc', 'del', 'dev', 'ens224', 'clsact'])
  await lab.run(['ip', 'addr', 'flush', 'dev', 'ens224'])
  await expectRestored(lab, first)
})

test('a device that somebody puts on the bridge keeps its IPv6 address, and nothing of ours stays on it', async () => {
  await lab.run(['ip', 'link', 'add', 'own0', 'type', 'veth', 'peer', 'name', 'own1'])
  // A link-local address would come and go in its own time.
  for (const end of ['own0', 'own1']) await lab.run(['ip', 'link', 'set', 'dev', end, 'addrgenmode', 'none'])
  for (const end of ['own0', 'own1']) await lab.run(['ip', 'link', 'set', 'dev', end, 'up'])
  await lab.run(['ip', '-6', 'addr', 'add', 'fd00:98::1/64', 'dev', 'own0', 'nodad'])
  const before = await lab.snapshotText()
  await writeSpans(lab, `spans: {span0: {${sources('ens192')}}}`)
  await spanplan(lab, ['apply'])
  await lab.run(['ip', 'link', 'set', 'dev', 'own0', 'master', 'span0'])
  await spanplan(lab, ['apply'])
  await expectConverged(lab)
  expect(await lab.run(['ip', '-6', 'addr', 'show', 'dev', 'own0'])).toContain('fd00:98::1')
  expect((await spanplan(lab, ['destroy', '--yes'])).stdout).toMatch(/port +own0 → span0 +given back/)
  await expectRestored(lab, before)
  await lab.run(['ip', 'link', 'del', 'dev', 'own0'])
})

test('what stands where the seal should be is a conflict, told before anything changes', async () => {
  await writeSpans(lab, `spans: {span0: {${sources('ens192')}}}`)
  await spanplan(lab, ['apply'])
  await lab.run(['tc', 'qdisc', 'del', 'dev', 'span0', 'clsact'])
  await lab.run(['tc', 'qdisc', 'add', 'dev', 'span0', 'ingress'])
  expect(await expectRefusal(lab, ['apply'])).toContain('span0 has an ingress qdisc')
  await lab.run(['tc', 'qdisc', 'del', 'dev', 'span0', 'ingress'])
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, first)
})

test('a reader that goes away does not stop an apply half-way', async () => {
  await writeSpans(lab, `spans: {span0: {${sources('ens192')}}}`)
  const script = `${process.execPath} ${process.cwd()}/bin/spanplan.js apply --json -f ${lab.files}/spans.yaml | head -c 10`
  await lab.run(['sh', '-c', script])
  await expectConverged(lab)
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, first)
})
