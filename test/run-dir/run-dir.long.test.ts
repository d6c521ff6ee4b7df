/** What lies in the run directory, and who listens there: whoever may write to it, and whatever was left. */
import { existsSync, readlinkSync, statSync } from 'node:fs'
import { chmod, chown, copyFile, mkdir, mkdtemp, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { createLab, type Lab, type SpanplanOptions } from '../lab/lab.ts'
import { spanplan, until, warningsIn, writeSpans } from '../lab/spans.ts'
import { hostNamespace } from '../lab/sweep.ts'
import { expectClean } from '../lab/unharmed.ts'

const user = 65534

let lab: Lab
/** A run directory of root's alone. */
let folder: string
let precious: string
let options: SpanplanOptions
const servers: Server[] = []

beforeAll(async () => {
  lab = await createLab()
})
afterAll(() => lab?.close())
beforeEach(async () => {
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
  const place = await mkdtemp(join(lab.files, 'run-'))
  await chmod(place, 0o755)
  folder = join(place, 'run')
  await mkdir(folder)
  precious = join(place, 'precious')
  await writeFile(precious, 'precious')
  // Whoever hangs is ended, and fails.
  options = { env: { SPANPLAN_RUN_DIR: folder }, through: ['timeout', '--signal=KILL', '120'] }
})
afterEach(async () => {
  for (const server of servers.splice(0)) server.close()
  expect(await readFile(precious, 'utf8')).toBe('precious')
})

const runFile = (kind: string) => join(folder, `net-${statSync(hostNamespace(lab.name)).ino}.${kind}`)

/** Listens at a socket, and says this to whoever connects. */
async function listen(kind: string, answer: string | null, owner = 0): Promise<void> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    if (answer !== null) socket.once('data', () => socket.end(answer))
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(runFile(kind), resolve))
  await chown(runFile(kind), owner, owner)
}

const evil = '\u001b[31m\u009b\u202e'

describe('a run directory that somebody else may write to', () => {
  const given: Readonly<Record<string, () => Promise<void>>> = {
    "is another user's": () => chown(folder, user, user),
    'is for all to write': () => chmod(folder, 0o777),
    'is for all to write, and sticky': () => chmod(folder, 0o1777),
    "is its group's to write": async () => {
      await chown(folder, 0, user)
      await chmod(folder, 0o775)
    },
    'is open to another user by an access control list': () =>
      lab.run(['setfacl', '-m', 'u:61002:rwx', folder]).then(() => undefined),
    "lies in another user's": () => chown(join(folder, '..'), user, user),
    'lies where all may write': () => chmod(join(folder, '..'), 0o777)
  }

  test.each(Object.entries(given))('is not used where it %s', async (_, give) => {
    await give()
    await symlink(precious, runFile('pauses.new'))
    await symlink(precious, runFile('lock'))
    await listen('sock', `${JSON.stringify({ confirmed: true, window: evil, message: evil })}\n`)
    for (const args of [['pause', '--for', '1h'], ['apply'], ['watch'], ['confirm'], ['rollback']]) {
      const outcome = await spanplan(lab, args, 77, options)
      expect(warningsIn(outcome.stderr)).toMatch(
        /^error: the run directory \S+ cannot be used: .*\n {2}set \$SPANPLAN_RUN_DIR to a directory of your own/
      )
      expectClean(outcome)
    }
    expect(readlinkSync(runFile('pauses.new'))).toBe(precious)
  })

  test('holds nothing, and answers nothing', async () => {
    await spanplan(lab, ['apply'], 0, options)
    await spanplan(lab, ['pause', '--for', '1h'], 0, options)
    await listen('default.watch', `{"name":"${evil}"}\n`)
    // The socket of a watch without its lock is what a watch leaves that was killed.
    const before = await spanplan(lab, ['status', '--for', '10ms', '--json'], 2, options)
    expect(JSON.parse(before.stdout)).toMatchObject({
      unhealthy: [{ code: 'WATCH_KILLED' }],
      spans: [{ paused_until: expect.any(String) }]
    })
    await chmod(folder, 0o777)
    const { stdout } = await spanplan(lab, ['status', '--for', '10ms', '--json'], 0, options)
    expect(JSON.parse(stdout)).toMatchObject({ watch: null, spans: [{ paused_until: null }] })
    await spanplan(lab, ['destroy', '--yes'])
  })
})

describe('what lies in one of this user alone', () => {
  const left: Readonly<Record<string, (path: string) => Promise<unknown>>> = {
    'a link': (path) => symlink(precious, path),
    'a pipe': (path) => lab.run(['mkfifo', path]),
    'a folder': (path) => mkdir(path),
    'a socket': (path) => {
      const server = createServer().listen(path)
      servers.push(server)
      return new Promise((resolve) => server.once('listening', () => resolve(null)))
    },
    'a file of a gigabyte': async (path) => {
      await writeFile(path, '{"namespace":"')
      await truncate(path, 1024 ** 3)
    },
    "another user's file": async (path) => {
      await writeFile(path, JSON.stringify(await pauseEverything()))
      await chown(path, user, user)
    },
    'a file that all may write': async (path) => {
      await writeFile(path, JSON.stringify(await pauseEverything()))
      await chmod(path, 0o666)
    },
    'no JSON': (path) => writeFile(path, evil),
    'deep JSON': (path) => writeFile(path, '['.repeat(100_000)),
    'other JSON': (path) => writeFile(path, '{"__proto__":{"pauses":[]},"namespace":1,"pauses":{},"away":[null]}')
  }

  async function pauseEverything(): Promise<object> {
    await spanplan(lab, ['pause', '--for', '1h'], 0, options)
    const pauses = JSON.parse(await readFile(runFile('pauses'), 'utf8'))
    await rm(runFile('pauses'))
    return pauses
  }

  test.each(Object.entries(left))('is not believed where it is %s', async (_, lay) => {
    await lay(runFile('pauses'))
    const outcome = await spanplan(lab, ['hook', '--strict'], 0, {
      ...options,
      env: { ...options.env, IFACE: 'ens192', PHASE: 'post-up', SPANPLAN_FILE: join(lab.files, 'spans.yaml') }
    })
    expect(outcome.stderr).not.toContain('paused')
    expectClean(outcome)
    expect(await lab.run(['tc', 'filter', 'show', 'dev', 'ens192', 'ingress'])).toContain('mirred')
    await spanplan(lab, ['destroy', '--yes'], 0, options)
  })

  test('is written exclusively, for everybody to read, whatever the umask', async () => {
    await symlink(precious, runFile('pauses.new'))
    const through = ['sh', '-c', 'umask 077; exec "$@"', 'sh']
    await spanplan(lab, ['pause', '--for', '1h'], 0, { ...options, through })
    expect(statSync(runFile('pauses')).mode & 0o7777).toBe(0o644)
    expect(existsSync(runFile('pauses.new'))).toBe(false)
  })

  test('stays as it is where the disk has no room for a new one', async () => {
    const until = new Date(Date.now() + 3_600_000).toISOString()
    const pauses = Array.from({ length: 100 }, (_, index) => ({ span: `span${index}`, until }))
    const text = JSON.stringify({ ...(await pauseEverything()), pauses })
    const whole = join(folder, '..', 'whole')
    await writeFile(whole, text)
    // Four pages: two for these pauses, and one for the lock. The kernel writes the first page of the new file, and no more.
    const disk = 'mount -t tmpfs -o size=16k,mode=755 tmpfs "$1" && cp "$2" "$3"'
    const script = `${disk} && { pauses=$3; shift 3; "$@"; status=$?; cat "$pauses"; exit $status; }`
    const through = ['unshare', '--mount', 'sh', '-c', script, 'sh', folder, whole, runFile('pauses')]
    const { stdout, stderr } = await spanplan(lab, ['pause', '--for', '1h'], 1, { ...options, through })
    expect(stdout).toBe(text)
    expect(stderr).toMatch(/^error: \S+\.pauses cannot be written: the disk is full\n$/)
  })

  test('is not the file of the lock: where the disk has no room for that, no right is missing', async () => {
    const script = 'mount -t tmpfs -o nr_inodes=1,mode=755 tmpfs "$1" && shift && exec "$@"'
    const through = ['unshare', '--mount', 'sh', '-c', script, 'sh', folder]
    const { stderr } = await spanplan(lab, ['apply'], 1, { ...options, through })
    const what = `error: the lock file cannot be created in the folder ${folder}: the disk is full\n`
    expect(stderr).toBe(`${what}  free space or inodes there: df ${folder}; df --inodes ${folder}\n`)
  })

  test('may be full: where the file of the lock is there, an apply goes on without its words in it', async () => {
    const fill =
      'mount -t tmpfs -o size=4k,mode=755 tmpfs "$1" && : >"$2" && ! cat /dev/zero >"$1/filler" && shift 2 && exec "$@"'
    const through = ['unshare', '--mount', 'sh', '-c', fill, 'sh', folder, runFile('lock')]
    await spanplan(lab, ['apply', '--yes'], 0, { ...options, through })
    expect(await lab.run(['tc', 'filter', 'show', 'dev', 'ens192', 'ingress'])).toContain('mirred')
    await spanplan(lab, ['destroy', '--yes'], 0, options)
  })

  test('is replaced where a link lay', async () => {
    await symlink(precious, runFile('pauses'))
    await spanplan(lab, ['pause', '--for', '1h'], 0, options)
    expect(await readFile(runFile('pauses'), 'utf8')).toContain('"pauses":[{')
  })
})

describe('who answers', () => {
  test.each([
    ['what a terminal would obey', `${JSON.stringify({ confirmed: true, window: evil, message: evil })}\n`, 0],
    ['no JSON', `${evil}\n`, 1],
    ['something else', '{"confirmed":"yes"}\n', 1],
    ['nothing, and goes', '', 1]
  ])('%s is printed so that it does no harm', async (_, answer, exit) => {
    await listen('sock', answer)
    const outcome = await spanplan(lab, ['confirm'], exit, options)
    expectClean(outcome)
    if (exit === 1) expect(outcome.stderr).toContain('the answer of the apply that waits could not be understood')
  })

  test("another user's socket, or a link to one, is not connected to", async () => {
    await listen('sock', '{"confirmed":true,"window":"a","message":"yes"}\n', user)
    await spanplan(lab, ['confirm'], 1, options)
    await listen('other', '{"confirmed":true,"window":"a","message":"yes"}\n')
    await rm(runFile('sock'))
    await symlink(runFile('other'), runFile('sock'))
    await spanplan(lab, ['confirm'], 1, options)
  })

  test('one that is waited for lets signals through', async () => {
    let asked = false
    const server = createServer((socket) => socket.once('data', () => (asked = true)).on('error', () => undefined))
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(runFile('sock'), resolve))
    const process = lab.startSpanplan(['confirm'], options)
    await until('it has asked', async () => asked)
    process.kill('SIGTERM')
    expect((await process).signal).toBe('SIGTERM')
  })
})

describe('who connects', () => {
  /** Whatever is said; resolves when the other end has closed. */
  function say(path: string, text: string): Promise<string> {
    const socket = connect({ path, allowHalfOpen: true }).setEncoding('utf8')
    let answer = ''
    socket.on('data', (more) => {
      answer += more
    })
    socket.on('error', () => undefined)
    if (text !== '') socket.write(text)
    return new Promise((resolve) => socket.once('close', () => resolve(answer)).once('end', () => socket.destroy()))
  }

  /** Bytes that are taken until the other end closes, and no line ends in them. */
  async function flood(path: string): Promise<number> {
    const socket = connect(path).on('error', () => undefined)
    const closed = new Promise<Error>((resolve) => socket.once('close', () => resolve(new Error('closed'))))
    const mebibyte = Buffer.alloc(1024 * 1024)
    for (let taken = 0; ; taken += mebibyte.length) {
      const written = new Promise<unknown>((resolve) => socket.write(mebibyte, resolve))
      if (await Promise.race([written, closed])) return taken
    }
  }

  test('and says what nobody understands, much, or nothing, is not waited for', async () => {
    const running = lab.startSpanplan(['apply', '--rollback-after', '10m'], { env: options.env ?? {} })
    await until('the apply waits', async () => existsSync(runFile('sock')))
    expect(statSync(runFile('sock')).mode & 0o777).toBe(0o600)
    const others = ['', '\n', 'confirm', 'constructor\n', `${'x'.repeat(2000)}\n`]
    const answers = await Promise.all(others.map((text) => say(runFile('sock'), text)))
    expect(answers).toEqual(others.map(() => ''))
    expect(await flood(runFile('sock'))).toBeLessThan(4 * 1024 * 1024)
    const silent = say(runFile('sock'), '')
    expect(await say(runFile('sock'), 'confirm\n')).toContain('"confirmed":true')
    expect(await silent).toBe('')
    expect((await running).exitCode).toBe(0)
    expect(existsSync(runFile('sock'))).toBe(false)
    await spanplan(lab, ['destroy', '--yes'], 0, options)
  })
})

describe('what root has ordered', () => {
  /** A /run of a lab's own, where root and the user ops have a run directory each. */
  async function twoUsers() {
    const slashRun = await mkdtemp(join(lab.files, 'slash-run-'))
    await chmod(slashRun, 0o755)
    await mkdir(join(slashRun, 'spanplan-ops'))
    await chown(join(slashRun, 'spanplan-ops'), user, user)
    const here = ['unshare', '--mount', 'sh', '-c', 'mount --bind "$0" /run && exec "$@"', slashRun]
    const caps = ['net_admin', 'net_raw', 'dac_read_search'].map((name) => `+${name}`).join(',')
    const ops = [`--reuid=${user}`, `--regid=${user}`, '--clear-groups', `--inh-caps=${caps}`, `--ambient-caps=${caps}`]
    return {
      asRoot: { through: here, env: { SPANPLAN_RUN_DIR: '' } },
      asOps: { through: [...here, 'setpriv', ...ops], env: { SPANPLAN_RUN_DIR: '/run/spanplan-ops' } }
    } satisfies Record<string, SpanplanOptions>
  }

  const deleteMirror = () => lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress'])
  const isMirrored = async () =>
    (await lab.run(['tc', 'filter', 'show', 'dev', 'ens192', 'ingress'])).includes('mirred')

  test('holds for a run under way, whose watch has another lock', async () => {
    const { asRoot, asOps } = await twoUsers()
    const gate = await mkdtemp(join(lab.files, 'gate-'))
    await chmod(gate, 0o777)
    const [closed, reached] = [join(gate, 'closed'), join(gate, 'reached')]
    const { options: held } = await wrapPrograms(lab, {
      tc: `case "$input" in *qdisc*) [ -e ${closed} ] && echo >${reached}; while [ -e ${closed} ]; do sleep 0.05; done ;; esac`
    })
    await using watch = await startWatch(lab, [], { ...asOps, env: { ...held.env, ...asOps.env }, ready: false })
    await watch.expectTold(/\+ mirror ens192 egress → span0/)
    await writeFile(closed, '')
    watch.signal('SIGHUP')
    await until('a run reads the host', async () => existsSync(reached))
    await spanplan(lab, ['pause', 'span0', '--for', '10m'], 0, asRoot)
    await deleteMirror()
    await rm(closed)
    await watch.expectTold(/ pause +span0 +is left alone until/)
    const { stdout } = await spanplan(lab, ['status', '--for', '10ms', '--json'], 2, asOps)
    expect(JSON.parse(stdout)).toMatchObject({ watch: { drift: 0 }, spans: [{ changes: [{ kind: 'mirror' }] }] })
    expect(await isMirrored()).toBe(false)
    await spanplan(lab, ['resume'], 0, asRoot)
    await watch.stop()
    await spanplan(lab, ['destroy', '--yes'])
  })

  test("holds for a watch of another user's, with a run directory of his own", async () => {
    const { asRoot, asOps } = await twoUsers()
    await using watch = await startWatch(lab, [], { ...asOps, ready: false })
    await watch.expectTold(/\+ mirror ens192 egress → span0/)
    await spanplan(lab, ['pause', 'span0', '--for', '10m'], 0, asRoot)
    await deleteMirror()
    await watch.expectTold(/ pause +span0 +is left alone until/)
    const { stdout } = await spanplan(lab, ['status', '--for', '10ms', '--json'], 2, asOps)
    expect(JSON.parse(stdout)).toMatchObject({ spans: [{ paused_until: expect.any(String) }] })
    expect((await spanplan(lab, ['resume'], 0, asOps)).stdout).toBe(
      'Nothing was paused.\nStill paused by root: span0. To resume: sudo spanplan resume\n'
    )
    await spanplan(lab, ['resume'], 0, asRoot)
    watch.signal('SIGHUP')
    await until('it is put back', isMirrored)
    await watch.stop()
    await spanplan(lab, ['destroy', '--yes'])
  })
})

test('what was held in a network namespace holds nothing in the next one that gets its number', async () => {
  const make = async () => {
    const { pid, stdout } = lab.start(['unshare', '--net', 'sh', '-c', 'echo made; exec sleep infinity'])
    await new Promise((resolve) => stdout.once('data', resolve))
    const path = `/proc/${pid}/ns/net`
    return {
      pauses: join(folder, `net-${statSync(path).ino}.pauses`),
      inside: { ...options, through: ['nsenter', `--net=${path}`] }
    }
  }
  const [first, next] = [await make(), await make()]
  await spanplan(lab, ['pause', '--for', '10m'], 0, first.inside)
  // As if that were its number.
  await copyFile(first.pauses, next.pauses)
  expect((await spanplan(lab, ['resume'], 0, next.inside)).stdout).toBe('Nothing was paused.\n')
  expect(existsSync(next.pauses)).toBe(false)
  expect((await spanplan(lab, ['resume'], 0, first.inside)).stdout).toBe('Resumed: all spans.\n')
})
