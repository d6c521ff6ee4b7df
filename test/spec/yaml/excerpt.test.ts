import { expect, test } from 'vitest'
import { excerpt } from '../../../src/spec/yaml/excerpt.ts'

const show = (text: string, line: number, column: number) => excerpt(text, { file: 'spans.yaml', line, column })

test('the line, and a caret under the column', () => {
  expect(show('spans:\n  span0:\n    sorces:\n', 3, 5)).toBe('   3 |     sorces:\n     |     ^')
})

test('Windows line ends, and the end of the file', () => {
  expect(show('a: 1\r\nb: 2\r\n', 2, 1)).toBe('   2 | b: 2\n     | ^')
  expect(show('a: 1\n', 2, 1)).toBe('   2 |\n     | ^')
  expect(show('a: 1\n', 9, 1)).toBe('   9 |\n     | ^')
})

test('a column behind the end of the line', () => {
  expect(show('a:', 1, 3)).toBe('   1 | a:\n     |   ^')
})

test('long line numbers', () => {
  expect(show(`${'\n'.repeat(12344)}a: 1`, 12345, 4)).toBe('12345 | a: 1\n      |    ^')
})

test('tabs take the place that they are shown with', () => {
  expect(show('\t\ta', 1, 3)).toBe('   1 |         a\n     |         ^')
})

test('wide and combining characters', () => {
  expect(show('日本: x', 1, 5)).toBe('   1 | 日本: x\n     |       ^')
  expect(show('😀: x', 1, 5)).toBe('   1 | 😀: x\n     |     ^')
  expect(show('e\u0301: x', 1, 5)).toBe('   1 | e\u0301: x\n     |    ^')
})

test('nothing that a terminal would act on', () => {
  expect(show('a\u001b[31m\u0007\u007f\u0085\u202e\ufeff: x', 1, 12)).toBe(
    '   1 | a␛[31m␇␡\uFFFD\uFFFD\uFFFD: x\n     |            ^'
  )
  expect(show('a\rb', 1, 3)).toBe('   1 | a␍b\n     |   ^')
})

test('a long line is cut around the column', () => {
  const line = `${'a'.repeat(500)}!${'b'.repeat(500)}`
  expect(show(line, 1, 501)).toBe(`   1 | …${'a'.repeat(50)}!${'b'.repeat(49)}…\n     | ${' '.repeat(51)}^`)
  expect(show(line, 1, 1)).toBe(`   1 | ${'a'.repeat(100)}…\n     | ^`)
  expect(show(line, 1, 1002)).toBe(`   1 | …${'b'.repeat(100)}\n     | ${' '.repeat(101)}^`)
})
