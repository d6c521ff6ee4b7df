import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Docker from 'dockerode'
import { execa } from 'execa'
import { findProgram, labFolder, privateEnvironment } from '../programs.ts'
import { containerdState, hostNamespace } from '../sweep.ts'

const READY_MS = 120_000
const STOP_MS = 120_000

/** dockerd with a containerd of its own, in the lab's namespace: neither knows of any other on the machine. */
export class PrivateDocker {
  readonly socket: string
  readonly execRoot: string
  readonly client: Docker
  readonly #lab: string
  readonly #folder: string
  readonly #extraArguments: readonly string[]
  #containerd: Daemon | undefined
  #dockerd: Daemon | undefined

  constructor(lab: string, extraArguments: readonly string[]) {
    this.#lab = lab
    this.#folder = labFolder(lab)
    this.#extraArguments = extraArguments
    this.socket = join(this.#folder, 'docker.sock')
    this.execRoot = join(this.#folder, 'de')
    this.client = new Docker({ socketPath: this.socket })
  }

  get #dataRoot(): string {
    return join(this.#folder, 'dd')
  }

  /** Starts what does not run yet, and waits until it answers. */
  async start(): Promise<void> {
    await mkdir(this.#dataRoot, { recursive: true, mode: 0o711 })
    if (!this.#containerd?.running) this.#containerd = await this.#startContainerd()
    if (this.#dockerd?.running) return
    const dockerd = this.#startDockerd()
    this.#dockerd = dockerd
    await waitFor('dockerd answers', READY_MS, async () => {
      dockerd.assertRunning()
      return this.client.ping().then(
        () => true,
        () => false
      )
    })
  }

  /** Stops dockerd; its containers go on running if `live`. */
  async stop(live = false): Promise<void> {
    const dockerd = this.#dockerd
    if (!dockerd?.running) return
    if (live !== (await this.#keepsContainers())) {
      await this.#writeSettings(live)
      dockerd.signal('SIGHUP')
      await waitFor('dockerd has read its settings', READY_MS, async () => live === (await this.#keepsContainers()))
    }
    dockerd.signal('SIGTERM')
    await dockerd.ended(STOP_MS)
  }

  /** dockerd is there, and answers nobody, for as long as the action takes. */
  async silence(action: () => Promise<unknown>): Promise<void> {
    this.#dockerd?.signal('SIGSTOP')
    try {
      await action()
    } finally {
      this.#dockerd?.signal('SIGCONT')
    }
  }

  async #keepsContainers(): Promise<boolean> {
    const info: { LiveRestoreEnabled: boolean } = await this.client.info()
    return info.LiveRestoreEnabled
  }

  #writeSettings(live: boolean): Promise<void> {
    return writeFile(join(this.#folder, 'daemon.json'), JSON.stringify({ 'live-restore': live }))
  }

  async #startContainerd(): Promise<Daemon> {
    await mkdir(this.execRoot, { mode: 0o700 })
    // As /run is on a host: what is mounted in it, is seen in every mount namespace.
    await execa(findProgram('mount'), ['--bind', this.execRoot, this.execRoot])
    await execa(findProgram('mount'), ['--make-shared', this.execRoot])
    const address = join(this.#folder, 'ct.sock')
    await mkdir(join(this.#folder, 'ct'), { recursive: true })
    const settings = join(this.#folder, 'ct/config.toml')
    await writeFile(settings, containerdSettings(join(this.#folder, 'ct/root'), containerdState(this.#lab), address))
    await this.#writeSettings(false)
    // In the namespace too: a container with the host's network gets that of its shim.
    return this.#startInside('containerd', ['--config', settings])
  }

  #startDockerd(): Daemon {
    const inFolder = (name: string) => join(this.#folder, name)
    return this.#startInside('dockerd', [
      '--bridge=none',
      '--iptables=false',
      '--ip6tables=false',
      `--host=unix://${this.socket}`,
      `--containerd=${inFolder('ct.sock')}`,
      `--config-file=${inFolder('daemon.json')}`,
      `--data-root=${this.#dataRoot}`,
      `--exec-root=${this.execRoot}`,
      `--pidfile=${inFolder('docker.pid')}`,
      '--exec-opt=native.cgroupdriver=cgroupfs',
      `--cgroup-parent=/${this.#lab}`,
      ...this.#extraArguments
    ])
  }

  #startInside(program: string, options: readonly string[]): Daemon {
    const argv = [`--net=${hostNamespace(this.#lab)}`, findProgram(program), ...options]
    return new Daemon(program, argv, this.#lab, join(this.#folder, `${program}.log`))
  }
}

class Daemon {
  readonly #name: string
  readonly #log: string
  readonly #child: ChildProcess

  constructor(name: string, argv: readonly string[], lab: string, log: string) {
    const output = openSync(log, 'a')
    this.#name = name
    this.#log = log
    // In a process group of its own, so that Ctrl+C does not reach it before the sweep does.
    this.#child = spawn(findProgram('nsenter'), argv, {
      detached: true,
      stdio: ['ignore', output, output],
      env: privateEnvironment(lab)
    })
    this.#child.unref()
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  assertRunning(): void {
    if (this.running) return
    const lastLines = readFileSync(this.#log, 'utf8').trim().split('\n').slice(-5).join('\n')
    throw new Error(`${this.#name} ended by itself:\n${lastLines}`)
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async ended(patience: number): Promise<void> {
    if (!this.running) return
    const timeout = AbortSignal.timeout(patience)
    await once(this.#child, 'exit', { signal: timeout }).catch((error: unknown) => {
      throw new Error(`${this.#name} does not end`, { cause: error })
    })
  }
}

/** Without the plug-ins that make folders or sockets in places of the system's own. */
function containerdSettings(root: string, state: string, address: string): string {
  const plugins = ['io.containerd.grpc.v1.cri', 'io.containerd.internal.v1.opt', 'io.containerd.nri.v1.nri']
  return `version = 2
root = "${root}"
state = "${state}"
disabled_plugins = ${JSON.stringify(plugins)}
[grpc]
address = "${address}"
[ttrpc]
address = "${address}.ttrpc"
`
}

async function waitFor(what: string, patience: number, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + patience
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`)
    await sleep(25)
  }
}
