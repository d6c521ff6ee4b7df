import { expect, test } from 'vitest'
import { messages as codes } from '../../src/codes/explained-codes.ts'
import { readTexts } from './read-texts.ts'

const indent = (text: string) => `  ${text.trimEnd().replaceAll('\n', '\n  ')}`

test('every message with its hint, and every other text, as they are committed in one file', async () => {
  const files = readTexts()
  const messages = files.flatMap((file) => file.messages)
  const codes = [...new Set(messages.map(({ code }) => code))].sort()
  const byCode = codes.map((code) => {
    const texts = messages
      .filter((message) => message.code === code)
      .map(({ message, hint }) => indent(hint === null ? message : `${message}\n  → ${hint}`))
    return [code, ...new Set(texts)].join('\n')
  })
  const byFile = files
    .filter(({ others }) => others.length > 0)
    .map(({ file, others }) => [file, ...new Set(others.map(indent))].join('\n'))
  await expect(`${[...byCode, ...byFile].join('\n\n')}\n`).toMatchFileSnapshot('../fixtures/messages.txt')
})

test('a text that holds for every engine names the command of each', () => {
  const texts = codes.flatMap(({ means, todo }) => [means, todo])
  const alone = texts.filter((text) =>
    [...text.matchAll(/(?<![-\w])docker ([a-z]+)/g)].some(([, command]) => !text.includes(`podman ${command}`))
  )
  expect(alone).toEqual([])
})
