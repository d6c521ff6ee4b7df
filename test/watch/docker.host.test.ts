/** What goes wrong with Docker costs no more than what hangs on it, and is told. */
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type Docker from 'dockerode'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { type FaultyDocker, startFaultyDocker } from '../lab/docker/faulty-docker.ts'
import { BROADCAST, ether, filler } from '../lab/frames/frames.ts'
import type { Capture } from '../lab/frames/tcpdump.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import {
  expectConverged,
  expectFrames,
  expectRestored,
  findTap,
  listenBeside,
  networksOf,
  portOf,
  spanplan,
  until,
  writeSpans
} from '../lab/spans.ts'

let lab: Lab
let docker: FaultyDocker
let first: string
let suricata: Docker.Container
let zeek: Docker.Container

beforeAll(async () => {
  lab = await createLab({ docker: true, cables: [{ card: 'ens192' }, { card: 'ens224' }] })
  docker = await startFaultyDocker(lab)
  suricata = await lab.startSensor('suricata')
  zeek = await lab.startSensor('zeek')
  first = await lab.snapshotText()
})
afterAll(async () => {
  await docker?.close()
  await lab?.close()
})

beforeEach(() => writeSpans(lab, file))
afterEach(async () => {
  docker.tamper(null)
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await expectRestored(lab, first)
})

const file = `
spans:
  span0: {sources: [{interface: ens192, direction: ingress}], sensors: [suricata, zeek]}
  span1: {sources: [{interface: ens224, direction: ingress}]}`

const deleteMirror = (card: string) => lab.run(['tc', 'filter', 'del', 'dev', card, 'ingress'])

async function isMirrored(card: string): Promise<boolean> {
  return (await lab.run(['tc', 'filter', 'show', 'dev', card, 'ingress'])).includes('mirred')
}

/** Whether a card is up. */
async function isUp(card: string): Promise<boolean> {
  return /[<,]UP[,>]/.test(await lab.run(['ip', 'link', 'show', 'dev', card]))
}

const isOn = async (container: Docker.Container) => (await networksOf(container)).includes('span0')

/** Docker tells of zeek what nobody understands. */
function describeOddly(url: string, body: string): string {
  if (!/\/containers\/\w+\/json/.test(url)) return body
  const container: { Name: string; State: object } = JSON.parse(body)
  return container.Name === '/zeek' ? JSON.stringify({ ...container, State: { Running: 'perhaps' } }) : body
}

test('a container that Docker describes oddly is left as it is, and named; the others go on', async () => {
  const env = docker.env
  await using watch = await startWatch(lab, [], { env })
  await watch.settle()
  expect([await isOn(suricata), await isOn(zeek)]).toEqual([true, true])
  docker.tamper(describeOddly)
  await lab.docker.getNetwork('span0').disconnect({ Container: 'suricata', Force: true })
  await watch.expectTold(/ warning +the container zeek is left unchanged, because it could not be read: /)
  await until('suricata is back', () => isOn(suricata))
  await watch.settle()
  expect(await watch.state()).toMatchObject({ degraded: [] })
  expect(await isOn(zeek)).toBe(true)
  // A command says the same.
  const { stdout, stderr } = await spanplan(lab, ['plan', '--detailed-exitcode'], 0, { env })
  expect(stdout).toContain("waits for Docker's description of the container zeek")
  expect(stderr).toContain('the container zeek is left unchanged')
  docker.tamper(null)
  await lab.docker.getNetwork('span0').disconnect({ Container: 'zeek', Force: true })
  await until('zeek is back', () => isOn(zeek))
  await watch.settle()
  expect(watch.told.match(/is left unchanged/g)).toHaveLength(1)
  await expectConverged(lab)
})

test('the port of a sensor that somebody puts on the bridge of another span, or on one of his own, is put back', async () => {
  await writeSpans(
    lab,
    `
spans:
  core: {sources: [{interface: ens192, direction: ingress}], sensors: [suricata]}
  bare: {sources: [{interface: ens224, direction: ingress}]}
  web: {sources: [{interface: core, direction: ingress}], sensors: [zeek]}`
  )
  const portsOf = async (bridge: string) =>
    (await lab.run(['ip', '-br', 'link', 'show', 'master', bridge])).match(/^veth\w+/gm) ?? []
  await lab.run(['ip', 'link', 'add', 'dev', 'brx', 'up', 'type', 'bridge'])
  await using watch = await startWatch(lab)
  for (const bridge of ['brx', 'bare', 'core']) {
    await watch.settle()
    const before = await portsOf(bridge)
    const [port] = await portsOf('web')
    expect(port).toBeDefined()
    await lab.run(['ip', 'link', 'set', 'dev', `${port}`, 'master', bridge])
    await until(`it is back from ${bridge}`, async () => (await portsOf('web')).length === 1)
    await watch.settle()
    expect(await portsOf(bridge)).toEqual(before)
    await expectConverged(lab)
  }
  await lab.run(['ip', 'link', 'del', 'dev', 'brx'])
})

test('the port of a sensor that has started again is marked as its own, and goes with the span wherever the interface is', async () => {
  await using watch = await startWatch(lab)
  await watch.settle()
  const before = watch.told.length
  await suricata.restart()
  await watch.expectTold(/~ port suricata \(\S+\) → span0/, before)
  await watch.settle()
  await expectConverged(lab)
  await watch.stop()
  const { name, port } = await findTap(lab, suricata, 'span0')
  const { State } = await suricata.inspect()
  await lab.run(['nsenter', `--net=/proc/${State.Pid}/ns/net`, 'ip', 'link', 'set', name, 'netns', `${lab.name}-sw`])
  await spanplan(lab, ['destroy', '--all', '--yes'])
  expect(await lab.run(['ip', 'link'])).not.toContain(`${port}@`)
})

test('a port that leads to no container, and goes on to, is told without any further event', async () => {
  await using watch = await startWatch(lab, ['--interval', '1h'])
  await watch.settle()
  const peer = ['peer', 'name', 'stray0', 'netns', `${lab.name}-sw`]
  await lab.run(['ip', 'link', 'add', 'dev', 'veth00000a0', 'master', 'span0', 'up', 'type', 'veth', ...peer])
  await watch.expectTold(/ warning +span0 +the port veth00000a0 of span span0 leads to a network namespace that is no/)
  await lab.run(['ip', 'link', 'del', 'dev', 'veth00000a0'])
})

/** Docker's lists are refused from the first thing on that an apply has Docker do. */
function failAfterFirst(): void {
  docker.prepare()
  docker.tamper((url, body) => {
    if (docker.requests.length > 0 && /^(\/v[\d.]+)?\/networks(\?|$)/.test(url)) throw new Error('cut')
    return body
  })
}

test('Docker that fails while an apply verifies costs nothing that was done; exit 4 says what is open', async () => {
  failAfterFirst()
  const { stderr, stdout } = await spanplan(lab, ['apply'], 4, { env: docker.env })
  expect(stderr).toMatch(
    /error: everything was done, and the kernel is in sync, but Docker could not be read afterwards: /
  )
  expect(stderr).toMatch(/Not verified:\n {2}\+ network span0 .*\n {2}\+ sensor suricata → span0/)
  expect(stdout + stderr).not.toMatch(/rolled back: the host|Applied and verified/)
  expect([await isMirrored('ens192'), await isMirrored('ens224')]).toEqual([true, true])
  expect([await isOn(suricata), await isOn(zeek)]).toEqual([true, true])
  docker.tamper(null)
  // Without Docker, nobody knows which interfaces the sensors have: their network stacks are left.
  const { stdout: rest } = await spanplan(lab, ['apply'])
  expect(rest).toMatch(/~ +stack +suricata → span0 +closed: no → yes/)
  await expectConverged(lab)
})

test('the same in a watch: it keeps what was done, tells that it could not look, and looks again', async () => {
  failAfterFirst()
  await using watch = await startWatch(lab, [], { env: docker.env })
  expect(watch.told).toMatch(/ \+ mirror ens192 .* done in/)
  expect(watch.told).toMatch(/ all +! everything was done, .* Docker could not be read afterwards: /)
  expect(await watch.state()).toMatchObject({ degraded: [{ span: null, diagnostic: { code: 'UNVERIFIED' } }] })
  expect([await isMirrored('ens192'), await isOn(suricata)]).toEqual([true, true])
  docker.tamper(null)
  await watch.expectTold(/ all +is in sync again\n/)
  await watch.settle()
  await expectConverged(lab)
})

test('what fails while Docker does not answer is told at once, and keeps no other span from being repaired', async () => {
  const broken = join(lab.files, 'broken')
  const { options } = await wrapPrograms(lab, {
    tc: `[ -e ${broken} ] && case "$input" in *"dev ens192"*mirred*) exit 1 ;; esac`
  })
  await using watch = await startWatch(lab, [], options)
  await watch.settle()
  await writeFile(broken, '')
  await lab.silenceDocker(async () => {
    const { length } = watch.told
    await deleteMirror('ens192')
    await watch.expectTold(/ span0 +! could not .*; next attempt at /, length)
    expect(await watch.state()).toMatchObject({ degraded: [{ span: 'span0', reason: 'failed' }] })
    for (let count = 0; count < 2; count++) {
      await deleteMirror('ens224')
      await until('the other mirror is back', () => isMirrored('ens224'))
    }
    await rm(broken)
  })
  await watch.expectTold(/ span0 +is in sync again\n/)
  await expectConverged(lab)
})

test('a hook waits for a watch that is slow, also while Docker hangs, and not for the lock', async () => {
  const slow = join(lab.files, 'slow')
  const { options } = await wrapPrograms(lab, { ip: `[ -e ${slow} ] && sleep 3` })
  await using watch = await startWatch(lab, [], options)
  await watch.settle()
  await lab.silenceDocker(async () => {
    await deleteMirror('ens224')
    await until('a run waits for Docker', () => isMirrored('ens224'))
    await writeFile(slow, '')
    const { stderr } = await spanplan(lab, [
      ...['hook', '--interface', 'ens192', '--phase', 'pre-down', '--strict', '--lock-timeout', '10s'],
      ...['-f', 'spans.yaml']
    ])
    expect(stderr).toBe('')
    await rm(slow)
  })
})

test('while Docker hangs, a card that goes down is let go, and stays down', async () => {
  const hook = (phase: string) =>
    spanplan(lab, [
      'hook',
      '--interface',
      'ens192',
      '--phase',
      phase,
      '--strict',
      '--lock-timeout',
      '30s',
      '-f',
      'spans.yaml'
    ])
  await using watch = await startWatch(lab)
  await watch.settle()
  await lab.silenceDocker(async () => {
    await deleteMirror('ens224')
    await until('a run waits for Docker', () => isMirrored('ens224'))
    await hook('pre-down')
    await lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'down'])
    await until('the mirror is off', async () => !(await isMirrored('ens192')))
  })
  await watch.settle()
  expect([await isUp('ens192'), await isMirrored('ens192')]).toEqual([false, false])
  await lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'up'])
  await hook('post-up')
  await until('it is mirrored', () => isMirrored('ens192'))
  await watch.stop()
})

test('while Docker hangs, what somebody does to the ports of sensors is put back', async () => {
  await using watch = await startWatch(lab)
  await watch.settle()
  const { port } = await findTap(lab, suricata, 'span0')
  const isSealed = async () => {
    const link = await lab.run(['ip', '-d', 'link', 'show', 'dev', port])
    const filters = await lab.run(['tc', 'filter', 'show', 'dev', port, 'ingress'])
    return link.includes(' isolated on ') && link.includes(' learning off ') && / pref 9 bpf /.test(filters)
  }
  expect(await isSealed()).toBe(true)
  await lab.silenceDocker(async () => {
    await deleteMirror('ens224')
    await until('a run waits for Docker', () => isMirrored('ens224'))
    for (let count = 0; count < 2; count++) {
      await lab.run(['ip', 'link', 'set', 'dev', port, 'type', 'bridge_slave', 'isolated', 'off', 'learning', 'on'])
      await lab.run(['tc', 'qdisc', 'del', 'dev', port, 'clsact'])
      await until('the port is sealed again', isSealed)
    }
  })
  await watch.settle()
  await expectConverged(lab)
  await watch.stop()
})

test('what a new file adds to a span comes once the sensor has gone that the file takes from it, whatever happens meanwhile', async () => {
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}], sensors: [suricata, zeek]}}')
  await using watch = await startWatch(lab)
  await watch.settle()
  const port = await portOf(lab, suricata)
  const told = { filter: '', link: '' }
  const monitors = [
    ['filter', lab.start(['tc', '-ts', 'monitor'])],
    ['link', lab.start(['ip', '-ts', '-o', 'monitor', 'link'])]
  ] as const
  for (const [what, { stdout }] of monitors) stdout.on('data', (text) => (told[what] += text))
  await until('both listen', async () => {
    await lab.run(['tc', 'qdisc', 'replace', 'dev', 'ens224', 'clsact'])
    await lab.run(['tc', 'qdisc', 'del', 'dev', 'ens224', 'clsact'])
    await lab.run(['ip', 'link', 'set', 'dev', 'lo', 'alias', `event ${Date.now()}`])
    return told.filter !== '' && told.link !== ''
  })
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}, {interface: ens224}], sensors: [zeek]}}')
  await until('the sensor has gone', async () => {
    await lab.run(['ip', 'link', 'set', 'dev', 'lo', 'alias', `event ${Date.now()}`])
    return !(await isOn(suricata)) && (await isMirrored('ens224'))
  })
  await lab.run(['ip', 'link', 'set', 'dev', 'lo', 'alias', ''])
  await watch.settle()
  const timeOf = (pattern: RegExp, text: string) => new Date(pattern.exec(text)?.[1] ?? Number.NaN).getTime()
  const added = timeOf(/^\[(\S+)\] (?:added |replaced )?filter dev ens224 ingress .*bpf/m, told.filter)
  const gone = timeOf(new RegExp(`^\\[(\\S+)\\] Deleted \\d+: ${port}[@:]`, 'm'), told.link)
  expect(added).toBeGreaterThan(gone)
  for (const [, monitor] of monitors) monitor.kill('SIGKILL')
})

test('a sensor that has started again hears only its part, once, while Docker is slow to connect another', async () => {
  const source = 'spans: {span0: {sources: [{interface: ens192, direction: ingress}]'
  const part = '{container: suricata, filter: ether broadcast}'
  await writeSpans(lab, `${source}, sensors: [${part}]}}`)
  await spanplan(lab, ['apply', '--yes'])
  await suricata.restart()
  await writeSpans(lab, `${source}, sensors: [${part}, zeek]}}`)
  const [stranger, nobody] = ['02:00:00:00:0a:01', '02:00:00:00:0a:02']
  const sent = { broadcast: ether(BROADCAST, stranger, filler(100)), other: ether(nobody, stranger, filler(100)) }
  const heard: Capture[] = []
  docker.prepare({ request: 1, how: 'hold before' }, async () => {
    heard.push(await listenBeside(lab, suricata, { expression: `ether src ${stranger}` }))
    await lab.send([sent.broadcast, sent.other])
  })
  await spanplan(lab, ['apply', '--yes'], 0, { env: docker.env })
  expect(docker.requests.join('\n')).toMatch(/connect .*zeek/)
  expect(heard).toHaveLength(1)
  for (const capture of heard) await expectFrames(capture, { broadcast: sent.broadcast })
})

test('a sensor with a part of its own gets nothing else once its bridge is made again, in the same run', async () => {
  const part = '{container: suricata, filter: ether broadcast}'
  await writeSpans(
    lab,
    `spans: {span0: {sources: [{interface: ens192, direction: ingress}], sensors: [${part}, zeek]}}`
  )
  await using watch = await startWatch(lab, ['--interval', '1h'])
  await watch.settle()
  const since = watch.told.length
  await lab.run(['ip', 'link', 'del', 'dev', 'span0'])
  await until('the port is closed', async () => {
    const ports = await lab.run(['bridge', 'link', 'show'])
    return ports.includes('master span0 state disabled')
  })
  await watch.settle()
  const told = watch.told.slice(since).split('\n')
  const rows = told.filter((line) => / ~ port .*suricata/.test(line))
  expect(rows).toEqual([expect.stringContaining('flooding: on → off')])
  await expectConverged(lab)
})

test('while Docker hangs, a file that changes again and again keeps no mirror from being repaired', async () => {
  await using watch = await startWatch(lab, ['--interval', '1h'])
  await watch.settle()
  await lab.silenceDocker(async () => {
    await deleteMirror('ens224')
    await until('a run waits for Docker', () => isMirrored('ens224'))
    let edits = 0
    while (edits < 10 && (edits < 3 || !(await isMirrored('ens224')))) {
      await writeSpans(lab, `${file}\n# ${edits++}`)
      await sleep(500)
      if (edits === 2) await deleteMirror('ens224')
      await sleep(500)
    }
    expect(edits).toBeLessThan(10)
  })
  await watch.settle()
  await expectConverged(lab)
})

test('while Docker hangs, what somebody undoes again and again is told to be contested, and left alone', async () => {
  await using watch = await startWatch(lab, ['--interval', '1h'])
  await watch.settle()
  const { length } = watch.told
  let deleted = 0
  await lab.silenceDocker(async () => {
    const other = setInterval(() => {
      deleted++
      void deleteMirror('ens224').catch(() => deleted--)
    }, 500)
    await watch
      .expectTold(/ ! something keeps undoing this change: \+ mirror ens224 /, length)
      .finally(() => clearInterval(other))
    expect(watch.told.slice(length)).not.toContain('Docker')
  })
  expect(deleted).toBeGreaterThanOrEqual(5)
  expect(await isMirrored('ens192')).toBe(true)
  await watch.settle()
})

test('what fails is told also while an interface is renamed again and again', async () => {
  const broken = join(lab.files, 'broken')
  const { options } = await wrapPrograms(lab, {
    tc: `[ -e ${broken} ] && case "$input" in *"dev ens192"*mirred*) exit 1 ;; esac`
  })
  await lab.run(['ip', 'link', 'add', 'dev', 'ppp0', 'type', 'veth'])
  await using watch = await startWatch(lab, [], options)
  await watch.settle()
  const { length } = watch.told
  await writeFile(broken, '')
  let isTold = false
  const told = watch.expectTold(/ span0 +! could not .*; next attempt at /, length).finally(() => {
    isTold = true
  })
  await deleteMirror('ens192')
  for (let count = 0; !isTold && count < 300; count++) {
    await lab.run([
      'ip',
      'link',
      'set',
      'dev',
      count % 2 === 0 ? 'ppp0' : 'ppp1',
      'name',
      count % 2 === 0 ? 'ppp1' : 'ppp0'
    ])
    await sleep(50)
  }
  expect(isTold).toBe(true)
  await told
  await rm(broken)
  await watch.expectTold(/ span0 +is in sync again\n/)
  for (const name of ['ppp0', 'ppp1']) await lab.run(['ip', 'link', 'del', 'dev', name]).catch(() => undefined)
})

test('a file without spans removes nothing where a watch begins with it, and at no retry', async () => {
  await spanplan(lab, ['apply'])
  await writeSpans(lab, 'spans: {}')
  {
    await using watch = await startWatch(lab)
    await watch.expectTold(/ ! the file has no spans: this would remove /)
    const runs = await watch.runs()
    for (let count = 0; (await watch.runs()) < runs + 2; count++) {
      await lab.run(['ip', 'link', 'set', 'dev', 'lo', 'alias', `event ${count}`])
      await sleep(200)
    }
    expect([await isMirrored('ens192'), await isMirrored('ens224')]).toEqual([true, true])
  }
  await lab.run(['ip', 'link', 'set', 'dev', 'lo', 'alias', ''])
  await writeSpans(lab, file)
  await expectConverged(lab)
})

test('while Docker hangs, what is repaired is told, once, and not when Docker answers', async () => {
  await using watch = await startWatch(lab, ['--interval', '1h'])
  await watch.settle()
  const { length } = watch.told
  await lab.silenceDocker(async () => {
    for (const card of ['ens224', 'ens192']) {
      await deleteMirror(card)
      await watch.expectTold(new RegExp(` \\+ mirror ${card} .* repaired in `), length)
    }
    // The run goes on: that Docker does not answer is told when the run gives up.
    expect(watch.told.slice(length)).not.toContain('Docker')
  })
  await watch.settle()
  expect(watch.told.slice(length).match(/ \+ mirror /g)).toHaveLength(2)
  await expectConverged(lab)
})

test('while Docker hangs, what is repaired is told in the order in which it was repaired', async () => {
  await using watch = await startWatch(lab, ['--interval', '1h'])
  await watch.settle()
  const { length } = watch.told
  await lab.silenceDocker(async () => {
    for (const card of ['ens224', 'ens192']) {
      await deleteMirror(card)
      await until('it is repaired', () => isMirrored(card))
    }
    await watch.expectTold(/ \+ mirror ens192 .* repaired in /, length)
  })
  const cards = [...watch.told.slice(length).matchAll(/ \+ mirror (\w+) /g)].map(([, card]) => card)
  expect(cards).toEqual(['ens224', 'ens192'])
})
