/** Whatever stands in the files: a spec, or notices that can be shown. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { renderDiagnostic } from '../../src/cli/output/render-diagnostic.ts'
import { type Diagnostic, Exit, SpanplanError } from '../../src/errors.ts'
import { plain } from '../../src/printable.ts'
import { loadSpec } from '../../src/spec/load.ts'
import { printSpec } from '../../src/spec/print.ts'
import type { SourceFile, Spec } from '../../src/spec/spec.ts'
import { file, withoutPlaces } from '../lab/fixtures/spec-text.ts'
import { mutated } from './mutate.ts'

/** The same files everywhere; another number finds others. */
const seed = Number(process.env.FUZZ_SEED ?? 7)
const numRuns = 10_000

/** What a terminal would obey or hide; a line end is what we write. */
const unprintable = /[^\P{Cc}\n]|\p{Cf}|\p{Zl}|\p{Zp}|\p{Cs}/u

const decode = ({ bytes }: SourceFile) => new TextDecoder().decode(bytes)

/** A spec, or what is wrong; any other failure says with which files. */
function check(files: readonly SourceFile[]): Spec | readonly Diagnostic[] {
  try {
    const result = tryLoad(files)
    if ('digest' in result) checkSpec(result)
    else checkNotices(result, files)
    return result
  } catch (error) {
    const texts = files.map((one) => `${JSON.stringify(one.path)}: ${JSON.stringify(decode(one))}`)
    throw new Error(`${error instanceof Error ? error.message : error}\nwith ${texts.join('\n and ')}`, {
      cause: error
    })
  }
}

function tryLoad(files: readonly SourceFile[]): Spec | readonly Diagnostic[] {
  try {
    return loadSpec(files)
  } catch (error) {
    if (!(error instanceof SpanplanError)) throw error
    expect(error.exit).toBe(Exit.invalidFile)
    return error.diagnostics
  }
}

function checkSpec(spec: Spec): void {
  const printed = printSpec(spec)
  // A description may have tabs.
  expect(printed).not.toMatch(/[^\P{Cc}\n\t]/u)
  const again = loadSpec([file(printed)])
  expect(withoutPlaces(again)).toEqual(withoutPlaces(spec))
  expect(printSpec(again)).toBe(printed)
}

function checkNotices(diagnostics: readonly Diagnostic[], files: readonly SourceFile[]): void {
  const lines = new Map(files.map((one) => [one.path, decode(one).split('\n')]))
  const shown = diagnostics.map((diagnostic) => renderDiagnostic('error', diagnostic, files, plain))
  expect(diagnostics).not.toHaveLength(0)
  expect(new Set(shown).size).toBe(shown.length)
  expect(shown.filter((text) => unprintable.test(text))).toEqual([])
  expect(diagnostics.filter((diagnostic) => !isWhole(diagnostic, lines))).toEqual([])
}

/** It says what is wrong, and where: in one of the files, or just behind its end. */
function isWhole({ code, message, origin }: Diagnostic, lines: ReadonlyMap<string, readonly string[]>): boolean {
  const line = lines.get(origin?.file ?? '')?.[(origin?.line ?? 0) - 1]
  if (!origin || line === undefined || origin.column < 1 || origin.column > line.length + 1) return false
  return /^[A-Z0-9_]+$/.test(code) && message !== ''
}

test('ten thousand files', () => {
  const codes = new Set<string>()
  let good = 0
  fc.assert(
    fc.property(mutated, (bytes) => {
      const result = check([file(bytes)])
      if ('digest' in result) good++
      else for (const { code } of result) codes.add(code)
    }),
    { seed, numRuns }
  )
  // It is about files of both kinds, and about all that can be wrong with one.
  expect(good).toBeGreaterThan(numRuns / 20)
  expect(codes.size).toBeGreaterThan(20)
})

const paths = ['a.yaml', 'folder/b.yml', 'a b"\u001b[31m\n$(reboot).yaml', '-f', 'é\u202e.yaml']

test('several files at once', () => {
  const several = fc.uniqueArray(fc.record({ path: fc.constantFrom(...paths), bytes: mutated }), {
    minLength: 2,
    maxLength: 4,
    selector: ({ path }) => path
  })
  // Two that say the same of a span and of an interface, and have different names.
  const text = 'version: 1\nname: NAME\ninterfaces: {tap: {}}\nspans: {span0: {sources: [{interface: tap}]}}\n'
  const alike = ['a', 'b'].map((name) => ({ path: `${name}.yaml`, bytes: Buffer.from(text.replace('NAME', name)) }))
  const codes = new Set<string>()
  fc.assert(
    fc.property(several, (files) => {
      const result = check(files)
      if (!('digest' in result)) for (const { code } of result) codes.add(code)
    }),
    { seed, numRuns: numRuns / 5, examples: [[alike]] }
  )
  for (const code of ['SPAN_TWICE', 'INTERFACE_TWICE', 'NAME_DIFFERS']) expect(codes).toContain(code)
})
