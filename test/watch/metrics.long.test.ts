/** What a watch serves: metrics that agree with what was sent and lost, and whether it lives and is ready. */
import type Docker from 'dockerode'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { BROADCAST, ether, filler } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectMetrics } from '../lab/metrics/promtool.ts'
import { getPage, listenHere, type Scrape, scrape } from '../lab/metrics/scrape.ts'
import { expectRefusal, expectRestored, findTap, spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab
let first: string
let sensors: readonly Docker.Container[]

beforeAll(async () => {
  lab = await createLab({ docker: true })
  sensors = [await lab.startListener('suricata'), await lab.startListener('zeek')]
  first = await lab.snapshotText()
})
afterAll(() => lab?.close())

beforeEach(() => writeSpans(lab, file))
afterEach(async () => {
  await spanplan(lab, ['resume'])
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await expectRestored(lab, first)
})

const source = 'sources: [{interface: ens192, direction: ingress}]'
const file = `spans: {span0: {${source}, mtu: 1500, sensors: [suricata, zeek]}}`

const frames = (count: number, size = 100) =>
  Array.from({ length: count }, (_, index) => ether(BROADCAST, '02:00:00:00:0a:01', filler(size, index)))

const mirror = { span: 'span0', interface: 'ens192', direction: 'ingress' }

/** Scrapes until it is so. */
async function scrapeUntil(what: string, isSo: (now: Scrape) => boolean): Promise<Scrape> {
  let last = await scrape(lab)
  await until(what, async () => {
    last = await scrape(lab)
    return isSo(last)
  }).catch((error: Error) => {
    throw new Error(`${error.message}:\n${last.text.replace(/^#.*\n/gm, '')}`)
  })
  return last
}

const scrapeHealthy = () => scrapeUntil('all is healthy', (now) => now.value('healthy', { span: 'span0' }) === 1)

/** How much more it is by now. */
const growth = (before: Scrape, now: Scrape, name: string, labels: Readonly<Record<string, string>>) =>
  now.sum(name, labels) - before.sum(name, labels)

async function statusOf(path: string): Promise<number> {
  return (await getPage(lab, path)).status
}

describe('metrics', () => {
  test('are as many frames as were sent, at each place on the way, in the format of Prometheus', async () => {
    await using _ = await startWatch(lab, listenHere)
    const before = await scrapeHealthy()
    await lab.send(frames(300))
    const now = await scrapeUntil(
      'they are counted',
      (later) => growth(before, later, 'mirror_frames_total', mirror) > 0
    )
    const came = (name: string, labels = {}) => growth(before, now, name, { ...labels })
    expect(came('interface_frames_total', { interface: 'ens192' })).toBe(300)
    expect(came('mirror_frames_total', mirror)).toBe(300)
    expect(came('mirror_bytes_total', mirror)).toBe(30_000)
    expect(came('bridge_frames_total', { span: 'span0' })).toBe(300)
    for (const sensor of sensors) {
      const { Name } = await sensor.inspect()
      const port = { span: 'span0', interface: (await findTap(lab, sensor)).port, sensor: Name.slice(1) }
      expect([came('port_frames_total', port), came('port_bytes_total', port)]).toEqual([300, 30_000])
    }
    expect(now.sum('lost_frames_total')).toBe(0)
    expect(now.value('source_carrier', { interface: 'ens192' })).toBe(1)
    expect(now.value('source_idle_seconds', { span: 'span0', interface: 'ens192' })).toBeGreaterThanOrEqual(0)
    expect(now.value('healthy', { span: 'span0' })).toBe(1)
    await expectMetrics(now.text)
  })

  test('tell what is lost, where and why', async () => {
    await using _ = await startWatch(lab, listenHere)
    await scrapeHealthy()
    await lab.send([...frames(20), ...frames(50, 3000)])
    const large = await scrapeUntil('it is told', (now) => now.sum('lost_frames_total') > 0)
    expect(large.sum('lost_frames_total', { reason: 'too_large', hop: 'port' })).toBe(100)
    expect(large.sum('lost_frames_total')).toBe(100)
    expect(large.value('healthy', { span: 'span0' })).toBe(0)
    expect(large.sum('problems', { span: 'span0', code: 'FRAMES_LOST' })).toBe(2)
    // Paused, the watch does not put it up again.
    await spanplan(lab, ['pause', 'span0', '--for', '10m'])
    await lab.run(['ip', 'link', 'set', 'dev', 'span0', 'down'])
    await lab.send(frames(30))
    const down = await scrapeUntil('that too', (now) => now.sum('lost_frames_total') > 100)
    const { hop, ...labels } = { ...mirror, hop: 'mirror', reason: 'target_down' }
    expect(down.value('lost_frames_total', { ...labels, hop })).toBe(30)
    expect(down.sum('lost_frames_total')).toBe(130)
    expect(down.value('paused', { span: 'span0' })).toBe(1)
    expect(down.value('problems', { span: 'span0', code: 'DRIFT' })).toBe(1)
    await spanplan(lab, ['resume'])
    const up = await scrapeHealthy()
    expect(up.value('paused', { span: 'span0' })).toBe(0)
    expect(up.sum('lost_frames_total')).toBe(130)
  })

  test('of a mirror that is made anew begin again, and what was lost stays', async () => {
    await using _ = await startWatch(lab, listenHere)
    await scrapeHealthy()
    await lab.send([...frames(10), ...frames(5, 3000)])
    const before = await scrapeUntil('it is told', (now) => now.sum('lost_frames_total') === 10)
    expect(before.sum('mirror_frames_total', mirror)).toBeGreaterThanOrEqual(15)
    await lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress'])
    const after = await scrapeUntil('it is back', (now) => now.value('drift_changes_total') === 1)
    expect(after.sum('reconciles_total', { result: 'changed', trigger: 'filter' })).toBe(1)
    await lab.send(frames(3))
    const later = await scrapeUntil('it counts', (now) => now.sum('mirror_frames_total', mirror) === 3)
    expect(later.sum('lost_frames_total')).toBe(10)
    expect(later.sum('reconcile_duration_seconds_count')).toBe(later.sum('reconciles_total'))
  })

  test('of a card with a name that would end a label', async () => {
    const card = 'a"}ü,b="{'
    await lab.run(['ip', 'link', 'add', 'name', card, 'type', 'veth', 'peer', 'name', 'other'])
    try {
      for (const dev of [card, 'other']) await lab.run(['ip', 'link', 'set', 'dev', dev, 'up'])
      await writeSpans(lab, `spans: {span0: {sources: [{interface: ${JSON.stringify(card)}, direction: ingress}]}}`)
      await using _ = await startWatch(lab, listenHere)
      const now = await scrapeUntil('it is there', (later) => later.value('source_carrier', { interface: card }) === 1)
      expect(now.value('mirror_frames_total', { ...mirror, interface: card })).toBeGreaterThanOrEqual(0)
      await expectMetrics(now.text)
    } finally {
      await lab.run(['ip', 'link', 'del', 'dev', card])
    }
  })
})

describe('whether it lives and is ready', () => {
  test('it waits for Docker, and is ready', async () => {
    await using _ = await startWatch(lab, listenHere)
    await scrapeHealthy()
    try {
      await lab.stopDocker()
      const away = await scrapeUntil('Docker is missed', (now) => now.value('host_healthy') === 0)
      expect(away.value('problems', { code: 'DOCKER_UNREACHABLE' })).toBe(1)
      // Docker's containers end before Docker does, and are seen to.
      await until('it is ready', async () => (await statusOf('/readyz')) === 200)
      expect(await statusOf('/healthz')).toBe(200)
    } finally {
      await lab.startDocker()
      for (const sensor of sensors) await sensor.start()
    }
    await scrapeUntil('it is back', (now) => now.value('host_healthy') === 1)
  })

  test('a sensor that hears nothing is told everywhere, with the reason and since when; and that it hears again', async () => {
    await using watch = await startWatch(lab, listenHere)
    await scrapeHealthy()
    const [suricata, zeek] = sensors
    const sensor = { span: 'span0', sensor: 'suricata' }
    await suricata?.pause()
    await watch.expectTold(
      /sensor +span0 +! the sensor suricata is paused, since \d\d:.* \(let it go on: docker unpause suricata\)\n/
    )
    const paused = await scrapeUntil(
      'it is told',
      (now) => now.value('sensor_unhealthy', { ...sensor, reason: 'paused' }) === 1
    )
    expect(paused.sum('sensor_unhealthy', sensor)).toBe(1)
    expect(paused.sum('sensor_unhealthy', { span: 'span0', sensor: 'zeek' })).toBe(0)
    expect(paused.value('sensor_unhealthy_since_timestamp_seconds', sensor)).toBeGreaterThan(0)
    expect(paused.value('healthy', { span: 'span0' })).toBe(0)
    await expectMetrics(paused.text)
    expect(await getPage(lab, '/readyz')).toMatchObject({
      status: 503,
      body: expect.stringMatching(/^not ready: span span0: the sensor suricata is paused, since /)
    })
    const { stdout } = await spanplan(lab, ['status', '--for', '10ms'], 2)
    expect(stdout).toMatch(/^span0: NOT HEALTHY, the sensor suricata is paused, since [\d:]+[,.]/)
    const heard = watch.told.length
    await suricata?.unpause()
    await watch.expectTold(/sensor +span0 +the sensor suricata hears the span again\n/, heard)
    await zeek?.stop()
    await watch.expectTold(/! the sensor zeek is not running: it ended with exit status \d+, since /)
    expect(watch.told).not.toMatch(/! the sensor zeek (hears|gets|has)/)
    await zeek?.start()
    await watch.expectTold(/sensor +span0 +the sensor zeek hears the span again\n/)
    await scrapeHealthy()
    expect(await statusOf('/readyz')).toBe(200)
  })

  test('it waits for a sensor, and is ready', async () => {
    await writeSpans(lab, file.replace('zeek', 'zeek, snort'))
    await using _ = await startWatch(lab, listenHere)
    const now = await scrapeUntil('it waits', (later) => later.value('waiting', { span: 'span0' }) === 1)
    expect(now.value('problems', { span: 'span0', code: 'SENSOR_MISSING' })).toBe(1)
    expect(await statusOf('/readyz')).toBe(200)
  })

  test('a file that breaks is told, and the last good one is in force', async () => {
    await using _ = await startWatch(lab, listenHere)
    expect((await scrapeHealthy()).value('file_valid')).toBe(1)
    await writeSpans(lab, 'spans: {span0: ')
    await scrapeUntil('it is told', (now) => now.value('file_valid') === 0)
    expect([await statusOf('/healthz'), await statusOf('/readyz')]).toEqual([200, 200])
    await writeSpans(lab, file)
    await scrapeUntil('it is told', (now) => now.value('file_valid') === 1)
  })

  test('a span in whose way something stands is not ready until that has gone; the others are kept', async () => {
    await using watch = await startWatch(lab, listenHere)
    await scrapeHealthy()
    expect(await statusOf('/readyz')).toBe(200)
    // Its first run has connected the sensors.
    expect(watch.told).not.toContain('! the sensor')
    await lab.run(['ip', 'link', 'add', 'name', 'span1', 'type', 'bridge'])
    try {
      await writeSpans(lab, file.replace('spans: {', `spans: {span1: {${source}}, `))
      await until('it is not ready', async () => (await statusOf('/readyz')) === 503)
      expect((await getPage(lab, '/readyz')).body).toMatch(/^not ready: span span1 failed: .*\n$/)
      const now = await scrapeUntil('it is told', (later) => later.value('healthy', { span: 'span1' }) === 0)
      expect(now.value('degraded', { span: 'span1', reason: 'failed' })).toBe(1)
      expect(now.value('healthy', { span: 'span0' })).toBe(1)
      expect(await statusOf('/healthz')).toBe(200)
      await expectMetrics(now.text)
    } finally {
      await lab.run(['ip', 'link', 'del', 'dev', 'span1'])
    }
    await until('it is ready', async () => (await statusOf('/readyz')) === 200)
    await scrapeUntil('that is told', (now) => now.value('healthy', { span: 'span1' }) === 1)
  })
})

test('a span that somebody else takes away again and again is not ready', async () => {
  await using _ = await startWatch(lab, listenHere)
  await scrapeHealthy()
  let undone = -1
  await until('it is given up', async () => {
    if ((await statusOf('/readyz')) === 503) return true
    // Each time that a run has put it back, and not while one is at work.
    const done = (await scrape(lab)).value('drift_changes_total') ?? 0
    if (done > undone) await lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress'])
    undone = done
    return false
  })
  expect((await getPage(lab, '/readyz')).body).toMatch(
    /^not ready: span span0 contested: something keeps undoing this change: /
  )
  const now = await scrapeUntil('it is told', (later) => later.value('healthy', { span: 'span0' }) === 0)
  expect(now.value('degraded', { span: 'span0', reason: 'contested' })).toBe(1)
  expect(now.value('drift_changes_total')).toBeGreaterThanOrEqual(5)
  expect(await statusOf('/healthz')).toBe(200)
})

describe('where it listens', () => {
  test('an address that is taken is told before anything is changed', async () => {
    await using watch = await startWatch(lab, listenHere)
    await writeSpans(lab, `name: other\n${file.replaceAll('span0', 'span1')}`)
    expect(await expectRefusal(lab, ['watch', ...listenHere])).toMatch(
      /error: cannot listen at 127\.0\.0\.1:9477: another program already listens there/
    )
    await watch.stop()
  })

  test('one that others can reach is taken, with a warning', async () => {
    await using watch = await startWatch(lab, ['--listen', '0.0.0.0:9477'])
    expect(watch.told).toMatch(
      /warning .*metrics are served at 0\.0\.0\.0:9477 to everybody who can reach that address/
    )
    expect(await statusOf('/healthz')).toBe(200)
  })
})
