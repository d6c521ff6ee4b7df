/** The end of a VXLAN as a source: what somebody mirrors into it arrives once, whatever it is, and nothing else does. */
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { everyKind } from '../lab/frames/every-kind.ts'
import { arp, BROADCAST, ether, filler, ipv6Fragments, ipv6Udp, vxlanHeader } from '../lab/frames/frames.ts'
import { expectConverged, expectFrames, expectRefusal, listen, spanplan, writeSpans } from '../lab/spans.ts'
import { createTunnelLab, stranger, tunnel, twice } from '../lab/tunnels.ts'

const tunnels = await createTunnelLab()
const { lab, heardOf, onHost, suricata, write, zeek } = tunnels
afterAll(() => lab.close())

afterEach(() => tunnels.expectNothingLeft())

const question = { operation: 'request', senderMac: stranger, senderIp: '10.50.0.9', targetIp: '10.50.0.2' } as const

describe('each frame of each kind', () => {
  test('arrives once, byte for byte; a destroy leaves nothing', async () => {
    await write('id: 42, local: 10.50.0.2')
    const { stdout } = await spanplan(lab, ['apply', '--yes'])
    expect(stdout).toMatch(/\+ +tunnel +vxlan-\w+ +vxlan 42, UDP port 4789, local 10\.50\.0\.2; .* firewall .*\n/)
    expect(stdout).toMatch(/\+ +mirror +vxlan 42 ingress → span0/)
    await expectConverged(lab)
    const frames = await everyKind(lab, tunnels, stranger, tunnel)
    const captures = await Promise.all([suricata, zeek].map((sensor) => listen(lab, sensor)))
    await lab.send(Object.values(frames), 'out', 'switch')
    for (const capture of captures) await expectFrames(capture, frames)
  })

  test('arrives of its id and port alone, and none is lost or gets into the host', async () => {
    await write('id: 42')
    await spanplan(lab, ['apply', '--yes'])
    expect(await heardOf(['out', 'other', 'elsewhere', 'many'])).toEqual(twice('out'))
    const stop = await lab.keepSending(ether(BROADCAST, stranger, arp(question)), 'out', 'switch')
    const { stdout } = await spanplan(lab, ['status', '--for', '1s'])
    await stop()
    expect(stdout).toMatch(/ {2}interface vxlan 42 +\d+ +\S+ +\S+ \S+ +0\n {2}mirror +vxlan 42 ingress +[1-9]/)
    expect(stdout).toContain('span0: healthy')
    // The host answers no question that comes out of the tunnel.
    const [{ stats64 }] = JSON.parse(await onHost(`ip -s -j link show dev ${tunnel}`))
    expect(stats64.tx).toMatchObject({ packets: 0, dropped: 0, errors: 0 })
  })

  test('arrives of a multicast group that is joined', async () => {
    await write('id: 44, group: 239.1.1.1, interface: ens192')
    await spanplan(lab, ['apply', '--yes'])
    await expectConverged(lab)
    expect(await heardOf(['many', 'out'])).toEqual(twice('many'))
  })
})

test('a tunnel over IPv6, with its senders', async () => {
  const write = (from: string) =>
    writeSpans(
      lab,
      `spans: {span0: {sources: [{vxlan: {id: 42, local: "fd50:0::2"}, from: ["${from}"]}], sensors: [suricata, zeek]}}`
    )
  await write('fd50::/64')
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  expect(await heardOf(['six', 'out'])).toEqual(twice('six'))
  await write('fd51::/64')
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  expect(await heardOf(['six', 'out'])).toEqual(twice())

  // Of a stranger: whole, in fragments, and in fragments of which the first has the header of UDP alone.
  const frame = ether(BROADCAST, stranger, filler(100))
  const packet = (source: string) =>
    ipv6Udp({
      ...{ source, destination: 'fd50::2', destinationPort: 4789 },
      data: Buffer.concat([vxlanHeader(42), frame])
    })
  const pieces = (source: string) => [
    packet(source),
    ...[8, 24].flatMap((first) => ipv6Fragments(packet(source), first))
  ]
  const { cardMac, portMac } = lab.cables[0] ?? { cardMac: '', portMac: '' }
  for (const [source, arrived] of [
    ['fd99::666', 0],
    ['fd51::1', 3]
  ] as const) {
    const capture = await listen(lab, zeek)
    await lab.send(pieces(source).map((one) => ether(cardMac, portMac, one)))
    const { frames } = await capture.stop({ seconds: 1 })
    expect(frames).toEqual(Array(arrived).fill(frame))
  }
})

describe('senders', () => {
  const write = (from: string) =>
    writeSpans(
      lab,
      `spans: {span0: {sources: [{vxlan: {id: 42}, from: ${from}}, {vxlan: {id: 43}}], sensors: [suricata, zeek]}}`
    )
  const table = `inet spanplan_${tunnel}`

  test('that are not chosen feed no sensor, and are counted; those of another id do', async () => {
    await write('[10.50.0.0/24]')
    await spanplan(lab, ['apply', '--yes'])
    await expectConverged(lab)
    const frames = await everyKind(lab, tunnels, stranger, tunnel)
    const capture = await listen(lab, zeek)
    await lab.send(Object.values(frames), 'out', 'switch')
    await expectFrames(capture, frames)
    await write('[10.60.0.0/16, 10.50.0.9]')
    const { stdout } = await spanplan(lab, ['apply', '--yes'])
    expect(stdout).toMatch(/~ +tunnel +vxlan-\w+ +senders: 10\.50\.0\.0\/24 → 10\.50\.0\.9, 10\.60\.0\.0\/16\n/)
    await expectConverged(lab)
    expect(await heardOf(['out', 'other'])).toEqual(twice('other'))
    expect(await onHost(`nft list table ${table}`)).toContain('counter packets 1 bytes 136 drop')
    await expectConverged(lab)
  })
})

describe('the interface', () => {
  test('stays as it is, and copied from, while a watch sees it or the card below it renamed; a destroy removes it', async () => {
    const first = 'vxlan: {id: 42}, from: [10.50.0.0/24]'
    const second = 'vxlan: {id: 44, group: 239.1.1.1, interface: ens192}'
    await writeSpans(lab, `spans: {span0: {sources: [{${first}}, {${second}}], sensors: [suricata, zeek]}}`)
    await using watch = await startWatch(lab)
    await watch.settle()
    for (const [name, other] of [
      [tunnel, 'foo'],
      ['ens192', 'bar']
    ]) {
      await onHost(`ip link set dev ${name} name ${other}`)
      await watch.expectTold(new RegExp(`ip link set dev ${other} name ${name}`))
      await watch.settle()
      expect(await heardOf(['out', 'many'])).toEqual(twice('out', 'many'))
    }
    expect(watch.told).not.toMatch(/^\S* ?- (?:mirror|tunnel)/m)
    await onHost('ip link set dev bar name ens192')
    await watch.settle()
    await watch.stop()
  })

  test('is shared by spans, goes with the last one, and is made anew with other parameters', async () => {
    const both = (vxlan: string) =>
      writeSpans(
        lab,
        `spans:
  span0: {sources: [{vxlan: {${vxlan}}}], sensors: [suricata, zeek]}
  span1: {sources: [{vxlan: {${vxlan}}}, {vxlan: {id: 43}}], network: span1}
`
      )
    await both('id: 42')
    await spanplan(lab, ['apply', '--yes'])
    await expectConverged(lab)
    await both('id: 42, local: 10.50.0.2')
    expect((await spanplan(lab, ['apply', '--yes'])).stdout).toMatch(
      /-\/\+ +tunnel +vxlan-\w+ +local: any → 10\.50\.0\.2/
    )
    await expectConverged(lab)
    expect(await heardOf(['out'])).toEqual(twice('out'))
    await spanplan(lab, ['destroy', '--span', 'span1', '--name', 'default', '--yes'])
    expect(await onHost('ip -br link show type vxlan')).toMatch(/^vxlan-3d98b18a [^\n]*$/)
    expect(await heardOf(['out'])).toEqual(twice('out'))
  })

  test('is not taken from a span of another name that copies from it, which is said', async () => {
    await writeSpans(
      lab,
      'spans: {span0: {sources: [{vxlan: {id: 42}, from: [10.50.0.1]}], sensors: [suricata, zeek]}}'
    )
    await spanplan(lab, ['apply', '--yes'])
    await writeSpans(lab, `name: other\nspans: {span1: {sources: [{interface: ${tunnel}}]}}`)
    await spanplan(lab, ['apply', '--yes'])
    const said = `the tunnel ${tunnel} cannot be removed: span span1 copies from it
  take the source off, or remove that span: spanplan destroy --name other --span span1`
    expect(await expectRefusal(lab, ['destroy', '--name', 'default', '--yes'])).toContain(said)
    await writeSpans(lab, 'spans: {}')
    expect(await expectRefusal(lab, ['apply', '--allow-empty', '--yes'])).toContain(said)
    expect(await heardOf(['out'])).toEqual(twice('out'))
    await spanplan(lab, ['destroy', '--name', 'other', '--yes'])
    await spanplan(lab, ['apply', '--allow-empty', '--yes'])
    expect(await onHost('ip -br link show type vxlan')).toBe('')
    expect(await onHost('nft list tables')).toBe('')
  })

  test('is taken away later where it was left, once the other name is gone', async () => {
    await write('id: 42')
    await spanplan(lab, ['apply', '--yes'])
    await writeSpans(lab, `name: other\nspans: {span1: {sources: [{interface: ${tunnel}}]}}`)
    await spanplan(lab, ['apply', '--yes'])
    // As a destroy by an earlier version left it.
    await onHost('ip link del dev span0')
    await onHost(`tc filter del dev ${tunnel} ingress pref 8`)
    await spanplan(lab, ['apply', '--yes'])
    expect(await expectRefusal(lab, ['destroy', '--name', 'default', '--yes'])).toContain('span span1 copies from it')
    await spanplan(lab, ['destroy', '--name', 'other', '--yes'])
    await spanplan(lab, ['destroy', '--name', 'default', '--yes'])
    expect(await onHost('ip -br link show type vxlan')).toBe('')
  })
})
