import { readFileSync } from 'node:fs'
import { execa } from 'execa'
import { expect, test } from 'vitest'
import { makeMetrics } from '../../../src/status/output/metrics.ts'
import { watch } from '../../lab/fixtures/converged.ts'
import { measure } from '../../lab/metrics/measures.ts'
import { findProgram } from '../../lab/programs.ts'

const folder = 'examples/prometheus'

async function promtool(...argv: string[]): Promise<void> {
  const { exitCode, all } = await execa(findProgram('promtool'), argv, { all: true, reject: false })
  expect(exitCode, all).toBe(0)
}

test('Prometheus takes the example, with its rules', async () => {
  await promtool('check', 'config', '--lint-fatal', `${folder}/prometheus.yml`)
  await promtool('check', 'rules', '--lint-fatal', `${folder}/spanplan.rules.yml`)
})

test('each alert fires on what it is for, and on nothing else', async () => {
  await promtool('test', 'rules', 'test/fixtures/prometheus/alerts.yml')
})

test('they use metrics that exist', () => {
  const rules = readFileSync(`${folder}/spanplan.rules.yml`, 'utf8')
  const used = new Set(rules.match(/spanplan_\w+/g))
  const known = makeMetrics('0.1.0', watch, measure()).map(({ name }) => name)
  expect(used.size).toBeGreaterThan(3)
  expect([...used].filter((name) => !known.includes(name))).toEqual([])
})
