/** init on a real kernel: what it tells interfaces by, what it asks, and that it changes nothing but for a new file. */
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { loadSpec } from '../../src/spec/load.ts'
import { isReading, wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { arp, BROADCAST, ether, filler, ipv4Udp, vlan } from '../lab/frames/frames.ts'
import { createLab, type Lab, type SpanplanOptions } from '../lab/lab.ts'
import { parseRows } from '../lab/parse-rows.ts'
import { findProgram, projectRoot } from '../lab/programs.ts'
import { spanplan, until } from '../lab/spans.ts'

const hostile = 'a"b$(x)'
const cables = ['ens192', 'ens224', 'ens160', 'ens161', 'ens193', 'plain0'].map((card) => ({ card }))

const client = (number: number) => `02:00:00:00:0a:${number.toString(16).padStart(2, '0')}`
const packet = ipv4Udp({ source: '10.0.0.5', destination: '192.0.2.1', data: Buffer.from('hello') })
const numbers = Array.from({ length: 30 }, (_, index) => index)

const conversations = numbers.map((number) => ether(client(number), client(number + 1), vlan(10, packet)))
const broadcasts = numbers
  .slice(0, 5)
  .map((number) =>
    ether(
      BROADCAST,
      client(number),
      arp({ operation: 'request', senderMac: client(number), senderIp: '10.0.0.5', targetIp: '10.0.0.9' })
    )
  )

let lab: Lab
let before: string
const stops: (() => Promise<void>)[] = []

const fileIn = (name: string) => join(lab.files, name)
const ip = (...words: string[]) => lab.run(['ip', ...words])

beforeAll(async () => {
  lab = await createLab({ cables })
  await ip('addr', 'add', '192.0.2.7/24', 'dev', 'ens160')
  await ip('route', 'add', 'default', 'via', '192.0.2.1')
  await ip('link', 'set', 'dev', 'ens193', 'down')
  for (const words of [['down'], ['name', hostile], ['up']]) {
    await ip('link', 'set', 'dev', words[0] === 'up' ? hostile : 'plain0', ...words)
  }
  await ip('link', 'add', 'docker0', 'type', 'bridge')
  await ip(
    'link',
    'add',
    'veth1',
    'master',
    'docker0',
    'type',
    'veth',
    'peer',
    'name',
    'inner',
    'netns',
    `${lab.name}-sw`
  )
  stops.push(await lab.stream([...conversations, ...broadcasts], 100, 'sw0'))
  stops.push(await lab.stream(broadcasts, 50, 'sw1'))
  stops.push(await lab.stream([ether(lab.cables[2]?.cardMac ?? '', client(1), filler(60))], 20, 'sw2'))
  before = await lab.snapshotText()
})

/** Those that somebody has made promiscuous: a bridge does so with its ports. */
async function promiscuous(): Promise<string[]> {
  const links = parseRows<{ ifname: string; promiscuity: number }>(await ip('-json', '-details', 'link', 'show'))
  return links.filter(({ promiscuity }) => promiscuity > 0).map(({ ifname }) => ifname)
}

/** Nobody listens any more, and all is as it was. */
afterEach(async () => {
  expect(await lab.run(['ss', '--packet', '--no-header'])).not.toContain('ens')
  expect(await promiscuous()).toEqual(['veth1'])
  expect(await lab.snapshotText()).toBe(before)
  await rm(fileIn('spans.yaml'), { force: true })
})
afterAll(async () => {
  for (const stop of stops) await stop()
  await lab?.close()
})

interface Listed {
  readonly interfaces: readonly {
    readonly name: string
    readonly kind: string
    readonly message: string
    readonly driver: string | null
    readonly frames_per_second: number
    readonly sample: { readonly frames: number; readonly senders: number } | null
  }[]
  readonly left_out: readonly { readonly name: string; readonly reason: string }[]
}

async function readList(args: readonly string[] = [], options: SpanplanOptions = {}): Promise<Listed> {
  const { stdout } = await spanplan(lab, ['init', '--json', ...args], 0, options)
  return JSON.parse(stdout)
}

/** What listens runs as another user, and is ended by a signal: no script stays before it. */
const listening = `[ "$1" = --version ] || exec ${findProgram('tcpdump')} "$@"`

const sourcesOf = async (path: string) => {
  const bytes = await readFile(path)
  const { spans } = loadSpec([{ path, bytes }])
  return spans.map(({ name, sources }) => ({
    name,
    sources: sources.map((source) => 'interface' in source && source.interface)
  }))
}

test('tells a mirror port from the others, and leaves out what is no source', async () => {
  const { options, calls } = await wrapPrograms(lab, { tcpdump: listening })
  const { interfaces, left_out } = await readList([], options)
  expect(interfaces.map(({ name, kind }) => [name, kind])).toEqual([
    ['ens192', 'mirror'],
    ['ens224', 'access'],
    ...['ens161', hostile].map((name) => [name, 'silent']),
    ['ens193', 'down']
  ])
  const [mirror, access] = interfaces
  expect(mirror).toMatchObject({ driver: 'veth', sample: { to_own: 0, vlans: [10] } })
  expect(mirror?.message).toMatch(
    /^looks like a mirror port: \d\d % of the frames are for other hosts, none for this one; \d+ senders, VLAN 10$/
  )
  expect(mirror?.frames_per_second).toBeGreaterThan(0)
  expect(access?.message).toMatch(
    /^an access port: broadcasts only, of \d+ senders?; the switch does not mirror to it yet$/
  )
  expect(left_out).toEqual([
    { name: 'lo', reason: expect.stringContaining('loopback') },
    { name: 'ens160', reason: "the host's own: has the default route" },
    { name: 'docker0', reason: expect.stringMatching(/^a bridge/) },
    { name: 'veth1', reason: 'a port of the bridge docker0' }
  ])
  const made = (await calls()).filter((call) => call.startsWith('$ '))
  expect(made.filter((call) => !isReading(call))).toEqual([])
  expect(existsSync(fileIn('spans.yaml'))).toBe(false)
})

test('without a terminal, it takes what looks like a mirror port, and says how to go on', async () => {
  const { stdout, stderr } = await spanplan(lab, ['init'])
  expect(stderr).toBe('')
  expect(stdout).toMatch(/^1 {2}ens192 +up +veth +\S+ +\S+ +\S+$/m)
  expect(stdout).toContain(
    'Wrote spans.yaml: span0 with the source ens192.\nRead it, name sensors in it, and go on:\n  spanplan validate\n  spanplan plan\n  spanplan apply\n'
  )
  expect(await sourcesOf(fileIn('spans.yaml'))).toEqual([{ name: 'span0', sources: ['ens192'] }])
  await spanplan(lab, ['validate'])
  expect((await spanplan(lab, ['plan'])).stdout).toMatch(/\+ +mirror +ens192 ingress → span0/)
})

test('what is named is taken: two, one of them with a name that no shell takes as it is', async () => {
  const { stdout } = await spanplan(lab, ['init', '--interface', hostile, '--interface', 'ens160', '-f', 'other.yaml'])
  expect(stdout).not.toContain('ens192')
  expect(stdout).toContain('  spanplan apply -f other.yaml\n')
  expect(await sourcesOf(fileIn('other.yaml'))).toEqual([{ name: 'span0', sources: [hostile, 'ens160'].sort() }])
  await spanplan(lab, ['validate', '-f', 'other.yaml'])
  await rm(fileIn('other.yaml'))
  const { stdout: file, stderr: table } = await spanplan(lab, ['init', '--interface', 'ens193', '-f', '-'])
  expect(file).toContain('      # down: spanplan apply brings it up\n      - interface: ens193\n')
  expect(table).toMatch(/^1 {2}ens193 +down/m)
})

test('what cannot be named', async () => {
  const refused = await spanplan(lab, ['init', '--interface', 'ens129', '--interface', 'lo'], 64)
  expect(refused.stderr).toContain('error: there is no interface ens129 on this host\n  did you mean "ens192"?')
  expect(refused.stderr).toContain('error: lo cannot be a source: the loopback')
  expect(existsSync(fileIn('spans.yaml'))).toBe(false)
})

test('a file that is there stays as it is, a link and a folder too', async () => {
  await writeFile(fileIn('spans.yaml'), 'mine')
  const refused = await spanplan(lab, ['init', '--interface', 'ens192'], 1)
  expect(refused.stderr).toContain('error: spans.yaml exists, and init only writes a new file. Nothing was written.')
  expect(refused.stderr).toContain('spanplan validate spans.yaml; or name another file: spanplan init -f FILE')
  expect(refused.stdout).toBe('')
  expect(await readFile(fileIn('spans.yaml'), 'utf8')).toBe('mine')
  await symlink('/nowhere', fileIn('link.yaml'))
  expect((await spanplan(lab, ['init', '-f', 'link.yaml'], 1)).stderr).toContain('link.yaml exists')
  await mkdir(fileIn('folder'))
  await spanplan(lab, ['init', '-f', 'folder'])
  expect((await spanplan(lab, ['init', '-f', 'folder'], 1)).stderr).toContain('folder/spans.yaml exists')
  const missing = await spanplan(lab, ['init', '-f', 'nowhere/spans.yaml'], 1)
  expect(missing.stderr).toContain('cannot be written to nowhere/spans.yaml: its folder does not exist')
  await rm(fileIn('folder'), { recursive: true })
  await rm(fileIn('link.yaml'))
})

describe('on a terminal', () => {
  /** script(1) is the terminal. */
  function onTerminal(...args: string[]) {
    const program = [process.execPath, join(projectRoot, 'bin/spanplan.js'), 'init', '--color', 'never', ...args].join(
      ' '
    )
    const terminal = lab.start(['script', '-qec', program, '/dev/null'])
    let said = ''
    terminal.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    const untilSaid = (words: string) =>
      until(`it says ${words}`, async () => said.includes(words) || terminal.exitCode !== null)
    const answer = (text: string) => terminal.stdin?.write(`${text}\n`)
    const end = async () => {
      const { exitCode } = await terminal.catch((error: { exitCode: number }) => error)
      return { exitCode, said: said.replaceAll('\r', '') }
    }
    return { untilSaid, answer, end }
  }
  const question = 'Which are to be sources? Their numbers or names, or q for none [1]:'

  test('it asks again until the answer is clear, and takes numbers and names', async () => {
    const terminal = onTerminal('-f', fileIn('spans.yaml'))
    await terminal.untilSaid(question)
    terminal.answer('9')
    await terminal.untilSaid('"9" is not in the list: 1 to 5, or ens192, ens224, ')
    terminal.answer('2, ens193')
    const { exitCode, said } = await terminal.end()
    expect(said).toContain('Listening for 2 s on 4 interfaces')
    expect(exitCode, said).toBe(0)
    expect(await sourcesOf(fileIn('spans.yaml'))).toEqual([{ name: 'span0', sources: ['ens224', 'ens193'] }])
  })

  test('no answer takes what looks like a mirror port', async () => {
    const terminal = onTerminal('-f', fileIn('spans.yaml'))
    await terminal.untilSaid(question)
    terminal.answer('')
    expect((await terminal.end()).exitCode).toBe(0)
    expect(await sourcesOf(fileIn('spans.yaml'))).toEqual([{ name: 'span0', sources: ['ens192'] }])
  })

  test('q writes nothing', async () => {
    const terminal = onTerminal('-f', fileIn('spans.yaml'))
    await terminal.untilSaid(question)
    terminal.answer('q')
    expect(await terminal.end()).toMatchObject({
      exitCode: 1,
      said: expect.stringContaining('error: no interface was chosen. Nothing was written.')
    })
    expect(existsSync(fileIn('spans.yaml'))).toBe(false)
  })

  test('a file that comes while the question is open stays as it is', async () => {
    const terminal = onTerminal('-f', fileIn('spans.yaml'))
    await terminal.untilSaid(question)
    await writeFile(fileIn('spans.yaml'), 'theirs')
    terminal.answer('1')
    const { exitCode, said } = await terminal.end()
    expect(exitCode).toBe(1)
    // A terminal has lines of so many columns.
    const inOneLine = said.replaceAll(/\s+/g, ' ')
    expect(inOneLine).toContain('exists, and init only writes a new file')
    expect(inOneLine).toContain('spanplan init --interface ens192 -f FILE')
    expect(await readFile(fileIn('spans.yaml'), 'utf8')).toBe('theirs')
  })
})

test('files in /etc/spanplan, which the other commands would read', async () => {
  const script = [
    'mount -t tmpfs tmpfs /srv',
    'mkdir -p /srv/upper/spanplan /srv/work',
    ': >/srv/upper/spanplan/mine.yaml',
    'mount -t overlay -o lowerdir=/etc,upperdir=/srv/upper,workdir=/srv/work overlay /etc',
    'exec "$@"'
  ]
  const through = ['unshare', '--mount', 'sh', '-ec', script.join('\n'), 'sh']
  const { stderr } = await spanplan(lab, ['init'], 1, { through })
  expect(stderr).toContain(
    'error: /etc/spanplan has files already, which the other commands read. Nothing was written.'
  )
  await spanplan(lab, ['init', '-f', 'spans.yaml'], 0, { through })
})

test('nobody goes on listening where it is killed', async () => {
  // The second look at the counters does not end.
  const looks = `case "$*" in *"-s -s"*) if [ -e ${fileIn('looked')} ]; then sleep 1000; else : >${fileIn('looked')}; fi;; esac`
  const { options } = await wrapPrograms(lab, { ip: looks, tcpdump: listening })
  const running = lab.startSpanplan(['init', '--list'], options)
  await until('it listens', async () => (await promiscuous()).includes('ens192'))
  running.kill('SIGKILL')
  await running
  await until('nobody listens', async () => (await promiscuous()).join() === 'veth1')
  await rm(fileIn('looked'), { force: true })
})

test('an interface that goes meanwhile', async () => {
  // Before the second look at the counters.
  const go = `case "$*" in *"-s -s"*) if [ -e ${fileIn('looked')} ]; then run link del dev short0; else : >${fileIn('looked')}; fi;; esac`
  const add = () => ip('link', 'add', 'short0', 'up', 'type', 'veth', 'peer', 'name', 'short1')
  await add()
  const { options } = await wrapPrograms(lab, { ip: go, tcpdump: listening })
  const { interfaces, left_out } = await readList([], options)
  expect(left_out).toContainEqual({ name: 'short0', reason: 'it went away just now' })
  expect(interfaces[0]).toMatchObject({ name: 'ens192', kind: 'mirror' })
  await rm(fileIn('looked'))
  await add()
  const refused = await spanplan(lab, ['init', '--interface', 'short0'], 1, options)
  expect(refused.stderr).toBe('error: short0: it went away just now\n  call init again\n')
  await rm(fileIn('looked'))
})

describe('nobody can listen', () => {
  const rates = { kind: 'unknown', message: 'it receives frames; who they are for is not known', sample: null }

  test('nobody may run tcpdump', async () => {
    const hide = 'mount --bind /dev/null "$(command -v tcpdump)"; exec "$@"'
    const options: SpanplanOptions = { through: ['unshare', '--mount', 'sh', '-ec', hide, 'sh'] }
    const { stdout, stderr } = await spanplan(lab, ['init', '--list'], 0, options)
    expect(stderr).toMatch(
      /^warning: who frames are for is not known, only how many there are: the program tcpdump cannot be run: permission denied\n {2}see who may run it: ls -lL "\$\(command -v tcpdump\)"\n$/
    )
    expect(stdout).toContain('it receives frames; who they are for is not known')
    expect((await readList([], options)).interfaces[0]).toMatchObject({ name: 'ens192', ...rates })
    const refused = await spanplan(lab, ['init'], 1, options)
    expect(refused.stderr).toContain('error: no interface looks like a mirror port, and none was named.')
  })

  test('a right is missing', async () => {
    const granted = [
      '--inh-caps=+dac_read_search',
      '--ambient-caps=+dac_read_search',
      '--bounding-set=-all,+dac_read_search'
    ]
    const nobody = { through: ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', ...granted] }
    const { stderr } = await spanplan(lab, ['init', '--list'], 0, nobody)
    expect(stderr.match(/warning: /g)).toHaveLength(1)
    expect(stderr).toContain('only how many there are: listening needs CAP_NET_RAW')
    expect((await readList([], nobody)).interfaces[0]).toMatchObject({ name: 'ens192', ...rates })
  })
})

test('containers that look like sensors are suggested in a comment, whatever their names are', async () => {
  const containers = [
    { Id: 'a'.repeat(64), Names: ['/suricata'], Image: 'jasonish/suricata:8.0', State: 'running' },
    { Id: 'b'.repeat(64), Names: ['/web'], Image: 'nginx', State: 'running' },
    { Id: 'c'.repeat(64), Names: ['/x\n    sensors: [evil]'], Image: 'zeek/zeek', State: 'running' }
  ]
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'application/json').end(JSON.stringify(containers))
  })
  const socket = fileIn('docker.sock')
  await once(server.listen(socket), 'listening')
  await spanplan(lab, ['init'], 0, { env: { DOCKER_HOST: `unix://${socket}` } })
  server.close()
  const text = await readFile(fileIn('spans.yaml'), 'utf8')
  expect(text).toContain('    # sensors:\n    #   - suricata\n\n')
  expect(text).not.toContain('evil')
  expect(loadSpec([{ path: 'spans.yaml', bytes: Buffer.from(text) }]).spans[0]?.sensors).toEqual([])
})
