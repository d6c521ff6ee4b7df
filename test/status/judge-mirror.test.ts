/** In which ways the traffic of a source is not whole, and what is not accused. */
import { describe, expect, test } from 'vitest'
import { countMirror, talliedBytes } from '../../src/host/traffic/tally-mirror.ts'
import { judgeMirror } from '../../src/status/judge-mirror.ts'
import { qinq, vlan } from '../lab/frames/frames.ts'
import { brokenTraffic, chatter, isFromClient, numbered, talk, wholeTraffic } from '../lab/frames/mirrored.ts'

function judge(frames: readonly Buffer[], filter: string | null = null, place = { isPort: true, isOneHook: true }) {
  const counter = countMirror()
  for (const frame of frames) counter.count(frame.subarray(0, talliedBytes), frame.length)
  return judgeMirror({ span: 'span0', name: 'ens192', filter, ...place, tally: counter.tally() })
}

const codesOf = (frames: readonly Buffer[], filter?: string) => judge(frames, filter).map(({ code }) => code)
const textOf = (frames: readonly Buffer[], filter?: string) =>
  judge(frames, filter)
    .map(({ message, hint }) => `${message} | ${hint}`)
    .join('\n')

test.each(Object.entries(wholeTraffic))('%s: nothing is said', (_, frames) => {
  expect(judge(frames)).toEqual([])
})

test.each(Object.entries(brokenTraffic))('%s is found, and nothing else', (code, frames) => {
  expect(codesOf(frames)).toEqual([code])
  expect(codesOf([...frames, ...chatter(10)])).toEqual([code])
})

test('a part is enough, and what is no more than chance is not', () => {
  const [whole, half] = [numbered(talk(20)), numbered(talk(40)).slice(160).filter(isFromClient)]
  expect(textOf([...whole, ...half])).toMatch(
    /^span span0: ens192: 36 % of the TCP frames are of conversations of which only one/
  )
  expect(judge([...whole, ...half.slice(0, 8)])).toEqual([])
  expect(judge([...whole, ...whole.slice(0, 10)])).toEqual([])
  expect(textOf([...whole, ...whole])).toContain('50 % of the frames come a second time')
})

test('at a container, there are few hosts, and the file may ask for one direction', () => {
  const codesAt = (isOneHook: boolean) =>
    [brokenTraffic.TRAFFIC_FLOODED, brokenTraffic.TRAFFIC_ONE_SIDED].flatMap((frames) =>
      judge(frames, null, { isPort: false, isOneHook }).map(({ code }) => code)
    )
  expect([codesAt(true), codesAt(false)]).toEqual([[], ['TRAFFIC_ONE_SIDED']])
})

test('few frames tell nothing', () => {
  for (const frames of Object.values(brokenTraffic)) expect(judge(frames.slice(0, 19))).toEqual([])
})

test('where packets are cut, and how short', () => {
  expect(textOf(brokenTraffic.TRAFFIC_CUT)).toContain(
    '25 % of the IP packets are cut short: the longest frame of these has 80 bytes'
  )
})

describe('VLANs that a filter asks for', () => {
  const tagged = (...ids: readonly number[]) =>
    ids.flatMap((id) => talk(5, { wrap: (packet) => vlan(id, packet), first: id }))

  test('that come', () => {
    expect(judge(tagged(20, 30), 'vlan 20 or vlan 30')).toEqual([])
    expect(judge(tagged(20), 'vlan')).toEqual([])
    expect(judge(talk(10), 'tcp port 443')).toEqual([])
    expect(judge(talk(10, { wrap: (packet) => qinq(20, 30, packet) }), 'vlan 20 and vlan 30')).toEqual([])
  })

  test.each([
    'not vlan 30',
    'tcp and not vlan 30',
    '!vlan 30',
    'not (vlan 30 or vlan 40) and tcp',
    'vlan 20 and not port 22'
  ])('%s', (filter) => {
    expect(judge(tagged(20), filter)).toEqual([])
  })

  test('beside what is negated', () => {
    expect(codesOf(tagged(20), 'not port 22 and vlan 30')).toEqual(['TRAFFIC_VLANS'])
    expect(codesOf(tagged(20), 'vlan 30 and not (port 22 or port 23)')).toEqual(['TRAFFIC_VLANS'])
  })

  test('and no frame has a tag', () => {
    expect(textOf(talk(10), 'vlan 20')).toMatch(/asks for VLAN 20, and no frame has a tag \| .*encapsulation replicate/)
  })

  test('one of which does not come', () => {
    expect(textOf(tagged(20, 7), 'vlan 20 or vlan 30')).toMatch(
      /asks for VLAN 20, 30, and no frame of VLAN 30 came meanwhile; what came: 20, 7 \|/
    )
  })

  test('that come behind another tag', () => {
    const frames = talk(10, { wrap: (packet) => qinq(4000, 20, packet) })
    expect(textOf(frames, 'vlan 20')).toMatch(
      /and VLAN 20 comes behind another tag, of VLAN 4000 \| .*"vlan 4000 and vlan/
    )
  })
})
