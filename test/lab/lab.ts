/**
 * A lab: a small host of its own in a network namespace, with cards on cables from a switch, and a private Docker.
 * What is done in it touches nothing outside; closing it leaves nothing behind.
 */

import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type Docker from 'dockerode'
import { execa } from 'execa'
import { describeHost } from './describe-host.ts'
import { PrivateDocker } from './docker/private-docker.ts'
import { importSensorImage, SENSOR_IMAGE } from './docker/sensor-images.ts'
import { writePcap } from './frames/frames.ts'
import { type Capture, type CaptureOptions, captureInside, captureOn } from './frames/tcpdump.ts'
import { parseRows } from './parse-rows.ts'
import { findProgram, labEnvironment, labFolder, labsFolder, privateEnvironment, projectRoot } from './programs.ts'
import { guardLab, hostNamespace, namePrefix, sweepLab, sweepStaleLabs, switchNamespace } from './sweep.ts'
import { containerSysctls, forwardIpv4, setSysctls } from './sysctls.ts'

/** A cable between a card of the lab's host and the switch. */
interface CableOptions {
  readonly card: string
  readonly mtu?: number
}

export interface LabOptions {
  /** The card of the n-th is on the switch's port `sw<n>`. One with the card `ens192` if not given. */
  readonly cables?: readonly CableOptions[]
  /** Whether dockerd runs, and the sensor image is there. */
  readonly docker?: boolean
  /** More options for dockerd. */
  readonly dockerdOptions?: readonly string[]
}

/** Where a command runs: on the lab's host, or beyond the cables. */
export type Side = 'host' | 'switch'

export interface Cable {
  readonly card: string
  readonly cardMac: string
  readonly port: string
  readonly portMac: string
  readonly mtu: number
}

export interface RunOptions {
  readonly input?: string
  readonly on?: Side
}

export interface SpanplanOptions {
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
  /** The lab's `files` if not given. */
  readonly cwd?: string
  /** A command to run it with, as `setpriv` or `strace`. */
  readonly through?: readonly string[]
}

export interface Outcome {
  readonly stdout: string
  readonly stderr: string
  readonly exitCode: number
}

const runFile = promisify(execFile)

/** A container's. */
type Labels = Record<string, string>

export type Argv = readonly [string, ...string[]]

/** The filter takes no frame: listening costs nothing, whatever is sent. */
const listenOnAll = ['tcpdump', '-Z', 'root', '-i', 'any', '-w', '/dev/null', 'less', '1'] as const

const DEFAULT_CABLES: readonly CableOptions[] = [{ card: 'ens192' }]
/** Jumbo frames, as they are usual where much is mirrored: 9014 bytes with the header. */
const DEFAULT_MTU = 9000
const CARRIER_MS = 60_000
/** tcpreplay tries for ever to send what a filter on the way out drops. */
const SEND_MS = 60_000

/** Makes a lab; the labs of killed test runs are swept first. */
export async function createLab(options: LabOptions = {}): Promise<Lab> {
  sweepStaleLabs()
  const name = basename(await mkdtemp(join(labsFolder, namePrefix)))
  guardLab(name)
  const lab = new Lab(name, options)
  try {
    await lab.open()
  } catch (error) {
    await lab.close()
    throw error
  }
  return lab
}

export class Lab implements AsyncDisposable {
  /** Of its namespace, its cgroup, its folder. */
  readonly name: string
  readonly cables: readonly Cable[]
  /** An empty folder for a test's own files. */
  readonly files: string
  readonly #docker: PrivateDocker | undefined
  #sends = 0

  constructor(name: string, options: LabOptions) {
    const { cables = DEFAULT_CABLES, docker = false, dockerdOptions = [] } = options
    this.name = name
    this.files = join(labFolder(name), 'files')
    this.cables = cables.map(({ card, mtu = DEFAULT_MTU }, index) => ({
      card,
      cardMac: cableMac(1, index),
      port: `sw${index}`,
      portMac: cableMac(2, index),
      mtu
    }))
    this.#docker = docker ? new PrivateDocker(name, dockerdOptions) : undefined
  }

  /** Builds everything; {@link createLab} does it. */
  async open(): Promise<void> {
    await chmod(labFolder(this.name), 0o755)
    await mkdir(this.files)
    const ip = (...argv: string[]) => execa(findProgram('ip'), argv)
    for (const namespace of [this.name, `${this.name}-sw`]) {
      await ip('netns', 'add', namespace)
      await ip('-n', namespace, 'link', 'set', 'dev', 'lo', 'up')
    }
    for (const on of ['host', 'switch'] as const) await this.run(setSysctls, { on })
    for (const cable of this.cables) await this.#layCable(cable)
    await this.#awaitCarrier()
    if (this.#docker) {
      await this.#docker.start()
      await this.run(forwardIpv4)
      await importSensorImage(this.#docker.client, join(labFolder(this.name), 'image'))
    }
  }

  /** The client of the lab's own Docker. */
  get docker(): Docker {
    return this.#requireDocker().client
  }

  get hasDocker(): boolean {
    return this.#docker !== undefined
  }

  /** For `DOCKER_HOST`. */
  get dockerHost(): string {
    return `unix://${this.#requireDocker().socket}`
  }

  /** The folder of what Docker keeps while it runs: /run/docker on most hosts. */
  get dockerState(): string {
    return this.#requireDocker().execRoot
  }

  /** Runs a command in the lab and gives what it printed; rejects, with its stderr, if it fails. */
  async run(argv: Argv, { input = '', on = 'host' }: RunOptions = {}): Promise<string> {
    const { env } = this.#surroundings()
    // Node's own: most commands of a test take less time than execa does.
    const running = runFile(findProgram('nsenter'), this.#enter(on, argv), { env, maxBuffer: Number.POSITIVE_INFINITY })
    // A command may end before it has read all.
    running.child.stdin?.on('error', () => undefined).end(input)
    const { stdout } = await running
    return stdout.replace(/\n$/, '')
  }

  /** Starts a command in the lab: execa's subprocess. It ends with the lab at the latest. */
  start(argv: Argv, { input, on = 'host' }: RunOptions = {}) {
    const options = { ...this.#surroundings(), ...(input === undefined ? {} : { input }) }
    const subprocess = execa(findProgram('nsenter'), this.#enter(on, argv), options)
    // That the lab's end ends it is no failure; who awaits it still learns of it.
    subprocess.catch(() => undefined)
    return subprocess
  }

  /** Runs spanplan as a user would on the lab's host; whatever it exits with is a result. */
  async spanplan(args: readonly string[], options: SpanplanOptions = {}): Promise<Outcome> {
    const { stdout, stderr, exitCode, signal } = await this.startSpanplan(args, options)
    if (exitCode === undefined) throw new Error(`spanplan ended by ${signal}: ${stderr}`)
    return { stdout, stderr, exitCode }
  }

  /** Starts spanplan: execa's subprocess, which does not reject. */
  startSpanplan(args: readonly string[], { input, env, cwd = this.files, through = [] }: SpanplanOptions = {}) {
    const [program, ...rest] = [...through, process.execPath, join(projectRoot, 'bin/spanplan.js'), ...args]
    const surroundings = this.#surroundings()
    return execa(findProgram('nsenter'), this.#enter('host', [program ?? process.execPath, ...rest]), {
      ...surroundings,
      env: { ...surroundings.env, ...env },
      cwd,
      reject: false,
      stripFinalNewline: false,
      ...(input === undefined ? {} : { input })
    })
  }

  /** Sends the frames, in order and unchanged: from a port of the switch, from a card as the host's own, or from what else is `on` a side. */
  async send(frames: readonly Buffer[], from = 'sw0', on?: Side): Promise<void> {
    const file = await this.#writeFrames(frames)
    await this.#replay(this.#namespaceOf(from, on), from, file, frames.length)
  }

  /** Sends a frame at a port of the switch, ten times a second, until the function that it gives is called. */
  keepSending(frame: Buffer, from = 'sw0', on?: Side): Promise<() => Promise<void>> {
    return this.stream([frame], 10, from, on)
  }

  /** Sends frames at a port of the switch, so many a second, again and again, until the function that it gives is called. */
  async stream(frames: readonly Buffer[], rate: number, from = 'sw0', on?: Side): Promise<() => Promise<void>> {
    const file = await this.#writeFrames(frames)
    const argv = [
      `--net=${this.#namespaceOf(from, on)}`,
      findProgram('tcpreplay'),
      `--pps=${rate}`,
      '--loop=0',
      '-i',
      from,
      file
    ]
    const sending = execa(findProgram('nsenter'), argv, { env: privateEnvironment(this.name), extendEnv: false })
    sending.catch(() => undefined)
    const before = await this.#countSent(from, on)
    while ((await this.#countSent(from, on)) === before) await sleep(20)
    return async () => {
      sending.kill('SIGKILL')
      await sending.catch(() => undefined)
    }
  }

  /** Sends the frames out of a container's interface, whatever the container itself may do. */
  async sendFrom(container: Docker.Container, device: string, frames: readonly Buffer[]): Promise<void> {
    const file = await this.#writeFrames(frames)
    const { State } = await container.inspect()
    await this.#replay(`/proc/${State.Pid}/ns/net`, device, file, frames.length)
  }

  /** Sends the frames out of a container's interface as fast as it can, again and again, until the function that it gives is called. */
  async floodFrom(
    container: Docker.Container,
    device: string,
    frames: readonly Buffer[]
  ): Promise<() => Promise<void>> {
    const file = await this.#writeFrames(frames)
    const { State } = await container.inspect()
    const argv = [
      `--net=/proc/${State.Pid}/ns/net`,
      findProgram('tcpreplay'),
      '--topspeed',
      '--loop=0',
      '-i',
      device,
      file
    ]
    const sending = execa(findProgram('nsenter'), argv, { env: privateEnvironment(this.name), extendEnv: false })
    return async () => {
      sending.kill('SIGKILL')
      await sending.catch(() => undefined)
    }
  }

  async #countSent(device: string, on?: Side): Promise<number> {
    const argv = ['-n', basename(this.#namespaceOf(device, on)), '-j', '-s', 'link', 'show', 'dev', device]
    const { stdout } = await execa(findProgram('ip'), argv)
    const [link] = parseRows<{ stats64: { tx: { packets: number } } }>(stdout)
    return link?.stats64.tx.packets ?? 0
  }

  async #writeFrames(frames: readonly Buffer[]): Promise<string> {
    const file = join(labFolder(this.name), `send-${this.#sends++}.pcap`)
    await writeFile(file, writePcap(frames))
    return file
  }

  async #replay(namespace: string, device: string, file: string, count: number): Promise<void> {
    const argv = [`--net=${namespace}`, findProgram('tcpreplay'), '--topspeed', '-i', device, file]
    const { all } = await execa(findProgram('nsenter'), argv, {
      env: privateEnvironment(this.name),
      extendEnv: false,
      all: true,
      timeout: SEND_MS
    })
    // It exits with 0 also when the kernel refused some.
    const sent = /Successful packets:\s+(\d+)/.exec(all)?.[1] ?? '0'
    if (Number(sent) !== count) throw new Error(`sent ${sent} of ${count} frames:\n${all}`)
  }

  /** Listens on a link of the host or of the switch. */
  captureLink(device: string, options: CaptureOptions = {}, on?: Side): Promise<Capture> {
    return captureOn(this.#namespaceOf(device, on), this.name, device, options)
  }

  /** Listens in a sensor, as its own tcpdump. */
  capture(container: Docker.Container, device: string, options: CaptureOptions = {}): Promise<Capture> {
    return captureInside(container, device, options)
  }

  /** Listens on a sensor's interface from outside, with no process of the container's own: a tenth of the work. */
  async captureBeside(container: Docker.Container, device: string, options: CaptureOptions = {}): Promise<Capture> {
    const { State } = await container.inspect()
    return captureOn(`/proc/${State.Pid}/ns/net`, this.name, device, options)
  }

  /** Starts a container of the sensor image, without network unless `hostConfig` says so. */
  async startSensor(name: string, hostConfig: Docker.HostConfig = {}, labels: Labels = {}): Promise<Docker.Container> {
    const container = await this.createSensor(name, hostConfig, labels)
    await container.start()
    return container
  }

  /** The same, with a process that listens on all its interfaces and keeps nothing: a sensor that is healthy. */
  async startListener(
    name: string,
    hostConfig: Docker.HostConfig = {},
    labels: Labels = {}
  ): Promise<Docker.Container> {
    const container = await this.createSensor(name, hostConfig, labels, listenOnAll)
    await container.start()
    return container
  }

  /** The same, and does not start it. */
  createSensor(
    name: string,
    hostConfig: Docker.HostConfig = {},
    labels: Labels = {},
    command: Argv = ['/bin/sleep', '100000000'],
    healthCheck?: Docker.HealthConfig
  ): Promise<Docker.Container> {
    // One in another's namespace, or the host's, has none of its own to set.
    const isShared = /^(host$|container:)/.test(hostConfig.NetworkMode ?? '')
    return this.docker.createContainer({
      name,
      Image: SENSOR_IMAGE,
      Labels: labels,
      Cmd: [...command],
      ...(healthCheck && { Healthcheck: healthCheck }),
      // The first process of a container ignores SIGTERM: Docker would wait for ten seconds. A limit of none is no remedy: where Docker
      // kills twice, a restart may take the container that has just ended for running, and not start it (moby's issue 43403).
      StopSignal: 'SIGKILL',
      HostConfig: { NetworkMode: 'none', ...(!isShared && { Sysctls: { ...containerSysctls } }), ...hostConfig }
    })
  }

  /** Runs a command in a container; whatever it exits with is a result. */
  async exec(container: Docker.Container, argv: Argv): Promise<Outcome> {
    const exec = await container.exec({ Cmd: [...argv], AttachStdout: true, AttachStderr: true })
    const stream = await exec.start({ hijack: true, stdin: false })
    const [out, err] = [new PassThrough(), new PassThrough()]
    container.modem.demuxStream(stream, out, err)
    stream.once('end', () => {
      out.end()
      err.end()
    })
    const [stdout, stderr] = await Promise.all([text(out), text(err)])
    const { ExitCode } = await exec.inspect()
    if (ExitCode === null) throw new Error(`${argv.join(' ')} has not ended`)
    return { stdout, stderr, exitCode: ExitCode }
  }

  startDocker(): Promise<void> {
    return this.#requireDocker().start()
  }

  /** Stops dockerd. Its containers stop too, unless `live`. */
  stopDocker({ live = false }: { readonly live?: boolean } = {}): Promise<void> {
    return this.#requireDocker().stop(live)
  }

  /** Docker answers nobody for as long as the action takes. */
  silenceDocker(action: () => Promise<unknown>): Promise<void> {
    return this.#requireDocker().silence(action)
  }

  async restartDocker(options: { readonly live?: boolean } = {}): Promise<void> {
    await this.stopDocker(options)
    await this.startDocker()
  }

  /** The whole state that spanplan may touch, as text: equal before and after means that nothing was left or lost. */
  async snapshotText(): Promise<string> {
    await this.#settle()
    const networks = this.#docker ? await this.docker.listNetworks() : []
    return describeHost((argv, options) => this.run(argv, options), networks)
  }

  /** Ends all processes of the lab and removes all that it has made; does nothing the second time. */
  async close(): Promise<void> {
    sweepLab(this.name)
    // Lets Node see that its children have ended.
    await new Promise((resolve) => setImmediate(resolve))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #layCable({ card, cardMac, port, portMac, mtu }: Cable): Promise<void> {
    const peer = `${this.name}-sw`
    // Before "up", in a command of its own: in the same one it comes too late. With a smaller MTU, there is no IPv6.
    const quiet = (device: string) => (mtu < 1280 ? [] : [`link set dev ${device} addrgenmode none`])
    const lines = [
      `link add name ${card} address ${cardMac} mtu ${mtu} type veth peer name ${port} address ${portMac} mtu ${mtu} netns ${peer}`,
      ...quiet(card)
    ]
    await execa(findProgram('ip'), ['-n', this.name, '-batch', '-'], { input: lines.join('\n') })
    await execa(findProgram('ip'), ['-n', peer, '-batch', '-'], {
      input: [...quiet(port), `link set dev ${port} up`].join('\n')
    })
    await execa(findProgram('ip'), ['-n', this.name, 'link', 'set', 'dev', card, 'up'])
  }

  /** The kernel notices a carrier up to a second late, and adds routes then. Asked for one link, it looks at once. */
  async #awaitCarrier(): Promise<void> {
    const deadline = Date.now() + CARRIER_MS
    const input = this.cables.map(({ card }) => `link show dev ${card}\n`).join('')
    for (;;) {
      const answers = (await this.run(['ip', '-j', '-batch', '-'], { input })).split('\n')
      const links = answers.flatMap((answer) => parseRows<{ ifname: string; operstate: string }>(answer))
      const down = links.filter(({ operstate }) => operstate !== 'UP')
      if (down.length === 0) return
      if (Date.now() > deadline) throw new Error(`no carrier: ${down.map(({ ifname }) => ifname).join(', ')}`)
      await sleep(10)
    }
  }

  /**
   * The kernel tells a carrier's coming and going up to a second late: until then a link has both flags, or neither. Asked for
   * that one link, it does so at once; kernels before 6.8 do not.
   */
  async #settle(): Promise<void> {
    const deadline = Date.now() + CARRIER_MS
    for (;;) {
      const links = parseRows<{ ifname: string; flags: string[] }>(await this.run(['ip', '-j', 'link']))
      const unsettled = links.filter(
        ({ flags }) => flags.includes('UP') && flags.includes('NO-CARRIER') === flags.includes('LOWER_UP')
      )
      if (unsettled.length === 0) return
      if (Date.now() > deadline)
        throw new Error(`no settled carrier: ${unsettled.map(({ ifname }) => ifname).join(', ')}`)
      // One that is gone meanwhile is not among the next links.
      for (const { ifname } of unsettled) await this.run(['ip', 'link', 'show', 'dev', ifname]).catch(() => undefined)
      await sleep(5)
    }
  }

  #enter(side: Side, argv: Argv): string[] {
    const namespace = side === 'host' ? hostNamespace(this.name) : switchNamespace(this.name)
    return [`--net=${namespace}`, '--', ...argv]
  }

  #isPort(device: string): boolean {
    return this.cables.some(({ port }) => port === device)
  }

  #namespaceOf(device: string, on: Side = this.#isPort(device) ? 'switch' : 'host'): string {
    return on === 'switch' ? switchNamespace(this.name) : hostNamespace(this.name)
  }

  #surroundings() {
    const dockerHost = this.#docker ? { DOCKER_HOST: `unix://${this.#docker.socket}` } : {}
    const env = { ...labEnvironment(this.name), ...dockerHost }
    // A signal is answered in its own time, however busy the machine is.
    return { env, extendEnv: false, forceKillAfterDelay: false } as const
  }

  #requireDocker(): PrivateDocker {
    if (this.#docker === undefined) throw new Error('this lab has no Docker: createLab({ docker: true })')
    return this.#docker
  }
}

/** A locally administered address, the same in every lab. */
function cableMac(end: 1 | 2, cable: number): string {
  return `02:00:00:00:0${end}:${cable.toString(16).padStart(2, '0')}`
}
