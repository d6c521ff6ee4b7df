/** What a probe sends, and what it makes of what was seen: of a host that is written down. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type Exchanged, readExchanged, type Sighting, writeExchange } from '../../src/host/traffic/exchange-frames.ts'
import { plain } from '../../src/printable.ts'
import { listDownstream } from '../../src/probe/other-spans.ts'
import { probeDocument } from '../../src/probe/output/probe-json.ts'
import { renderProbe } from '../../src/probe/output/probe-text.ts'
import { asSeen, makeHead, probeSizes } from '../../src/probe/probe-frame.ts'
import { makeExchange, type ProbePlan, planProbe } from '../../src/probe/probe-plan.ts'
import { judgeProbe, notLive } from '../../src/probe/probe-result.ts'
import { judgeBy } from '../../src/resources/programs/run-program.ts'
import { makeReport } from '../../src/status/report.ts'
import { latestOf, openProbeRecorder, portsOf } from '../../src/watch/probing.ts'
import { converged, fixture, samplesOf, see } from '../lab/fixtures/converged.ts'
import type { CapturedHost } from '../lab/fixtures/host-file.ts'
import { casesFolder, readSnapshot } from '../lab/fixtures/plan-case.ts'

const mark = Buffer.from('0123456789abcdef')

/** The plan of a probe of the fixture's span. */
function planOf(host: CapturedHost = converged, text = fixture('spans.yaml')) {
  const view = see(host, text)
  const report = makeReport({ view, pauses: [], watch: null, window: null, ...samplesOf(view) }).spans[0]
  const [span] = view.desired.spans
  if (span === undefined || report === undefined) throw new Error('the fixture has changed')
  const plan = planProbe(span, view, report, { mirrors: true, mark })
  if (plan === null) throw new Error('the span is not live')
  return { plan, report }
}

/** Everything comes, but what is left out or changed. */
function seeAll(
  { frames, bridge }: ProbePlan,
  change: (one: Sighting, receiver: string) => readonly Sighting[] = (one) => [one]
): Exchanged {
  const sightings = frames.flatMap(({ size, isForBridge, receivers }, frame) => {
    const at = (link: number, time: bigint): Sighting => ({ link, frame, size, isWhole: true, time })
    const start = BigInt(1_700_000_000_000_000_000) + BigInt(frame * 1000)
    const come = receivers.flatMap(({ link, name }, index) =>
      link === null ? [] : change(at(link.index, start + BigInt(1500 * (index + 1))), name)
    )
    return isForBridge ? [at(bridge, start), ...come] : come
  })
  return { sightings, unsent: new Map(), deaf: new Map() }
}

const link = (name: string, change: object): CapturedHost => ({
  ...converged,
  links: converged.links.map((one) => (one.name === name ? { ...one, ...change } : one))
})

test('sizes: the usual ones, and the largest of the MTU', () => {
  expect([1500, 9000, 1400, 68, 1, 65_535].map(probeSizes)).toEqual([
    [60, 1514],
    [60, 1514, 9014],
    [60, 1414],
    [60, 82],
    [60],
    [60, 1514, 65_549]
  ])
})

test('a frame is of an experimental type, from and to nobody, and goes on with what the program adds', () => {
  const head = makeHead(mark, 258)
  expect(head.toString('hex')).toBe(`067370616e02067370616e0188b5${mark.toString('hex')}0102`)
  const { byteAt, size } = asSeen({ head, size: 300 })
  expect([byteAt(12), byteAt(31), byteAt(32), byteAt(33), byteAt(288), size]).toEqual([0x88, 2, 0, 1, 0, 300])
})

test('the program takes the frames of this probe, and no others', () => {
  const { plan } = planOf()
  const text = writeExchange(makeExchange(plan, mark, new Set(plan.receivers)))
  const lines = /^filter (.*)$/m.exec(text)?.[1]?.split(',') ?? []
  const judge = judgeBy([lines.length, ...lines].join(','))
  const verdict = (change: (head: Buffer) => void) => {
    const head = makeHead(mark, 7)
    change(head)
    return judge(asSeen({ head, size: 60 }))
  }
  expect(verdict(() => undefined)).toBe('accepted')
  // Every byte of the type and of the mark counts, and the number does not.
  const refused = Array.from(
    { length: 32 },
    (_, at) => verdict((head) => head.writeUInt8(head.readUInt8(at) ^ 1, at)) === 'refused'
  )
  expect(refused.map(Number).join('')).toBe('00000000000011111111111111111100')
})

test('what is sent is a line each', () => {
  const { plan } = planOf()
  const text = writeExchange(makeExchange(plan, mark, new Set(plan.receivers)))
  expect(text.replace(/^filter .*\n/, '').replace(/[0-9a-f]{64}/g, 'HEAD')).toMatchInlineSnapshot(`
    "hear 4
    hear 6
    hear 8
    send 4 60 HEAD
    send 4 1514 HEAD
    send 4 9014 HEAD
    wait 1 9
    "
  `)
})

test('what the program says is read line by line; what is none of its lines is left out', () => {
  expect(
    readExchanged('deaf 7 No such device\nunsent 1 Message too long\nseen 4 0 60 1 1700000000.000000123\nnonsense\n')
  ).toEqual({
    sightings: [{ link: 4, frame: 0, size: 60, isWhole: true, time: 1_700_000_000_000_000_123n }],
    unsent: new Map([[1, 'Message too long']]),
    deaf: new Map([[7, 'No such device']])
  })
})

describe('what is said', () => {
  const say = (
    host: CapturedHost | undefined,
    change?: Parameters<typeof seeAll>[1],
    more: Partial<Exchanged> = {}
  ) => {
    const { plan, report } = planOf(host)
    return renderProbe([judgeProbe(plan, { ...seeAll(plan, change), ...more }, report)], plain)
  }

  test('of ports that got everything', () => {
    expect(say(undefined)).toMatchInlineSnapshot(`
      "span0: both ports got every frame.

      span0 · Core switch mirror port
        got     sensor  suricata (vethb6fd04f)  60, 1514 and 9014 bytes within 2 µs
        got     sensor  zeek (veth83191ae)      60, 1514 and 9014 bytes within 3 µs
      "
    `)
  })

  test('of one that got nothing, and of one that got it twice', () => {
    expect(
      say(undefined, (one, receiver) => (receiver === 'zeek' ? [] : [one, { ...one, time: one.time + 10n }]))
    ).toMatchInlineSnapshot(`
      "span0: 1 of 2 ports did not get every frame.

      span0 · Core switch mirror port
        got     sensor  suricata (vethb6fd04f)
                60, 1514 and 9014 bytes within 2 µs, twice
        missed  sensor  zeek (veth83191ae)      nothing
                ! zeek (veth83191ae) did not get any frame of 60, 1514 and 9014 bytes,
                  sent into span0
                  see what is lost where: spanplan status --span span0 --for 10s
      "
    `)
  })

  test('of one whose MTU is smaller', () => {
    expect(
      say(link('veth83191ae', { mtu: 1400 }), (one, receiver) => (receiver === 'zeek' && one.size > 60 ? [] : [one]))
    ).toMatchInlineSnapshot(`
      "span0: 1 of 2 ports did not get every frame.

      span0 · Core switch mirror port
        got     sensor  suricata (vethb6fd04f)  60, 1514 and 9014 bytes within 2 µs
        missed  sensor  zeek (veth83191ae)      60 bytes within 3 µs
                ! zeek (veth83191ae) did not get the frames of 1514 and 9014 bytes,
                  sent into span0: the MTU of veth83191ae is 1400
                  the span differs from the file by 1 change: spanplan plan
      "
    `)
  })

  test('of frames that came changed', () => {
    expect(say(undefined, (one) => [{ ...one, isWhole: false }])).toMatchInlineSnapshot(`
      "span0: 2 of 2 ports did not get every frame.

      span0 · Core switch mirror port
        missed  sensor  suricata (vethb6fd04f)  nothing as it was sent
                ! suricata (vethb6fd04f) got the frames of 60, 1514 and 9014 bytes
                  changed, sent into span0
                  see what is lost where: spanplan status --span span0 --for 10s
        missed  sensor  zeek (veth83191ae)      nothing as it was sent
                ! zeek (veth83191ae) got the frames of 60, 1514 and 9014 bytes
                  changed, sent into span0
                  see what is lost where: spanplan status --span span0 --for 10s
      "
    `)
  })

  test('of frames that could not be sent', () => {
    const { plan } = planOf()
    const unsent = new Map(plan.frames.map((_, number) => [number, 'Network is down']))
    expect(say(undefined, undefined, { sightings: [], unsent })).toMatchInlineSnapshot(`
      "span0: 2 of 2 ports did not get every frame.

      span0 · Core switch mirror port
        missed  sensor  suricata (vethb6fd04f)  nothing
                ! suricata (vethb6fd04f) did not get any frame of 60, 1514 and 9014
                  bytes, sent into span0: Network is down
                  see what is lost where: spanplan status --span span0 --for 10s
        missed  sensor  zeek (veth83191ae)      nothing
                ! zeek (veth83191ae) did not get any frame of 60, 1514 and 9014 bytes,
                  sent into span0: Network is down
                  see what is lost where: spanplan status --span span0 --for 10s
      "
    `)
  })

  test('of a port without a carrier', () => {
    expect(say(link('veth83191ae', { carrier: false }))).toMatchInlineSnapshot(`
      "span0: 1 of 2 ports did not get every frame.

      span0 · Core switch mirror port
        got     sensor  suricata (vethb6fd04f)  60, 1514 and 9014 bytes within 2 µs
        absent  sensor  zeek (veth83191ae)      has no carrier
      "
    `)
  })

  test('of outputs that wait, or are no port of the bridge', () => {
    const outputs = '[{vxlan: {id: 42, remote: 10.60.0.1}}, {interface: ens999}]'
    const { plan, report } = planOf(converged, `${fixture('spans.yaml')}\n    outputs: ${outputs}\n`)
    const result = judgeProbe(plan, seeAll(plan), report)
    expect(result.passed).toBe(false)
    expect(renderProbe([result], plain)).toMatchInlineSnapshot(`
      "span0: 2 of 4 ports did not get every frame.

      span0 · Core switch mirror port
        got     sensor  suricata (vethb6fd04f)  60, 1514 and 9014 bytes within 2 µs
        got     sensor  zeek (veth83191ae)      60, 1514 and 9014 bytes within 3 µs
        absent  output  vxlan 42                is not there
        absent  output  ens999                  is not there
                ! ens999 waits for the interface ens999
        ... the span differs from the file by 1 change: spanplan plan
      "
    `)
    const left = portsOf(result, 'now').filter(({ kind }) => kind === 'output')
    expect(left.map(({ device, problem }) => [device, problem?.message])).toMatchInlineSnapshot(`
      [
        [
          "vxlan 42",
          "vxlan 42 is not there",
        ],
        [
          "ens999",
          "ens999 waits for the interface ens999",
        ],
      ]
    `)
  })

  test('of an output whose module the kernel does not have', () => {
    const message = 'the kernel has no module ip_gre'
    const lacking = [{ name: 'ip_gre', message, command: 'install a kernel that has it' }] as const
    const outputs = '[{gretap: {remote: 10.60.0.1}}]'
    const { plan, report } = planOf({ ...converged, lacking }, `${fixture('spans.yaml')}\n    outputs: ${outputs}\n`)
    const { passed, receivers } = judgeProbe(plan, seeAll(plan), report)
    expect(passed).toBe(false)
    expect(receivers.find(({ kind }) => kind === 'output')).toMatchObject({
      state: 'absent',
      health: { message: expect.stringContaining(message) }
    })
  })

  test('of a port with a filter of somebody else: the plan knows it', () => {
    const { plan, report } = planOf()
    const message = 'veth83191ae egress has a filter at preference 1: bpf'
    const suspects = [{ code: 'COPIES_HIDDEN', message, hint: 'look at it with: tc filter show' }] as const
    const receivers = plan.receivers.map((one) => ({ ...one, suspects: one.name === 'zeek' ? suspects : [] }))
    const swap = (some: readonly unknown[]) => receivers.filter((_, index) => some.includes(plan.receivers[index]))
    const frames = plan.frames.map((frame) => ({ ...frame, receivers: swap(frame.receivers) }))
    const seen = seeAll(plan, (one, receiver) => (receiver === 'zeek' ? [] : [one]))
    const result = judgeProbe({ ...plan, receivers, frames }, seen, report)
    expect(result.receivers[1]?.ways[0]?.problem).toMatchObject({
      message: expect.stringMatching(/, sent into span0: veth83191ae egress has a filter at preference 1: bpf$/),
      hint: 'look at it with: tc filter show'
    })
  })

  test('of a span that differs, where nobody missed a frame', () => {
    expect(say(link('ens192', { promiscuous: false }))).toMatch(
      /differs from the file by \d+ changes?: spanplan plan\n$/
    )
  })

  test('of a span that is not on the host', () => {
    expect(renderProbe([notLive(planOf().report)], plain)).toMatchInlineSnapshot(`
      "span0: nothing was sent.

      span0 · Core switch mirror port
        ! span0 is in the file, but not on this host yet: there is nothing to probe
          create it first: spanplan apply
      "
    `)
  })

  test('of a port that goes between the plan and the frames', () => {
    const { plan, report } = planOf()
    const gone = plan.receivers.find(({ name }) => name === 'zeek')?.link?.index ?? 0
    const { receivers } = judgeProbe(plan, { ...seeAll(plan), deaf: new Map([[gone, 'No such device']]) }, report)
    expect(receivers.find(({ name }) => name === 'zeek')).toMatchObject({
      state: 'absent',
      reason: 'its port has gone meanwhile'
    })
  })

  test('of many containers that are sources: not a line for each', () => {
    const { plan, report } = planOf()
    const [bridge] = plan.frames
    const names = Array.from({ length: 40 }, (_, index) => `web-${index}`)
    const ways = names.map((source) => ({ kind: 'mirror', device: `veth-${source}`, source }) as const)
    const sent = bridge === undefined ? [] : ways.map((way) => ({ ...bridge, way }))
    const unasked = names.map((source) => ({ source, reason: 'it takes a sample' }))
    const many = { ...plan, frames: [...plan.frames, ...sent], unasked }
    expect(renderProbe([judgeProbe(many, seeAll(many), report)], plain)).toMatchInlineSnapshot(`
      "span0: both ports got every frame.

      span0 · Core switch mirror port
        got     sensor  suricata (vethb6fd04f)  60, 1514 and 9014 bytes within 2 µs
                all that was sent through the mirrors of 40 interfaces of containers
        got     sensor  zeek (veth83191ae)      60, 1514 and 9014 bytes within 3 µs
                all that was sent through the mirrors of 40 interfaces of containers
        ... not sent through the mirrors of web-0, web-1, web-2 and 37 more: it takes
            a sample
      "
    `)
  })

  test('of no spans', () => {
    expect(renderProbe([], plain)).toBe('There are no spans to probe.\n')
  })

  test('a time is that from the sending before it: where there are many ports, a frame is sent more than once', () => {
    const { plan, report } = planOf()
    const { sightings } = seeAll(plan)
    const earlier = sightings.flatMap((one) =>
      one.link === plan.bridge ? { ...one, time: one.time - 10_000_000n } : []
    )
    const result = judgeProbe(
      plan,
      { sightings: [...earlier, ...sightings], unsent: new Map(), deaf: new Map() },
      report
    )
    const times = result.receivers.flatMap(({ ways }) => ways.flatMap(({ frames }) => frames))
    expect(Math.max(...times.map(({ microseconds }) => microseconds ?? 0))).toBeLessThan(10)
  })
})

test('names are printed as they may be, and the JSON has no others', () => {
  const { plan, report } = planOf()
  const [first] = plan.receivers
  const evil = first && { ...first, name: '\u001b[31mred\u202e' }
  const result = judgeProbe({ ...plan, receivers: evil ? [evil] : [], frames: [] }, seeAll(plan), report)
  expect(renderProbe([result], plain)).not.toMatch(/[^\n -~·µ]/)
  expect(Object.keys(probeDocument([result], 'now'))).toEqual([
    'format_version',
    'spanplan_version',
    'created',
    'passed',
    'spans'
  ])
})

describe('other spans that would take the frames for their own', () => {
  const more = (idle: string) =>
    `${fixture('spans.yaml')}\n  span1: {sources: [{interface: span0${idle}}]}\n  span2: {sources: [{interface: span1}]}\n`

  test('those whose source is the bridge, also through others', () => {
    const { plan, report } = planOf(converged, more(''))
    expect(plan.downstream).toEqual(['span1', 'span2'])
    expect(renderProbe([judgeProbe(plan, seeAll(plan), report)], plain)).toMatch(
      /\n {2}\.\.\. frames also come to span1, span2, whose source is this bridge\n$/
    )
  })

  test.each([
    ['', [false, false]],
    [', max_idle: 5m', [true, false]],
    [', direction: ingress, max_idle: 5m', []]
  ])('a max_idle there is minded: "%s"', (idle, minds) => {
    const view = see(converged, more(idle))
    const [span] = view.desired.spans
    expect(span && listDownstream(span, view).map((one) => one.minds)).toEqual(minds)
  })

  const folder = `${casesFolder}container-source-converged`
  test.each([
    ['', null],
    [', max_idle: 5m', 'span1 copies from it too, and has a max_idle there'],
    [', sample: 1/10', 'span1 copies from it too, and has a sample there']
  ])('those that copy from the same container: "%s"', (field, reason) => {
    const text = `${readFileSync(`${folder}/spans.yaml`, 'utf8')}\n  span1: {sources: [{container: web${field}}]}\n`
    const { plan } = planOf(readSnapshot(folder, 'host.json'), text)
    expect(plan.unasked.map((one) => one.reason)).toEqual(reason === null ? [] : [reason])
  })
})

test('of a span that was left out in a round, only when it was last probed is kept', () => {
  const before = [
    { span: 'span0', at: '1' },
    { span: 'span1', at: '1' },
    { span: 'gone', at: '1' }
  ]
  expect(latestOf(before, { spans: ['span0', 'span1'], probed: [{ span: 'span0', at: '2' }] })).toEqual([
    { span: 'span1', at: '1' },
    { span: 'span0', at: '2' }
  ])
})

describe('the events of a watch', () => {
  /** Who misses in one round after the other; null: the span was not probed. */
  function record(...rounds: readonly (readonly string[] | null | 'broken')[]) {
    const told: string[] = []
    const recorder = openProbeRecorder((...events) => {
      for (const event of events) told.push('port' in event ? `${event.type} ${event.port.name}` : event.type)
    })
    const { plan, report } = planOf()
    return rounds.map((missing) => {
      if (missing === 'broken') recorder.failed({ code: 'PROGRAM_MISSING', message: 'no perl' })
      else {
        const seen = seeAll(plan, (one, receiver) => (missing?.includes(receiver) ? [] : [one]))
        const ports = missing === null ? [] : portsOf(judgeProbe(plan, seen, report), '2026-01-01T00:00:00.000Z')
        recorder.round({ spans: ['span0'], ports })
      }
      return told.splice(0)
    })
  }

  test('one when a port begins to miss it, and one when it gets it again', () => {
    expect(record([], ['zeek'], ['zeek'], ['zeek', 'suricata'], ['suricata'], [])).toEqual([
      [],
      ['probe_missed zeek'],
      [],
      ['probe_missed suricata'],
      ['probe_received zeek'],
      ['probe_received suricata']
    ])
  })

  test('a span that is not probed for a while keeps what is known of it', () => {
    expect(record(['zeek'], null, ['zeek'], null, [])).toEqual([
      ['probe_missed zeek'],
      [],
      [],
      [],
      ['probe_received zeek']
    ])
  })

  test('that nothing can be sent is one event, however often it is tried', () => {
    expect(record('broken', 'broken', 'broken', [], 'broken')).toEqual([
      ['probe_failed'],
      [],
      [],
      ['probe_works'],
      ['probe_failed']
    ])
  })
})
