/** The tutorial and the troubleshooting are true: every command is run, and every output compared. */
import { beforeAll, describe, test } from 'vitest'
import { settleOnPage, troubleshooting } from './stories/troubleshooting.ts'
import { tutorial } from './stories/tutorial.ts'
import { useReader } from './stories/use-reader.ts'

const reader = useReader()

// Each story goes on where the one before has ended.
describe.each(Object.entries(tutorial))('%s', (document, stories) => {
  test.each(Object.entries(stories))('%s', (heading, story) => reader().follow({ document, heading }, story))
})

describe.each(Object.entries(troubleshooting))('%s', (document, stories) => {
  beforeAll(() => settleOnPage(reader()))
  test.each(Object.entries(stories))('%s', (heading, story) => reader().follow({ document, heading }, story))
})
