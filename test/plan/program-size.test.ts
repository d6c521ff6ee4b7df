/** Programs that tc does not take: the plan finds them, and so does validate, which knows no host. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Diagnostic, SpanplanError } from '../../src/errors.ts'
import type { CompiledFilters } from '../../src/host/parsers/pcap.ts'
import { findFilterErrors } from '../../src/plan/resolve/filter-errors.ts'
import { loadSpec } from '../../src/spec/load.ts'
import { see } from '../lab/fixtures/converged.ts'
import { casesFolder, readSnapshot } from '../lab/fixtures/plan-case.ts'

/** A program of so many instructions, which takes every frame. */
const programOf = (length: number) => `${length},${'0 0 0 0,'.repeat(length - 1)}6 0 0 262144`

/** Filters that compile to as many instructions as they have in their port. */
const lengths = [900, 1100, 1700, 1900]
const filterOf = (length: number) => `port ${length}`
const compiled: CompiledFilters = new Map(
  lengths.map((length) => [filterOf(length), { state: 'compiled', program: programOf(length) }] as const)
)

const captured = readSnapshot(join(casesFolder, 'share-converged'), 'host.json')
const host = { ...captured, programs: compiled }

const fileOf = (source: string, sensors: string) =>
  `version: 1\nspans:\n  span0:\n    network: span\n    sources:\n      - {interface: ens192, direction: ingress${source}}\n    sensors:\n      - ${sensors}\n`

const placed = ({ code, message, origin }: Diagnostic) => `${origin?.line} ${code} ${message}`

function validate(text: string): string[] {
  return findFilterErrors(loadSpec([{ path: 'spans.yaml', bytes: Buffer.from(text) }]), compiled).map(placed)
}

function plan(text: string): string[] {
  try {
    see(host, text, { patient: false })
    return []
  } catch (error) {
    if (!(error instanceof SpanplanError)) throw error
    return error.diagnostics.map(placed)
  }
}

const ids = 'balance: [{compose: shop/ids}]'
const one = (length: number) => `{container: shop-ids-1, filter: ${filterOf(length)}}`

test.each([
  ['a filter of a source and one of a sensor', `, filter: ${filterOf(900)}`, one(900), null],
  ['both are too long together', `, filter: ${filterOf(900)}`, one(1100), /^8 .*takes compiles to 2000 instr.* 1960$/],
  ['a filter of a source beside a share', `, filter: ${filterOf(1700)}`, ids, null],
  ['it is too long beside a share', `, filter: ${filterOf(1900)}`, ids, /^8 .* takes compiles to 2112 instr.* 1960$/],
  [
    'the filter of a balance beside its shares',
    '',
    `${ids}\n        filter: ${filterOf(1900)}`,
    / takes compiles to 2112 /
  ],
  ['a sample, a filter and a share', `, sample: 1/10, filter: ${filterOf(1700)}`, ids, / takes compiles to \d+ /],
  [
    'a sample beside a filter, with nobody who gets a part',
    `, sample: 1/10, filter: ${filterOf(1900)}`,
    'shop-ids-1',
    /^6 .*: with its sample, the filter compiles to \d+ instr/
  ],
  [
    'a limit takes room, too',
    `, limit: 1gbit, filter: ${filterOf(1700)}`,
    ids,
    / takes compiles to 1912 .* 1800 beside a limit$/
  ]
])('%s', (_, source, sensors, expected) => {
  const text = fileOf(source, sensors)
  const [found, planned] = [validate(text), plan(text)]
  if (expected === null) expect([found, planned]).toEqual([[], []])
  else {
    expect(found).toEqual([expect.stringMatching(expected)])
    // The plan names each member.
    const lengthsOf = (texts: readonly string[]) =>
      new Set(texts.map((one) => one.replace(/what .* takes/, 'what it takes')))
    expect(lengthsOf(planned)).toEqual(lengthsOf(found))
  }
  for (const text of found) expect(text).toContain(' FILTER_TOO_LARGE span span0: ')
})
