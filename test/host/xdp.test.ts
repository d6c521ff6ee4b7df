import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { hasNetworkPrograms } from '../../src/host/parsers/bpftool.ts'
import { parseLinks } from '../../src/host/parsers/ip.ts'
import { writeCode } from '../../src/host/xdp/object.ts'
import { drop, sealObject } from '../../src/host/xdp/seal-object.ts'
import { isSealProgram, sealName, sealSection } from '../../src/host/xdp/seal-program.ts'

const tagOf = (algorithm: string) => createHash(algorithm).update(writeCode(drop)).digest('hex').slice(0, 16)

test('the file of the package is what the code makes: a section for fragments, a name, a licence, and two instructions', () => {
  expect(readFileSync('dist/seal.o')).toEqual(sealObject)
  for (const word of [sealSection, sealName, 'Dual MIT/GPL']) expect(sealObject.includes(`${word}\0`)).toBe(true)
  expect(sealObject.includes(writeCode(drop))).toBe(true)
  expect(JSON.parse(readFileSync('package.json', 'utf8')).files).toContain('dist/seal.o')
  expect(readFileSync('debian/spanplan.install', 'utf8')).toContain('dist/seal.o usr/share/spanplan/dist\n')
})

/** As iproute2 6.15 prints it, for root, on Linux 6.12 and 6.18; for a user; for several modes; and damaged. */
const program = { id: 4, name: 'spanplan_seal', jited: 1, load_time: 47423526237, created_by_uid: 0 }
const [old, current] = [tagOf('sha1'), tagOf('sha256')]
const shown: readonly [string, unknown, boolean][] = [
  ['Linux 6.12', { mode: 1, prog: { ...program, tag: old }, attached: [] }, true],
  ['Linux 6.18', { mode: 1, prog: { ...program, tag: current }, attached: [] }, true],
  ['generic', { mode: 2, prog: { ...program, tag: old }, attached: [] }, false],
  ['other instructions', { mode: 1, prog: { ...program, tag: '0123456789abcdef' }, attached: [] }, false],
  ['another name', { mode: 1, prog: { ...program, tag: old, name: 'theirs' }, attached: [] }, false],
  ['a user without the right', { mode: 1, prog: { id: 4 }, attached: [] }, false],
  ['several modes', { mode: 4, attached: [{ mode: 1, prog: { id: 4 } }] }, false],
  ['damaged', 'yes', false]
]

test.each(shown)('a program on an interface is recognised by its instructions and its mode: %s', (_, xdp, isOurs) => {
  const link = { ifindex: 7, ifname: 'veth7', flags: [], mtu: 1500, link_type: 'ether', xdp }
  const [parsed] = parseLinks([link], []).links
  expect(parsed?.xdp && isSealProgram(parsed.xdp)).toBe(isOurs)
})

test('spanplan asks bpftool for the programs of interfaces only where somebody else has any', () => {
  const own = { id: 4, type: 'xdp', name: sealName, tag: old }
  expect(hasNetworkPrograms([own, { id: 5, type: 'kprobe' }])).toBe(false)
  expect(hasNetworkPrograms([own, { id: 5, type: 'xdp', name: sealName, tag: '0123456789abcdef' }])).toBe(true)
  expect(hasNetworkPrograms([own, { id: 5, type: 'sched_cls' }])).toBe(true)
})
