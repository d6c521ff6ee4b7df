/** `npm run docs`: writes what is generated, and removes man pages of commands that are gone. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { writePages } from './pages.ts'

const pages = writePages()
for (const folder of ['docs/reference', 'man']) mkdirSync(folder, { recursive: true })
for (const path of readdirSync('man').map((name) => join('man', name))) {
  if (!pages.has(path)) rmSync(path)
}
for (const [path, page] of pages) writeFileSync(path, page)
