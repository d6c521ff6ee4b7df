import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { diagnosticsOf, readCases, render } from '../lab/fixtures/spec-text.ts'

const fixture = readFileSync(new URL('../fixtures/spec/messages.txt', import.meta.url), 'utf8')

describe('what a person reads of a bad file', () => {
  const cases = readCases(fixture)

  test('there are cases, each with a title of its own and something wrong', () => {
    expect(new Set(cases.map(({ title }) => title)).size).toBe(cases.length)
    expect(cases.filter(({ files }) => diagnosticsOf(...files).length === 0)).toEqual([])
  })

  test.each(cases)('$title', ({ files, says }) => {
    expect(render(...files)).toBe(says)
  })
})
