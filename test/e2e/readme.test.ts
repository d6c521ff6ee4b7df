/** README.md and examples/ are true: every command is run, every output compared, every table checked. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { chmod, chown, cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import * as z from 'zod'
import { Exit } from '../../src/errors.ts'
import { causes } from '../../src/status/causes.ts'
import { betweenSamples } from './between.ts'
import { BROADCAST, ether, filler } from './frames.ts'
import { findProgram, projectRoot } from './lab/programs.ts'
import { SENSOR_IMAGE } from './lab/sensor.ts'
import { createLab, type Lab, type SpanplanOptions } from './lab.ts'
import { until } from './spans.ts'

/** A fenced block, and the heading under which it stands. */
interface Block {
  readonly heading: string
  readonly language: string
  readonly text: string
}

function readBlocks(markdown: string): Block[] {
  const blocks: Block[] = []
  let heading = ''
  let open: { language: string; lines: string[] } | null = null
  for (const line of markdown.split('\n')) {
    const fence = /^```(\w*)$/.exec(line)
    if (fence && open === null) open = { language: fence[1] ?? '', lines: [] }
    else if (fence && open !== null) {
      blocks.push({ heading, language: open.language, text: `${open.lines.join('\n')}\n` })
      open = null
    } else if (open !== null) open.lines.push(line)
    else heading = /^#+ (.*)$/.exec(line)?.[1] ?? heading
  }
  return blocks
}

const manifest = z
  .object({ version: z.string(), scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(readFileSync('package.json', 'utf8')))
const readme = readFileSync('README.md', 'utf8')
const blocks = readBlocks(readme)
const runnable = ['sh', 'console']

/** The runnable blocks under a heading. */
const under = (heading: string) =>
  blocks.filter((block) => block.heading === heading && runnable.includes(block.language)).map(({ text }) => text)

/** The rows of the table with this header, as cells. */
function readTable(header: string): string[][] {
  const lines = readme.split('\n').map((line) => (line.startsWith('|') ? line.replace(/ {2,}/g, ' ') : line))
  const begin = lines.indexOf(header)
  expect(begin, `README.md has the table ${header}`).toBeGreaterThan(0)
  const rows = lines.slice(begin + 2)
  const end = rows.findIndex((line) => !line.startsWith('|'))
  return rows.slice(0, end).map((row) =>
    row
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim())
  )
}

const codesIn = (text: string) => [...text.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '')

const spansYaml = blocks.find(({ language }) => language === 'yaml')?.text ?? ''
const describedLab = { cables: [{ card: 'ens192', mtu: 1500 }], docker: true }
const frame = ether(BROADCAST, '02:00:00:00:0a:01', filler(200))

/**
 * A host on which what the README says can be done: its own /etc, its own prefix of npm, and, where the real thing would
 * change this machine or is not here, a stand-in that does with the README's files what that would do.
 */
class Reader {
  readonly lab: Lab
  readonly root: string
  readonly #clone: string

  constructor(lab: Lab) {
    this.lab = lab
    this.root = join(lab.files, 'root')
    this.#clone = join(lab.files, 'clone')
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
    await mkdir(this.#clone)
    for (const entry of readdirSync(projectRoot)) {
      if (['.git', 'dist', 'node_modules'].includes(entry) || entry.endsWith('.tgz')) continue
      await cp(entry, join(this.#clone, entry), { recursive: true })
    }
    await symlink(join(projectRoot, 'node_modules'), join(this.#clone, 'node_modules'))
    await writeFile(join(this.#clone, 'spans.yaml'), spansYaml)
    await this.#standIn('sudo', 'exec "$@"')
    await this.standInSpanplan()
    await this.#standIn('docker', dockerStandIn(findProgram('docker'), composeCommands()))
    await this.#standIn('systemctl', systemctlStandIn(this.root, this.#here()))
    await this.#standIn('curl', curlStandIn)
    await this.#standIn('ifup', ifupStandIn(this.root))
    await this.#standIn('ssh', '[[ $1 == tap.example.com ]]; shift; exec "$@"')
    await this.#standIn('wireshark', '[[ "$*" == "-k -i -" ]]; exec tcpdump -n -e -c 5 -r -')
    await this.#standIn('as-hook', hookStandIn(this.root))
  }

  /** As if it were installed. */
  standInSpanplan(): Promise<void> {
    const lock = `SPANPLAN_RUN_DIR=${join(this.root, 'run/spanplan')}`
    return this.#standIn('spanplan', `${lock} exec ${process.execPath} ${join(projectRoot, 'bin/spanplan.js')} "$@"`)
  }

  /** Runs a block as the reader would, and gives what it printed. */
  async run(block: string, env: Readonly<Record<string, string>> = {}): Promise<string> {
    const variables = Object.entries({ ...this.#npm(), ...this.#here(), ...env }).map(
      ([name, value]) => `${name}=${value}`
    )
    const script = `cd ${this.#clone}\n${this.#translate(block)}`
    return this.lab.run(['env', ...variables, 'bash', '-euo', 'pipefail', '-c', script])
  }

  /** Back to where nothing was done. */
  async tidy(): Promise<void> {
    await this.endWatch()
    await this.run('spanplan destroy --all')
    const containers = await this.lab.docker.listContainers({ all: true })
    for (const { Id } of containers) await this.lab.docker.getContainer(Id).remove({ force: true })
    await rm(join(this.root, 'etc/spanplan'), { recursive: true, force: true })
  }

  /** Ends the watch that a unit has started, if one has. */
  async endWatch(): Promise<void> {
    const file = join(this.root, 'watch.pid')
    await this.run(`[[ ! -f ${file} ]] || { kill $(<${file}) && tail --pid=$(<${file}) -f /dev/null && rm ${file}; }`)
  }

  /** From the file that the README has put in /etc/spanplan, all is as wanted. */
  async expectConverged(): Promise<void> {
    expect(await this.run('spanplan plan -f /etc/spanplan --detailed-exitcode')).toContain('No changes')
  }

  /** The same, once a watch has made it so. */
  async awaitConverged(): Promise<void> {
    await until('all is as wanted', () =>
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
    return block
      .replaceAll('/etc/', `${this.root}/etc/`)
      .replaceAll('/run/', `${this.root}/run/`)
      .replace(/^npm ci$/m, 'npm ci --dry-run --ignore-scripts')
      .replace(/^((?:sudo )?spanplan destroy.*|spanplan apply .*--adopt)$/m, '$1 --yes')
  }

  #npm() {
    const cache = join(this.root, 'npm-cache')
    const quiet = { npm_config_update_notifier: 'false', npm_config_audit: 'false', npm_config_fund: 'false' }
    return { npm_config_prefix: join(this.root, 'usr'), npm_config_cache: cache, ...quiet }
  }

  /** The host's own search path, Docker, and the repository of the README, which is a local one. */
  #here() {
    return {
      PATH: `${join(this.root, 'bin')}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
      DOCKER_HOST: this.lab.dockerHost,
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: `url.${join(this.lab.files, 'spans.git')}.insteadOf`,
      GIT_CONFIG_VALUE_0: 'https://git.example.com/network/spans.git'
    }
  }

  async #standIn(name: string, script: string): Promise<void> {
    const file = join(this.root, 'bin', name)
    await writeFile(file, `#!/bin/bash\nset -euo pipefail\n${script}\n`)
    await chmod(file, 0o755)
  }
}

/** The services of examples/compose/compose.yaml, as far as a test can have them. */
const composeFile = z.strictObject({
  name: z.string(),
  services: z.record(
    z.string(),
    z.strictObject({
      image: z.string(),
      command: z.string(),
      working_dir: z.string().optional(),
      networks: z.tuple([z.literal('span')]),
      cap_drop: z.tuple([z.literal('ALL')]),
      cap_add: z.array(z.string()),
      security_opt: z.array(z.string()),
      restart: z.string(),
      volumes: z.array(z.string())
    })
  ),
  networks: z.strictObject({ span: z.strictObject({ name: z.string(), external: z.literal(true) }) }),
  volumes: z.record(z.string(), z.null())
})

/** What Compose does for the file, with the sensor image under the names of the real ones. */
function composeCommands(): string[] {
  const { name, services, networks } = composeFile.parse(parse(readFileSync('examples/compose/compose.yaml', 'utf8')))
  return Object.entries(services).flatMap(([key, service]) => {
    const each = (flag: string, values: readonly string[]) => values.map((value) => `--${flag} ${value}`)
    const options = [
      ...[`--name ${name}-${key}-1`, `--network ${networks.span.name}`, `--restart ${service.restart}`],
      ...each('label', [`com.docker.compose.project=${name}`, `com.docker.compose.service=${key}`]),
      ...each('cap-drop', service.cap_drop),
      ...each('cap-add', service.cap_add),
      ...each('security-opt', service.security_opt),
      ...each('volume', service.volumes),
      ...each('workdir', service.working_dir === undefined ? [] : [service.working_dir])
    ]
    return [
      `"$docker" tag ${SENSOR_IMAGE} ${service.image}`,
      `"$docker" run --detach --stop-signal SIGKILL ${options.join(' ')} ${service.image} sleep infinity`
    ]
  })
}

function dockerStandIn(docker: string, compose: readonly string[]): string {
  return `docker=${docker}
[[ $1 == compose ]] || exec "$docker" "$@"
[[ "$*" == 'compose -f examples/compose/compose.yaml up -d' && -f $3 ]]
${compose.join('\n')}`
}

/** Runs what the units start, in an environment as bare as systemd's: a watch goes on, a timer's service comes once. */
function systemctlStandIn(root: string, environment: Readonly<Record<string, string>>): string {
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`)
  return `[[ $* != daemon-reload ]] || exit 0
units=${root}/etc/systemd/system
run() { cd / && exec env -i ${variables.join(' ')} bash -c "exec $(sed -n 's/^ExecStart=//p' "$1" | sed 's#/etc/#${root}/etc/#g')"; }
[[ $1 == enable && $2 == --now ]]
for unit in "\${@:3}"; do
  [[ -f $units/$unit ]]
  service=$units/\${unit%.*}.service
  if grep -q '^Type=notify$' "$service"; then
    run "$service" </dev/null &>${root}/watch.log &
    echo $! >${root}/watch.pid
  else
    (run "$service")
  fi
done`
}

/** Runs the interface's post-up as ifupdown does: by sh. */
function ifupStandIn(root: string): string {
  return `file=${root}/etc/network/interfaces.d/span
grep -q "^iface $1 inet manual$" "$file"
line=$(grep -Po '^ +post-up \\K.*' "$file")
as-hook IFACE="$1" MODE=start PHASE=post-up /bin/sh -c "$line"`
}

/** Runs a command with the search path that ifupdown gives a hook, and little else in its environment. */
function hookStandIn(root: string): string {
  const path = [join(root, 'bin'), '/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']
  return `exec env -i PATH=${path.join(':')} SPANPLAN_FILE=${join(root, 'etc/spanplan')} "$@"`
}

/** Prints the page whose address comes last. */
const curlStandIn = `exec ${process.execPath} --eval '
fetch(process.argv.at(-1)).then(async (page) => process.stdout.write(await page.text()))' -- "$@"`

/**
 * What status says of 1,000 frames, of which every tenth is too large for the span: somebody has since told the card and
 * the switch to take larger ones. Both sensors listen.
 */
async function showJumbo(reader: Reader, command: string): Promise<string> {
  const { lab } = reader
  const setMtu = async (mtu: string) => {
    await lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'mtu', mtu])
    await lab.run(['ip', 'link', 'set', 'dev', 'sw0', 'mtu', mtu], { on: 'switch' })
  }
  const listen = (name: string) => lab.capture(lab.docker.getContainer(name), 'eth0', { expression: 'port 9' })
  const captures = await Promise.all(['suricata', 'zeek'].map(listen))
  const jumbo = ether(BROADCAST, '02:00:00:00:0a:01', filler(3000))
  const frames = Array.from({ length: 1000 }, (_, index) => (index % 10 === 0 ? jumbo : frame))
  await setMtu('9000')
  try {
    const run = ({ env }: SpanplanOptions) =>
      reader.run(`${command} || [ $? = 2 ]`, { PATH: `${join(reader.root, 'bin')}:${env?.PATH}` })
    return await betweenSamples(lab, run, () => lab.send(frames))
  } finally {
    await setMtu('1500')
    for (const capture of captures) await capture.stop()
  }
}

/** Without what is another each time: the names that Docker gives to ports, times, rates, and the room that they take. */
function withoutChance(text: string): string {
  return text
    .replace(/veth[0-9a-f]+/g, 'veth')
    .replace(/\b(?:\d+[hms])+\b/g, 'TIME')
    .replace(/ +([\d,]+) +[\d,]+ +(?:[\d.]+ [kM]?B)? +([\d,]+)$/gm, ' $1 RATE $2')
    .trim()
}

/** One for each heading that has commands: runs them, and looks whether what the text promises has come true. */
const stories: Readonly<Record<string, (reader: Reader) => Promise<void>>> = {
  spanplan: async () => {
    expect(under('spanplan')).toEqual(['sudo npm run demo\nsudo npm test\n'])
    // This test is what the one starts; the other is this, after test/setup.
    const { stdout } = await execa(process.execPath, ['dist/demo.cjs'])
    expect(stdout).toContain('sent 10, arrived 9, each once, byte for byte')
    expect(stdout).toContain('All of it was as shown, and all of it is cleaned up.')
    const { scripts } = manifest
    expect(scripts.demo).toBe('bash test/setup && node dist/demo.cjs')
    expect(scripts.test).toBe('bash test/setup && vitest run')
  },

  'In short': async (reader) => {
    await reader.lab.startSensor('suricata')
    for (const block of under('In short')) {
      let shown = ''
      for (const line of block.split('\n')) {
        if (line.startsWith('$ ')) shown += `${line}\n${await reader.run(line.slice(2))}\n`
      }
      expect(shown).toBe(block)
    }
    await reader.expectFrames('suricata')
  },

  Install: async (reader) => {
    const [install = '', completion = ''] = under('Install')
    const bin = join(reader.root, 'usr/bin')
    // The stand-in would hide what is installed.
    await rm(join(reader.root, 'bin/spanplan'))
    try {
      const PATH = `${bin}:${join(reader.root, 'bin')}:/usr/local/bin:/usr/bin:/bin`
      const output = await reader.run(install, { PATH })
      expect(output.split('\n').at(-1)).toBe(manifest.version)
      const folder = join(reader.root, 'usr/lib/node_modules/spanplan')
      expect(readdirSync(folder)).not.toContain('node_modules')
      expect(readdirSync(folder)).toEqual(expect.arrayContaining(['README.md', 'LICENSE', 'examples', 'schemas']))
      // Nothing of the sources is anywhere around.
      const away = join(reader.lab.files, 'away')
      await mkdir(away)
      const valid = await reader.run(`cd ${away} && spanplan validate -f ${folder}/examples/minimal.yaml`, { PATH })
      expect(valid).toContain('valid, 1 span.')
      expect(await reader.run(`cd ${away} && spanplan plan -f ${folder}/examples/minimal.yaml`, { PATH })).toContain(
        'Plan:'
      )
      await reader.run(completion, { PATH })
      expect(await readFile(join(reader.root, 'etc/bash_completion.d/spanplan'), 'utf8')).toContain(
        '-F _spanplan spanplan'
      )
    } finally {
      await reader.standInSpanplan()
    }
  },

  Uninstall: async (reader) => {
    const before = await reader.lab.snapshotText()
    await reader.run('spanplan apply')
    for (const block of under('Uninstall')) await reader.run(block)
    expect(await reader.lab.snapshotText()).toBe(before)
    expect(existsSync(join(reader.root, 'usr/lib/node_modules/spanplan'))).toBe(false)
  },

  'Start at boot, with systemd': async (reader) => {
    await reader.lab.startSensor('suricata')
    const [watch = '', once = ''] = under('Start at boot, with systemd')
    await reader.run(watch)
    await reader.awaitConverged()
    await reader.lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress'])
    await reader.awaitConverged()
    await reader.expectFrames('suricata')
    await reader.endWatch()
    await reader.lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress'])
    await reader.run(once)
    await reader.expectConverged()
  },

  'Start at boot, with ifupdown': async (reader) => {
    const [stanza = '', scripts = ''] = under('Start at boot, with ifupdown')
    await reader.run(stanza)
    const plan = await reader.run('spanplan plan -f /etc/spanplan')
    expect(plan).toContain('Plan: 1 to create, 0 to change, 0 to replace, 0 to remove; 2 wait')
    expect(plan).toContain('+   network   span0')
    // An interface must come up whatever the file is like.
    await writeFile(join(reader.root, 'etc/spanplan/spans.yaml'), 'nonsense\n')
    await reader.run('sudo ifup ens192')
    await writeFile(join(reader.root, 'etc/spanplan/spans.yaml'), spansYaml)
    await reader.run(scripts)
    const missing = 'spanplan plan -f /etc/spanplan | grep "+   mirror" || true'
    expect(await reader.run(missing)).toBe('')
    const hook = (folder: string, phase: string) =>
      `as-hook IFACE=ens192 PHASE=${phase} /etc/network/${folder}/spanplan`
    await reader.run(hook('if-down.d', 'pre-down'))
    expect(await reader.run(missing)).toContain('+   mirror    ens192')
    await reader.run(hook('if-up.d', 'post-up'))
    expect(await reader.run(missing)).toBe('')
  },

  'Start at boot, with NetworkManager': async (reader) => {
    await reader.run('mkdir /etc/spanplan && cp spans.yaml /etc/spanplan/')
    for (const block of under('Start at boot, with NetworkManager')) await reader.run(block)
    const dispatch = (script: string, action: string) =>
      reader.run(`as-hook /etc/NetworkManager/dispatcher.d/${script} ens192 ${action}`)
    const plan = 'spanplan plan -f /etc/spanplan'
    await dispatch('spanplan', 'up')
    expect(await reader.run(plan)).toContain('Plan: 1 to create, 0 to change')
    await dispatch('pre-down.d/spanplan', 'pre-down')
    expect(await reader.run(plan)).toContain('+   mirror    ens192')
    await dispatch('spanplan', 'up')
  },

  GitOps: async (reader) => {
    const [install = '', byHand = '', check = ''] = under('GitOps')
    const work = join(reader.lab.files, 'work')
    const bare = join(reader.lab.files, 'spans.git')
    const commit = async (text: string) => {
      await writeFile(join(work, 'spans.yaml'), text)
      const author = '-c user.name=a -c user.email=a@example.com'
      await reader.run(`cd ${work} && git add . && git ${author} commit -qm change && git push -q ${bare} HEAD:main`)
    }
    await reader.run(`git init -q --bare -b main ${bare} && git init -q -b main ${work}`)
    await reader.lab.startSensor('suricata')
    await commit(spansYaml)
    await reader.run(install)
    await reader.awaitConverged()
    await commit(spansYaml.replace('not port 22', 'not port 23'))
    await reader.run('sudo systemctl enable --now spanplan-pull.timer')
    await reader.awaitConverged()
    expect(await reader.run('cat /etc/spanplan/spans.yaml')).toContain('not port 23')
    await reader.endWatch()
    await commit(spansYaml.replace('not port 22', 'not port 24'))
    expect(await reader.run(byHand)).toContain('0 created, 2 changed, 0 replaced, 0 removed')
    expect(await reader.run(check)).not.toContain('exit status')
    await reader.lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'promisc', 'off'])
    expect(await reader.run(check)).toContain('exit status 2')
  },

  'Try it, and have it taken back': async (reader) => {
    const [block = ''] = under('Try it, and have it taken back')
    const applied = reader.run(block)
    const confirmed = await reader.run('until spanplan confirm 2>/dev/null; do sleep 0.1; done')
    expect(confirmed).toContain('Confirmed: it stays.')
    expect(await applied).toContain('all is as wanted')
    expect(await reader.run('spanplan plan')).toContain('No changes')
  },

  'Plan now, apply later': async (reader) => {
    const [plan = '', apply = ''] = under('Plan now, apply later')
    await reader.lab.startSensor('suricata')
    const shown = await reader.run(plan)
    expect(shown).toContain('+   sensor    suricata → span0')
    expect(await reader.run(`cat plan.txt`)).toBe(shown)
    // The night is long enough for another container, and a bridge of somebody else's.
    await reader.lab.startSensor('stranger')
    await reader.lab.run(['ip', 'link', 'add', 'other', 'type', 'bridge'])
    expect(await reader.run(apply)).toContain('Checked: all is as wanted.')
    expect(await reader.run('spanplan plan')).toContain('No changes')
    await reader.expectFrames('suricata')
    const again = await reader.run(`{ ${apply.trim()}; } 2>&1 || echo "exit status $?"`)
    expect(again).toContain('span0/bridge: was to be created, needs nothing now')
    expect(again).toContain('exit status 3')
    await reader.lab.run(['ip', 'link', 'del', 'dev', 'other'])
  },

  'Without root': async (reader) => {
    await reader.lab.startSensor('suricata')
    // Somebody of the group that Docker's socket belongs to, who may read the sources wherever they are.
    const [user, group] = ['65534', '65533']
    await chown(reader.lab.dockerHost.replace('unix://', ''), 0, Number(group))
    for (const block of under('Without root')) {
      const known = block
        .replace('--reuid ops --regid ops --init-groups', `--reuid ${user} --regid ${user} --groups ${group}`)
        .replace('chown -R ops', `chown -R ${user}`)
        .replaceAll('+net_admin', '+net_admin,+dac_read_search')
      expect(await reader.run(known)).toContain('Applied:')
    }
    expect(await reader.run('spanplan plan')).toContain('No changes')
    await reader.expectFrames('suricata')
  },

  'Compose, with Suricata and Zeek': async (reader) => {
    for (const block of under('Compose, with Suricata and Zeek')) await reader.run(block)
    await reader.expectConverged()
    await reader.expectFrames('ids-suricata-1', 'ids-zeek-1')
  },

  'Taking over an existing tap': async (reader) => {
    const sensor = await reader.lab.startSensor('suricata')
    await reader.lab.run(['ip', 'link', 'add', 'dev', 'tap0', 'type', 'bridge'])
    await reader.lab.run(['ip', 'link', 'set', 'dev', 'tap0', 'up'])
    const network = await reader.lab.docker.createNetwork({
      Name: 'ids',
      Internal: true,
      Options: { 'com.docker.network.bridge.name': 'tap0' },
      IPAM: { Config: [{ Subnet: '198.18.7.0/24' }] }
    })
    await (await reader.lab.docker.getNetwork('none')).disconnect({ Container: sensor.id })
    await network.connect({ Container: sensor.id })
    await reader.lab.run(['tc', 'qdisc', 'add', 'dev', 'ens192', 'ingress'])
    const mirror = 'u32 match ip src 192.0.2.0/24 action mirred egress mirror dev tap0'.split(' ')
    await reader.lab.run(['tc', 'filter', 'add', 'dev', 'ens192', 'ingress', 'protocol', 'ip', ...mirror])
    const [make = '', take = ''] = under('Taking over an existing tap')
    expect(await reader.run(make)).toContain('valid, 1 span')
    const text = await reader.run('cat imported.yaml')
    expect(parse(text)).toEqual({
      version: 1,
      spans: {
        tap0: {
          sources: [{ interface: 'ens192', direction: 'ingress', filter: 'ip src net 192.0.2.0/24 and not vlan' }],
          network: { name: 'ids', subnet: '198.18.7.0/24' },
          sensors: ['suricata']
        }
      }
    })
    const taken = await reader.run(take)
    expect(taken).toMatch(/ = +network +ids /)
    expect(taken).toContain('all is as wanted')
    expect(await reader.run('spanplan plan -f imported.yaml')).toContain('No changes')
    await reader.run('spanplan destroy -f imported.yaml')
    await reader.lab.run(['ip', 'link', 'del', 'dev', 'tap0'])
  },

  'Is it working?': async (reader) => {
    await reader.lab.startSensor('suricata')
    await reader.lab.startSensor('zeek')
    await reader.run('spanplan apply')
    const [example = '', commands = ''] = under('Is it working?')
    const [command = '', ...lines] = example.split('\n')
    expect(withoutChance(await showJumbo(reader, command.slice(2)))).toBe(withoutChance(lines.join('\n')))
    const output = await reader.run(commands)
    for (const text of ['RX:', ' bytes 1000 pkt', 'ageing_time 0', 'master span0', 'eth0:']) {
      expect(output).toContain(text)
    }
  },

  'Look at what a sensor sees': async (reader) => {
    await reader.run('spanplan apply')
    // Twenty are asked for first; whoever is not ended by a count is by a reader who has gone.
    for (const block of under('Look at what a sensor sees')) {
      let over = false
      const shown = reader.run(block).finally(() => {
        over = true
      })
      shown.catch(() => undefined)
      while (!over) await reader.lab.send(Array.from({ length: 100 }, () => frame))
      expect(await shown).toMatch(block.includes('span0.pcap') ? /^$/ : /02:00:00:00:0a:01 > ff:ff:ff:ff:ff:ff/)
    }
    expect(await reader.run('tcpdump -r span0.pcap --count')).toContain('1000 packets')
  },

  'Have it left alone while you debug': async (reader) => {
    await reader.run('spanplan apply')
    const [pause = '', resume = ''] = under('Have it left alone while you debug')
    await reader.lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'promisc', 'off'])
    await reader.run(pause)
    const hook = 'IFACE=ens192 PHASE=up spanplan hook -f spans.yaml --strict 2>&1'
    expect(await reader.run(hook)).toContain('span0 is paused until')
    expect(await reader.run('spanplan status || true')).toContain('paused until')
    await reader.run(resume)
    expect(await reader.run(hook)).toContain('promiscuous: off → on')
    expect(await reader.run('spanplan status || true')).not.toContain('paused')
  },

  'Metrics, for Prometheus': async (reader) => {
    await reader.lab.startSensor('suricata')
    const [watch = '', ask = ''] = under('Metrics, for Prometheus')
    const ready = 'until curl --silent http://127.0.0.1:9477/readyz | grep -q ^ready; do sleep 0.1; done'
    const output = await reader.run(`${watch.trim()} 2>/dev/null &\n${ready}\n${ask}kill $!\nwait $!`)
    for (const text of ['spanplan_healthy{span="span0"} 0', 'spanplan_waiting{span="span0"} 1', 'alive: ', 'ready: ']) {
      expect(output).toContain(text)
    }
  }
}

test('no block of commands is without a test', () => {
  const headings = blocks.filter(({ language }) => language !== 'yaml').map(({ heading }) => heading)
  expect([...new Set(headings)]).toEqual(Object.keys(stories))
  expect(blocks.filter(({ language }) => ![...runnable, 'yaml'].includes(language))).toEqual([])
})

describe('what README.md says to do', () => {
  let lab: Lab
  let reader: Reader

  beforeAll(async () => {
    lab = await createLab(describedLab)
    reader = new Reader(lab)
    await reader.settle()
  })
  afterEach(() => reader.tidy())
  afterAll(() => lab?.close())

  test.each(Object.entries(stories))('%s', async (_, story) => story(reader), 120_000)
})

describe('the reference', () => {
  test('has every flag of --help, and no other', async () => {
    const commands = [
      'plan',
      'apply',
      'destroy',
      'watch',
      'status',
      'capture',
      'pause',
      'resume',
      'hook',
      'validate',
      'confirm',
      'rollback',
      'import',
      'completion'
    ]
    const helps = await Promise.all(commands.map((command) => execa('node', ['bin/spanplan.js', command, '--help'])))
    const flagsOf = (text: string) => [...text.matchAll(/^ +(?:(-\w), )?(--[\w-]+)/gm)].flatMap(([, a, b]) => [a, b])
    const usersOf = new Map<string, string[]>()
    for (const [index, { stdout }] of helps.entries()) {
      for (const flag of flagsOf(stdout)) {
        if (flag) usersOf.set(flag, [...(usersOf.get(flag) ?? []), commands[index] ?? ''])
      }
    }
    usersOf.set('--version', [])
    const groups = new Map([
      ['none', []],
      ['all', commands],
      ['all but hook and completion', commands.filter((command) => !['hook', 'completion'].includes(command))]
    ])
    const documented = readTable('| flag | of | means |').flatMap(([flags = '', users = '']) =>
      codesIn(flags).map((flag) => [flag.split(' ')[0], groups.get(users) ?? users.split(', ')] as const)
    )
    expect(new Map(documented)).toEqual(usersOf)
    const rows = readTable('| command | does |').map(([command = '']) => codesIn(command)[0]?.split(' ')[1])
    expect(rows).toEqual(commands)
  })

  test('has every code that spanplan may print, and no other', () => {
    const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
    const words = files.flatMap((name) => readFileSync(join('src', name), 'utf8').match(/'[A-Z][A-Z0-9_]{2,}'/g) ?? [])
    const known = new Set(words.map((word) => word.slice(1, -1)).filter((word) => !wordsOfOthers.has(word)))
    const documented = readTable('| code | means |').map(([code = '']) => codesIn(code)[0] ?? '')
    expect(documented.toSorted()).toEqual([...known].sort())
  })

  test('has every exit status', () => {
    const documented = readTable('| status | means |').flatMap(([status = '']) => status.split(', ').map(Number))
    expect(documented).toEqual([...new Set(Object.values(Exit))])
  })

  test('has every cause of loss', () => {
    const rows = readTable('| cause | where | counted by | means | what to do |')
    const documented = rows.map(([cause = '', , counted, , todo = '']) => [codesIn(cause)[0], counted, todo])
    expect(documented).toEqual(Object.entries(causes).map(([cause, { counted, hint }]) => [cause, counted, hint]))
  })

  test('has every field of spans.yaml', () => {
    const documented = readTable('| field | is | default |').map(([field = '']) => codesIn(field)[0] ?? '')
    const fields = fieldsOf(readSchema(), '')
    expect(documented.toSorted()).toEqual([...new Set(fields)].sort())
  })

  test('has every key of plan --json', async () => {
    await using lab = await createLab(describedLab)
    await writeFile(join(lab.files, 'spans.yaml'), spansYaml)
    const { stdout } = await lab.spanplan(['plan', '--json'])
    const document = z
      .looseObject({ changes: z.array(z.looseObject({})), summary: z.looseObject({}) })
      .parse(JSON.parse(stdout))
    const rows = readTable('| key | is |')
    expect(rows.flatMap(([key = '']) => codesIn(key)).toSorted()).toEqual(Object.keys(document).sort())
    const change = Object.assign({}, ...document.changes)
    const describing = (key: string) => codesIn(rows.find(([cell = '']) => cell.includes(`\`${key}\``))?.[1] ?? '')
    expect(describing('changes')).toEqual(expect.arrayContaining(Object.keys(change)))
    expect(describing('summary')).toEqual(Object.keys(document.summary))
  })

  test('has every key of status --json', async () => {
    await using lab = await createLab(describedLab)
    await lab.startSensor('suricata')
    await writeFile(join(lab.files, 'spans.yaml'), spansYaml)
    await lab.spanplan(['apply'])
    const { stdout } = await lab.spanplan(['status', '--json', '--for', '10ms'])
    const objects = z.array(z.looseObject({}))
    const document = z.looseObject({ spans: z.tuple([z.looseObject({ hops: objects })]) }).parse(JSON.parse(stdout))
    const [span] = document.spans
    const documented = (header: string) => readTable(header).flatMap(([key = '']) => codesIn(key))
    expect(documented('| key of status | is |')).toEqual(Object.keys(JSON.parse(stdout)))
    expect(documented('| key of a span | is |').toSorted()).toEqual(Object.keys(span).sort())
    expect(documented('| key of a hop | of | is |').toSorted()).toEqual(
      Object.keys(Object.assign({}, ...span.hops)).sort()
    )
    for (const [key = '', kinds = ''] of readTable('| key of a hop | of | is |')) {
      const users = span.hops.filter((hop) => codesIn(key).every((name) => name in hop)).map(({ kind }) => kind)
      expect([...new Set(users)].join(', '), key).toBe(kinds === 'all' ? 'card, mirror, bridge, port, sensor' : kinds)
    }
  })

  test('links to files that are there', () => {
    const links = [...readme.matchAll(/\]\(([^)#]+)\)/g)].map(([, path = '']) => path)
    expect(links.filter((path) => !existsSync(path))).toEqual([])
  })
})

/** In quotes and capitals too, but no codes of notices: names of the YAML parser's errors, of errno, of signals and so on. */
const wordsOfOthers: ReadonlySet<string> = new Set([
  ...['BAD_ALIAS', 'BAD_COLLECTION_TYPE', 'BAD_INDENT', 'BLOCK_AS_IMPLICIT_KEY', 'DUPLICATE_KEY'],
  ...['MULTILINE_IMPLICIT_KEY', 'TAB_AS_INDENT', 'TAG_RESOLVE_FAILED'],
  ...['EACCES', 'EEXIST', 'EISDIR', 'ELOOP', 'ENOENT', 'EPERM', 'EPIPE'],
  ...['CAP_KILL', 'CAP_NET_ADMIN', 'CAP_NET_RAW', 'CAP_SETGID', 'CAP_SETUID', 'CAP_SYS_ADMIN'],
  ...['SIGHUP', 'SIGINT', 'SIGKILL', 'SIGTERM', 'KILL', 'EN10MB', 'GET', 'HEAD'],
  ...['ARP', 'GRO', 'LRO', 'LOWER_UP', 'NOARP', 'PROMISC']
])

type Schema = Readonly<Record<string, unknown>>

const isSchema = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function readSchema(): Schema {
  return z.record(z.string(), z.unknown()).parse(JSON.parse(readFileSync('schemas/spans.schema.json', 'utf8')))
}

/** The paths of all fields; a mapping's own keys stand as in the README. */
function fieldsOf(schema: Schema, path: string): string[] {
  const { properties, additionalProperties, items, anyOf } = schema
  const below = Object.entries(isSchema(properties) ? properties : {}).flatMap(([key, value]) => {
    const name = path === '' ? key : `${path}.${key}`
    const fields = isSchema(value) ? fieldsOf(value, name) : []
    // A mapping is described by its entries; a value that is a name, or a mapping, by both.
    const describesItself = !isSchema(value) || value.type !== 'object'
    return describesItself ? [name, ...fields] : fields
  })
  const entry = `${path}.${path === 'spans' ? 'NAME' : 'KEY'}`
  const entries = isSchema(additionalProperties) ? [entry, ...fieldsOf(additionalProperties, entry)] : []
  const branches = [items, ...(Array.isArray(anyOf) ? anyOf : [])].filter(isSchema)
  return [...below, ...entries, ...branches.flatMap((branch) => fieldsOf(branch, path))]
}

/** Zod reads "one of these keys" only where the branches say of themselves that they are objects with that key. */
function spellOut(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(spellOut)
  if (!isSchema(schema)) return schema
  const { required } = schema
  if (Object.keys(schema).length === 1 && Array.isArray(required)) {
    return { type: 'object', required, properties: Object.fromEntries(required.map((key) => [key, {}])) }
  }
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, spellOut(value)]))
}

describe('the examples', () => {
  const names = readdirSync('examples', { recursive: true, encoding: 'utf8' })
  const files = names.filter((name) => name.endsWith('.yaml') && !name.endsWith('compose.yaml'))
  // What spellOut gives is a JSON Schema again.
  const schema = z.fromJSONSchema(spellOut(readSchema()) as Parameters<typeof z.fromJSONSchema>[0])

  test('are there', () => {
    expect(files.toSorted()).toEqual(['compose/spans.yaml', 'full.yaml', 'minimal.yaml'])
  })

  test.each(files)('%s is valid, for spanplan and for editors', async (name) => {
    const { stdout } = await execa('node', ['bin/spanplan.js', 'validate', '-f', join('examples', name)])
    expect(stdout).toContain(': valid, ')
    const text = readFileSync(join('examples', name), 'utf8')
    expect(schema.safeParse(parse(text, { merge: true }))).toMatchObject({ success: true })
    const hint = /\$schema=(\S+)/.exec(text)?.[1] ?? ''
    expect(existsSync(join('examples', name, '..', hint))).toBe(true)
  })

  test('the schema is not one that takes anything', () => {
    expect(schema.safeParse({ version: 1, spans: { a: { sources: [{ interfaces: 'ens192' }] } } }).success).toBe(false)
    expect(schema.safeParse({ version: 1, spans: {}, interfaces: { a: { match: {} } } }).success).toBe(false)
  })

  test('full.yaml has every field', () => {
    const text = readFileSync('examples/full.yaml', 'utf8')
    const keys = readTable('| field | is | default |').map(([field = '']) => codesIn(field)[0]?.split('.').at(-1) ?? '')
    const missing = keys.filter((key) => !['NAME', 'KEY'].includes(key) && !text.includes(`${key}:`))
    expect(missing).toEqual([])
  })
})
