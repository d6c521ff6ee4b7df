/** The dashboard of examples/grafana: a real Prometheus scrapes a real watch, and each query of the dashboard returns data. */
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import * as z from 'zod'
import { startWatch } from '../lab/commands/watch.ts'
import { BROADCAST, ether, filler } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { readDashboard, readProvisioning } from '../lab/metrics/dashboard.ts'
import { getPage, listenHere } from '../lab/metrics/scrape.ts'
import { findProgram } from '../lab/programs.ts'
import { spanplan, until, writeSpans } from '../lab/spans.ts'

const { variables, queries, stateNames } = readDashboard()
const { url } = readProvisioning().source

const source = 'sources: [{interface: ens192, direction: ingress}]'
/** The second span has a problem: one of its sensors is not there. */
const file = `spans:
  span0: {${source}, mtu: 1500, sensors: [suricata]}
  span1: {${source}, sensors: [zeek]}
`

const frame = (size: number) => ether(BROADCAST, '02:00:00:00:0a:01', filler(size))
/** Every tenth is too large for the first span. */
const frames = Array.from({ length: 100 }, (_, index) => frame(index % 10 === 0 ? 3000 : 100))

const answer = z.object({ status: z.literal('success'), data: z.unknown() })
const instant = z.object({
  result: z.array(z.object({ metric: z.record(z.string(), z.string()), value: z.tuple([z.number(), z.string()]) }))
})
const series = z.array(z.record(z.string(), z.string()))

let lab: Lab

beforeAll(async () => {
  lab = await createLab({ docker: true })
  await lab.startListener('suricata')
  await writeSpans(lab, file)
})
afterAll(() => lab?.close())

/** What Prometheus answers. */
async function ask(path: string, parameters: Readonly<Record<string, string>>): Promise<unknown> {
  const { body } = await getPage(lab, `/api/v1/${path}?${new URLSearchParams(parameters)}`, url)
  return answer.parse(JSON.parse(body)).data
}

/** A Prometheus with the example's settings, which scrapes more often. */
async function startPrometheus() {
  const folder = await mkdtemp(join(lab.files, 'prometheus-'))
  const settings = parse(await readFile('examples/prometheus/prometheus.yml', 'utf8'))
  await writeFile(
    join(folder, 'prometheus.yml'),
    stringify({ ...settings, global: { scrape_interval: '500ms', scrape_timeout: '500ms' } })
  )
  await writeFile(join(folder, 'spanplan.rules.yml'), await readFile('examples/prometheus/spanplan.rules.yml'))
  const prometheus = lab.start([
    findProgram('prometheus'),
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=${new URL(url).host}`
  ])
  let said = ''
  prometheus.stderr.on('data', (chunk) => {
    said += chunk
  })
  const stop = async () => {
    prometheus.kill('SIGKILL')
    await prometheus.catch(() => undefined)
  }
  return {
    async untilReady(): Promise<void> {
      const isReady = async () => (await getPage(lab, '/-/ready', url).catch(() => null))?.status === 200
      await until('Prometheus is ready', isReady).catch((error: Error) => {
        throw new Error(`${error.message}:\n${said}`)
      })
    },
    [Symbol.asyncDispose]: stop
  }
}

/** The variables of Grafana's own, for a Prometheus that scrapes twice a second. */
const own = { __range: '1m', __rate_interval: '4s' }

/** With each variable replaced as Grafana replaces it where all values are chosen; a silence is one after 4 seconds, not 2 minutes. */
function fillIn(expression: string, values: Readonly<Record<string, string>>): string {
  return expression
    .replace(/\$(\w+)/g, (whole, name: string) => ({ ...own, ...values })[name] ?? whole)
    .replaceAll('[2m]', `[${own.__rate_interval}]`)
}

/** The values that a variable offers, for a regular expression. */
async function listValues(query: string): Promise<string> {
  const [, selector = '', label = ''] = /^label_values\((.*), (\w+)\)$/.exec(query) ?? []
  const found = series.parse(await ask('series', { 'match[]': selector })).flatMap((labels) => labels[label] ?? [])
  return [...new Set(found)].sort().join('|')
}

/** The series with a number, and their labels. */
async function evaluate(expression: string) {
  const { result } = instant.parse(await ask('query', { query: expression }))
  return result
    .map(({ metric, value: [, text] }) => ({ metric, value: Number(text) }))
    .filter(({ value }) => Number.isFinite(value))
}

/** What the first panel calls each sensor, and the frames a second that it shows beside it. */
async function readSensors(values: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  const [state, frames] = queries.filter(({ title }) => title === 'Does each sensor hear?')
  const found = await evaluate(fillIn(state?.expr ?? '', values))
  const rates = await evaluate(fillIn(frames?.expr ?? '', values))
  return Object.fromEntries(
    found.map(({ metric: { sensor = '', span }, value }) => {
      const rate = rates.find(({ metric }) => metric.sensor === sensor && metric.span === span)?.value
      const some = rate === undefined ? 'no port' : rate > 0 ? 'frames' : 'no frames'
      return [`${sensor} of ${span}`, `${stateNames[value]}, ${some}`]
    })
  )
}

/** Queries of which 0 is an answer here, too. */
const zeroIsRight = /_degraded|max by \(instance, span, sensor, reason\)|_idle_seconds|_sensor_sockets|time\(\)/

test('each query of the dashboard returns data from a watch under traffic', async () => {
  await using _watch = await startWatch(lab, [...listenHere, '--interval', '1s'])
  await using prometheus = await startPrometheus()
  await prometheus.untilReady()

  const values: Record<string, string> = {}
  const asked = variables.flatMap((one) => (one.type === 'query' ? [one] : []))
  await until('the watch is scraped', async () => {
    for (const { name, query } of asked) values[name] = await listValues(fillIn(query.query, values))
    return values.span !== ''
  })
  expect(values).toEqual({ job: 'spanplan', instance: '127.0.0.1:9477', span: 'span0|span1' })

  await spanplan(lab, ['pause', 'span1', '--for', '10m'])
  await lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress'])
  let missing = queries.map((query) => ({ ...query, found: [] as Awaited<ReturnType<typeof evaluate>> }))
  await until('each query has returned data', async () => {
    await lab.send(frames)
    const left: typeof missing = []
    for (const query of missing) {
      const found = await evaluate(fillIn(query.expr, values))
      const isCounted = zeroIsRight.test(query.expr) || found.some(({ value }) => value > 0)
      const labels = [...query.legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label)
      const isNamed = labels.every((label) => found.some(({ metric }) => metric[label] !== undefined))
      if (found.length === 0 || !isCounted || !isNamed) left.push({ ...query, found })
    }
    missing = left
    return left.length === 0
  }).catch((error: Error) => {
    throw new Error([error.message, ...missing.map((query) => JSON.stringify(query))].join('\n'))
  })
})

test('its first panel says of each sensor whether it hears, is silent or is dead', async () => {
  await using _watch = await startWatch(lab, [...listenHere, '--interval', '1s'])
  await using prometheus = await startPrometheus()
  await prometheus.untilReady()
  const values = { job: '.*', instance: '.*', span: '.*' }
  const untilThey = (are: Readonly<Record<string, string>>, meanwhile: () => Promise<unknown>) => {
    let seen: Record<string, string> = {}
    return until('the panel says so', async () => {
      await meanwhile()
      seen = await readSensors(values)
      return JSON.stringify(Object.entries(seen).sort()) === JSON.stringify(Object.entries(are).sort())
    }).catch((error: Error) => {
      throw new Error(`${error.message}: ${JSON.stringify(seen)}`)
    })
  }
  const zeek = { 'zeek of span1': 'dead, no port' }
  await untilThey({ 'suricata of span0': 'hears, frames', ...zeek }, () => lab.send(frames))
  await untilThey({ 'suricata of span0': 'silent, no frames', ...zeek }, async () => undefined)
  await lab.docker.getContainer('suricata').stop({ t: 0 })
  await untilThey({ 'suricata of span0': 'dead, no port', ...zeek }, async () => undefined)
})
