import { afterAll, beforeAll } from 'vitest'
import { createLab, type Lab } from '../../lab/lab.ts'
import { describedLab } from './document.ts'
import { Reader } from './reader.ts'

/** A reader with a lab, for all tests of a file; both are there once the first test begins. */
export function useReader(): () => Reader {
  let lab: Lab | undefined
  let reader: Reader
  beforeAll(async () => {
    lab = await createLab(describedLab)
    reader = new Reader(lab)
    await reader.settle()
  })
  afterAll(() => lab?.close())
  return () => reader
}
