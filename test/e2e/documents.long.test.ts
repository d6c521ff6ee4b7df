/** README.md and the how-tos are true: every command is run, and every output compared. */
import { afterAll, afterEach, beforeAll, describe, test } from 'vitest'
import { describedLab } from './documents/document.ts'
import { howtos } from './documents/howtos.ts'
import { Reader } from './documents/reader.ts'
import { readme } from './documents/readme.ts'
import { createLab, type Lab } from './lab.ts'

let lab: Lab
let reader: Reader

beforeAll(async () => {
  lab = await createLab(describedLab)
  reader = new Reader(lab)
  await reader.settle()
})
afterEach(() => reader.tidy())
afterAll(() => lab?.close())

describe.each(Object.entries({ ...readme, ...howtos }))('%s', (document, stories) => {
  test.each(Object.entries(stories))('%s', (heading, story) => reader.follow({ document, heading }, story))
})
