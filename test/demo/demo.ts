/**
 * `npm run demo`: shows a person what spanplan does, on a host of its own that lives in a network namespace.
 * Every word after a `$` is run, every answer is real, and what is not as it says ends the demonstration with status 1.
 */
import { Buffer } from 'node:buffer'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { styleText } from 'node:util'
import type Docker from 'dockerode'
import { rawOnly } from '../lab/docker/sensor-images.ts'
import {
  ALL_HOSTS_GROUP,
  arp,
  BROADCAST,
  ether,
  filler,
  igmpQuery,
  ipv4Udp,
  ipv6Udp,
  LLDP_GROUP,
  lldp,
  STP_GROUP,
  stp,
  vlan,
  writePcap
} from '../lab/frames/frames.ts'
import { type Argv, createLab, type Lab } from '../lab/lab.ts'

const FILE = `version: 1
spans:
  span0:
    description: Core switch mirror port
    sources:
      - interface: ens192
        filter: not port 22
    sensors: [suricata]
`

/** How long the sensor is listened to for frames that must not come. */
const QUIET_SECONDS = 0.7

/** One frame of the demonstration. */
interface Sent {
  readonly what: string
  readonly bytes: Buffer
  /** The span's filter lets it pass. */
  readonly passes: boolean
}

const CLIENT = '02:00:00:00:0a:01'
const SERVER = '02:00:00:00:0a:02'
const query = { source: '192.0.2.1', destination: '192.0.2.53', destinationPort: 53, data: Buffer.from('who?') }

function sent(what: string, bytes: Buffer, passes = true): Sent {
  return { what, bytes, passes }
}

/** What comes from the switch. */
const received: readonly Sent[] = [
  sent(
    'ARP, to everybody',
    ether(
      BROADCAST,
      CLIENT,
      arp({ operation: 'request', senderMac: CLIENT, senderIp: '192.0.2.1', targetIp: '192.0.2.53' }),
      60
    )
  ),
  sent('IPv4, to a host that nobody here knows', ether(SERVER, CLIENT, ipv4Udp(query))),
  sent(
    'IPv6, likewise',
    ether(SERVER, CLIENT, ipv6Udp({ ...query, source: '2001:db8::1', destination: '2001:db8::53' }))
  ),
  sent('an IGMP query, after which a bridge prunes multicast', ether(ALL_HOSTS_GROUP, CLIENT, igmpQuery('192.0.2.1'))),
  sent('a frame of VLAN 10', ether(SERVER, CLIENT, vlan(10, ipv4Udp(query)))),
  sent('LLDP, which no bridge forwards', ether(LLDP_GROUP, CLIENT, lldp(CLIENT, 'ge-0/0/1'))),
  sent('spanning tree, which no bridge forwards', ether(STP_GROUP, CLIENT, stp(CLIENT))),
  sent('a jumbo frame', ether(SERVER, CLIENT, filler(9014))),
  sent('port 22, which the filter leaves out', ether(SERVER, CLIENT, ipv4Udp({ ...query, destinationPort: 22 })), false)
]

/** What the host itself sends. */
const answered: readonly Sent[] = [
  sent(
    "an answer of the host's own",
    ether(CLIENT, SERVER, ipv4Udp({ ...query, source: '192.0.2.53', destination: '192.0.2.1', sourcePort: 53 }))
  )
]

const terminal = process.stdout
const colours = terminal.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb'
/** A pipe has no width, and nothing to wrap. */
const width = terminal.columns ?? 120

type Style = Parameters<typeof styleText>[0]

function paint(style: Style, text: string): string {
  return colours ? styleText(style, text, { validateStream: false }) : text
}

function print(text = ''): void {
  terminal.write(`${text}\n`)
}

let step = 0

function heading(title: string): void {
  const text = `${++step}. ${title} `
  print(`\n${paint('bold', text)}${paint('dim', '─'.repeat(Math.max(3, Math.min(width, 100) - text.length)))}`)
}

/** A sentence for the reader, wrapped at words. */
function tell(text: string): void {
  const lines = ['']
  for (const word of text.split(' ')) {
    const last = lines.at(-1) ?? ''
    if (last !== '' && last.length + 1 + word.length > Math.min(width, 100)) lines.push(word)
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`
  }
  print(lines.join('\n'))
}

function shorten(text: string, room: number): string {
  return text.length > room ? `${text.slice(0, room - 1)}…` : text
}

/** What a promise of the demonstration is checked with. */
function ensure(holds: boolean, promise: string): void {
  if (!holds) throw new Error(`not as promised: ${promise}`)
}

/** The host, and those who work on it. */
class Stage {
  readonly #lab: Lab
  readonly #sensor: Docker.Container

  constructor(lab: Lab, sensor: Docker.Container) {
    this.#lab = lab
    this.#sensor = sensor
  }

  /** Runs spanplan as the reader would type it. */
  async spanplan(command: string, contains: readonly string[]): Promise<void> {
    print(paint('cyan', `\n$ spanplan ${command}`))
    const env = colours ? { FORCE_COLOR: '1' } : { NO_COLOR: '1' }
    const { stdout, stderr, exitCode } = await this.#lab.spanplan(command.split(' '), { env })
    terminal.write(stdout + stderr)
    ensure(exitCode === 0, `spanplan ${command} exits with 0, and not ${exitCode}`)
    for (const text of contains) ensure(stdout.includes(text), `spanplan ${command} says: ${text}`)
  }

  /** Runs a command of the system. */
  async run(argv: Argv): Promise<void> {
    print(paint('cyan', `\n$ ${argv.join(' ')}`))
    const output = await this.#lab.run(argv)
    if (output !== '') print(paint('dim', output))
  }

  /** Sends the frames, and shows beside each what tcpdump, in the sensor, caught of it. */
  async exchange(fromSwitch: readonly Sent[], fromHost: readonly Sent[], expected: readonly Sent[]): Promise<void> {
    const capture = await this.#lab.capture(this.#sensor, 'eth0')
    const frames = (list: readonly Sent[]) => list.map(({ bytes }) => bytes)
    if (fromSwitch.length > 0) await this.#lab.send(frames(fromSwitch), 'sw0')
    if (fromHost.length > 0) await this.#lab.send(frames(fromHost), 'ens192')
    const some = expected.length > 0
    const { frames: arrived, dropped } = await capture.stop(
      some ? { count: expected.length } : { seconds: QUIET_SECONDS }
    )
    const words = await this.#describe(arrived)
    const all = [...fromSwitch, ...fromHost]
    print()
    for (const frame of all) {
      print(`  ${paint('yellow', 'sent')}  ${shorten(`${frame.what} (${frame.bytes.length} bytes)`, width - 8)}`)
      const seen = expected.includes(frame) ? words.shift() : undefined
      print(
        seen === undefined
          ? paint('dim', '  seen  nothing')
          : `  ${paint('green', 'seen')}  ${paint('dim', shorten(seen, width - 8))}`
      )
    }
    const same = arrived.length === expected.length && arrived.every((frame, n) => expected[n]?.bytes.equals(frame))
    const verdict = same && some ? ', each once, byte for byte' : ''
    print(paint('bold', `  sent ${all.length}, arrived ${arrived.length}${verdict}`))
    ensure(same && dropped === 0, `${expected.length} frames arrive as they were sent`)
  }

  /** One line a frame, in tcpdump's words. */
  async #describe(frames: readonly Buffer[]): Promise<string[]> {
    if (frames.length === 0) return []
    const file = join(this.#lab.files, 'arrived.pcap')
    await writeFile(file, writePcap(frames))
    const lines = await this.#lab.run(['tcpdump', '-r', file, '-e', '-nn', '-t', '-q'])
    // What is in a frame it indents; both addresses it prints first, and every line would have to be cut for them.
    return lines.split('\n').flatMap((line) => (/^\S/.test(line) ? [line.replace(/^\S+ > \S+, /, '')] : []))
  }
}

async function demonstrate(): Promise<void> {
  tell(
    'spanplan gives the containers of an intrusion detection system what a switch mirrors to a network interface. This demonstration builds a host of its own, in a network namespace: an interface, ens192, on a cable to a switch, a private Docker, and a container, suricata, with no right but NET_RAW. It touches nothing outside, and leaves nothing behind.'
  )
  print(paint('dim', '\nbuilding it …'))
  await using lab = await createLab({ docker: true })
  const sensor = await lab.startSensor('suricata', rawOnly())
  await writeFile(join(lab.files, 'spans.yaml'), FILE)
  const stage = new Stage(lab, sensor)
  const before = await lab.snapshotText()
  const passing = [...received, ...answered].filter(({ passes }) => passes)

  heading('The file')
  print(paint('cyan', '\n$ cat spans.yaml'))
  terminal.write(FILE)

  heading('The plan: what would be done, and nothing is')
  await stage.spanplan('plan', [
    // A kernel that can close a port from its first frame on has a table to create besides.
    ' to create, 1 to change, 0 to replace, 0 to remove.\nThe subnet of span0 is random: '
  ])
  ensure((await lab.snapshotText()) === before, 'plan changes nothing')

  heading('The apply')
  await stage.spanplan('apply', ['Applied and verified: '])

  heading('The frames: from the switch and from the host, in the sensor')
  await stage.exchange(received, answered, passing)

  heading('The second apply: nothing is left to do')
  await stage.spanplan('apply', ['No changes. 1 span matches spans.yaml.'])

  heading('The drift: somebody changes things by hand')
  await stage.run(['ip', 'link', 'set', 'dev', 'span0', 'type', 'bridge', 'ageing_time', '30000'])
  await stage.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress'])
  print()
  tell('The sensor is blind to what comes from the switch, and nothing on the host says so:')
  await stage.exchange(received.slice(0, 2), [], [])
  print()
  tell('spanplan does:')
  await stage.spanplan('plan', ['ageing: 300 → 0', 'ens192 ingress → span0', 'Plan: 1 to create, 1 to change'])
  await stage.spanplan('apply', ['Applied and verified: '])
  await stage.exchange(received.slice(0, 2), [], received.slice(0, 2))

  heading('The end: the host as it was')
  await stage.spanplan('destroy --yes', ['Destroyed and verified: '])
  ensure((await lab.snapshotText()) === before, 'the host is as it was before the first apply')
  print()
  tell(
    'Links, addresses, routes, qdiscs, filters, offloads and Docker networks read as they did before the first apply.'
  )
}

demonstrate().then(
  () => print(paint('green', '\nAll of it was as shown, and all of it is cleaned up.')),
  (error: unknown) => {
    process.stderr.write(
      `\n${paint('red', 'The demonstration failed:')} ${error instanceof Error ? error.message : error}\n`
    )
    process.exitCode = 1
  }
)
