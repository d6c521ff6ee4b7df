/** README.md and the how-tos are true: every command is run, and every output compared. */
import { afterEach, describe, test } from 'vitest'
import { howtos } from '../documents/howtos.ts'
import { readme } from '../documents/readme.ts'
import { useReader } from '../documents/use-reader.ts'

const reader = useReader()
afterEach(() => reader().tidy())

describe.each(Object.entries({ ...readme, ...howtos }))('%s', (document, stories) => {
  test.each(Object.entries(stories))('%s', (heading, story) => reader().follow({ document, heading }, story))
})
