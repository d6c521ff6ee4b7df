import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type BridgeMark,
  type BridgeOrigin,
  bridgeMac,
  hashOf,
  type InterfaceMark,
  mirrorHandle,
  readAlias,
  readCookie,
  readInnerClass,
  readPortClass,
  readRingClass,
  writeAlias,
  writeCookie,
  writeRingClass
} from '../../src/resources/marks.ts'
import { bridgeBits, interfaceBits, portBits } from '../../src/resources/settings.ts'

const owner = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$/)

const all = interfaceBits.map(([setting]) => setting)

const ring = fc.integer({ min: 1, max: 0xffff })

const card: fc.Arbitrary<InterfaceMark> = fc
  .tuple(fc.subarray(all), fc.subarray(all), fc.option(ring))
  .map(([a, b, size]) => ({ before: new Set(a), managed: new Set(b), ...(size !== null && { ring: size }) }))

const index = fc.integer({ min: 1, max: 0x7fffffff })

const original: fc.Arbitrary<BridgeOrigin> = fc.record({
  alias: fc.string({ unit: 'binary', maxLength: 15 }),
  mac: fc.stringMatching(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/),
  mtu: fc.integer({ min: 68, max: 65535 }),
  ageing: fc.nat(),
  forwardDelay: fc.nat(3000),
  groupForward: fc.nat(0xffff),
  up: fc.boolean(),
  stp: fc.boolean(),
  snooping: fc.boolean(),
  vlanFiltering: fc.boolean(),
  ipv6: fc.boolean(),
  ownMacEntry: fc.boolean(),
  tx: fc.boolean(),
  tso: fc.boolean(),
  gso: fc.boolean(),
  clsact: fc.boolean(),
  linkLocal: fc.boolean()
})

const bridgeMark = (interfaces: number): fc.Arbitrary<BridgeMark> =>
  fc.record({
    owner,
    network: fc.boolean(),
    original: fc.option(original),
    interfaces: fc.array(fc.tuple(index, card), { maxLength: interfaces }).map((entries) => new Map(entries))
  })

describe('the cookie of a mirror', () => {
  test('is 16 bytes, and read back', () => {
    fc.assert(
      fc.property(owner, card, (name, mark) => {
        const cookie = writeCookie(name, mark)
        expect(cookie).toMatch(/^[0-9a-f]{32}$/)
        const { ring: _, ...source } = mark
        expect(readCookie(cookie)).toEqual({ owner: hashOf(name), source })
      })
    )
  })

  test('tells owners apart', () => {
    fc.assert(
      fc.property(fc.uniqueArray(owner, { minLength: 2, maxLength: 2 }), ([one = '', other = '']) => {
        expect(hashOf(one)).not.toBe(hashOf(other))
      })
    )
  })

  test.each([null, '', '00112233', '7370616e706c616e', `7370616e706c616e02${'0'.repeat(14)}`, 'f'.repeat(32)])(
    "%s is somebody else's",
    (cookie) => expect(readCookie(cookie)).toBeNull()
  )
})

describe('the class of a mirror', () => {
  test('says what the receive ring was like, and is no mark of a port', () => {
    fc.assert(
      fc.property(fc.option(ring), (size) => {
        const mark = size === null ? {} : { ring: size }
        const classId = writeRingClass(mark) ?? null
        expect(readRingClass(classId)).toEqual(mark)
        expect(readPortClass(classId)).toBeNull()
        expect(readInnerClass(classId)).toBeNull()
      })
    )
  })

  test.each([null, '', '1:10', '100:', ':5200', '5200:', '10000:5200', '100:5201', '5dc:5301'])(
    '%s says nothing',
    (classId) => expect(readRingClass(classId)).toEqual({})
  )
})

/** How many interfaces an alias has room for, whatever they are: the longest entry is a comma, an index of six digits, six digits, and four for its ring, with two dots. */
function roomFor(mark: BridgeMark): number {
  const room = 255 - Buffer.byteLength(writeAlias({ ...mark, interfaces: new Map() }))
  return Math.floor((room + 1) / 19)
}

describe('the alias of a bridge', () => {
  test('is read back', () => {
    fc.assert(
      fc.property(bridgeMark(10), (all) => {
        const mark = { ...all, interfaces: new Map([...all.interfaces].slice(0, roomFor(all))) }
        expect(readAlias(writeAlias(mark))).toEqual(mark)
      })
    )
  })

  test('never has more than 255 bytes; what fits of its cards is read back', () => {
    fc.assert(
      fc.property(bridgeMark(100), (mark) => {
        const alias = writeAlias(mark)
        expect(Buffer.byteLength(alias)).toBeLessThanOrEqual(255)
        const read = readAlias(alias)
        expect(read).toMatchObject({ owner: mark.owner, network: mark.network })
        expect(read?.interfaces.size).toBeGreaterThanOrEqual(Math.min(mark.interfaces.size, roomFor(mark)))
        for (const [key, value] of read?.interfaces ?? []) expect(mark.interfaces.get(key)).toEqual(value)
      })
    )
  })

  test.each([null, '', 'uplink', 'spanplan:', 'spanplan:default:adopted:', 'spanplan::owned:', 'xspanplan:a:owned:'])(
    "%s is somebody else's",
    (alias) => expect(readAlias(alias)).toBeNull()
  )

  test('one that was cut off keeps its owner and whole entries', () => {
    const read = readAlias('spanplan:default:owned:2.0183,3.01')
    expect(read?.owner).toBe('default')
    expect([...(read?.interfaces.keys() ?? [])]).toEqual([2])
  })
})

test('each setting has the bit that live marks have it at', () => {
  const inOrder = (bits: readonly (readonly [string, number])[]) =>
    [...bits].sort(([, a], [, b]) => a - b).map(([setting, bit]) => `${bit} ${setting}`)
  const number = (settings: readonly string[]) => settings.map((setting, bit) => `${bit} ${setting}`)
  const offloads = ['gro', 'rx-gro-hw', 'lro']
  const ofInterface = ['up', 'promiscuous', 'arp', 'ipv6', ...offloads, 'clsact', 'host-receives', 'host-sends']
  const ofPort = ['up', 'isolated', 'learning', 'flooding', 'ipv6', 'ownMacEntry', 'clsact', 'connection']
  const ofBridge = [
    'up',
    'stp',
    'snooping',
    'vlanFiltering',
    'ipv6',
    'ownMacEntry',
    'tx',
    'tso',
    'gso',
    'clsact',
    'linkLocal'
  ]
  expect(inOrder(interfaceBits)).toEqual(number(ofInterface))
  expect(inOrder(portBits)).toEqual(number(ofPort))
  expect(inOrder(bridgeBits)).toEqual(number(ofBridge))
})

test('the handle of a mirror is never 0, and differs with each part of its identity', () => {
  const handles = ['default', 'lab'].flatMap((name) =>
    ['span0', 'span1'].flatMap((span) =>
      ['ens1', 'ens2'].flatMap((device) =>
        (['ingress', 'egress'] as const).map((hook) => mirrorHandle({ owner: name, name: span, device, tcHook: hook }))
      )
    )
  )
  expect(new Set(handles).size).toBe(16)
  expect(handles).not.toContain(0)
})

test("a bridge's address is locally administered, for one card, and its own", () => {
  fc.assert(
    fc.property(owner, owner, (name, span) => {
      expect(bridgeMac(name, span)).toMatch(/^02(:[0-9a-f]{2}){5}$/)
      expect(bridgeMac(name, `${span}x`)).not.toBe(bridgeMac(name, span))
    })
  )
})
