import { resolve } from 'node:path'
import { digestText, type PlanDocument } from '../../plan/output/plan-json.ts'
import { savedDocument } from '../../plan/output/saved-plan.ts'
import type { Target } from '../../plan/target.ts'
import { printableJson } from '../../printable.ts'
import type { SourceFile } from '../../spec/spec.ts'
import type { SpecSelection } from '../input/load-target.ts'
import { choosePaths } from '../input/spec-files.ts'
import { fileUnwritable, saveFile } from './output-file.ts'

/**
 * Saves a plan to a file for `openSavedPlan()`, with what it takes to read its files again.
 *
 * @param target that the plan was made for.
 * @param read the files that the plan was made from.
 * @throws SpanplanError FILE_UNWRITABLE.
 */
export function savePlan(
  path: string,
  document: PlanDocument,
  options: SpecSelection,
  { subnetSeed }: Pick<Target, 'subnetSeed'>,
  read: readonly SourceFile[]
): void {
  const selection = {
    files: choosePaths(options.file).map((file) => resolve(file.path)),
    digests: digestFiles(read),
    spans: options.span.length > 0 ? [...options.span] : null,
    prune: options.prune,
    adopt: options.adopt,
    recreate: options.recreate,
    defer_docker: options.deferDocker,
    subnet_seed: subnetSeed
  }
  try {
    saveFile(path, `${printableJson(savedDocument(document, selection), 2)}\n`)
  } catch (error) {
    throw fileUnwritable('the plan', path, error, '--out')
  }
}

/** The digest of each file's bytes, by its absolute path. */
export function digestFiles(files: readonly SourceFile[]): Record<string, string> {
  return Object.fromEntries(files.map(({ path, bytes }) => [resolve(path), digestText(bytes)]))
}
