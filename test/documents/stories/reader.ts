/** Somebody who does what README.md and docs/ say. */
import { readdirSync } from 'node:fs'
import { chmod, cp, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { expect } from 'vitest'
import { importSuricataImage } from '../../lab/docker/sensor-images.ts'
import { BROADCAST, ether, filler, ipv4Udp } from '../../lab/frames/frames.ts'
import { able } from '../../lab/frames/silent-port.ts'
import type { Lab } from '../../lab/lab.ts'
import { findProgram, projectRoot } from '../../lab/programs.ts'
import { until, warningsIn } from '../../lab/spans.ts'
import { switchNamespace } from '../../lab/sweep.ts'
import { expectShown, type Section, type Story, spansYaml, under } from './document.ts'
import { curlStandIn, dockerStandIn, hookStandIn, ifupStandIn, systemctlStandIn } from './stand-ins.ts'

export const frame = ether(BROADCAST, '02:00:00:00:0a:01', filler(200))

/** What a mirror port carries: frames of many hosts for others. */
export const conversations: readonly Buffer[] = Array.from({ length: 30 }, (_, number) => {
  const host = (one: number) => `02:00:00:00:0a:${one.toString(16).padStart(2, '0')}`
  return ether(
    host(number + 1),
    host(number),
    ipv4Udp({ source: '10.0.0.5', destination: '192.0.2.1', data: Buffer.from('hello') })
  )
})

/**
 * A host on which what the documents say can be done: its own /etc, its own prefix of npm, and, where the real thing would
 * change this machine or is not here, a stand-in that does with the project's files what that would do.
 */
export class Reader {
  readonly lab: Lab
  readonly root: string
  /** The folder in which the reader works: a clone of the project. */
  readonly clone: string
  #section: Section = { document: '', heading: '' }

  constructor(lab: Lab) {
    this.lab = lab
    this.root = join(lab.files, 'root')
    this.clone = join(lab.files, 'clone')
  }

  async settle(): Promise<void> {
    for (const folder of [
      'bin',
      'run',
      'usr',
      'etc/systemd/system',
      'etc/network/interfaces.d',
      'etc/network/if-up.d',
      'etc/network/if-down.d',
      'etc/bash_completion.d'
    ]) {
      await mkdir(join(this.root, folder), { recursive: true })
    }
    const repository = `[url "${join(this.lab.files, 'spans.git')}"]\ninsteadOf = https://git.example.com/network/spans.git\n`
    await writeFile(join(this.root, 'gitconfig'), repository)
    await mkdir(this.clone)
    for (const entry of readdirSync(projectRoot)) {
      if (['.git', 'dist', 'node_modules'].includes(entry) || entry.endsWith('.tgz')) continue
      await cp(entry, join(this.clone, entry), { recursive: true })
    }
    await symlink(join(projectRoot, 'node_modules'), join(this.clone, 'node_modules'))
    await writeFile(join(this.clone, 'spans.yaml'), spansYaml)
    await this.standIn('sudo', 'exec "$@"')
    await this.standInSpanplan()
    await this.standIn('docker', dockerStandIn(findProgram('docker')))
    await this.standIn('systemctl', systemctlStandIn(this.root, this.#here()))
    await this.standIn('curl', curlStandIn)
    await this.standIn('ifup', ifupStandIn(this.root))
    await this.standIn('ssh', '[[ $1 == sensor7.example.com ]]; shift; exec "$@"')
    await this.standIn('wireshark', '[[ "$*" == "-k -i -" ]]; exec tcpdump -n -e -c 5 -r -')
    await this.standIn('as-hook', hookStandIn(this.root))
  }

  /** Does what a section says, and looks whether what it promises has come true. */
  async follow(section: Section, story: Story<Reader>): Promise<void> {
    this.#section = section
    await story(this, ...under(section))
  }

  /** Has the image with Suricata made. */
  needSuricata(): Promise<void> {
    return importSuricataImage(this.lab.docker, join(this.lab.files, 'suricata'))
  }

  /** As if it were installed. */
  standInSpanplan(): Promise<void> {
    const folder = `export SPANPLAN_RUN_DIR="\${SPANPLAN_RUN_DIR:-${join(this.root, 'run/spanplan')}}"`
    return this.standIn('spanplan', `${folder}\nexec ${process.execPath} ${join(projectRoot, 'bin/spanplan.js')} "$@"`)
  }

  /** Runs a block as on a host with systemd, which mounts a BPF file system. */
  runWithBpf(block: string): Promise<string> {
    return this.run(block, {}, able.through)
  }

  /** Runs a block as the reader would, and gives what it printed. */
  async run(
    block: string,
    env: Readonly<Record<string, string>> = {},
    through: readonly string[] = []
  ): Promise<string> {
    const variables = Object.entries({ ...this.#npm(), ...this.#here(), ...env }).map(
      ([name, value]) => `${name}=${value}`
    )
    const script = `cd ${this.clone}\n${this.#translate(block)}`
    return this.lab.run(['env', ...variables, ...through, 'bash', '-euo', 'pipefail', '-c', script])
  }

  /** Runs a block while frames come. Whoever is not ended by a count is ended by a reader who has gone. */
  async runUnderTraffic(block: string): Promise<string> {
    let over = false
    const shown = this.run(block).finally(() => {
      over = true
    })
    shown.catch(() => undefined)
    while (!over) await this.lab.send(Array.from({ length: 100 }, () => frame))
    return shown
  }

  /** Saves a file in the clone. */
  write(name: string, text: string): Promise<void> {
    return writeFile(join(this.clone, name), text)
  }

  /**
   * Runs the commands of a block of `console`, and compares what each prints, on a terminal, with what the block says. A
   * line of dots in the block stands for lines that it leaves out.
   *
   * @param run How to run a command; as {@link run}, if not given.
   */
  async show(block: string, run = (command: string) => this.run(command)): Promise<void> {
    let shown = ''
    for (const line of block.split('\n').filter((one) => one.startsWith('$ '))) {
      // Whatever it exits with: that status says not healthy, is no failure here.
      const output = warningsIn(await run(`{ ${line.slice(2)}; } 2>&1 || true`))
      shown += `${line}\n${output === '' ? '' : `${output.trimEnd()}\n`}`
    }
    expectShown(this.#section, block, shown)
  }

  /** Back to where nothing was done. */
  async tidy(): Promise<void> {
    await this.endWatch()
    await this.run('spanplan destroy --all')
    const containers = await this.lab.docker.listContainers({ all: true })
    for (const { Id } of containers) await this.lab.docker.getContainer(Id).remove({ force: true })
    const networks = await this.lab.docker.listNetworks({ filters: { label: ['com.docker.compose.project'] } })
    for (const { Id } of networks) await this.lab.docker.getNetwork(Id).remove()
    await rm(join(this.root, 'etc/spanplan'), { recursive: true, force: true })
  }

  /** Ends the watch that a unit has started, if one has. */
  async endWatch(): Promise<void> {
    const file = join(this.root, 'watch.pid')
    await this.run(`[[ ! -f ${file} ]] || { kill $(<${file}) && tail --pid=$(<${file}) -f /dev/null && rm ${file}; }`)
  }

  /** From the file that the reader has put in /etc/spanplan, all is in sync. */
  async expectConverged(): Promise<void> {
    expect(await this.run('spanplan plan -f /etc/spanplan --detailed-exitcode')).toContain('No changes')
  }

  /** The same, once a watch has made it so. */
  async awaitConverged(): Promise<void> {
    await until('all is in sync', () =>
      this.expectConverged().then(
        () => true,
        () => false
      )
    )
  }

  /** Whether the containers see what comes from the switch. */
  async expectFrames(...names: readonly string[]): Promise<void> {
    for (const name of names) {
      const capture = await this.lab.capture(this.lab.docker.getContainer(name), 'eth0')
      await this.lab.send([frame])
      expect((await capture.stop({ count: 1 })).frames, name).toEqual([frame])
    }
  }

  /** What a test must not do to the machine, or cannot be asked. */
  #translate(block: string): string {
    return (
      block
        .replaceAll('/etc/', `${this.root}/etc/`)
        .replaceAll('/run/', `${this.root}/run/`)
        .replace(/^npm ci$/m, 'npm ci --dry-run --ignore-scripts')
        // The lab has its switch already.
        .replace(/^sudo ip netns add switch$/m, '')
        .replace(/^sudo ip netns delete switch$/m, 'ip link delete dev mon0')
        .replace(/(netns|-n|netns exec) switch\b/g, `$1 ${basename(switchNamespace(this.lab.name))}`)
        .replace(/^((?:sudo )?spanplan (?:destroy.*|apply .*--adopt))$/m, '$1 --yes')
    )
  }

  #npm() {
    const cache = join(this.root, 'npm-cache')
    const quiet = { npm_config_update_notifier: 'false', npm_config_audit: 'false', npm_config_fund: 'false' }
    return { npm_config_prefix: join(this.root, 'usr'), npm_config_cache: cache, ...quiet }
  }

  /** The host's own search path, Docker, and the repository of the how-to, which is a local one. */
  #here() {
    return {
      PATH: `${join(this.root, 'bin')}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
      DOCKER_HOST: this.lab.dockerHost,
      SPANPLAN_RUN_DIR: join(this.root, 'run/spanplan'),
      GIT_CONFIG_GLOBAL: join(this.root, 'gitconfig')
    }
  }

  /** Has a script in the place of a program. */
  async standIn(name: string, script: string): Promise<void> {
    const file = join(this.root, 'bin', name)
    await writeFile(file, `#!/bin/bash\nset -euo pipefail\n${script}\n`)
    await chmod(file, 0o755)
  }
}
