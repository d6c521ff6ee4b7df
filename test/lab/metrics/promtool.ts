import { execa } from 'execa'
import { expect } from 'vitest'
import { findProgram } from '../programs.ts'

/** Prometheus' own parser and linter take it, without a word against it. */
export async function expectMetrics(text: string): Promise<void> {
  const { exitCode, stdout, stderr } = await execa(findProgram('promtool'), ['check', 'metrics'], {
    input: text,
    reject: false
  })
  expect({ exitCode, stdout, stderr }, text).toEqual({ exitCode: 0, stdout: '', stderr: '' })
}
