/** What a person meets who runs plan and apply: what is printed, asked and refused, and what it exits with. */
import { text } from 'node:stream/consumers'
import type Docker from 'dockerode'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { interfaceOption, supportsApi } from '../../src/host/docker/docker-names.ts'
import { checkLine } from '../../src/host/nftables/seal-table.ts'
import { failAt, wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { createLab, type Lab, type SpanplanOptions } from '../lab/lab.ts'
import { parseRows } from '../lab/parse-rows.ts'
import {
  expectConverged,
  expectHeard,
  expectRefusal,
  expectRestored,
  networksOf,
  portOf,
  spanplan,
  writeSpans
} from '../lab/spans.ts'

const oneSpan = 'spans: {span0: {sources: [{interface: ens192}], sensors: [suricata]}}'

let lab: Lab
let suricata: Docker.Container
let zeek: Docker.Container
/** Before the first apply. */
let before: string

const ip = (...argv: string[]) => lab.run(['ip', ...argv])
const tc = (...argv: string[]) => lab.run(['tc', ...argv])

beforeAll(async () => {
  lab = await createLab({ docker: true, cables: [{ card: 'ens192' }, { card: 'ens224', mtu: 1500 }] })
  suricata = await lab.startSensor('suricata')
  zeek = await lab.startSensor('zeek')
  before = await lab.snapshotText()
})
afterAll(() => lab?.close())
afterEach(async () => {
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await expectRestored(lab, before)
})

/** Documents, one a line. */
function parseLines(text: string): Record<string, unknown>[] {
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
}

describe('an apply', () => {
  test('that follows another makes no change, and runs no changing command', async () => {
    await writeSpans(
      lab,
      `
interfaces: {ens224: {dedicated: true}}
spans:
  span0:
    sources: [{interface: ens192, filter: vlan 10}, {interface: ens224}]
    sensors: [suricata, zeek]
`
    )
    await spanplan(lab, ['apply'])
    const { options, calls } = await wrapPrograms(lab)
    const since = Date.now() / 1000
    const { stdout } = await spanplan(lab, ['apply', '--detailed-exitcode'], 0, options)
    expect(stdout).toBe('No changes. 1 span matches spans.yaml.\n')
    // It asks nftables what the kernel can do, and changes nothing.
    const called = (await calls()).filter((call) => !call.startsWith('$ nft -c ') && call !== checkLine)
    expect(called).not.toEqual([])
    for (const call of called) expect(call).not.toMatch(/\b(add|set|del|replace|change|flush)\b|-K| -w /)
    const events = await lab.docker.getEvents({ since, until: Date.now() / 1000 })
    expect(await text(events)).toBe('')
  })

  test('exits with 2 where there were changes, on demand', async () => {
    await writeSpans(lab, oneSpan)
    const { stdout } = await spanplan(lab, ['apply', '--detailed-exitcode'], 2)
    expect(stdout).toContain('Applied and verified: 6 created, 1 changed.')
    await spanplan(lab, ['apply', '--detailed-exitcode'], 0)
    await expectHeard(lab, [suricata])
  })

  test('tells a program of each step, an event a line', async () => {
    await writeSpans(lab, oneSpan)
    const { stdout, stderr } = await spanplan(lab, ['apply', '--json'])
    expect(stderr).toBe('')
    const events = parseLines(stdout)
    expect(events[0]).toMatchObject({ type: 'version', spanplan_version: expect.stringMatching(/^\d+\.\d+\.\d+/) })
    expect(events[1]).toMatchObject({ type: 'plan', format_version: '1.0', summary: { create: 6, update: 1 } })
    expect(events.at(-1)).toMatchObject({ type: 'summary', create: 6, update: 1, replace: 0, remove: 0 })
    const of = (type: string) => events.filter((event) => event.type === type).map(({ type: _, ...rest }) => rest)
    expect(of('step_done')).toEqual(of('step_start'))
    expect(of('step_start')).toContainEqual({
      address: 'span0/interface/ens192',
      step: { summary: 'set the interface ens192', argv: ['ip', 'link', 'set', 'dev', 'ens192', 'promisc', 'on'] }
    })
    const again = await spanplan(lab, ['apply', '--json'])
    expect(parseLines(again.stdout).map(({ type }) => type)).toEqual(['version', 'plan', 'summary'])
  })

  test('waits for a sensor that is missing, and connects it once it is there', async () => {
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}], sensors: [suricata, late]}}')
    const { stdout } = await spanplan(lab, ['apply'])
    expect(stdout).toMatch(/^ {2}\.\.\. +sensor +late → span0 +waits for the container late$/m)
    expect(stdout).toMatch(/^Applied and verified: .*; 1 waits\.$/m)
    await expectHeard(lab, [suricata])
    const late = await lab.startSensor('late')
    await spanplan(lab, ['apply'])
    await expectHeard(lab, [suricata, late])
    await late.remove({ force: true })
  })

  test('connects a sensor that has not been started', async () => {
    await zeek.stop()
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}], sensors: [zeek]}}')
    await spanplan(lab, ['apply'])
    await expectConverged(lab)
    await zeek.start()
    await spanplan(lab, ['apply'])
    await expectConverged(lab)
    await expectHeard(lab, [zeek])
  })

  test('disconnects a sensor that is taken off the list, where told to', async () => {
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}], sensors: [suricata, zeek]}}')
    await spanplan(lab, ['apply'])
    await writeSpans(lab, oneSpan)
    expect(await expectRefusal(lab, ['apply'])).toMatch(/this would remove 1, .* Nothing was changed/)
    const { stdout } = await spanplan(lab, ['apply', '--yes'])
    expect(stdout).toMatch(/^ {2}- +sensor +zeek → span0$/m)
    expect(await networksOf(zeek)).toEqual(['none'])
    await expectHeard(lab, [suricata])
  })

  test('makes a network anew whose MTU changes, and keeps all who are on it', async () => {
    await writeSpans(lab, oneSpan)
    await spanplan(lab, ['apply'])
    const guest = await lab.startSensor('guest')
    await lab.docker.getNetwork('none').disconnect({ Container: 'guest' })
    const guestConfig = { Aliases: ['visitor'], DriverOpts: { 'example.com/own': 'kept' } }
    await lab.docker.getNetwork('span0').connect({ Container: 'guest', EndpointConfig: guestConfig })
    await spanplan(lab, ['apply'])
    await writeSpans(lab, oneSpan.replace('sensors:', 'mtu: 9100, sensors:'))
    expect(await expectRefusal(lab, ['apply'])).toContain('this would recreate 3')
    const { stdout } = await spanplan(lab, ['apply', '--yes'])
    expect(stdout).toMatch(/^ {2}~ +bridge +span0 +mtu: 9000 → 9100$/m)
    expect(stdout).toMatch(
      /^ {2}-\/\+ +network +span0 +mtu: 9000 → 9100 \(Docker cannot change a network: it is recreated\)$/m
    )
    const { ApiVersion } = await lab.docker.version()
    const keepsName = supportsApi(ApiVersion, interfaceOption.api)
    for (const [name, words] of Object.entries({ suricata: 'sealed', guest: 'sealed, not connected by spanplan' })) {
      expect(stdout).toContain(
        `  -/+ sensor     ${`${name} → span0`.padEnd(24)}  ${
          keepsName
            ? 'interface: as Docker names it → eth0 (it hears nothing for a moment; its interface keeps the name)'
            : `${words}; its interface may be renamed: restart`
        }`
      )
    }
    await expectConverged(lab)
    await expectHeard(lab, [suricata, guest])
    const { NetworkSettings } = await guest.inspect()
    expect(NetworkSettings.Networks.span0).toMatchObject({ DriverOpts: guestConfig.DriverOpts })
    expect(NetworkSettings.Networks.span0?.Aliases).toContain('visitor')
    await guest.remove({ force: true })
  })

  test('asks a person on a terminal', async () => {
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}], sensors: [suricata, zeek]}}')
    await spanplan(lab, ['apply'])
    await writeSpans(lab, oneSpan)
    const terminal = ['sh', '-c', 'exec script -qec "$*" /dev/null', 'sh']
    const refused = await spanplan(lab, ['apply', '--color', 'never'], 1, { through: terminal, input: 'n\n' })
    expect(refused.stdout).toContain('Apply this plan: remove 1? [y/N]')
    expect(refused.stdout).toContain('not confirmed. Nothing was changed.')
    expect(await networksOf(zeek)).toEqual(['span0'])
    await spanplan(lab, ['apply', '--color', 'never'], 0, { through: terminal, input: 'y\n' })
    expect(await networksOf(zeek)).toEqual(['none'])
  })

  test('gives back the card that is no source any more', async () => {
    await writeSpans(lab, oneSpan)
    await spanplan(lab, ['apply'])
    await writeSpans(lab, oneSpan.replace('ens192', 'ens224').replace('sensors:', 'mtu: 9000, sensors:'))
    await spanplan(lab, ['apply', '--yes'])
    await expectConverged(lab)
    expect(await ip('link', 'show', 'dev', 'ens192')).not.toContain('PROMISC')
    expect(await tc('qdisc', 'show', 'dev', 'ens192')).not.toContain('clsact')
    await expectHeard(lab, [suricata], { from: 'sw1' })
  })

  test('of one span leaves the others for later', async () => {
    await writeSpans(
      lab,
      `
spans:
  span0: {sources: [{interface: ens192}], sensors: [suricata]}
  span1: {sources: [{interface: ens192}], sensors: [zeek]}
`
    )
    await spanplan(lab, ['apply', '--span', 'span1'])
    expect(await ip('-br', 'link')).not.toContain('span0')
    await expectHeard(lab, [zeek], { span: 'span1' })
    await spanplan(lab, ['apply'])
    await expectHeard(lab, [suricata])
    await expectHeard(lab, [zeek], { span: 'span1' })
    const { stdout } = await spanplan(lab, ['plan', '--span', 'span0'])
    expect(stdout).toBe('No changes. 1 span matches spans.yaml.\n')
  })
})

describe('a plan', () => {
  test('changes nothing', async () => {
    await writeSpans(lab, oneSpan)
    const { stdout } = await spanplan(lab, ['plan', '--detailed-exitcode'], 2)
    expect(stdout).toMatch(
      /Plan: 6 to create, 1 to change, 0 to replace, 0 to remove\.\nThe subnet of span0 is random: an apply draws again\. To apply this plan, save it \(--out FILE\)\.\n$/
    )
    expect(await lab.snapshotText()).toBe(before)
  })

  test('as a script for sh does the same', async () => {
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192, filter: not port 22}], sensors: [suricata]}}')
    const { stdout: script } = await spanplan(lab, ['plan', '--commands'])
    await lab.run(['sh'], { input: script })
    const { stdout: plan } = await spanplan(lab, ['plan'])
    // Docker has made the sensor's interface by now: both of its ends are closed.
    expect(plan).toMatch(
      /^span0\n {2}~ +stack +suricata → span0 +closed: no → yes\n {2}~ +port +\S+ \(veth\w+\) → span0 .*sealed: no → yes\n\nPlan: 0 to create, 2 to change/
    )
    const { stdout: rest } = await spanplan(lab, ['plan', '--commands'])
    await lab.run(['sh'], { input: rest })
    await expectConverged(lab)
    await expectHeard(lab, [suricata])
  })

  test('as a diff shows live against desired', async () => {
    await writeSpans(lab, oneSpan)
    await spanplan(lab, ['apply'])
    await ip('link', 'set', 'dev', 'span0', 'type', 'bridge', 'ageing_time', '30000')
    const { stdout } = await spanplan(lab, ['plan', '--diff'])
    expect(stdout).toContain('--- live/span0\n+++ desired/span0\n')
    expect(stdout).toMatch(/^-ageing: 300\n\+ageing: 0$/m)
    await spanplan(lab, ['apply'])
    expect((await spanplan(lab, ['plan', '--diff'])).stdout).toBe('')
  })

  test('as JSON says what, why, whence and how', async () => {
    await writeSpans(lab, oneSpan)
    const { stdout } = await spanplan(lab, ['plan', '--json'])
    expect(JSON.parse(stdout)).toMatchObject({
      spec: { name: 'default', files: ['spans.yaml'] },
      changes: expect.arrayContaining([
        expect.objectContaining({
          address: 'span0/mirror/ens192/ingress',
          action: 'create',
          before: null,
          reason: 'missing',
          origin: { file: 'spans.yaml', line: 2, column: 27 }
        })
      ])
    })
  })
})

describe('a source', () => {
  test('is found by an altname', async () => {
    await ip('link', 'property', 'add', 'dev', 'ens192', 'altname', 'uplink-to-the-core')
    await writeSpans(lab, oneSpan.replace('ens192', 'uplink-to-the-core'))
    await spanplan(lab, ['apply'])
    await expectConverged(lab)
    await expectHeard(lab, [suricata])
    await ip('link', 'property', 'del', 'dev', 'ens192', 'altname', 'uplink-to-the-core')
  })

  test('is found by its MAC address', async () => {
    await writeSpans(
      lab,
      `interfaces: {core: {match: {macaddress: "02:00:00:00:01:00"}}}\n${oneSpan.replace('ens192', 'core')}`
    )
    await spanplan(lab, ['apply'])
    await expectConverged(lab)
    await expectHeard(lab, [suricata])
  })

  test.each(['eth0.100', 'it"s', "it's", 'up', '$(id)', 'a;b&c', 'ö', 'dev'])('may be called %j', async (name) => {
    await ip('link', 'add', 'name', name, 'type', 'veth', 'peer', 'name', 'other-end')
    await writeSpans(
      lab,
      `interfaces: {card: {match: {name: ${JSON.stringify(name)}}, dedicated: true}}
spans: {span0: {sources: [{interface: card}]}}`
    )
    await spanplan(lab, ['apply'])
    await expectConverged(lab)
    expect(parseRows(await ip('-j', 'link', 'show', 'dev', name))).toMatchObject([
      { flags: expect.arrayContaining(['PROMISC', 'NOARP', 'UP']) }
    ])
    await spanplan(lab, ['destroy', '--yes'])
    await ip('link', 'del', 'dev', 'other-end')
  })
})

interface Refusal {
  readonly name: string
  readonly file?: string
  readonly by?: () => Promise<unknown>
  readonly undo?: () => Promise<unknown>
  readonly says: readonly RegExp[]
  readonly exit?: number
}

const passOn = ['bpf', 'da', 'bytecode', '1,6 0 0 4294967295']
const passOnU32 = ['u32', 'match', 'u32', '0', '0']

const refusals: readonly Refusal[] = [
  {
    name: 'missing interfaces, with the names that are close',
    file: 'spans: {span0: {sources: [{interface: ens129}, {interface: wlan7}]}}',
    says: [
      /spans\.yaml:2:27: error: .*there is no interface ens129/,
      /did you mean "ens192"\?/,
      /there is no interface wlan7/,
      /there are: .*ens224/
    ]
  },
  {
    name: 'a MAC address that no card has',
    file: 'interfaces: {core: {match: {macaddress: "02:00:00:00:00:77"}}}\nspans: {span0: {sources: [{interface: core}]}}',
    says: [/there is no interface with the MAC address 02:00:00:00:00:77/]
  },
  {
    name: 'the same card by two names',
    file: 'spans: {span0: {sources: [{interface: ens192}, {interface: uplink}]}}',
    by: () => ip('link', 'property', 'add', 'dev', 'ens192', 'altname', 'uplink'),
    undo: () => ip('link', 'property', 'del', 'dev', 'ens192', 'altname', 'uplink'),
    says: [/the ingress of ens192 is mirrored twice/]
  },
  {
    name: 'a device that is not Ethernet',
    file: 'spans: {span0: {sources: [{interface: tun0}]}}',
    by: () => ip('tuntap', 'add', 'dev', 'tun0', 'mode', 'tun'),
    undo: () => ip('link', 'del', 'dev', 'tun0'),
    says: [/tun0 is not Ethernet/]
  },
  {
    name: 'the loopback device',
    file: 'interfaces: {lo: {dedicated: true}}\nspans: {span0: {sources: [{interface: lo}]}}',
    says: [/interface in span "span0" must be an Ethernet interface, not "lo"/],
    exit: 65
  },
  {
    name: 'a name that tc cannot read',
    file: 'spans: {span0: {sources: [{interface: "a#b"}]}}',
    by: () => ip('link', 'add', 'name', 'a#b', 'type', 'veth', 'peer', 'name', 'other-end'),
    undo: () => ip('link', 'del', 'dev', 'other-end'),
    says: [/the name of interface a#b cannot be passed to tc/]
  },
  {
    name: 'a dedicated card with an address',
    file: 'interfaces: {ens192: {dedicated: true}}\nspans: {span0: {sources: [{interface: ens192}]}}',
    by: () => ip('addr', 'add', '192.0.2.1/24', 'dev', 'ens192'),
    undo: () => ip('addr', 'flush', 'dev', 'ens192'),
    says: [/ens192 is to be dedicated to capture, but has the address 192\.0\.2\.1\/24/]
  },
  {
    name: 'a filter that tcpdump does not understand, at its place',
    file: 'spans:\n  span0:\n    sources:\n      - interface: ens192\n        filter: prot 22',
    says: [/spans\.yaml:6:17: error: .*syntax error/],
    exit: 65
  },
  {
    name: 'a bridge of that name',
    by: () => ip('link', 'add', 'span0', 'type', 'bridge'),
    undo: () => ip('link', 'del', 'span0'),
    says: [/a bridge span0 already exists, and spanplan did not create it/]
  },
  {
    name: 'a link of that name',
    by: () => ip('link', 'add', 'span0', 'type', 'veth', 'peer', 'name', 'other-end'),
    undo: () => ip('link', 'del', 'span0'),
    says: [/an interface span0 already exists, and is not a bridge/]
  },
  {
    name: 'a Docker network of that name',
    by: () => lab.docker.createNetwork({ Name: 'span0', IPAM: { Config: [{ Subnet: '192.0.3.0/24' }] } }),
    undo: () => lab.docker.getNetwork('span0').remove(),
    says: [/a Docker network span0 already exists, and spanplan did not create it/]
  },
  {
    name: 'a Docker network on a bridge of that name',
    by: () =>
      lab.docker.createNetwork({
        Name: 'other',
        Options: { 'com.docker.network.bridge.name': 'span0' },
        IPAM: { Config: [{ Subnet: '192.0.3.0/24' }] }
      }),
    undo: () => lab.docker.getNetwork('other').remove(),
    says: [/the Docker network other already uses the bridge span0/, /a bridge span0 already exists/]
  },
  {
    name: "a bridge of another name's",
    by: async () => {
      await writeSpans(lab, `name: first\n${oneSpan}`)
      await spanplan(lab, ['apply'])
      await writeSpans(lab, `name: second\n${oneSpan}`)
    },
    undo: () => spanplan(lab, ['destroy', '--all', '--yes']),
    says: [/the bridge span0 belongs to another spans\.yaml \(name: first\)/]
  },
  {
    name: 'an ingress qdisc',
    by: () => tc('qdisc', 'add', 'dev', 'ens192', 'ingress'),
    undo: () => tc('qdisc', 'del', 'dev', 'ens192', 'ingress'),
    says: [/ens192 has an ingress qdisc/]
  },
  {
    name: 'a filter of another tool at our preference',
    by: async () => {
      await tc('qdisc', 'add', 'dev', 'ens192', 'clsact')
      await tc('filter', 'add', 'dev', 'ens192', 'egress', 'pref', '8', ...passOn)
    },
    undo: () => tc('qdisc', 'del', 'dev', 'ens192', 'clsact'),
    says: [/ens192 egress has a filter at preference 8/]
  },
  {
    name: 'a filter of another kind at our preference',
    by: async () => {
      await tc('qdisc', 'add', 'dev', 'ens192', 'clsact')
      await tc('filter', 'add', 'dev', 'ens192', 'ingress', 'pref', '8', 'protocol', 'ip', ...passOnU32)
    },
    undo: () => tc('qdisc', 'del', 'dev', 'ens192', 'clsact'),
    says: [/ens192 ingress has a filter at preference 8/]
  }
]

describe('refuses, and leaves all as it is,', () => {
  test.each(refusals)('$name', async ({ file = oneSpan, by, undo, says, exit = 1 }) => {
    await writeSpans(lab, file)
    await by?.()
    const errors = await expectRefusal(lab, ['apply', '--yes'], exit)
    for (const words of says) expect(errors).toMatch(words)
    expect(await expectRefusal(lab, ['plan'], exit)).toBe(errors)
    await undo?.()
  })

  test('a port of a span as its source', async () => {
    await writeSpans(lab, oneSpan)
    await spanplan(lab, ['apply'])
    const port = await portOf(lab, suricata)
    await writeSpans(lab, oneSpan.replace('ens192', port))
    expect(await expectRefusal(lab, ['apply', '--yes'])).toContain(`span0 → ${port} → span0`)
    await writeSpans(lab, `${oneSpan.slice(0, -1)}, span1: {sources: [{interface: ${port}}]}}`)
    await spanplan(lab, ['apply'])
    await writeSpans(
      lab,
      `spans:
  span0: {sources: [{interface: span1}], sensors: [suricata]}
  span1: {sources: [{interface: ${port}}]}
`
    )
    expect(await expectRefusal(lab, ['apply', '--yes'])).toMatch(/span0 → (veth\w+ → span1|span1 → .*) → span0/)
  })
})

describe('exits with', () => {
  test.each([
    ['64 for an unknown option', ['apply', '--adapt'], /unknown option/],
    ['64 for an unknown command', ['aply'], /did you mean: spanplan apply/],
    ['64 for two formats at once', ['plan', '--json', '--diff'], /cannot be used with/],
    [
      '64 for a span that the file does not know',
      ['plan', '--span', 'span1'],
      /neither the file nor this host has such a span/
    ]
  ])('%s', async (_, args, words) => {
    await writeSpans(lab, oneSpan)
    expect(await expectRefusal(lab, args, 64)).toMatch(words)
  })

  test('65 for an invalid file, and for one that is not there', async () => {
    await writeSpans(lab, oneSpan.replace('sensors', 'sensor'))
    expect(await expectRefusal(lab, ['apply'], 65)).toMatch(/spans\.yaml:2:49: error: [\s\S]*sensors/)
    expect(await expectRefusal(lab, ['apply', '-f', 'nowhere.yaml'], 65)).toContain('nowhere.yaml')
    await writeSpans(lab, oneSpan)
  })

  test('77 without the right to change the network, though a plan needs none', async () => {
    await writeSpans(lab, oneSpan)
    const through = ['setpriv', '--bounding-set', '-net_admin']
    const { stdout } = await spanplan(lab, ['plan'], 0, { through })
    expect(stdout).toContain('Plan: 6 to create')
    const errors = await expectRefusal(lab, ['apply'], 77, { through })
    expect(errors).toContain('CAP_NET_ADMIN')
  })
})

describe('without Docker', () => {
  const away: SpanplanOptions = { env: { DOCKER_HOST: 'unix:///nowhere/docker.sock' } }

  test('an apply is refused, and says how to start it', async () => {
    await writeSpans(lab, oneSpan)
    const errors = await expectRefusal(lab, ['apply'], 1, away)
    expect(errors).toContain('Docker is not reachable at unix:///nowhere/docker.sock')
    expect(errors).toMatch(/systemctl start docker.*--defer-docker/)
  })

  test('an apply does the rest on demand, and the next one what is missing', async () => {
    await writeSpans(lab, oneSpan)
    const { stdout } = await spanplan(lab, ['apply', '--defer-docker'], 0, away)
    expect(stdout).toMatch(/^ {2}\.\.\. +network +span0 +waits for Docker$/m)
    expect(stdout).toMatch(/^ {2}\.\.\. +sensor +suricata → span0 +waits for Docker$/m)
    await spanplan(lab, ['apply', '--defer-docker', '--detailed-exitcode'], 0, away)
    await spanplan(lab, ['apply'])
    await expectConverged(lab)
    await expectHeard(lab, [suricata])
    const { stdout: deferred } = await spanplan(lab, ['plan', '--defer-docker', '--detailed-exitcode'], 0, away)
    expect(deferred).toContain('No changes to what was checked; 2 wait.')
  })

  test('a span without a network needs none', async () => {
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
    await spanplan(lab, ['apply'], 0, away)
    const { stdout } = await spanplan(lab, ['plan'], 0, away)
    expect(stdout).toContain('No changes.')
  })
})

describe('a step that fails', () => {
  test('half-way: takes back what was done, and the next apply does it', async () => {
    await writeSpans(lab, oneSpan)
    const { options } = await wrapPrograms(lab, { tc: failAt('mirred') })
    const stderr = await expectRefusal(lab, ['apply'], 5, options)
    expect(stderr).toMatch(/could not add the mirror ens192 ingress → span0: .*made up/)
    expect(stderr).toContain('Everything was rolled back: the host is as it was before.')
    await spanplan(lab, ['apply'])
    await expectConverged(lab)
    await expectHeard(lab, [suricata])
  })

  test('and cannot be taken back: says what is left, and the next apply does it', async () => {
    await writeSpans(lab, oneSpan)
    const { options } = await wrapPrograms(lab, {
      tc: failAt('mirred'),
      ip: failAt('link del dev span0')
    })
    const { stderr } = await spanplan(lab, ['apply'], 4, options)
    expect(stderr).toMatch(/It could not be rolled back completely:\n {2}could not remove the bridge span0: .*made up/)
    expect(stderr).toMatch(/Still to do until the host is as it was before:\n {2}- bridge span0\n/)
    await spanplan(lab, ['apply'])
    await expectConverged(lab)
  })

  test('half-way: tells a program', async () => {
    await writeSpans(lab, oneSpan)
    const { options } = await wrapPrograms(lab, { ethtool: 'case "$*" in *-K*) echo made up >&2; exit 1 ;; esac' })
    const { stdout } = await spanplan(lab, ['apply', '--json'], 5, options)
    const events = parseLines(stdout)
    expect(events.find(({ type }) => type === 'step_failed')).toMatchObject({
      address: 'span0/bridge',
      errors: [{ code: 'COMMAND_FAILED' }]
    })
    expect(events.at(-2)).toEqual({ type: 'rolled_back', complete: true, left: [] })
    expect(events.at(-1)).toMatchObject({ type: 'error', exit: 5, errors: [{ code: 'COMMAND_FAILED' }] })
  })

  test('at once: nothing was changed', async () => {
    await writeSpans(lab, oneSpan)
    const { options } = await wrapPrograms(lab, { ip: failAt('link add') })
    expect(await expectRefusal(lab, ['apply'], 1, options)).toContain('Nothing was changed.')
  })

  test.each([
    ['INT', 130],
    ['TERM', 143]
  ])('an apply that SIG%s interrupts before its first step changes nothing', async (signal, exit) => {
    await writeSpans(lab, oneSpan)
    const { options } = await wrapPrograms(lab, { ethtool: `kill -${signal} $PPID` })
    expect(await expectRefusal(lab, ['apply'], exit, options)).toContain('interrupted\nNothing was changed.')
  })

  test.each([
    ['INT', 130],
    ['TERM', 143]
  ])('an apply that SIG%s interrupts takes back what was done, and the next one does it', async (signal, exit) => {
    await writeSpans(lab, oneSpan)
    const { options } = await wrapPrograms(lab, { tc: `case "$input" in *mirred*) kill -${signal} $PPID ;; esac` })
    const stderr = await expectRefusal(lab, ['apply'], exit, options)
    expect(stderr).toContain('interrupted\nEverything was rolled back: the host is as it was before.')
    await spanplan(lab, ['apply'])
    await expectConverged(lab)
  })
})
