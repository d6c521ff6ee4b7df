import { expect, test } from 'vitest'
import { parseSpeed } from '../../../src/host/traffic/read-hardware.ts'
import { countFrames, sampledBytes } from '../../../src/host/traffic/tally-frames.ts'
import { arp, BROADCAST, ether, filler, LLDP_GROUP, lldp, qinq, vlan, writePcap } from '../../lab/frames/frames.ts'

const OWN = '02:00:00:00:01:00'
const CLIENT = '02:00:00:00:0a:01'
const SERVER = '06:00:00:00:0b:02'

const who = arp({ operation: 'request', senderMac: CLIENT, senderIp: '10.0.0.5', targetIp: '10.0.0.9' })
const frames = [
  ether(SERVER, CLIENT, filler(60)),
  ether(CLIENT, SERVER, vlan(20, filler(60))),
  ether(CLIENT, SERVER, qinq(10, 30, filler(60))),
  // A priority, and no VLAN.
  ether(OWN, SERVER, vlan(0, filler(60), 5)),
  ether(BROADCAST, CLIENT, who),
  ether(BROADCAST, CLIENT, who),
  ether(LLDP_GROUP, '0a:00:00:00:00:03', lldp('0a:00:00:00:00:03', 'port 1'))
].map((frame) => frame.subarray(0, sampledBytes))

const tally = {
  ...{ frames: 7, toOwn: 1, toGroups: 3, toOthers: 3 },
  ...{ senders: 3, groupSenders: 2, vlans: [10, 20] }
}

function count(file: Uint8Array, { size = file.length, most = 5000 } = {}) {
  const counter = countFrames(OWN, most)
  const answers: boolean[] = []
  for (let from = 0; from < file.length; from += size) answers.push(counter.push(file.subarray(from, from + size)))
  return { tally: counter.tally(), wantsMore: answers.at(-1) ?? true }
}

test.each([1, 7, 24, 100_000])('counts who sends to whom, in pieces of %i bytes', (size) => {
  expect(count(writePcap(frames), { size })).toEqual({ tally, wantsMore: true })
})

test('numbers of the other byte order, and times in nanoseconds', () => {
  const swapped = writePcap(frames)
  let at = 24
  for (const frame of frames) {
    swapped.subarray(at, at + 16).swap32()
    at += 16 + frame.length
  }
  swapped.subarray(0, 4).swap32()
  swapped.subarray(8, 24).swap32()
  expect(count(swapped).tally).toEqual(tally)
  const nanoseconds = writePcap(frames)
  nanoseconds.writeUInt32LE(0xa1b23c4d, 0)
  expect(count(nanoseconds).tally).toEqual(tally)
})

test('no more than the most, and nothing of what comes after', () => {
  const { tally, wantsMore } = count(writePcap(frames), { most: 2 })
  expect(tally).toMatchObject({ frames: 2, toOthers: 2, toGroups: 0 })
  expect(wantsMore).toBe(false)
})

test('frames that are too short to have an address, or a tag', () => {
  const short = [Buffer.alloc(0), Buffer.alloc(13), ether(SERVER, CLIENT, vlan(7, filler(60))).subarray(0, 15)]
  expect(count(writePcap(short)).tally).toMatchObject({ frames: 3, senders: 1, toOthers: 1, vlans: [] })
})

test('what is no capture of Ethernet frames, and a length that cannot be', () => {
  expect(count(Buffer.alloc(10)).tally).toBeNull()
  expect(count(Buffer.alloc(100, 7))).toEqual({ tally: null, wantsMore: false })
  const cooked = writePcap(frames)
  cooked.writeUInt32LE(113, 20)
  expect(count(cooked)).toEqual({ tally: null, wantsMore: false })
  const long = writePcap(frames)
  long.writeUInt32LE(0xffffffff, 24 + 8)
  expect(count(long)).toEqual({ tally: null, wantsMore: false })
})

test('the end of a capture in the middle of a frame', () => {
  expect(count(writePcap(frames).subarray(0, -3)).tally).toMatchObject({ frames: 6 })
})

test('the speed that ethtool prints', () => {
  expect(parseSpeed('Settings for ens192:\n\tSpeed: 25000Mb/s\n\tDuplex: Full\n')).toBe(25e9)
  expect(parseSpeed('Settings for ens192:\n\tSpeed: Unknown!\n')).toBeNull()
  expect(parseSpeed('')).toBeNull()
})
