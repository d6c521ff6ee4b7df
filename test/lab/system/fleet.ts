/**
 * A fleet: hosts that are small Debians of their own, each with a systemd, an sshd and maybe a Docker, and a node with Ansible that
 * reaches them by ssh. Every host is a lab, and so is the node, on whose bridge the hosts' lines meet.
 */
import { cp, mkdir, rm, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { createLab, type Lab, type Outcome, type RunOptions } from '../lab.ts'
import { projectRoot } from '../programs.ts'
import { until } from '../spans.ts'
import { findProcesses } from '../sweep.ts'
import { buildPackageOnce, type Debian, makeDebian } from './debian.ts'
import { allUnits, bootSystemd, type Systemd } from './systemd.ts'

const layers = ['fleet', 'debian']
const sshdConfig = 'HostKey /etc/ssh/lab_key\nPermitRootLogin prohibit-password\n'

/** What a host has of its own, by its name. */
export interface FleetOptions {
  readonly hosts: Readonly<Record<string, { readonly docker: boolean }>>
}

export interface FleetHost {
  readonly name: string
  readonly lab: Lab
  /** Runs a script there as root, and gives what it printed; it rejects if the script fails. */
  sh(script: string): Promise<string>
  /** Writes a file there. */
  write(path: string, text: string): Promise<void>
  /** Takes its power, and with that all but what is on its disk, and gives it back. */
  reboot(): Promise<void>
}

/** The node with Ansible, and the hosts. */
export class Fleet implements AsyncDisposable {
  readonly hosts: ReadonlyMap<string, FleetHost>
  /** Where the package is on the node. */
  readonly package: string
  readonly #node: Node

  constructor(hosts: readonly FleetHost[], node: Node, file: string) {
    this.hosts = new Map(hosts.map((host) => [host.name, host]))
    this.package = file
    this.#node = node
  }

  host(name: string): FleetHost {
    const host = this.hosts.get(name)
    if (host === undefined) throw new Error(`there is no host ${name}`)
    return host
  }

  /** Runs a script on the node, in its /srv/fleet; whatever it exits with is a result. */
  run(script: string): Promise<Outcome> {
    return this.#node.run(script)
  }

  /** Starts one: execa's subprocess. It ends with the fleet. */
  start(script: string) {
    return this.#node.start(script)
  }

  /** Writes a file on the node. */
  async write(path: string, text: string): Promise<void> {
    await this.#node.start(`cat >'${path}'`, { input: text })
  }

  /** The line of a host, or all, at the node's end. */
  async setLine(name: string, state: 'up' | 'down'): Promise<void> {
    await this.#node.lab.run(['ip', 'link', 'set', 'dev', name, state])
  }

  /** Takes the node's power: what runs there is gone at once, and says nothing to anybody. */
  async killNode(): Promise<void> {
    await this.#node.kill()
  }

  async close(): Promise<void> {
    for (const { lab } of this.hosts.values()) await lab.close()
    await this.#node.lab.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** Makes it, with examples/fleet in the node's /srv/fleet. spanplan's package is installed on the node, which needs the collection. */
export async function makeFleet({ hosts }: FleetOptions): Promise<Fleet> {
  const names = Object.keys(hosts)
  const node = await Node.create(names)
  const made: FleetHost[] = []
  try {
    const building = buildPackageOnce(node.lab, node.path('srv/packages'))
    building.catch(() => undefined)
    const results = await Promise.allSettled(
      names.map(async (name, index) => {
        made.push(await Host.create(node, name, index, hosts[name]?.docker ?? false))
      })
    )
    for (const result of results) if (result.status === 'rejected') throw result.reason
    const file = join('/', relative(node.path(''), await building))
    await node.start(`dpkg --install ${file}`)
    return new Fleet(made, node, file)
  } catch (error) {
    for (const { lab } of made) await lab.close()
    await node.lab.close()
    throw error
  }
}

const addressOf = (index: number) => `192.0.2.${11 + index}`

class Node {
  readonly lab: Lab
  readonly #debian: Debian
  #first = 0

  static async create(names: readonly string[]): Promise<Node> {
    const lab = await createLab({ cables: [] })
    try {
      const node = new Node(lab, await makeDebian(lab, layers))
      await node.#open(names)
      return node
    } catch (error) {
      await lab.close()
      throw error
    }
  }

  constructor(lab: Lab, debian: Debian) {
    this.lab = lab
    this.#debian = debian
  }

  path(name: string): string {
    return this.#debian.path(name)
  }

  async #open(names: readonly string[]): Promise<void> {
    await mkdir(this.path('srv'))
    await cp(join(projectRoot, 'examples/fleet'), this.path('srv/fleet'), { recursive: true })
    const lines = ['link add fleet type bridge', 'addr add 192.0.2.1/24 dev fleet', 'link set fleet up']
    await this.lab.run(['ip', '-batch', '-'], { input: lines.join('\n') })
    // Its mounts last as long as this does.
    const first = this.lab.start([...this.#debian.inside, 'sh', '-c', 'echo $$ >/run/first.pid; exec sleep infinity'])
    await until('the node is there', async () => {
      if (first.exitCode !== null) await first
      this.#first = Number(await this.lab.run(['cat', this.path('run/first.pid')]))
      return this.#first > 0
    })
    const hosts = names.map((name, index) => `${addressOf(index)} ${name}`)
    const { exitCode, stderr } = await this.run(`mkdir -p -m 700 /root/.ssh /root/keys
printf '%s\\n' '127.0.0.1 localhost' '192.0.2.1 node' '${hosts.join("' '")}' >/etc/hosts
ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
for host in ${names.join(' ')}; do
  ssh-keygen -q -t ed25519 -N '' -f "/root/keys/$host"
  printf '%s %s\\n' "$host" "$(cat "/root/keys/$host.pub")" >>/root/.ssh/known_hosts
done`)
    if (exitCode !== 0) throw new Error(stderr)
  }

  /** Whatever it exits with is a result. */
  async run(script: string): Promise<Outcome> {
    const { stdout, stderr, exitCode } = await this.start(script).catch((error) => error)
    return { stdout, stderr, exitCode }
  }

  start(script: string, options: RunOptions = {}) {
    const inside = [`--target=${this.#first}`, '--mount', '--root', '--wdns=/srv/fleet', '--']
    const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin'
    const environment = ['env', '-i', path, 'HOME=/root', 'LANG=C.UTF-8', `SPANPLAN_LAB=${this.lab.name}`]
    return this.lab.start(['nsenter', ...inside, ...environment, 'sh', '-ec', script], options)
  }

  async kill(): Promise<void> {
    await until('nothing runs on the node', async () => {
      const others = findProcesses(this.lab.name).filter((pid) => pid !== this.#first)
      for (const pid of others) process.kill(pid, 'SIGKILL')
      return others.length === 0
    })
  }
}

class Host implements FleetHost {
  readonly name: string
  readonly lab: Lab
  readonly #debian: Debian
  #systemd: Systemd | undefined

  static async create(node: Node, name: string, index: number, docker: boolean): Promise<Host> {
    const lab = await createLab({ cables: [{ card: 'ens192' }, { card: 'ens224' }], docker })
    try {
      const host = new Host(name, lab, await makeDebian(lab, layers))
      await host.#open(node, addressOf(index))
      return host
    } catch (error) {
      await lab.close()
      throw error
    }
  }

  constructor(name: string, lab: Lab, debian: Debian) {
    this.name = name
    this.lab = lab
    this.#debian = debian
  }

  async #open(node: Node, address: string): Promise<void> {
    await node.lab.run(['ip', '-batch', '-'], {
      input: `link add ${this.name} type veth peer name mgmt0 netns ${this.lab.name}
link set ${this.name} master fleet up`
    })
    await this.lab.run(['ip', '-batch', '-'], { input: `addr add ${address}/24 dev mgmt0\nlink set mgmt0 up` })
    const put = async (path: string, text: string, mode = 0o644) => {
      await mkdir(join(this.#debian.path(path), '..'), { recursive: true })
      await writeFile(this.#debian.path(path), text, { mode })
    }
    const { stdout } = await node.run(`cat /root/keys/${this.name} /root/.ssh/id_ed25519.pub`)
    const [hostKey = '', userKey = ''] = stdout.split(/(?=^ssh-ed25519 )/m)
    await put('etc/ssh/lab_key', hostKey, 0o600)
    await put('root/.ssh/authorized_keys', `${userKey}\n`, 0o600)
    await put('etc/ssh/sshd_config.d/lab.conf', sshdConfig)
    await put('etc/hostname', `${this.name}\n`)
    await put('etc/hosts', `127.0.0.1 localhost\n${address} ${this.name}\n192.0.2.1 node\n`)
    await this.#boot()
    await this.sh('systemctl enable --now --quiet ssh.service')
  }

  async #boot(): Promise<void> {
    this.#systemd = await bootSystemd(this.lab, this.#debian, allUnits)
  }

  async sh(script: string, options: RunOptions = {}): Promise<string> {
    if (this.#systemd === undefined) throw new Error(`${this.name} has not booted`)
    return this.#systemd.run(['sh', '-ec', script], options)
  }

  async write(path: string, text: string): Promise<void> {
    await this.sh(`cat >'${path}'`, { input: text })
  }

  async reboot(): Promise<void> {
    await this.#systemd?.cutPower()
    await rm(this.#debian.path('run'), { recursive: true })
    await mkdir(this.#debian.path('run'))
    const links: { ifname: string }[] = JSON.parse(await this.lab.run(['ip', '-j', 'link', 'show', 'type', 'bridge']))
    for (const { ifname } of links) await this.lab.run(['ip', 'link', 'del', 'dev', ifname])
    for (const { card } of this.lab.cables) {
      await this.lab.run(['ip', 'link', 'set', 'dev', card, 'promisc', 'off'])
      await this.lab.run(['tc', 'qdisc', 'del', 'dev', card, 'clsact']).catch(() => undefined)
    }
    await this.#boot()
  }
}
