/** Grafana's own rules for a dashboard. Debian 13 has no Grafana that could be asked. */
import { readFileSync } from 'node:fs'
import * as z from 'zod'
import type { Panel } from './dashboard.ts'

const definitions = z.record(z.string(), z.looseObject({}))

/** What test/fixtures/grafana/schema.json says of itself is where it is from. */
const {
  units,
  $comment: _,
  ...kinds
} = z
  .object({ $comment: z.string(), units: z.array(z.string()) })
  .catchall(definitions)
  .parse(JSON.parse(readFileSync('test/fixtures/grafana/schema.json', 'utf8')))

const rules = new Map<string, z.ZodType>()

/** A type of the schema of one of Grafana's kinds: of the dashboard, of a query, of a type of panel. */
function ruleOf(kind: string, type: string): z.ZodType {
  const known = rules.get(`${kind} ${type}`)
  if (known !== undefined) return known
  const ofKind = kinds[kind]
  if (ofKind?.[type] === undefined) throw new Error(`test/fixtures/grafana/schema.json has no ${type} of ${kind}`)
  const schema = { $schema: 'http://json-schema.org/draft-07/schema#', $ref: `#/definitions/${type}` }
  const rule = z.fromJSONSchema({ ...schema, definitions: ofKind } as Parameters<typeof z.fromJSONSchema>[0])
  rules.set(`${kind} ${type}`, rule)
  return rule
}

const breaksOf = (kind: string, type: string, value: unknown): readonly unknown[] =>
  ruleOf(kind, type).safeParse(value).error?.issues ?? []

/** What Grafana's schema does not take of the whole file: it leaves queries and options to their kinds. */
export const breaksOfDashboard = (file: unknown): readonly unknown[] => breaksOf('dashboard', 'Dashboard', file)

/** What the schemas of the panel's kind, and of Prometheus's queries, do not take of it. */
export function breaksOfPanel(panel: Panel): readonly unknown[] {
  if (panel.type === 'row') return []
  const { type, targets, options, fieldConfig } = panel
  const { defaults, overrides } = fieldConfig
  const own = Object.entries(defaults.custom).map(([id, value]) => ({ id: `custom.${id}`, value }))
  const settings = [{ id: 'unit', value: defaults.unit }, ...own, ...overrides.flatMap(({ properties }) => properties)]
  return [
    ...targets.flatMap((target) => breaksOf('prometheus', 'Dataquery', target)),
    ...breaksOf(type, 'Options', options),
    ...settings.flatMap((setting) => breaksOfSetting(type, setting))
  ]
}

/** Every kind of panel has the same settings of a field, and some of its own: `custom.`. */
function breaksOfSetting(kind: string, { id, value }: { readonly id: string; readonly value: unknown }) {
  if (id === 'unit' && !units.some((unit) => unit === value)) return [`Grafana has no unit ${value}`]
  const [, own] = /^custom\.(.*)$/.exec(id) ?? []
  return own === undefined
    ? breaksOf('dashboard', 'FieldConfig', { [id]: value })
    : breaksOf(kind, 'FieldConfig', { [own]: value })
}
