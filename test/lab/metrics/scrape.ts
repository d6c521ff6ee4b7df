/** What a watch in a lab serves over HTTP, and its metrics by name and labels. */
import { createInterface } from 'node:readline'
import { isDeepStrictEqual } from 'node:util'
import type { Lab } from '../lab.ts'

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

/** Answers each URL that it reads, in their order. */
const script = `
const { createInterface } = require('node:readline')
const get = async (url) => {
  const response = await fetch(url, { headers: { connection: 'close' } })
  return { status: response.status, type: response.headers.get('content-type'), body: await response.text() }
}
const all = async () => {
  for await (const url of createInterface(process.stdin)) {
    const answer = await get(url).catch((error) => ({ error: String(error.cause ?? error) }))
    console.log(JSON.stringify(answer))
  }
}
all()`

interface Client {
  readonly process: ReturnType<Lab['start']>
  readonly answers: AsyncIterator<string>
  /** Settles once all that was asked before is answered. */
  last: Promise<unknown>
}

/** One process in each lab: to start one takes longer than to ask. */
const clients = new WeakMap<Lab, Client>()

function clientOf(lab: Lab): Client {
  const known = clients.get(lab)
  if (known) return known
  const process = lab.start([globalThis.process.execPath, '--eval', script])
  const answers = createInterface(process.stdout)[Symbol.asyncIterator]()
  const client: Client = { process, answers, last: Promise.resolve() }
  clients.set(lab, client)
  return client
}

/** Gets a page as somebody on the lab's host would, of the watch if not of another server; rejects where nobody answers. */
export function getPage(lab: Lab, path: string, server = `http://127.0.0.1:${port}`): Promise<Answer> {
  const client = clientOf(lab)
  const answer = client.last.then(async () => {
    client.process.stdin.write(`${server}${path}\n`)
    const { value } = await client.answers.next()
    const page: Answer | { readonly error: string } = JSON.parse(value)
    if ('error' in page) throw new Error(`${path}: ${page.error}`)
    return page
  })
  client.last = answer.catch(() => undefined)
  return answer
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
