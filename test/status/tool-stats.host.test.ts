/** What a sensor's file says stands beside what the kernel counts, whatever the container makes of that file. */
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type Docker from 'dockerode'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { spanplan, writeSpans } from '../lab/spans.ts'

let lab: Lab
let suricata: Docker.Container
let folder: string
let secret: string

beforeAll(async () => {
  lab = await createLab({ docker: true })
  folder = join(lab.files, 'logs')
  secret = join(lab.files, 'secret.json')
  await mkdir(folder)
  suricata = await lab.startListener('suricata', { Binds: [`${folder}:/logs`] })
  await write('suricata')
  await spanplan(lab, ['apply', '--yes'])
  await writeEve()
})
afterAll(() => lab?.close())
beforeEach(() => rm(join(folder, 'eve.json'), { force: true, recursive: true }))

const write = (sensor: string) =>
  writeSpans(lab, `spans: {span0: {sources: [{interface: ens192}], sensors: [${sensor}]}}`)

const writeEve = () => write(`{container: suricata, stats: {eve: ${join(folder, 'eve.json')}}}`)

/** A stats event of now, or of so many seconds ago. */
function event(received: number, dropped: number, ago = 0): string {
  const timestamp = new Date(Date.now() - ago * 1000).toISOString().replace('Z', '000+0000')
  const stats = { uptime: 1000 - ago, capture: { kernel_packets: received, kernel_drops: dropped } }
  return `${JSON.stringify({ timestamp, event_type: 'stats', stats })}\n`
}

async function look() {
  const { stdout, stderr, exitCode } = await lab.spanplan(['status', '--json', '--for', '10ms'])
  const { spans, warnings } = JSON.parse(stdout)
  const { tool, losses } = spans[0].hops.find(({ kind }: { kind: string }) => kind === 'sensor') ?? {}
  const codesOf = (all: readonly { code: string }[]) => all.map(({ code }) => code)
  return {
    exitCode,
    tool,
    losses,
    codes: codesOf(spans[0].unhealthy),
    warnings: codesOf(warnings),
    output: stdout + stderr
  }
}

test('nothing on the host differs where the file says where its tool tells what it loses', async () => {
  expect((await spanplan(lab, ['plan'])).stdout).toContain('No changes.')
  expect((await spanplan(lab, ['validate', '--print'])).stdout).toContain(`eve: ${folder}/eve.json`)
})

test('what it drops makes its span unhealthy, and is told to be its own word', async () => {
  await writeFile(join(folder, 'eve.json'), event(1000, 0, 9) + event(2000, 0, 1))
  expect(await look()).toMatchObject({ exitCode: 0, codes: [], warnings: [], tool: { recent: { received: 1000 } } })
  await writeFile(join(folder, 'eve.json'), event(1000, 0, 9) + event(2000, 50, 1))
  expect(await look()).toMatchObject({
    exitCode: 2,
    codes: ['SENSOR_DROPS'],
    losses: [],
    tool: { recent: { loss: 0.05 } }
  })
  const { stdout } = await spanplan(lab, ['status', '--for', '10ms'], 2)
  expect(stdout.replace(/\s+/g, ' ')).toMatch(
    /^span0: NOT HEALTHY, the sensor suricata: Suricata says 50 of 1,000 packets dropped in 8s, no frames yet\. It reads too slowly: /
  )
  const brief = await spanplan(lab, ['status', '--brief', '--for', '10ms'], 2)
  expect(brief.stdout).toMatch(/^unhealthy\s+span0\s+0\/s\s+0 lost\s+the sensor suricata: Suricata says /)
})

test('what it has not said for long is no truth, and no problem', async () => {
  await writeFile(join(folder, 'eve.json'), event(1000, 0, 609) + event(2000, 50, 600))
  expect(await look()).toMatchObject({
    exitCode: 0,
    codes: [],
    warnings: ['SENSOR_STATS'],
    tool: { old: true, recent: null }
  })
})

test.each([
  ['a link to a file of the host', 'ln -s ../secret.json /logs/eve.json'],
  ['a pipe', 'mkfifo /logs/eve.json'],
  ['a device', 'mknod /logs/eve.json c 1 5'],
  ['a folder', 'mkdir /logs/eve.json'],
  ['nothing', 'true'],
  ['a terabyte of nothing', 'dd if=/dev/zero of=/logs/eve.json bs=1 count=1 seek=1099511627776'],
  ['a line without an end', "yes 0123456789 | tr -d '\\n' | head -c 3000000 > /logs/eve.json"],
  [
    'what a terminal would obey',
    `printf '"stats"\\033[2J\\n{"event_type":"stats","timestamp":"\\033[2J"}\\n' > /logs/eve.json`
  ]
])('a container makes %s of it: it is not known, and all else is as it was', async (_, command) => {
  await writeFile(secret, event(1000, 0, 9) + event(2000, 50, 1))
  expect(await lab.exec(suricata, ['sh', '-c', command])).toMatchObject({ exitCode: 0 })
  const { output, ...found } = await look()
  expect(found).toMatchObject({
    exitCode: 0,
    codes: [],
    warnings: ['SENSOR_STATS'],
    tool: { total: null, recent: null }
  })
  const text = await spanplan(lab, ['status', '--for', '10ms'])
  expect(`${output}${text.stdout}${text.stderr}`).not.toContain('\u001b')
  expect(text.stdout).toContain('span0: healthy')
})

test('a folder of the path that is a link is not followed either', async () => {
  await writeFile(join(folder, 'eve.json'), event(1000, 0, 1))
  expect((await look()).warnings).toEqual([])
  await rename(folder, `${folder}.other`)
  await symlink(`${folder}.other`, folder)
  const { warnings, tool } = await look()
  expect([warnings, tool.unread]).toEqual([['SENSOR_STATS'], expect.stringContaining(`${folder} is a symbolic link`)])
  await rm(folder)
  await rename(`${folder}.other`, folder)
})

/** Counts ten packets more with each answer, of which one is dropped. What is asked of /silent has no answer. */
const server = `
let count = 0
const answer = ({ url }, response) => {
  if (url !== '/metrics') return
  count++
  response.end('received_total{thread="1"} ' + 4 * count + '\\nreceived_total{thread="2"} ' + 6 * count + '\\ndropped_total ' + count)
}
require('node:http').createServer(answer).listen(9900, '127.0.0.1', () => console.log('listening'))
`

test('metrics say the same; a server that does not answer costs nothing else', async () => {
  const running = lab.start([process.execPath, '-e', server])
  await new Promise<void>((resolve, reject) => {
    running.stdout?.once('data', () => resolve())
    running.catch(reject)
  })
  const ask = (page: string) =>
    write(
      `{container: suricata, stats: {prometheus: "http://127.0.0.1:9900/${page}", received: received_total, dropped: dropped_total}}`
    )
  await ask('metrics')
  expect(await look()).toMatchObject({
    exitCode: 2,
    codes: ['SENSOR_DROPS'],
    tool: { says: 'prometheus', total: { seconds: null }, recent: { received: 10, dropped: 1, loss: 0.1 } }
  })
  await ask('silent')
  expect(await look()).toMatchObject({
    exitCode: 0,
    codes: [],
    warnings: ['SENSOR_STATS'],
    tool: { unread: 'it took longer than 2 s' }
  })
  running.kill()
})

test('of a sensor that is stopped, nobody asks', async () => {
  await suricata.stop()
  expect(await look()).toMatchObject({ codes: ['SENSOR_STOPPED'], warnings: [] })
  await suricata.start()
})

test('a watch tells it, also without metrics: as a warning about the span', async () => {
  await writeEve()
  await writeFile(join(folder, 'eve.json'), event(1000, 0, 9) + event(2000, 50, 1))
  await using watch = await startWatch(lab)
  await watch.expectTold(/ warning +span0 +the sensor suricata: Suricata says 50 of 1,000 packets dropped in 8s /)
  for (const words of [
    ['events', 'span0'],
    ['status', '--since', '1h', '--span', 'span0']
  ]) {
    expect((await spanplan(lab, words)).stdout).toContain('Suricata says 50 of 1,000 packets dropped')
  }
})

test('what hides copies from a sensor is told with its span', async () => {
  await using watch = await startWatch(lab)
  await watch.settle()
  const [{ ifname: port }] = JSON.parse(await lab.run(['ip', '-json', 'link', 'show', 'master', 'span0']))
  const at = ['dev', port, 'egress', 'pref', '1']
  await lab.run(['tc', 'filter', 'add', ...at, 'protocol', 'all', 'bpf', 'da', 'bytecode', '1,6 0 0 2'])
  try {
    await watch.expectTold(/ warning +span0 +\S+ egress has a filter at preference 1/)
    expect((await spanplan(lab, ['events', 'span0'])).stdout).toContain('egress has a filter at preference 1')
  } finally {
    await lab.run(['tc', 'filter', 'del', ...at])
  }
})
