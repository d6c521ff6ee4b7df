/** The tutorial and the troubleshooting are true: every command is run, and every output compared. */
import { afterAll, beforeAll, describe, test } from 'vitest'
import { describedLab } from './documents/document.ts'
import { Reader } from './documents/reader.ts'
import { settleOnPage, troubleshooting } from './documents/troubleshooting.ts'
import { tutorial } from './documents/tutorial.ts'
import { createLab, type Lab } from './lab.ts'

let lab: Lab
let reader: Reader

beforeAll(async () => {
  lab = await createLab(describedLab)
  reader = new Reader(lab)
  await reader.settle()
})
afterAll(() => lab?.close())

// Each story goes on where the one before has ended.
describe.each(Object.entries(tutorial))('%s', (document, stories) => {
  test.each(Object.entries(stories))('%s', (heading, story) => reader.follow({ document, heading }, story))
})

describe.each(Object.entries(troubleshooting))('%s', (document, stories) => {
  beforeAll(() => settleOnPage(reader))
  test.each(Object.entries(stories))('%s', (heading, story) => reader.follow({ document, heading }, story))
})
