/** What is contention for a watch and what is not: sources and sensors that come and go are no rival of it. */
import { setTimeout as sleep } from 'node:timers/promises'
import type Docker from 'dockerode'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { dropProgram } from '../../src/host/tc-conventions.ts'
import { startWatch, type Watch } from '../lab/commands/watch.ts'
import { SENSOR_IMAGE } from '../lab/docker/sensor-images.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab
let replicas: readonly Docker.Container[]
let sensor: Docker.Container

const shop = { NetworkMode: 'shop' }

beforeAll(async () => {
  lab = await createLab({ docker: true, cables: [{ card: 'ens192' }, { card: 'ens224' }] })
  await lab.docker.createNetwork({ Name: 'shop', IPAM: { Config: [{ Subnet: '10.77.0.0/24' }] } })
  const names = ['web1', 'web2', 'web3', 'web4', 'web5', 'web6']
  sensor = await lab.startListener('suricata')
  replicas = await Promise.all(names.map((name) => lab.createSensor(name, shop, { tier: 'web' })))
})
afterAll(() => lab?.close())

beforeEach(async () => {
  await Promise.all(replicas.map((one) => one.start()))
  await writeSpans(lab, file)
})
afterEach(async () => {
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await Promise.all(replicas.map((one) => one.kill()))
})

const file = `
spans:
  span0:
    sources: [{interface: ens192, direction: ingress}, {label: tier=web, direction: ingress}]
    sensors: [suricata]
  span1:
    sources: [{interface: ens224, direction: ingress}]`

async function links(): Promise<{ readonly ifname: string; readonly master?: string }[]> {
  return JSON.parse(await lab.run(['ip', '-j', 'link', 'show']))
}

async function filters(device: string, hook: string): Promise<string> {
  return lab.run(['tc', 'filter', 'show', 'dev', device, hook]).catch(() => '')
}

const isMirrored = async (card: string) => (await filters(card, 'ingress')).includes('mirred')
const deleteMirror = (card: string) => lab.run(['tc', 'filter', 'del', 'dev', card, 'ingress'])

/** How many containers' interfaces are mirrored. */
async function mirrored(): Promise<number> {
  const veths = (await links()).filter(({ ifname }) => ifname.startsWith('veth'))
  const input = veths.map(({ ifname }) => `filter show dev ${ifname} egress\n`).join('')
  // One that has gone meanwhile, or has no qdisc yet, is an error.
  const documents = await lab.run(['sh', '-c', 'tc -j -force -batch - || :'], { input })
  return documents.split('\n').filter((document) => document.includes('mirred')).length
}

/** Whether the sensor has a port on the span, and all that comes from it is dropped. */
async function isSealed(): Promise<boolean> {
  const [port, ...more] = (await links()).filter(({ master }) => master === 'span0')
  return port !== undefined && more.length === 0 && (await filters(port.ifname, 'ingress')).includes(dropProgram)
}

async function expectAllLive(watch: Watch): Promise<void> {
  await until('all six are mirrored', async () => (await mirrored()) === 6)
  await until('the sensor is sealed', isSealed)
  await watch.settle()
}

test('a rolling restart of six sources leaves all mirrored, and nothing is left alone', async () => {
  await using watch = await startWatch(lab)
  await expectAllLive(watch)
  // More than the five times after which a thing is contested.
  for (const one of replicas) {
    await one.restart()
    await until('all six are mirrored again', async () => (await mirrored()) === 6)
  }
  await watch.settle()
  expect(await watch.state()).toMatchObject({ degraded: [] })
  expect(watch.told).not.toContain(' !')
  await expectConverged(lab)
})

test('a source that exits again and again delays neither the mirrors of another nor the seal of a sensor', async () => {
  const restless = await lab.docker.createContainer({
    name: 'restless',
    Image: SENSOR_IMAGE,
    Labels: { tier: 'web' },
    Cmd: ['/bin/sleep', '0.3'],
    HostConfig: { ...shop }
  })
  let isOver = false
  const raging = (async () => {
    while (!isOver) {
      await restless.start()
      await restless.wait()
    }
  })()
  raging.catch(() => undefined)
  try {
    await using watch = await startWatch(lab)
    const isReached = async () => (await mirrored()) >= 6
    await until('all six are mirrored', isReached)
    for (const one of replicas) {
      await one.restart()
      await until('all six are mirrored again', isReached)
      await sensor.restart()
      await until('the sensor is sealed', isSealed)
    }
    expect((await watch.state()).degraded).toEqual([])
    // Where Docker takes its time to start it, its interface is down for as long.
    expect(watch.told.replace(/ ! restless .* is down in its container/g, '')).not.toContain(' !')
  } finally {
    isOver = true
    await raging
    await restless.remove({ force: true })
  }
})

test('a mirror that is deleted again and again rests alone: a seal, another source and another span do not', async () => {
  await using watch = await startWatch(lab)
  await expectAllLive(watch)
  let isOver = false
  const rival = (async () => {
    while (!isOver) {
      await deleteMirror('ens192').catch(() => undefined)
      await sleep(100)
    }
  })()
  rival.catch(() => undefined)
  try {
    // The first rests are short, and only the first of them is told.
    await until('it rests for long', async () => {
      const told = watch.told.match(/ span0 +! something keeps undoing this change: \+ mirror ens192 /g) ?? []
      return told.length === 2 && (await restOf(watch)) > 5000
    })
    await sensor.restart()
    await until('the sensor is sealed', isSealed)
    await replicas[0]?.restart()
    await until('all six are mirrored again', async () => (await mirrored()) === 6)
    await deleteMirror('ens224')
    await until('the mirror of the other span is back', () => isMirrored('ens224'))
    expect((await watch.state()).degraded).toMatchObject([
      {
        span: 'span0',
        reason: 'contested',
        diagnostic: { subject: { span: 'span0', kind: 'mirror', id: ['ens192', 'ingress'] } }
      }
    ])
  } finally {
    isOver = true
    await rival
  }
  const { stdout } = await spanplan(lab, ['resume', 'span0'])
  expect(stdout).toBe('Nothing was paused. The watch tries again at once: span0.\n')
  await until('it is tried on demand', () => isMirrored('ens192'))
})

/** Milliseconds until what is contested is tried again. */
async function restOf(watch: Watch): Promise<number> {
  const { degraded } = await watch.state()
  return Math.max(0, ...degraded.map(({ until }) => Date.parse(until) - Date.now()))
}
