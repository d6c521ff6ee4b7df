/** Docker takes any name for a network, and any text for a label or an alias: all of it stays data. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, expectRefusal, expectRestored, networksOf, spanplan, writeSpans } from '../lab/spans.ts'
import { expectClean, expectNoMarker, MARKER } from '../lab/unharmed.ts'

/** To a shell, to Docker's client, to its API. */
const names = [
  `n\u001b[1m\nx '$(id>${MARKER})\`id>${MARKER}\``,
  '-f',
  '--help',
  ' a  b ',
  'a/b/../c',
  '..',
  '../containers/bystander?force=1',
  'ü\u009b\u202e\u007f',
  'n'.repeat(300)
]

const file = 'spans:\n  span0:\n    sources: [{interface: ens192}]\n    network: good\n    sensors: [zeek]\n'

let lab: Lab

beforeAll(async () => {
  lab = await createLab({ docker: true })
  await lab.startSensor('zeek')
  await lab.startSensor('bystander')
  await lab.docker.createNetwork({ Name: 'bystander', Labels: { 'spanplan.name': `other $(id>${MARKER})\u001b[1m` } })
})
afterEach(() => expectNoMarker(lab))
afterAll(() => lab?.close())

/** As if an earlier file had asked for networks of these names; one has another's id for its name. */
async function makeNetworks(span: string): Promise<void> {
  const { Id } = await lab.docker.getNetwork('bystander').inspect()
  const labels = { 'spanplan.name': 'default', 'spanplan.span': span, 'spanplan.bridge': 'owned' }
  for (const [index, Name] of [...names, Id].entries()) {
    const IPAM = { Config: [{ Subnet: `10.9.${index}.0/24` }] }
    await lab.docker.createNetwork({ Name, Internal: true, Labels: { ...labels, [Name]: Name }, IPAM })
  }
}

async function networkNames(): Promise<string[]> {
  const all = (await lab.docker.listNetworks()).map(({ Name }) => Name)
  return all.filter((name) => name !== 'none' && name !== 'host').sort()
}

async function expectCleanLooks(): Promise<void> {
  for (const flags of [[], ['--json'], ['--diff'], ['--commands']]) expectClean(await spanplan(lab, ['plan', ...flags]))
  expectClean(await spanplan(lab, ['plan', '--color', 'always']), { colours: true })
}

test.each(['apply', 'its script'])('networks of ours with such names go, and nothing else does: by %s', async (way) => {
  const before = await lab.snapshotText()
  await writeSpans(lab, file)
  await makeNetworks('span0')
  await expectCleanLooks()
  if (way === 'apply') expectClean(await spanplan(lab, ['apply', '--yes']))
  else {
    const { stdout } = await spanplan(lab, ['plan', '--commands'])
    await writeFile(join(lab.files, 'script'), stdout)
    await lab.run(['sh', join(lab.files, 'script')])
    // It ends by saying that ports are sealed by another.
    await spanplan(lab, ['apply'])
  }
  await expectConverged(lab)
  expect(await networkNames()).toEqual(['bystander', 'good'])
  expect((await lab.docker.getContainer('bystander').inspect()).State.Running).toBe(true)
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, before)
})

test('of a span that has such a name too, by a destroy that needs no file', async () => {
  const before = await lab.snapshotText()
  await makeNetworks(`s\u001b[7m/\n$(id>${MARKER})`)
  const network = (await lab.docker.listNetworks()).find(({ Name }) => Name === '--help')
  const guest = await lab.startSensor('guest', { NetworkMode: network?.Id ?? 'none' })
  expectClean(await spanplan(lab, ['destroy', '--name', 'default', '--yes', '--json']))
  expect(await networkNames()).toEqual(['bystander'])
  expect(await networksOf(guest)).toEqual([])
  await guest.remove({ force: true })
  await expectRestored(lab, before)
})

test('names as long as they may be', async () => {
  const before = await lab.snapshotText()
  const long = 'c'.repeat(255)
  const sensor = await lab.startSensor(long)
  await writeSpans(
    lab,
    `spans:\n  help:\n    sources: [{interface: ens192}]\n    network: ${'n'.repeat(255)}\n    sensors: [${long}]\n`
  )
  expectClean(await spanplan(lab, ['apply']))
  await expectConverged(lab)
  await spanplan(lab, ['destroy', '--yes'])
  await sensor.remove({ force: true })
  await expectRestored(lab, before)
})

test("others' containers keep their strange aliases when their network is made anew", async () => {
  const before = await lab.snapshotText()
  const alias = `it's "$(id>${MARKER})" --ip\u001b[1m`
  await writeSpans(lab, file)
  await spanplan(lab, ['apply'])
  const other = await lab.startSensor('other', { NetworkMode: 'good' })
  await lab.docker.getNetwork('good').disconnect({ Container: 'other' })
  await lab.docker.getNetwork('good').connect({ Container: 'other', EndpointConfig: { Aliases: [alias] } })
  await spanplan(lab, ['apply'])
  await writeSpans(lab, `${file}    mtu: 1400\n`)
  await expectCleanLooks()
  expectClean(await spanplan(lab, ['apply', '--yes']))
  const { NetworkSettings } = await other.inspect()
  expect(NetworkSettings.Networks.good?.Aliases).toContain(alias)
  await other.remove({ force: true })
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, before)
})

test('a foreign network with such a name stands in the way, and the hint can be pasted', async () => {
  await lab.docker.createNetwork({
    Name: `$(id>${MARKER}) \u001b[1m`,
    Labels: { 'spanplan\u001b[1m': '"' },
    Options: { 'com.docker.network.bridge.name': 'span0' },
    IPAM: { Config: [{ Subnet: '10.8.0.0/24' }] }
  })
  await writeSpans(lab, file)
  const stderr = await expectRefusal(lab, ['apply', '--yes'])
  expectClean({ stdout: '', stderr, exitCode: 1 })
  const command = /(docker network rm .*)$/m.exec(stderr)?.[1] ?? ''
  await lab.run(['sh', '-c', command])
  expect(await networkNames()).toEqual(['bystander'])
})
