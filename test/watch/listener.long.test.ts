/** Hostile clients of a watch's listener: whatever they send, or do not, probes are answered and the watch goes on. */
import { readdir, readFile } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { getPage, listenHere } from '../lab/metrics/scrape.ts'
import { expectRestored, spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab
let first: string

beforeAll(async () => {
  lab = await createLab()
  first = await lab.snapshotText()
})
afterAll(() => lab?.close())

beforeEach(() => writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192, direction: ingress}]}}'))
afterEach(async () => {
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await expectRestored(lab, first)
})

/** What attackers share. */
const tools = `
import { connect } from 'node:net'
const open = (words = '', then = () => {}) => {
  const socket = connect(9477, '127.0.0.1')
  socket.on('error', () => undefined).on('close', () => then()).on('data', () => undefined)
  socket.write(words)
  return socket
}
const converse = (words) => new Promise((resolve) => {
  let heard = ''
  const socket = connect(9477, '127.0.0.1')
  socket.on('error', () => undefined).on('data', (data) => (heard += data)).on('close', () => resolve(heard))
  socket.write(words)
})
`

/** Runs on the lab's host until its stdin ends; it says when it has begun. */
async function startAttack(script: string): Promise<AsyncDisposable> {
  const process_ = lab.start([
    process.execPath,
    '--input-type=module',
    '--eval',
    `${tools}${script}
process.stdout.write('begun')
process.stdin.resume().on('end', () => process.exit())`
  ])
  await new Promise((resolve) => process_.stdout.once('data', resolve))
  return {
    [Symbol.asyncDispose]: async () => {
      process_.stdin.end()
      await process_
    }
  }
}

/** Gets what each of the requests is answered. */
async function send(requests: readonly string[]): Promise<string[]> {
  const script = `${tools}
process.stdout.write(JSON.stringify(await Promise.all(${JSON.stringify(requests)}.map(converse))))`
  return JSON.parse(await lab.run([process.execPath, '--input-type=module', '--eval', script]))
}

async function expectAlive(): Promise<void> {
  expect(await getPage(lab, '/healthz')).toMatchObject({ status: 200, body: expect.stringContaining('alive') })
}

const isMirrored = async () => (await lab.run(['tc', 'filter', 'show', 'dev', 'ens192', 'ingress'])).includes('mirred')

test.each([
  ['64 connections that say nothing', 'for (let n = 0; n < 64; n++) open()'],
  [
    '64 connections that come back as soon as they are closed',
    'const again = () => open("", again); for (let n = 0; n < 64; n++) again()'
  ],
  [
    'requests of which a byte comes every now and then',
    `for (let n = 0; n < 200; n++) {
  const socket = open('GET /metrics HTTP/1.1\\r\\nX: ')
  setInterval(() => socket.writable && socket.write('x'), 20)
}`
  ],
  [
    'bodies without an end',
    `const again = () => {
  const socket = open('POST /metrics HTTP/1.1\\r\\nHost: localhost\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n', again)
  socket.on('connect', () => setInterval(() => socket.writable && socket.write('1000\\r\\n' + 'x'.repeat(4096) + '\\r\\n'), 1))
}
for (let n = 0; n < 20; n++) again()`
  ],
  [
    'scrapers that do not read',
    `const again = () => open('GET /metrics HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n', again).pause()
for (let n = 0; n < 100; n++) again()`
  ],
  ['a flood of new connections, all of them kept', 'setInterval(() => { for (let n = 0; n < 50; n++) open() }, 5)']
])('%s: probes are answered, drift is repaired, and nothing is left', async (_, script) => {
  await using watch = await startWatch(lab, listenHere)
  const descriptors = async () => (await readdir(`/proc/${watch.pid}/fd`)).length
  await watch.settle()
  const before = await descriptors()
  {
    await using _attack = await startAttack(script)
    for (let count = 0; count < 3; count++) await expectAlive()
    await lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress'])
    await until('the mirror is back', isMirrored)
    await expectAlive()
  }
  await until('all connections are closed', async () => (await descriptors()) <= before)
  const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${watch.pid}/status`, 'utf8')) ?? []
  expect(Number(kilobytes)).toBeLessThan(250_000)
})

test('what is no request of a scraper is refused, and nothing of it comes back or is printed', async () => {
  await using watch = await startWatch(lab, listenHere)
  const title = '\x1b]0;owned\x07'
  const get = (path: string, headers = 'Host: localhost\r\n') => `GET ${path} HTTP/1.1\r\n${headers}\r\n`
  const answers = await send([
    get('/metrics', `Host: localhost\r\nX: ${'x'.repeat(10_000)}\r\n`),
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n',
    get(`/${title}`),
    get('/%1b%5d0;owned%07'),
    get('/healthz', `Host: ${title}\r\n`),
    get('/metrics/../healthz'),
    get('/healthz').repeat(1000)
  ])
  const statuses = answers.map((answer) => answer.match(/HTTP\/1\.1 \d+/g) ?? [])
  expect(statuses).toEqual(['431', '400', '400', '404', '400', '404', '200'].map((status) => [`HTTP/1.1 ${status}`]))
  expect(answers.join() + watch.told).not.toContain('owned')
  await expectAlive()
})
