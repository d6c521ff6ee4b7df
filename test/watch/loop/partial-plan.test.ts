import { describe, expect, test } from 'vitest'
import { diagnostic, SpanplanError } from '../../../src/errors.ts'
import { sortOut } from '../../../src/watch/loop/partial-plan.ts'

const thousand = Array.from({ length: 1000 }, (_, index) => `span${index}`)

const conflict = new SpanplanError(diagnostic('BRIDGE_FOREIGN', 'in the way'))

/** Sorts the spans out where those of each pair, or a span paired with itself, cannot be planned; counts the plans. */
function count(pairs: readonly (readonly [string, string])[], suspects: readonly string[] = []) {
  let plans = 0
  const { planned, failures } = sortOut(thousand, new Set(suspects), (spans) => {
    plans++
    if (pairs.some((pair) => pair.every((span) => spans.has(span)))) throw conflict
  })
  const failed = failures.map(({ span }) => span)
  expect(planned.size + failed.length).toBe(thousand.length)
  return { failed, plans }
}

describe('of a thousand spans', () => {
  test('one that the error names costs two plans', () => {
    expect(count([['span500', 'span500']], ['span500'])).toEqual({ failed: ['span500'], plans: 2 })
  })

  test('one that no error names costs a few', () => {
    const { failed, plans } = count([['span500', 'span500']])
    expect(failed).toEqual(['span500'])
    expect(plans).toBeLessThanOrEqual(21)
  })

  test('the first of two that conflict with each other is planned', () => {
    expect(count([['span7', 'span900']]).failed).toEqual(['span900'])
    expect(count([['span7', 'span900']], ['span7', 'span900']).failed).toEqual(['span900'])
  })

  test('all fail where each does', () => {
    expect(count(thousand.map((span) => [span, span])).failed).toEqual(thousand)
  })
})
