/** Hosts that are broken, each in another way: the doctor finds it, and its command clears it and changes nothing else. */
import { readFileSync } from 'node:fs'
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  binFolder,
  examine,
  findingsOf,
  makeHealthy,
  pasting,
  pastingAtTerminal,
  writeProgramFile
} from '../lab/commands/doctor.ts'
import { startWatch } from '../lab/commands/watch.ts'
import { createLab, type Lab, type SpanplanOptions } from '../lab/lab.ts'
import { labEnvironment, labFolder } from '../lab/programs.ts'
import { expectRestored, portOf, spanplan, until } from '../lab/spans.ts'

let lab: Lab

beforeAll(async () => {
  lab = await createLab({ docker: true, cables: [{ card: 'ens192' }, { card: 'ens224', mtu: 1500 }] })
  await lab.startListener('suricata')
  await makeHealthy(lab, 'version: 1\nspans: {span0: {sources: [{interface: ens192}], sensors: [suricata]}}\n')
})
afterAll(() => lab?.close())

const run = (line: string) => lab.run(['sh', '-c', line])
const writeFileInLab = (name: string, text: string) => writeFile(join(lab.files, name), text)
const runFolder = () => join(labFolder(lab.name), 'run')
const withPath = () => ({ env: { PATH: `${binFolder(lab)}:${labEnvironment(lab.name).PATH}` } })

interface Broken {
  readonly what: string
  readonly break: () => Promise<unknown>
  /** The check that finds it, and how. */
  readonly id: string
  readonly result: 'warning' | 'problem'
  readonly message: RegExp
  readonly command: () => string | Promise<string>
  readonly args?: readonly string[]
  readonly options?: () => SpanplanOptions
  /** It asks before it does anything. */
  readonly asks?: true
  /** What goes on after the command. */
  readonly after?: () => Promise<unknown>
}

const broken: readonly Broken[] = [
  {
    what: 'an interface that is down',
    break: () => run('ip link set dev ens192 down'),
    id: 'spans',
    result: 'problem',
    message: /ens192.*down → up/,
    command: () => 'spanplan apply'
  },
  {
    what: 'mirrors that somebody has deleted',
    break: () => run('tc filter del dev ens192 ingress'),
    id: 'spans',
    result: 'problem',
    message: /^span span0 differs from the file: \+ mirror ens192 ingress/,
    command: () => 'spanplan apply'
  },
  {
    what: 'a port that is too small for the frames',
    break: async () =>
      run(
        `ip link set dev ${await portOf(lab, await lab.docker.getContainer('suricata'))} mtu 1400; ip link set dev span0 mtu 1400`
      ),
    id: 'mtu',
    result: 'problem',
    message: /^span0 has an MTU of 1400: larger frames, of up to 9000 bytes/,
    command: () => 'spanplan apply'
  },
  {
    what: 'an interface that merges frames',
    break: async () => {
      await writeFileInLab(
        'wire.yaml',
        'version: 1\nname: wire\nspans: {span1: {sources: [{interface: ens224}], wire: false}}\n'
      )
      await spanplan(lab, ['apply', '-f', 'wire.yaml'])
      await run('ethtool -K ens224 gro on')
    },
    id: 'offloads',
    result: 'warning',
    message: /^ens224 merges frames \(GRO\), and span span1/,
    command: () => 'ethtool -K ens224 gro off',
    args: ['-f', 'wire.yaml'],
    after: () => spanplan(lab, ['destroy', '-f', 'wire.yaml', '--yes'])
  },
  {
    what: 'a span that is paused',
    break: () => spanplan(lab, ['pause', 'span0', '--for', '30m']),
    id: 'pauses',
    result: 'warning',
    message: /^span span0 is paused until/,
    command: () => 'spanplan resume span0'
  },
  {
    what: 'a folder of the file that others may write to',
    break: () => chmod(lab.files, 0o777),
    id: 'file',
    result: 'problem',
    message: /can be written by other users than root/,
    command: () => `chmod go-w ${lab.files}`
  },
  {
    what: 'a run directory that others may write to',
    break: () => chmod(runFolder(), 0o777),
    id: 'run_directory',
    result: 'problem',
    message: /cannot be used: others may write to .*\/run/,
    command: () => `chmod go-w ${runFolder()}`
  },
  {
    what: 'a draft that a killed process has left',
    break: () => run(`touch ${runFolder()}/net-$(stat -L -c %i /proc/self/ns/net).pauses.new`),
    id: 'run_directory',
    result: 'warning',
    message: /^a process that was killed has left .*pauses\.new$/,
    command: async () =>
      `rm -f -- ${(await run(`echo ${runFolder()}/net-$(stat -L -c %i /proc/self/ns/net).pauses.new`)).trim()}`
  },
  {
    what: 'a span of a name that no file has',
    break: async () => {
      await writeFileInLab('old.yaml', 'version: 1\nname: lab9\nspans: {span9: {sources: [{interface: ens224}]}}\n')
      await spanplan(lab, ['apply', '-f', 'old.yaml'])
      await rm(join(lab.files, 'old.yaml'))
    },
    ...{
      id: 'marks',
      result: 'warning',
      message: /^no file here has the name lab9, whose mark is on the bridge span9$/
    },
    command: () => 'spanplan destroy --name lab9',
    asks: true
  },
  {
    what: 'a Docker that is stopped',
    break: async () => {
      await lab.stopDocker({ live: true })
      await writeProgramFile(
        lab,
        'systemctl',
        `echo "$*" >>${lab.files}/asked; while ! [ -e ${lab.files}/started ]; do sleep 0.1; done`
      )
    },
    id: 'docker',
    result: 'problem',
    message: /^Docker is not reachable at unix:/,
    command: () => 'systemctl start docker'
  },
  {
    what: 'a file of a network manager',
    break: async () => {
      await mkdir(join(lab.files, 'run-nm/NetworkManager/devices'), { recursive: true })
      await mkdir(join(lab.files, 'run-nm/NetworkManager/system-connections'), { recursive: true })
      const uuid = '1b3d5f70-0000-4000-8000-000000000001'
      const index = JSON.parse(await run('ip -j link show dev ens192'))[0].ifindex
      const [devices, connections] = ['devices', 'system-connections'].map((name) =>
        join(lab.files, 'run-nm/NetworkManager', name)
      )
      await writeFile(join(devices ?? '', `${index}`), `[device]\nmanaged=true\nconnection-uuid=${uuid}\n`)
      await writeFile(
        join(connections ?? '', 'tap.nmconnection'),
        `[connection]\nuuid=${uuid}\n\n[tc]\nqdisc.root=fq_codel\n`
      )
      // What nmcli does to the file.
      await writeProgramFile(
        lab,
        'nmcli',
        `[ "$*" = "connection modify uuid ${uuid} tc.qdiscs  tc.tfilters " ] && sed -i '/^\\[tc]/,$d' ${connections}/tap.nmconnection`
      )
    },
    id: 'managers',
    result: 'problem',
    message: /has tc settings: whenever it comes up on ens192/,
    command: () => "nmcli connection modify uuid 1b3d5f70-0000-4000-8000-000000000001 tc.qdiscs '' tc.tfilters ''",
    options: () => inMounts(`mount -t sysfs sysfs /sys\nmount --bind ${lab.files}/run-nm /run\nmkdir -p /run/netns`)
  },
  {
    what: 'a service that has failed',
    break: () =>
      writeProgramFile(
        lab,
        'systemctl',
        `[ "$*" = 'restart spanplan.service' ] && exec touch ${lab.files}/restarted
state=failed; [ -e ${lab.files}/restarted ] && state=active
printf 'Id=spanplan.service\\nLoadState=loaded\\nActiveState=%s\\nUnitFileState=enabled\\nResult=exit-code\\nExecMainStatus=65\\nNeedDaemonReload=no\\n\\nId=spanplan-apply.service\\nLoadState=not-found\\nActiveState=inactive\\nUnitFileState=\\n' $state`
      ),
    id: 'units',
    result: 'problem',
    message: /^spanplan\.service has failed: exit-code, exit status 65$/,
    command: () => 'systemctl restart spanplan.service',
    options: withPath,
    after: () => rm(join(binFolder(lab), 'systemctl'))
  }
]

/** With some mounts of its own. */
function inMounts(script: string): SpanplanOptions {
  return { through: ['unshare', '--mount', 'sh', '-c', `set -e\n${script}\nexec "$@"`, 'sh'] }
}

test.each(broken)(
  '$what',
  async ({ id, result, message, command, args, asks, after, options = () => ({}), ...host }) => {
    const before = await lab.snapshotText()
    await host.break()
    const line = await command()
    const findings = findingsOf(await examine(lab, args, options()), id, result)
    const found = findings.find((finding) => message.test(finding.message))
    expect(found, JSON.stringify(findings)).toMatchObject({ command: line })
    const pasted = lab.run(asks ? pastingAtTerminal(lab, line) : pasting(lab, line))
    if (id === 'docker') {
      // The lab's Docker is no service: who starts it is this test.
      await until(
        'systemctl was called',
        async () => readFileSync(join(lab.files, 'asked'), 'utf8') === 'start docker\n'
      )
      await lab.startDocker()
      await writeFileInLab('started', '')
    }
    await pasted
    const again = await examine(lab, args, options())
    expect(findingsOf(again, id, result).filter((finding) => message.test(finding.message))).toEqual([])
    await after?.()
    await expectRestored(lab, before)
  }
)

test('a sensor that does not run, and whose port is not sealed once it does', async () => {
  await lab.docker.getContainer('suricata').stop()
  const [stopped, ...more] = findingsOf(await examine(lab), 'sensors', 'problem')
  expect(more).toEqual([])
  expect(stopped?.message).toMatch(
    /^span span0: the sensor suricata is not running: it ended with exit status 137, since /
  )
  expect(stopped?.command).toBe('docker start suricata && spanplan apply')
  await lab.run(pasting(lab, 'docker start suricata'))
  const then = await examine(lab)
  expect(findingsOf(then, 'sensors', 'problem')).toEqual([])
  expect(findingsOf(then, 'spans', 'problem')).toMatchObject([{ command: 'spanplan apply' }])
  await lab.run(pasting(lab, 'spanplan apply'))
  expect(findingsOf(await examine(lab), 'spans', 'problem')).toEqual([])
})

test('a watch that was killed', async () => {
  const before = await lab.snapshotText()
  const watch = await startWatch(lab)
  expect(findingsOf(await examine(lab), 'watch', 'ok')).toMatchObject([
    { message: /^the watch of default has been running since/ }
  ])
  watch.signal('SIGKILL')
  await watch.end().catch(() => undefined)
  const [dead] = findingsOf(await examine(lab), 'watch', 'problem')
  expect(dead).toMatchObject({ message: 'the watch of default was killed', command: 'spanplan watch' })
  const again = lab.start(pasting(lab, `exec ${dead?.command}`))
  await until('the watch answers', async () => findingsOf(await examine(lab), 'watch', 'ok').length === 1)
  again.kill('SIGTERM')
  await again.catch(() => undefined)
  expect(await lab.snapshotText()).toBe(before)
})

test('a Docker that does not answer is not waited for', async () => {
  await lab.silenceDocker(async () => {
    const { checks } = JSON.parse((await lab.spanplan(['doctor', '--json'])).stdout)
    expect(checks).toContainEqual({
      id: 'docker',
      result: 'problem',
      command: 'systemctl restart docker',
      message: expect.stringMatching(/^Docker hangs: .*did not end within 5 s/)
    })
    expect(checks).toContainEqual(expect.objectContaining({ id: 'marks', result: 'ok' }))
  })
})

test("Podman in Docker's place", async () => {
  // As Podman 4.3 of Debian answers.
  const server = createServer((request, response) => {
    const answers: Readonly<Record<string, unknown>> = {
      '/version': {
        Components: [
          { Name: 'Podman Engine', Version: '4.3.1', Details: { APIVersion: '4.3.1', MinAPIVersion: '4.0.0' } }
        ],
        Version: '4.3.1',
        ApiVersion: '1.41',
        MinAPIVersion: '1.24',
        Os: 'linux'
      },
      '/_ping': 'OK'
    }
    const answer = answers[request.url?.replace(/^\/v[\d.]+/, '') ?? '']
    response.writeHead(answer === undefined ? 404 : 200, { 'Api-Version': '1.41', 'Libpod-API-Version': '4.3.1' })
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer ?? { message: 'page not found' }))
  })
  const socket = join(lab.files, 'podman.sock')
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  try {
    const options = { env: { DOCKER_HOST: `unix://${socket}` } }
    const [podman] = findingsOf(await examine(lab, [], options), 'docker', 'problem')
    expect(podman).toMatchObject({ message: /^Podman 4\.3\.1 answers at .*podman\.sock in Docker's place/ })
    // Where the host's Docker is where it always is.
    const mounts = `mount -t tmpfs tmpfs /run && mkdir /run/netns && ln -s '${lab.dockerHost.replace('unix://', '')}' /run/docker.sock`
    const line = `export DOCKER_HOST=unix://${socket}; ${podman?.command}; spanplan doctor --json || [ $? = 2 ]`
    const { checks } = JSON.parse(
      await lab.run(['unshare', '--mount', 'sh', '-c', `${mounts} && exec "$@"`, 'sh', ...pasting(lab, line)])
    )
    expect(checks).toContainEqual(expect.objectContaining({ id: 'docker', result: 'ok' }))
  } finally {
    server.close()
  }
})

test('programs that are missing, with the packages of Debian that have them', async () => {
  await writeFileInLab(
    'filtered.yaml',
    'version: 1\nspans: {span0: {sources: [{interface: ens192, filter: not port 22}]}}\n'
  )
  const missing = { tcpdump: 'tcpdump', bridge: 'iproute2', nft: 'nftables', flock: 'util-linux', bpftool: 'bpftool' }
  // A file that nobody may execute is what hides them.
  const hide = Object.keys(missing).map(
    (name) => `for file in $(which -a ${name}); do mount --bind /dev/null "$file"; done`
  )
  const findings = await examine(lab, ['-f', 'filtered.yaml'], inMounts(hide.join('\n')))
  const commands = findings.filter(({ message }) => message.includes('cannot be run')).map(({ command }) => command)
  for (const name of Object.values(missing)) expect(commands).toContain(`apt-get install ${name}`)
  expect(findingsOf(findings, 'tcpdump', 'problem')).toHaveLength(1)
  expect(findingsOf(findings, 'bpftool', 'warning')).toHaveLength(1)
  expect(findingsOf(findings, 'spans', 'unknown')).toMatchObject([{ message: /^the host cannot be read: the program/ }])
})
