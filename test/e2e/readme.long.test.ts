/** README.md is true: every command is run, and every output compared. */

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createLab, type Lab } from './lab.ts'
import { blocks, describedLab, runnable } from './readme/document.ts'
import { Reader } from './readme/reader.ts'
import { stories } from './readme/stories.ts'

test('no block of commands is without a test', () => {
  const headings = blocks.filter(({ language }) => language !== 'yaml').map(({ heading }) => heading)
  expect([...new Set(headings)]).toEqual(Object.keys(stories))
  expect(blocks.filter(({ language }) => ![...runnable, 'yaml'].includes(language))).toEqual([])
})

describe('what README.md says to do', () => {
  let lab: Lab
  let reader: Reader

  beforeAll(async () => {
    lab = await createLab(describedLab)
    reader = new Reader(lab)
    await reader.settle()
  })
  afterEach(() => reader.tidy())
  afterAll(() => lab?.close())

  test.each(Object.entries(stories))('%s', async (_, story) => story(reader))
})
