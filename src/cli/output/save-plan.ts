import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, lstatSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { messageOf, SpanplanError } from '../../errors.ts'
import { isTrustedUser } from '../../host/file-permissions.ts'
import { type PlanDocument, type SavedSelection, savedDocument } from '../../plan/output/json.ts'
import { printable, printableJson } from '../../printable.ts'

/**
 * Saves a plan to a file atomically, for its owner alone.
 *
 * @throws SpanplanError FILE_UNWRITABLE.
 */
export function savePlan(path: string, document: PlanDocument, selection: SavedSelection): void {
  const text = `${printableJson(savedDocument(document, selection), 2)}\n`
  const draft = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`)
  try {
    // Renaming over a device or a link would replace the device or the link itself.
    const existing = lstatSync(path, { throwIfNoEntry: false })
    if (existing?.isFile() === false) throw new Error('it is there, and no file')
    if (existing !== undefined && !isTrustedUser(existing.uid))
      throw new Error(`it belongs to another user (uid ${existing.uid})`)
    writeDraft(draft, text)
    renameSync(draft, path)
  } catch (error) {
    rmSync(draft, { force: true })
    throw new SpanplanError({
      code: 'FILE_UNWRITABLE',
      message: `the plan cannot be written to ${printable(path)}: ${printable(messageOf(error))}`,
      hint: 'name another file with --out'
    })
  }
}

function writeDraft(path: string, text: string): void {
  const file = openSync(path, 'wx', 0o600)
  try {
    const bytes = Buffer.from(text)
    for (let offset = 0; offset < bytes.length; ) offset += writeSync(file, bytes, offset)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
