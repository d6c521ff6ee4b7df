/** README.md and the how-tos are true: every command is run, and every output compared. */
import { afterEach, describe, test } from 'vitest'
import { howtos } from './stories/howtos.ts'
import { readme } from './stories/readme.ts'
import { useReader } from './stories/use-reader.ts'

const reader = useReader()
afterEach(() => reader().tidy())

describe.each(Object.entries({ ...readme, ...howtos }))('%s', (document, stories) => {
  test.each(Object.entries(stories))('%s', (heading, story) => reader().follow({ document, heading }, story))
})
