/** What a watch in a lab serves over HTTP, and its metrics by name and labels. */
import { isDeepStrictEqual } from 'node:util'
import type { Lab } from './lab.ts'

interface Answer {
  readonly status: number
  readonly type: string | null
  readonly body: string
}

type Labels = Readonly<Record<string, string>>

/** The metrics of one scrape. */
export interface Scrape {
  readonly text: string
  /** The value of the series that has these labels, and no others; undefined: there is none. */
  value(name: string, labels?: Labels): number | undefined
  /** The sum over all series that have these labels. */
  sum(name: string, labels?: Labels): number
}

const port = 9477

/** Where a watch of a lab is to listen. */
export const listenHere = ['--listen', `127.0.0.1:${port}`] as const

const script = `
const response = await fetch(process.argv[1])
const type = response.headers.get('content-type')
process.stdout.write(JSON.stringify({ status: response.status, type, body: await response.text() }))`

/** Gets a page as somebody on the lab's host would; rejects where nobody answers. */
export async function getPage(lab: Lab, path: string): Promise<Answer> {
  const url = `http://127.0.0.1:${port}${path}`
  return JSON.parse(await lab.run([process.execPath, '--input-type=module', '--eval', script, url]))
}

/** Scrapes the watch, as Prometheus would. */
export async function scrape(lab: Lab): Promise<Scrape> {
  const { status, body } = await getPage(lab, '/metrics')
  if (status !== 200) throw new Error(`/metrics: ${status}: ${body}`)
  const series = body.split('\n').flatMap((line) => {
    const [, name, inner = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    return name === undefined ? [] : [{ name, labels: parseLabels(inner), value: Number(value) }]
  })
  return {
    text: body,
    value: (name, labels = {}) =>
      series.find((one) => one.name === `spanplan_${name}` && isDeepStrictEqual(one.labels, { ...labels }))?.value,
    sum: (name, labels = {}) =>
      series
        .filter((one) => one.name === `spanplan_${name}`)
        .filter((one) => Object.entries(labels).every(([key, value]) => one.labels[key] === value))
        .reduce((sum, { value }) => sum + value, 0)
  }
}

function parseLabels(text: string): Record<string, string> {
  const pairs = [...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)]
  // JSON has the same escapes.
  return Object.fromEntries(pairs.map(([, name, value]) => [name, JSON.parse(`"${value}"`)]))
}
