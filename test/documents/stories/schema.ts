/** The schema of spans.yaml that the project ships. */
import { readFileSync } from 'node:fs'
import * as z from 'zod'

export type Schema = Readonly<Record<string, unknown>>

export const isSchema = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export function readSchema(): Schema {
  return z.record(z.string(), z.unknown()).parse(JSON.parse(readFileSync('schemas/spans.schema.json', 'utf8')))
}
