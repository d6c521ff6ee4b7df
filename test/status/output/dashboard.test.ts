import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { makeMetrics } from '../../../src/status/output/metrics.ts'
import { watch } from '../../lab/fixtures/converged.ts'
import { folder, readDashboard, readDashboardFile, readProvisioning } from '../../lab/metrics/dashboard.ts'
import { breaksOfDashboard, breaksOfPanel } from '../../lab/metrics/grafana-schema.ts'
import { measure } from '../../lab/metrics/measures.ts'

const { panels, variables, queries } = readDashboard()

test("Grafana's schema takes the dashboard, and each of its panels", () => {
  expect(breaksOfDashboard(readDashboardFile())).toEqual([])
  const refused = panels.map((panel) => ({ panel: panel.title, issues: breaksOfPanel(panel) }))
  expect(refused.filter(({ issues }) => issues.length > 0)).toEqual([])
})

test.each([
  ['a field that Grafana does not know', '"refreshes":', '"refresh":'],
  ['a place without a width', '"width":', '"w":'],
  ['thresholds of another mode', '"mode": "relative"', '"mode": "absolute"']
])("Grafana's schema refuses %s", (_, wrong, right) => {
  const text = readFileSync(`${folder}/spanplan.json`, 'utf8')
  expect(text).toContain(right)
  expect(breaksOfDashboard(JSON.parse(text.replace(right, wrong)))).not.toEqual([])
})

test.each([
  ['a unit that Grafana does not have', '"unit": "fps"', '"unit": "short"'],
  ['a color mode of no stat', '"colorMode": "backdrop"', '"colorMode": "background"'],
  ['a legend that is neither a list nor a table', '"displayMode": "lines"', '"displayMode": "list"'],
  ['a mapping of another kind', '"type": "values"', '"type": "value"'],
  ['a cell of no table', '"type": "color-behind"', '"type": "color-background"'],
  ['a column that is as wide as a word', '"value": "wide"', '"value": 110'],
  ['a query without an expression', '"query": "', '"expr": "']
])("Grafana's schemas of panels refuse %s", (_, wrong, right) => {
  const replace = (one: unknown) => JSON.parse(JSON.stringify(one, null, 1).replace(right, wrong))
  const [first] = panels.filter((one) => JSON.stringify(one, null, 1).includes(right))
  expect(breaksOfPanel(replace(first))).not.toEqual([])
})

test('the first thing that it shows is a state and the frames a second of each sensor, the worst first', () => {
  const [first] = panels.toSorted((one, other) => one.gridPos.y - other.gridPos.y || one.gridPos.x - other.gridPos.x)
  expect(first).toMatchObject({ type: 'table', title: 'Does each sensor hear?', gridPos: { x: 0, y: 0, w: 24 } })
  expect(first).toMatchObject({ options: { sortBy: [{ displayName: 'state', desc: false }] } })
  expect(JSON.stringify(first)).toContain('"renameByName":{"Value #A":"state"')
})

test('each panel has its number and its place', () => {
  const ids = panels.map(({ id }) => id)
  expect(new Set(ids).size).toBe(ids.length)
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) => {
    expect(x + w).toBeLessThanOrEqual(24)
    return Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`)
  })
  expect(new Set(cells).size).toBe(cells.length)
  for (const panel of panels) {
    const letters = panel.type === 'row' ? [] : panel.targets.map(({ refId }) => refId)
    expect(new Set(letters).size).toBe(letters.length)
  }
})

test('a panel of several series says which is which', () => {
  const isNamed = ({ type, legendFormat }: (typeof queries)[number]) =>
    ['stat', 'table'].includes(type) ? legendFormat === '' : legendFormat !== ''
  expect(queries.filter((query) => !isNamed(query))).toEqual([])
})

test('it asks which data source and which host, and uses no variable that it does not have', () => {
  const names = variables.map(({ name }) => name)
  expect(names).toEqual(['datasource', 'job', 'instance', 'span'])
  const text = readFileSync(`${folder}/spanplan.json`, 'utf8')
  const used = [...text.matchAll(/\$\{?(\w+)/g)].map(([, name = '']) => name)
  expect(new Set(used)).toEqual(new Set([...names, '__all', '__range', '__rate_interval']))
  for (const { expr } of queries) expect(expr).toContain('instance=~"$instance"')
})

test('it uses metrics that exist', () => {
  const families = makeMetrics('0.1.0', watch, measure())
  const known = families.flatMap(({ name, type }) => (type === 'histogram' ? [`${name}_bucket`] : [name]))
  const used = new Set(queries.flatMap(({ expr }) => expr.match(/spanplan_\w+/g) ?? []))
  expect([...used].filter((name) => !known.includes(name))).toEqual([])
  expect(used.size).toBeGreaterThan(15)
})

test('it is provisioned with the Prometheus of the other example', () => {
  const { source, provider } = readProvisioning()
  const { global, scrape_configs } = parse(readFileSync('examples/prometheus/prometheus.yml', 'utf8'))
  expect(source.jsonData.timeInterval).toBe(global.scrape_interval)
  expect(scrape_configs).toHaveLength(1)
  expect(readFileSync(`${folder}/provisioning/dashboards/spanplan.yml`, 'utf8')).toContain(
    'spanplan.json goes into the folder below'
  )
  expect(provider.options.path).toBe('/var/lib/grafana/dashboards')
  expect(readdirSync(folder).toSorted()).toEqual(['provisioning', 'spanplan.json'])
})
