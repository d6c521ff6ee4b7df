/** Debian's ifupdown, with the files of examples/: interfaces come up and go down, and with them the mirrors. */
import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import type Docker from 'dockerode'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Argv, createLab, type Lab, type Outcome } from '../lab/lab.ts'
import { findProgram } from '../lab/programs.ts'
import { expectHeard, expectRestored, until } from '../lab/spans.ts'
import { type Installed, install } from '../lab/system/installed.ts'

let lab: Lab
let host: Installed
let before: string
let suricata: Docker.Container

beforeAll(async () => {
  lab = await createLab({ cables: [{ card: 'ens192' }, { card: 'ens224' }], docker: true })
  host = await install(lab)
  // As a host's own would be, it is there again when Docker is.
  suricata = await lab.startListener('suricata', { RestartPolicy: { Name: 'always' } })
  before = await lab.snapshotText()
})
afterAll(() => lab?.close())

beforeEach(async () => {
  await writeFile(host.path('etc/spanplan/spans.yaml'), spans)
  await interfaces('source /etc/network/interfaces.d/*')
  await host.put('etc/network/interfaces.d/span', 'ifupdown/interfaces')
})
afterEach(async () => {
  await lab.startDocker()
  for (const folder of ['if-up.d', 'if-down.d', 'interfaces.d']) {
    await rm(host.path(`etc/network/${folder}`), { recursive: true, force: true })
  }
  await rm(host.path('run'), { recursive: true })
  await mkdir(host.path('run/network'), { recursive: true })
  await onHost(['spanplan', 'destroy', '--all', '--yes'])
  await onHost(['ip', '-batch', '-'], { input: 'link set dev ens192 up\nlink set dev ens224 up\n' })
  await expectRestored(lab, before)
})

const spans = `
version: 1
spans:
  span0: {sources: [{interface: ens192}], sensors: [suricata]}
  span1: {sources: [{interface: ens224}]}
`

interface HostOptions {
  readonly input?: string
  readonly exitCode?: number
}

/** Runs a command on the host where spanplan is installed, with an environment as bare as at boot. */
async function onHost(argv: Argv, { input = '', exitCode = 0 }: HostOptions = {}): Promise<Outcome> {
  const environment = ['env', '-i', `DOCKER_HOST=${lab.dockerHost}`, `PATH=${path}`]
  const subprocess = lab.start([...host.inside, ...environment, ...argv], { input })
  const { stdout, stderr, exitCode: status } = await subprocess.catch((error) => error)
  const outcome = { stdout, stderr, exitCode: status }
  expect(outcome, `${argv.join(' ')}\n${stdout}\n${stderr}`).toMatchObject({ exitCode })
  return outcome
}

const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

const ifup = (...argv: string[]) => onHost([findProgram('ifup'), ...argv])
const ifdown = (...argv: string[]) => onHost([findProgram('ifdown'), ...argv])

/** Starts one as its unit does, and gives what ends it; for now it has made true what can be. */
async function startWatch(): Promise<() => Promise<void>> {
  const environment = ['env', '-i', `DOCKER_HOST=${lab.dockerHost}`, `PATH=${path}`]
  const watch = lab.start([...host.inside, ...environment, 'spanplan', 'watch', '-f', '/etc/spanplan'])
  await until('the watch has made true what can be', async () => {
    const [first, second] = await Promise.all(['ens192', 'ens224'].map(mirrors))
    return first === 2 && second === 2
  })
  return async () => {
    watch.kill('SIGTERM')
    await watch
  }
}

/** Whether all is as the file says. */
const isTrue = () =>
  onHost(['spanplan', 'plan', '--detailed-exitcode']).then(
    () => true,
    () => false
  )

const interfaces = (text: string) => writeFile(host.path('etc/network/interfaces'), `${text}\n`)

/** Those that ifupdown takes for configured. */
async function configured(): Promise<string[]> {
  const { stdout } = await onHost([findProgram('ifquery'), '--state'])
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .sort()
}

/** How many mirrors a card has, of both directions. */
async function mirrors(card: string): Promise<number> {
  const hooks = ['ingress', 'egress']
  const texts = await Promise.all(hooks.map((hook) => lab.run(['tc', 'filter', 'show', 'dev', card, hook])))
  return texts.join('\n').split('mirred').length - 1
}

async function isUp(card: string): Promise<boolean> {
  const [link]: { flags: string[] }[] = JSON.parse(await lab.run(['ip', '-j', 'link', 'show', 'dev', card]))
  return link?.flags.includes('UP') ?? false
}

describe('ifup, ifdown, and ifup again', () => {
  test('with the lines of the stanza', async () => {
    const { stderr } = await ifup('ens192')
    expect(stderr).toContain('spanplan hook: ens192: + mirror ens192 ingress → span0')
    expect(await configured()).toEqual(['ens192=ens192'])
    expect([await mirrors('ens192'), await mirrors('ens224')]).toEqual([2, 0])
    expect((await ifdown('ens192')).stderr).toContain('spanplan hook: ens192: - mirror ens192 ingress → span0')
    expect(await mirrors('ens192')).toBe(0)
    expect(await isUp('ens192')).toBe(false)
    await ifup('ens192')
    expect(await mirrors('ens192')).toBe(2)
    expect((await ifup('--force', 'ens192')).stderr).toBe('')
  })

  test('with the scripts, whichever interface it is, and --all', async () => {
    await rm(host.path('etc/network/interfaces.d/span'))
    await interfaces('auto ens192 ens224\niface ens192 inet manual\niface ens224 inet manual')
    await host.put('etc/network/if-up.d/spanplan', 'ifupdown/spanplan')
    await host.put('etc/network/if-down.d/spanplan', 'ifupdown/spanplan')
    await ifup('ens224')
    expect([await mirrors('ens192'), await mirrors('ens224')]).toEqual([0, 2])
    // Of this one nobody is told, but at the end: ifupdown calls the scripts once more, for all of them together.
    await ifup('--no-scripts', 'ens192')
    expect((await ifup('-a')).stderr).toContain('spanplan hook: --all: + mirror ens192 ingress → span0')
    expect([await mirrors('ens192'), await mirrors('ens224')]).toEqual([2, 2])
    expect((await ifdown('ens224')).stderr).toContain('spanplan hook: ens224: - mirror')
    expect([await mirrors('ens192'), await mirrors('ens224')]).toEqual([2, 0])
    await ifdown('-a')
    expect([await mirrors('ens192'), await mirrors('ens224')]).toEqual([0, 0])
    await ifup('-a')
    expect([await mirrors('ens192'), await mirrors('ens224')]).toEqual([2, 2])
  })
})

describe('an interface comes up, and goes down, whatever becomes of its mirrors', () => {
  test('where the file is broken: but for --strict', async () => {
    await writeFile(host.path('etc/spanplan/spans.yaml'), 'nonsense\n')
    expect((await ifup('ens192')).stderr).toMatch(/^spanplan hook: ens192: .*spans\.yaml:1:1: error: /m)
    expect(await configured()).toEqual(['ens192=ens192'])
    await ifdown('ens192')
    expect(await configured()).toEqual([])
    await interfaces('iface ens224 inet manual\n  post-up spanplan hook --strict')
    await onHost([findProgram('ifup'), 'ens224'], { exitCode: 1 })
    expect(await configured()).toEqual([])
  })

  test('where spanplan is uninstalled', async () => {
    await host.put('etc/network/if-up.d/spanplan', 'ifupdown/spanplan')
    await host.put('etc/network/if-down.d/spanplan', 'ifupdown/spanplan')
    const program = host.path('usr/local/bin/spanplan')
    await rm(program)
    try {
      expect((await ifup('-a')).stderr).toMatch(/spanplan: not found/)
      expect(await configured()).toEqual(['ens192=ens192', 'lo=lo'])
      await ifdown('ens192')
    } finally {
      await symlink('../lib/node_modules/spanplan/bin/spanplan.js', program)
    }
    expect(await mirrors('ens192')).toBe(0)
  })
})

describe('at boot, Docker comes after the cards', () => {
  /** What is lost when a host goes down: all but what is on disk. */
  async function goDown(): Promise<void> {
    await lab.stopDocker()
    const links: { ifname: string }[] = JSON.parse(await lab.run(['ip', '-j', 'link', 'show', 'type', 'bridge']))
    for (const { ifname } of links) await lab.run(['ip', 'link', 'del', 'dev', ifname])
    for (const card of ['ens192', 'ens224']) {
      await lab.run(['ip', 'link', 'set', 'dev', card, 'down', 'promisc', 'off'])
      await lab.run(['tc', 'qdisc', 'del', 'dev', card, 'clsact']).catch(() => undefined)
    }
    await rm(host.path('run'), { recursive: true })
    await mkdir(host.path('run/network'), { recursive: true })
  }

  const boots = ['the first, without a network in Docker', 'one more, on which Docker finds its own']

  async function comeUp(boot: string): Promise<void> {
    await goDown()
    expect((await ifup('-a')).stderr, boot).not.toContain('error')
    expect(await mirrors('ens192'), boot).toBe(2)
  }

  const sensorRuns = () => until('the sensor runs', async () => (await suricata.inspect()).State.Running)

  test('the hook makes the mirrors, and an apply the rest', async () => {
    for (const boot of boots) {
      await comeUp(boot)
      await lab.startDocker()
      await sensorRuns()
      await onHost(['spanplan', 'apply', '--yes', '--lock-timeout', '5m'])
      expect(await isTrue(), boot).toBe(true)
      await expectHeard(lab, [suricata])
    }
  })

  test('the hook makes the mirrors, and the watch the rest, whenever Docker comes', async () => {
    for (const boot of boots) {
      await comeUp(boot)
      const stop = await startWatch()
      await lab.startDocker()
      await sensorRuns()
      await until(`all is in sync: ${boot}`, isTrue)
      await expectHeard(lab, [suricata])
      await stop()
    }
  })
})

describe('with a watch', () => {
  test('a hook wakes it, and leaves the rest to it; a card that is taken down is left alone until it is back', async () => {
    const stop = await startWatch()
    expect(await mirrors('ens192')).toBe(2)
    expect((await ifup('ens192')).stderr).toBe('')
    expect((await ifdown('ens192')).stderr).toBe('')
    await until('the card is given back', async () => (await mirrors('ens192')) === 0)
    // Something else wakes it, and is put back.
    await lab.run(['tc', 'filter', 'del', 'dev', 'ens224', 'ingress'])
    await until('the other mirror is back', async () => (await mirrors('ens224')) === 2)
    expect([await mirrors('ens192'), await isUp('ens192')]).toEqual([0, false])
    expect((await ifup('ens192')).stderr).toBe('')
    await until('the mirrors are back', async () => (await mirrors('ens192')) === 2)
    await stop()
    expect(await mirrors('ens192')).toBe(2)
  })
})

test('as a script of NetworkManager, it does what it is told of, and leaves the rest', async () => {
  const script = '/etc/NetworkManager/dispatcher.d/spanplan'
  await host.put(script, 'networkmanager/spanplan')
  await chmod(host.path(script), 0o755)
  const dispatch = (...argv: string[]) => onHost([script, ...argv])
  await dispatch('ens192', 'up')
  expect(await mirrors('ens192')).toBe(2)
  await dispatch('ens192', 'dhcp4-change')
  await dispatch('', 'connectivity-change')
  await dispatch('none', 'hostname')
  expect(await mirrors('ens192')).toBe(2)
  await dispatch('ens192', 'pre-down')
  expect(await mirrors('ens192')).toBe(0)
  expect((await dispatch('ens192', 'down')).stderr).toBe('')
  await dispatch('ens192', 'up')
  await dispatch('ens192', 'down')
  expect(await mirrors('ens192')).toBe(0)
})
