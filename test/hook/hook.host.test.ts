/** What ifupdown and its like start when an interface comes up or goes down. Those themselves: test/hook/ifupdown.long.test.ts. */
import { existsSync, statSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { uptime } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { createLab, type Lab, type Outcome, type SpanplanOptions } from '../lab/lab.ts'
import { expectConverged, expectRestored, spanplan, until, writeSpans } from '../lab/spans.ts'
import { hostNamespace } from '../lab/sweep.ts'

let lab: Lab
let first: string
/** Without which a hook reads /etc/spanplan. */
let told: Readonly<Record<string, string>>

beforeAll(async () => {
  lab = await createLab({ cables: [{ card: 'ens192' }, { card: 'ens224' }, { card: 'ens256' }] })
  await lab.run(['ip', 'link', 'property', 'add', 'dev', 'ens224', 'altname', 'enp19s0'])
  first = await lab.snapshotText()
  told = { SPANPLAN_FILE: join(lab.files, 'spans.yaml') }
})
afterAll(() => lab?.close())

beforeEach(() => writeSpans(lab, three))
afterEach(async () => {
  await rm(runFile('pauses'), { force: true })
  // A span that may have a network in Docker waits for Docker: here, none ever had.
  await writeSpans(lab, '\nspans: {span0: {sources: [{interface: ens192}]}}')
  await spanplan(lab, ['apply', '--yes', '--no-prune'])
  await spanplan(lab, ['destroy', '--all', '--yes', '--defer-docker'])
  await expectRestored(lab, first)
})

/** Cards by name, by altname and by MAC address; a card that is not there, and sensors, though there is no Docker. */
const three = `
interfaces: {tap: {match: {macaddress: "02:00:00:00:01:02"}}}
spans:
  span0: {sources: [{interface: ens192}, {interface: ens999}], sensors: [suricata]}
  span1: {sources: [{interface: enp19s0}]}
  span2: {sources: [{interface: ens192}, {interface: tap}]}`

const runFile = (kind: string) => join(lab.files, `../run/net-${statSync(hostNamespace(lab.name)).ino}.${kind}`)

/** Runs the hook in an environment of this and little else. */
function hook(
  env: Readonly<Record<string, string>>,
  args: readonly string[] = [],
  { exitCode = 0, ...options }: SpanplanOptions & { readonly exitCode?: number } = {}
): Promise<Outcome> {
  return spanplan(lab, ['hook', ...args], exitCode, { ...options, env: { ...told, ...options.env, ...env } })
}

async function bridges(): Promise<string[]> {
  const links: { ifname: string }[] = JSON.parse(await lab.run(['ip', '-j', 'link', 'show', 'type', 'bridge']))
  return links.map(({ ifname }) => ifname).sort()
}

/** How many mirrors a card has for what it receives. */
async function mirrors(card: string): Promise<number> {
  const text = await lab.run(['tc', 'filter', 'show', 'dev', card, 'ingress'])
  return text.split('\n').filter((line) => line.includes('mirred')).length
}

async function isPromiscuous(card: string): Promise<boolean> {
  const [link]: { promiscuity: number }[] = JSON.parse(await lab.run(['ip', '-j', '-d', 'link', 'show', 'dev', card]))
  return (link?.promiscuity ?? 0) > 0
}

describe('up', () => {
  test.each([
    ['by its name', 'ens192', ['span0', 'span2']],
    ['by an altname in the file', 'ens224', ['span1']],
    ['by an altname of the hook', 'enp19s0', ['span1']],
    ['by its MAC address', 'ens256', ['span2']]
  ])('the spans that concern the card, %s, are applied, and no others', async (_, IFACE, spans) => {
    const { stdout, stderr } = await hook({ IFACE, MODE: 'start', PHASE: 'post-up' })
    expect(await bridges()).toEqual(spans)
    expect(stdout).toBe('')
    expect(stderr).toContain(`spanplan hook: ${IFACE}: + bridge ${spans[0]} (`)
    for (const line of stderr.trim().split('\n')) expect(line).toMatch(/^spanplan hook: ens\w+: |: enp19s0: /)
    expect(await hook({ IFACE, PHASE: 'post-up' })).toMatchObject({ stdout: '', stderr: '' })
  })

  test('the spans that copy from the bridges of these are applied too, before there is such a bridge', async () => {
    await writeSpans(
      lab,
      `
spans:
  three: {sources: [{interface: two}]}
  two: {sources: [{interface: one}, {interface: ens224}]}
  one: {sources: [{interface: ens192}]}
  other: {sources: [{interface: ens224}]}`
    )
    const env = { IFACE: 'ens192', PHASE: 'post-up' }
    const { stderr } = await hook(env, ['--strict'])
    expect(stderr).toContain('spanplan hook: ens192: + mirror two ingress → three (every frame)\n')
    expect(await bridges()).toEqual(['one', 'three', 'two'])
    expect([await mirrors('ens192'), await mirrors('one'), await mirrors('two')]).toEqual([1, 1, 1])
    expect(await hook(env, ['--strict'])).toMatchObject({ stdout: '', stderr: '' })
    // A bridge that goes is made again, with what copied from it.
    await lab.run(['ip', 'link', 'del', 'dev', 'one'])
    await hook(env, ['--strict'])
    expect([await mirrors('ens192'), await mirrors('one')]).toEqual([1, 1])
  })

  test('an interface that no span concerns is nothing to speak of', async () => {
    for (const IFACE of ['lo', 'ens192:1', 'suricata', '-x', '$(id)']) {
      expect(await hook({ IFACE, PHASE: 'post-up' }, ['--strict'])).toMatchObject({ stdout: '', stderr: '' })
    }
    expect(await bridges()).toEqual([])
  })

  test('--all are all', async () => {
    await hook({ IFACE: '--all', MODE: 'start', PHASE: 'post-up' })
    expect(await bridges()).toEqual(['span0', 'span1', 'span2'])
    // Each that goes down is told of by itself; a card that nobody takes down goes on.
    expect(await hook({ IFACE: '--all', MODE: 'stop', PHASE: 'pre-down' })).toMatchObject({ stderr: '' })
    expect(await mirrors('ens192')).toBe(2)
  })

  test('spans that the file does not know any more are left to others', async () => {
    await hook({ IFACE: 'ens224', PHASE: 'post-up' })
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
    await hook({ IFACE: 'ens192', PHASE: 'post-up' })
    expect(await bridges()).toEqual(['span0', 'span1'])
    await writeSpans(lab, 'spans: {}')
    expect(await hook({ IFACE: 'ens192', PHASE: 'post-up' }, ['--strict'])).toMatchObject({ stderr: '' })
  })

  test('what is to be replaced is, without a question', async () => {
    await hook({ IFACE: 'ens224', PHASE: 'post-up' })
    await writeSpans(lab, 'spans: {span1: {sources: [{interface: ens192}]}}')
    const { stderr } = await hook({ IFACE: 'ens192', PHASE: 'post-up' })
    expect(stderr).toContain('spanplan hook: ens192: - mirror ens224 ingress → span1\n')
    expect(await mirrors('ens224')).toBe(0)
    await expectConverged(lab)
  })
})

describe('down', () => {
  test('takes the mirrors off the card and gives it back; bridges stay, and other cards', async () => {
    await hook({ IFACE: '--all', PHASE: 'post-up' })
    const { stderr } = await hook({ IFACE: 'ens192', MODE: 'stop', PHASE: 'pre-down' })
    expect(stderr).toContain('spanplan hook: ens192: - mirror ens192 ingress → span0\n')
    expect(await mirrors('ens192')).toBe(0)
    expect(await isPromiscuous('ens192')).toBe(false)
    expect(await lab.run(['tc', 'qdisc', 'show', 'dev', 'ens192'])).not.toContain('clsact')
    expect(await bridges()).toEqual(['span0', 'span1', 'span2'])
    expect([await mirrors('ens224'), await mirrors('ens256')]).toEqual([1, 1])
    expect(await goingDown()).toEqual(['ens192'])
    // Other hooks do not put them on again; that of the card does.
    await hook({ IFACE: 'ens256', PHASE: 'post-up' })
    await hook({ IFACE: '--all', PHASE: 'post-up' })
    await hook({ IFACE: 'ens192', PHASE: 'post-down' })
    expect(await mirrors('ens192')).toBe(0)
    await hook({ IFACE: 'ens192', PHASE: 'post-up' })
    expect(await mirrors('ens192')).toBe(2)
    expect(existsSync(runFile('pauses'))).toBe(false)
  })

  test('a card that is down already stays down, though it was up before', async () => {
    await hook({ IFACE: 'ens192', PHASE: 'post-up' })
    await lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'down'])
    await hook({ IFACE: 'ens192', PHASE: 'post-down' })
    expect(await mirrors('ens192')).toBe(0)
    expect(await lab.run(['ip', 'link', 'show', 'dev', 'ens192'])).not.toMatch(/[<,]UP[,>]/)
    await lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'up'])
  })

  test('an altname is that of its card', async () => {
    await hook({ IFACE: 'ens224', PHASE: 'post-up' })
    await hook({ IFACE: 'enp19s0', PHASE: 'pre-down' })
    expect(await mirrors('ens224')).toBe(0)
    expect(await goingDown()).toEqual(['ens224'])
  })
})

test('a pause keeps the hook off, and it says so; what comes and goes is remembered', async () => {
  await spanplan(lab, ['pause', '--for', '1ms'])
  await spanplan(lab, ['pause', 'span0', '--for', '10m'])
  const { stderr } = await hook({ IFACE: 'ens192', PHASE: 'post-up' })
  expect(stderr).toMatch(/^spanplan hook: ens192: span0 is paused until [-\d ]*[:\d]+: it is left unchanged\n/)
  expect(await bridges()).toEqual(['span2'])
  await spanplan(lab, ['pause', '--for', '10m'])
  await hook({ IFACE: 'ens192', PHASE: 'pre-down' })
  expect(await mirrors('ens192')).toBe(1)
  expect(await goingDown()).toEqual(['ens192'])
  await spanplan(lab, ['resume'])
  expect(await goingDown()).toEqual(['ens192'])
})

/** What hooks have been told of, and is not up again. */
async function goingDown(): Promise<string[]> {
  const { goingDown }: { goingDown: { index: number }[] } = JSON.parse(await readFile(runFile('pauses'), 'utf8'))
  const links: { ifname: string; ifindex: number }[] = JSON.parse(await lab.run(['ip', '-j', 'link']))
  return goingDown.map((one) => links.find(({ ifindex }) => ifindex === one.index)?.ifname ?? '')
}

describe('an interface that went down', () => {
  const ip = (...argv: string[]) => lab.run(['ip', ...argv])

  beforeEach(async () => {
    await hook({ IFACE: 'ens192', PHASE: 'post-up' })
    await hook({ IFACE: 'ens192', PHASE: 'pre-down' })
    expect(await goingDown()).toEqual(['ens192'])
    // Not down yet: other hooks leave it alone.
    await hook({ IFACE: 'ens256', PHASE: 'post-up' })
    expect(await mirrors('ens192')).toBe(0)
  })
  afterEach(async () => {
    await ip('link', 'set', 'dev', 'ens192', 'up')
  })

  test('is left down, and is back for all once it is up again, whoever brought it up', async () => {
    await ip('link', 'set', 'dev', 'ens192', 'down')
    await hook({ IFACE: 'ens192', PHASE: 'post-down' })
    await hook({ IFACE: 'ens256', PHASE: 'post-up' })
    expect(await ip('link', 'show', 'dev', 'ens192')).not.toMatch(/[<,]UP[,>]/)
    await ip('link', 'set', 'dev', 'ens192', 'up')
    await hook({ IFACE: '--all', PHASE: 'post-up' })
    expect(await mirrors('ens192')).toBe(2)
  })

  test('is back for a watch, too, and for good', async () => {
    await using watch = await startWatch(lab)
    expect(await mirrors('ens192')).toBe(0)
    await ip('link', 'set', 'dev', 'ens192', 'down')
    await until('the watch has seen it', async () =>
      (await readFile(runFile('pauses'), 'utf8')).includes('"settled":true')
    )
    expect(await mirrors('ens192')).toBe(0)
    await ip('link', 'set', 'dev', 'ens192', 'up')
    await until('it is mirrored', async () => (await mirrors('ens192')) === 2)
    await until('it is forgotten', async () => !existsSync(runFile('pauses')))
    await watch.settle()
    // Taken down by hand, it is brought up: nobody has said any more that it is to go.
    await ip('link', 'set', 'dev', 'ens192', 'down')
    await until('it is up', async () => /[<,]UP[,>]/.test(await ip('link', 'show', 'dev', 'ens192')))
  })

  test('is another one when one of its name comes', async () => {
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens300}]}}')
    const add = ['link', 'add', 'name', 'ens300', 'up', 'type', 'veth', 'peer', 'name', 'xens300']
    await ip(...add)
    await hook({ IFACE: 'ens300', PHASE: 'post-up' })
    await hook({ IFACE: 'ens300', PHASE: 'pre-down' })
    await ip('link', 'del', 'dev', 'ens300')
    await ip(...add)
    await hook({ IFACE: '--all', PHASE: 'post-up' })
    expect(await mirrors('ens300')).toBe(1)
    await hook({ IFACE: 'ens300', PHASE: 'post-down' })
    await ip('link', 'del', 'dev', 'ens300')
  })
})

describe('beside a watch', () => {
  /** The programs that a hook starts. */
  async function programsOf(env: Readonly<Record<string, string>>, args: readonly string[] = []): Promise<string[]> {
    const { options, calls } = await wrapPrograms(lab)
    expect(await hook({ ...options.env, ...env }, args)).toMatchObject({ stdout: '', stderr: '' })
    return (await calls()).filter((line) => line.startsWith('$ '))
  }

  test('of the same files, it starts nothing itself: the watch does all of it', async () => {
    await using watch = await startWatch(lab)
    await watch.settle()
    expect(await programsOf({ IFACE: 'ens192', PHASE: 'post-up' })).toEqual([])
    await until('the watch has looked', async () => (await watch.runs('hook')) === 1)
    // By its altname.
    expect(await programsOf({ IFACE: 'enp19s0', PHASE: 'pre-down' })).toEqual([])
    expect(await goingDown()).toEqual(['ens224'])
    await until('the mirror is off', async () => (await mirrors('ens224')) === 0)
    expect(await programsOf({ IFACE: 'ens224', PHASE: 'post-up' })).toEqual([])
    await until('the mirror is back', async () => (await mirrors('ens224')) === 1)
    // What concerns no span needs no run.
    for (const PHASE of ['pre-down', 'post-up']) expect(await programsOf({ IFACE: 'lo', PHASE })).toEqual([])
    expect(existsSync(runFile('pauses'))).toBe(false)
    await watch.settle()
    expect(await watch.runs('hook')).toBe(3)
  })

  test('that has been stuck until the hook gave up, nothing is left to it', async () => {
    await using watch = await startWatch(lab)
    const send = (until: number) =>
      watch.ask(
        `interface ${JSON.stringify({ name: 'ens224', direction: 'down', paths: [told.SPANPLAN_FILE], until })}`
      )
    expect(await send(uptime() - 1)).toBe(false)
    expect(existsSync(runFile('pauses'))).toBe(false)
    expect(await send(uptime() + 60)).toBe(true)
    expect(await goingDown()).toEqual(['ens224'])
  })

  test('that does not take the file as it is now, it says what is wrong', async () => {
    await using watch = await startWatch(lab)
    await writeSpans(lab, 'spans: nonsense')
    await until('the watch has read it', async () => !(await watch.state()).file.valid)
    const { stderr } = await hook({ IFACE: 'ens192', PHASE: 'post-up' }, ['--strict'], { exitCode: 65 })
    expect(stderr).toContain('spans.yaml:2:8: error: ')
  })

  test.each([
    ['of other files', [], 'elsewhere.yaml'],
    ['that changes nothing', ['--dry-run'], 'spans.yaml']
  ])('%s, it does its work itself', async (_, args, file) => {
    await writeFile(
      join(lab.files, 'elsewhere.yaml'),
      'version: 1\nname: other\nspans: {tap9: {sources: [{interface: ens224}]}}'
    )
    await using watch = await startWatch(lab, args)
    await watch.settle()
    await hook({ IFACE: 'ens224', PHASE: 'post-up' }, ['-f', file])
    expect(await mirrors('ens224')).toBeGreaterThan(0)
    // The watch has seen the change, and may be looking.
    await spanplan(lab, ['destroy', '--name', 'other', '--yes', '--defer-docker', '--lock-timeout', '30s'])
  })

  test('that cannot get the lock, it waits for it itself', async () => {
    await using watch = await startWatch(lab)
    await watch.settle()
    const holder = lab.start(['flock', runFile('lock'), 'sh', '-c', 'echo locked; read -r _'])
    await new Promise((resolve) => holder.stdout.once('data', resolve))
    const { stderr } = await hook({ IFACE: 'ens192', PHASE: 'pre-down' }, ['--lock-timeout', '1s', '--strict'], {
      exitCode: 75
    })
    expect(stderr).toContain('another spanplan is running')
    holder.stdin.end('\n')
    await holder
  })
})

describe('what goes wrong is told, and fails only with --strict', () => {
  /** Both: what it says, and what it exits with where it is to. */
  async function expectTold(env: Readonly<Record<string, string>>, args: readonly string[], exitCode: number) {
    const { stdout, stderr } = await hook(env, args)
    expect(stdout).toBe('')
    expect((await hook(env, [...args, '--strict'], { exitCode })).stderr).toBe(stderr)
    return stderr
  }

  test('a file that is broken, or not there', async () => {
    const env = { IFACE: 'ens192', PHASE: 'post-up' }
    await writeSpans(lab, 'spans: {span0: {sources: [{interfaces: ens192}]}}')
    expect(await expectTold(env, [], 65)).toMatch(/^(spanplan hook: ens192: .*\n)+$/)
    expect(await expectTold(env, ['-f', '/nowhere/spans.yaml'], 65)).toMatch(
      /^spanplan hook: ens192: error: \/nowhere\/spans.yaml cannot be read: it does not exist\n/
    )
    // Not the one of the folder that it happens to be started in.
    expect(await expectTold({ ...env, SPANPLAN_FILE: '' }, [], 65)).toContain('/etc/spanplan cannot be read')
  })

  test('what it is not told', async () => {
    expect(await expectTold({ IFACE: 'ens192' }, [], 64)).toContain(
      'whether the interface goes up or down is not given'
    )
    expect(await expectTold({ IFACE: 'ens192', PHASE: 'up\n' }, [], 64)).toContain(
      '"up\\u000a" is not a phase of a hook'
    )
    expect(await expectTold({ PHASE: 'post-up' }, [], 64)).toMatch(/^spanplan hook: error: the name of the interface/)
    expect(await hook({ IFACE: 'ens192', PHASE: 'pre-up' }, ['--strict'])).toMatchObject({ stderr: '' })
    await hook({ IFACE: 'lo', PHASE: 'pre-up' }, ['--interface', 'ens224', '--phase', 'up'])
    expect(await bridges()).toEqual(['span1'])
    await hook({ IFACE: 'ens224', MODE: 'stop' })
    expect(await mirrors('ens224')).toBe(0)
  })

  test("what is another's is not taken over", async () => {
    await lab.run(['ip', 'link', 'add', 'dev', 'span1', 'type', 'bridge'])
    const before = await lab.snapshotText()
    const stderr = await expectTold({ IFACE: 'ens224', PHASE: 'post-up' }, [], 1)
    expect(stderr).toMatch(/^spanplan hook: ens224: .*spans\.yaml:6:3: error: a bridge span1 already exists/)
    expect(await lab.snapshotText()).toBe(before)
    await lab.run(['ip', 'link', 'del', 'dev', 'span1'])
  })

  test('a step that fails is taken back', async () => {
    const { options } = await wrapPrograms(lab, { tc: 'case "$input" in *mirred*) exit 1 ;; esac' })
    const env = { ...options.env, IFACE: 'ens224', PHASE: 'post-up' }
    expect(await expectTold(env, [], 5)).toMatch(
      /^spanplan hook: ens224: .*error: could not .*\n[\s\S]*: Everything was rolled back/
    )
    expect(await bridges()).toEqual([])
  })

  test('another spanplan that is at work for too long', async () => {
    await mkdir(join(lab.files, '../run'), { recursive: true })
    const holder = lab.start(['flock', runFile('lock'), 'sh', '-c', 'echo locked; read -r _'])
    await new Promise((resolve) => holder.stdout.once('data', resolve))
    const env = { IFACE: 'ens224', PHASE: 'post-up' }
    expect(await expectTold(env, ['--lock-timeout', '20ms'], 75)).toMatch(
      /^spanplan hook: ens224: error: another spanplan is running\n/
    )
    // That is what it waits for unless told otherwise; an interface that no span concerns does not.
    expect(await hook({ IFACE: 'lo', PHASE: 'post-up' })).toMatchObject({ stderr: '' })
    const waits = hook(env)
    await until('it waits', async () => isWaitedFor(await readFile('/proc/locks', 'utf8')))
    holder.stdin.end('\n')
    await holder
    await waits
    expect(await bridges()).toEqual(['span1'])
  })
})

const isWaitedFor = (locks: string) => new RegExp(`-> FLOCK .*:${statSync(runFile('lock')).ino} `).test(locks)

describe('where it is started', () => {
  test('there may be next to no environment', async () => {
    const bare = ['env', '-i', 'IFACE=ens224', 'MODE=start', 'PHASE=post-up', 'PATH=/bin:/sbin']
    const own = [`SPANPLAN_RUN_DIR=${join(lab.files, '../run')}`, `SPANPLAN_FILE=${told.SPANPLAN_FILE}`]
    await spanplan(lab, ['hook', '--strict'], 0, { through: [...bare, ...own], cwd: '/' })
    expect(await bridges()).toEqual(['span1'])
  })

  test('what it starts inherits no descriptor of the one that started it', async () => {
    const list = join(lab.files, 'descriptors')
    const { options } = await wrapPrograms(lab, { tc: `ls -l /proc/$$/fd >${list}` })
    const lock = join(lab.files, "ifupdown's")
    const script = `exec 9>"${lock}" 18>"${lock}" 200>"${lock}"; exec "$@"`
    const outside = ['bash', '-c', script, 'bash'] as const
    await hook({ IFACE: 'ens224', PHASE: 'post-up' }, ['--strict'], { ...options, through: outside })
    const open = await readFile(list, 'utf8')
    expect(open).toContain(' 0 -> ')
    expect(open).not.toContain(lock)
    // A file that is named by a descriptor is read all the same.
    const piped = ['bash', '-c', `exec 200<"${told.SPANPLAN_FILE}"; exec "$@"`, 'bash'] as const
    await hook({ IFACE: 'ens192', PHASE: 'post-up' }, ['-f', '/dev/fd/200', '--strict'], { through: piped })
    expect(await bridges()).toEqual(['span0', 'span1', 'span2'])
  })
})
