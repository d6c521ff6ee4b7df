import { expect, test } from 'vitest'
import { breakWord, padTo, widthOf, wrap } from '../../../src/text-lines.ts'

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
