/**
 * A case of test/fixtures/plan: what is in its folder, read.
 *
 * | file | |
 * |---|---|
 * | spans.yaml, host.json | the file, and the host as apply finds it |
 * | target.json | what is asked for, if not the file alone |
 * | after.json | the host as an apply left it, at its end or where it was interrupted |
 * | plan.txt | errors, or warnings and the plan |
 * | commands.txt | the plan's commands, in their order |
 * | return.txt | what a rollback from after.json would do, as a message names it, and its commands |
 */

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Snapshot } from '../../../src/host/snapshot.ts'
import { makeDestroyTarget, makeTarget, type Target } from '../../../src/plan/target.ts'
import { loadSpec } from '../../../src/spec/load.ts'
import { everySpan } from '../../../src/spec/scope.ts'
import type { SourceFile } from '../../../src/spec/spec.ts'
import { type CapturedHost, readHostFile } from './host-file.ts'

export const casesFolder = fileURLToPath(new URL('../../fixtures/plan/', import.meta.url))

interface TargetFile {
  /** Everything of this name goes (null: of every name), of these spans (null: of all). */
  readonly destroy?: { readonly name: string | null; readonly spans: readonly string[] | null }
  /** As with --adopt. */
  readonly adopt?: boolean
  /** As with --no-recreate, and for a watch. */
  readonly recreate?: boolean
  /** What is missing is waited for, and these interfaces are going down. */
  readonly patient?: { readonly goingDown: readonly string[] }
}

/** The case's spans.yaml, as an error quotes it. */
export function readFiles(path: string): SourceFile[] {
  return [{ path: 'spans.yaml', bytes: readFileSync(join(path, 'spans.yaml')) }]
}

export function readSnapshot(path: string, file: 'host.json' | 'after.json'): CapturedHost {
  return readHostFile(readFileSync(join(path, file), 'utf8'))
}

/**
 * What is asked for in a case.
 *
 * @throws SpanplanError if its spans.yaml is wrong.
 */
export function readTarget(path: string, links: Snapshot['links']): Target {
  const targetFile = join(path, 'target.json')
  // The fixtures are ours, and a wrong one shows in its plan.
  const { destroy, adopt, recreate, patient } = (
    existsSync(targetFile) ? JSON.parse(readFileSync(targetFile, 'utf8')) : {}
  ) as TargetFile
  if (destroy === undefined) {
    const spec = loadSpec(readFiles(path))
    const scope = { name: spec.name, spans: everySpan }
    const going = links.filter(({ name }) => patient?.goingDown.includes(name))
    const goingDown = going.map(({ index }) => ({ index, since: 0, settled: false }))
    const how = { adopt: adopt ?? false, recreate: recreate ?? true, patient: patient !== undefined }
    return makeTarget(spec, { scope, deferDocker: false, subnetSeed: 'subnet', ...how, goingDown })
  }
  const spans = destroy.spans ? { only: new Set(destroy.spans) } : everySpan
  return makeDestroyTarget(destroy.name, { scope: { name: destroy.name, spans }, deferDocker: false })
}
