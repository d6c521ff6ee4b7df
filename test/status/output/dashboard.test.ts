import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { makeMetrics } from '../../../src/status/output/metrics.ts'
import { watch } from '../../lab/fixtures/converged.ts'
import { folder, readDashboard, readProvisioning } from '../../lab/metrics/dashboard.ts'
import { measure } from '../../lab/metrics/measures.ts'

const { panels, variables, queries } = readDashboard()

test('Grafana takes the dashboard: each panel has its number and its place', () => {
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
