/** What no name, label or path may bring about. */
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { unprintable } from './fixtures/unprintable.ts'
import type { Lab, Outcome } from './lab.ts'

/** The file that a shell would make of `$(id>pwn)`. */
export const MARKER = 'pwn'

/** Where commands run: spanplan's own folder, that of the programs it calls, that of the lab's commands. */
export async function expectNoMarker(lab: Lab): Promise<void> {
  const entries = await readdir(lab.files, { recursive: true })
  expect(entries.filter((entry) => entry.split('/').at(-1) === MARKER)).toEqual([])
  for (const folder of ['/', process.cwd()]) expect(existsSync(join(folder, MARKER))).toBe(false)
}

/** Nothing but text and line ends; with `colours`, also the sequences that set them. */
export function expectClean({ stdout, stderr }: Outcome, { colours = false } = {}): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is how colours begin.
  const text = colours ? `${stdout}${stderr}`.replace(/\u001b\[\d{1,2}m/g, '') : `${stdout}${stderr}`
  expect(text.split('\n').filter((line) => unprintable.test(line))).toEqual([])
}
