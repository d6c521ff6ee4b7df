/** What the doctor finds in a lab, and its commands, pasted into a shell there. */
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import * as z from 'zod'
import type { Lab, SpanplanOptions } from '../lab.ts'
import { projectRoot } from '../programs.ts'
import { spanplan } from '../spans.ts'

const documentSchema = z.object({
  type: z.literal('doctor'),
  checks: z.array(
    z.object({
      id: z.string(),
      result: z.enum(['ok', 'warning', 'problem', 'unknown']),
      message: z.string(),
      command: z.string().nullable()
    })
  )
})

type Finding = z.infer<typeof documentSchema>['checks'][number]

/** What the doctor finds. Its exit status has to fit, and the lab has to stay as it is. */
export async function examine(
  lab: Lab,
  args: readonly string[] = [],
  options: SpanplanOptions = {}
): Promise<readonly Finding[]> {
  const { stdout, exitCode, stderr } = await lab.spanplan(['doctor', '--json', ...args], options)
  expect(stderr).toBe('')
  const { checks } = documentSchema.parse(JSON.parse(stdout))
  expect(exitCode).toBe(checks.some(({ result }) => result === 'problem') ? 2 : 0)
  return checks
}

/** The findings of one check, of one result. */
export function findingsOf(findings: readonly Finding[], id: string, result: Finding['result']): Finding[] {
  return findings.filter((finding) => finding.id === id && finding.result === result)
}

/** A command that pastes a line into a shell of the lab's host, in the folder of the lab's files. */
export function pasting(lab: Lab, line: string, how = 'eval "$0"'): readonly [string, ...string[]] {
  return ['sh', '-c', `cd '${lab.files}' && export PATH="${binFolder(lab)}:$PATH" && ${how}`, line]
}

/** The same in a terminal, where somebody says yes to each question. */
export function pastingAtTerminal(lab: Lab, line: string): readonly [string, ...string[]] {
  return pasting(lab, line, 'echo y | SHELL=/bin/sh script -qec "$0" /dev/null')
}

/** A folder that is first in the PATH of what is pasted. */
export const binFolder = (lab: Lab) => join(lab.files, 'bin')

/** Puts a program there. */
export async function writeProgramFile(lab: Lab, name: string, script: string): Promise<void> {
  await mkdir(binFolder(lab), { recursive: true })
  const file = join(binFolder(lab), name)
  await writeFile(file, `#!/bin/sh\n${script}\n`)
  await chmod(file, 0o755)
}

/** A host on which nothing is wrong: one span, with one sensor. */
export async function makeHealthy(lab: Lab, text: string): Promise<void> {
  await writeProgramFile(lab, 'spanplan', `exec '${process.execPath}' '${join(projectRoot, 'bin/spanplan.js')}' "$@"`)
  await writeFile(join(lab.files, 'spans.yaml'), text)
  await spanplan(lab, ['apply'])
}
