/** The Grafana dashboard of examples/grafana, as this project writes one: what is left open here, Grafana's schema says. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import * as z from 'zod'

export const folder = 'examples/grafana'

/** A data source is named by a variable alone: its uid is another on each Grafana. */
const datasource = z.strictObject({ type: z.literal('prometheus'), uid: z.literal('$' + '{datasource}') })

const text = z.string().min(1)

const target = z.strictObject({
  refId: z.string().regex(/^[A-Z]$/),
  datasource,
  expr: text,
  legendFormat: z.string(),
  instant: z.boolean().optional(),
  range: z.boolean(),
  format: z.literal('table').optional()
})

const gridPos = z.strictObject({
  x: z.int().min(0).max(23),
  y: z.int().min(0),
  w: z.int().min(1).max(24),
  h: z.int().min(1)
})

/** Base, then rising. */
const thresholds = z.strictObject({
  mode: z.literal('absolute'),
  steps: z
    .array(z.strictObject({ color: text, value: z.number().nullable() }))
    .min(1)
    .refine((steps) => steps.every(({ value }, index) => (index === 0) === (value === null)))
})

/** By its name as shown: where a column is renamed, by the new one. */
const columnNamed = z.strictObject({ id: z.literal('byName'), options: text })

const setting = z.strictObject({ id: text, value: z.unknown() })

const panel = z.strictObject({
  ...{
    id: z.int().positive(),
    title: text,
    description: text,
    datasource,
    gridPos,
    transparent: z.boolean().optional()
  },
  type: z.enum(['stat', 'timeseries', 'state-timeline', 'table']),
  targets: z.array(target).min(1),
  fieldConfig: z.strictObject({
    defaults: z.looseObject({
      thresholds,
      mappings: z.array(z.strictObject({ type: z.literal('value'), options: z.looseObject({}) })),
      unit: text,
      color: z.strictObject({ mode: z.enum(['thresholds', 'palette-classic']) }),
      custom: z.looseObject({}).default({})
    }),
    overrides: z.array(z.strictObject({ matcher: columnNamed, properties: z.array(setting) }))
  }),
  options: z.looseObject({}),
  transformations: z.array(z.strictObject({ id: text, options: z.looseObject({}) })).optional()
})

const row = z.strictObject({
  id: z.int().positive(),
  type: z.literal('row'),
  title: text,
  gridPos,
  collapsed: z.literal(false),
  panels: z.array(z.never())
})

const choice = { name: text, label: text, hide: z.literal(0), regex: z.string(), options: z.array(z.never()) }

const variable = z.discriminatedUnion('type', [
  z.strictObject({
    ...choice,
    type: z.literal('datasource'),
    query: z.literal('prometheus'),
    refresh: z.literal(1),
    multi: z.literal(false),
    includeAll: z.literal(false)
  }),
  z.strictObject({
    ...choice,
    type: z.literal('query'),
    datasource,
    query: z.strictObject({ query: text, refId: text }),
    refresh: z.literal(2),
    sort: z.int(),
    multi: z.literal(true),
    includeAll: z.literal(true),
    current: z.strictObject({ text: z.array(text), value: z.array(text) })
  })
])

const dashboard = z.strictObject({
  uid: z.string().regex(/^[\w-]{1,40}$/),
  title: text,
  description: text,
  tags: z.array(text),
  schemaVersion: z.int().min(36),
  version: z.int(),
  editable: z.boolean(),
  graphTooltip: z.int().max(2),
  refresh: text,
  timezone: text,
  timepicker: z.strictObject({}),
  links: z.array(z.never()),
  time: z.strictObject({ from: text, to: text }),
  annotations: z.strictObject({ list: z.array(z.never()) }),
  templating: z.strictObject({ list: z.array(variable) }),
  panels: z.array(z.union([panel, row]))
})

const source = z.strictObject({
  apiVersion: z.literal(1),
  datasources: z.tuple([
    z.strictObject({
      name: text,
      type: z.literal('prometheus'),
      access: z.literal('proxy'),
      url: z.url(),
      jsonData: z.strictObject({ timeInterval: text })
    })
  ])
})

const provider = z.strictObject({
  apiVersion: z.literal(1),
  providers: z.tuple([
    z.strictObject({
      name: text,
      folder: text,
      type: z.literal('file'),
      options: z.strictObject({ path: z.string().startsWith('/') })
    })
  ])
})

const readExample = (name: string) => readFileSync(join(folder, name), 'utf8')

/** The file's text, parsed and no more. */
export const readDashboardFile = (): unknown => JSON.parse(readExample('spanplan.json'))

export type Panel = z.infer<typeof panel> | z.infer<typeof row>

/** @throws ZodError where it is not as this project writes one. */
export function readDashboard() {
  const { panels, templating, ...rest } = dashboard.parse(readDashboardFile())
  return {
    ...rest,
    panels,
    variables: templating.list,
    stateNames: panels.flatMap(readStateNames),
    queries: panels.flatMap((one) =>
      one.type === 'row' ? [] : one.targets.map((target) => ({ ...target, title: one.title, type: one.type }))
    )
  }
}

const namedValues = z.array(z.object({ options: z.record(z.string(), z.object({ text })) })).length(1)

/** What a table calls each number of its column `state`, by the number. */
function readStateNames(one: Panel): string[] {
  const overrides = one.type === 'row' ? [] : one.fieldConfig.overrides
  const settings = overrides.filter(({ matcher }) => matcher.options === 'state').flatMap((each) => each.properties)
  const [names] = settings.flatMap(({ id, value }) => (id === 'mappings' ? namedValues.parse(value) : []))
  return Object.values(names?.options ?? {}).map((name) => name.text)
}

/** The files with which Grafana provisions the data source and the dashboard. */
export function readProvisioning() {
  return {
    source: source.parse(parse(readExample('provisioning/datasources/spanplan.yml'))).datasources[0],
    provider: provider.parse(parse(readExample('provisioning/dashboards/spanplan.yml'))).providers[0]
  }
}
