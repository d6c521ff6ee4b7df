import { expect, test } from 'vitest'
import { breakWord, joinAnd, listAll, listFew, listNames, padTo, widthOf, wrap } from '../../../src/text-lines.ts'

test('the width of each character is that of a terminal', () => {
  expect([...'、。ㄅ㈱￦中가😀'].map(widthOf)).toEqual([2, 2, 2, 2, 2, 2, 2, 2])
  expect([...'aé·’…→ﾄ'].map(widthOf)).toEqual([1, 1, 1, 1, 1, 1, 1])
  expect(widthOf('e\u0301')).toBe(1)
  expect(widthOf('\u0e33')).toBe(1)
})

test('lines, pieces and columns count cells, not characters', () => {
  expect(wrap('中中 中 a', 5)).toEqual(['中中', '中 a'])
  expect(wrap('longer than that', 4)).toEqual(['longer', 'than', 'that'])
  expect(breakWord('中中a', 3)).toEqual(['中', '中a'])
  expect(padTo(6, '中中')).toBe('中中  ')
})

test('names and clauses as a sentence has them', () => {
  expect([[], ['a'], ['a', 'b'], ['a', 'b', 'c']].map(listAll)).toEqual(['', 'a', 'a and b', 'a, b and c'])
  expect([[], ['a'], ['a', 'b'], ['a', 'b', 'c']].map(joinAnd)).toEqual(['', 'a', 'a, and b', 'a, b, and c'])
  expect([listFew(['a', 'b'], 2), listFew(['a', 'b', 'c'], 2)]).toEqual(['a, b', 'a, b and 1 more'])
  expect(listNames(['b', 'a', 'b'])).toBe('a and b')
  expect(listNames([...'fedcba'])).toBe('a, b, c, d, e and 1 more')
})
