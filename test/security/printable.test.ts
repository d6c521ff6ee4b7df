import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hasControls, printable, printableJson, quote } from '../../src/printable.ts'
import { unprintable } from '../lab/fixtures/unprintable.ts'

test.each([
  ['plain', 'span0 · Übung 日本 😀', 'span0 · Übung 日本 😀'],
  ['an escape sequence', '\u001b[31mred', '\\u001b[31mred'],
  ['line ends', 'a\r\nb\u2028c\u0085', 'a\\u000d\\u000ab\\u2028c\\u0085'],
  ['a direction that is turned round', '\u202eevil', '\\u202eevil'],
  ['what cannot be seen', 'a\u200bb\ufeff', 'a\\u200bb\\ufeff'],
  ['half a surrogate pair', 'a\ud800', 'a\\ud800'],
  ['a byte of C1', '\u009b31m', '\\u009b31m']
])('%s', (_, text, shown) => expect(printable(text)).toBe(shown))

test('whatever it is, it stays in its line, and is left alone the second time', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const shown = printable(text)
      expect(shown).not.toMatch(unprintable)
      expect(printable(shown)).toBe(shown)
    })
  )
})

test.each([
  ['joiners', 'می\u200cخواهم 👩\u200d💻', false],
  ['an escape', '\u001b', true],
  ['a direction that is turned round', '\u202e', true],
  ['a line end', 'a\nb', true],
  ['a tab, which is allowed', 'a\tb', false]
])('control characters: %s', (_, text, expected) => expect(hasControls(text, '\t')).toBe(expected))

test.each([
  ['two\nlines\tand an \u001b', '"two lines and an \\u001b"'],
  [`${'a'.repeat(59)}😀b`, `"${'a'.repeat(59)}…"`]
])('a value in a message', (text, shown) => expect(quote(text)).toBe(shown))

test('JSON that a terminal may be shown, and that says the same', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const shown = printableJson({ [text]: [text, '\u{e0001}\u009b\u202e'] })
      expect(shown).not.toMatch(unprintable)
      expect(JSON.parse(shown)).toEqual({ [text]: [text, '\u{e0001}\u009b\u202e'] })
    })
  )
})
