import { statSync } from 'node:fs'
import { chown, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createLab, type Lab, type SpanplanOptions } from '../lab/lab.ts'
import {
  expectConverged,
  expectHeard,
  expectRefusal,
  expectRestored,
  portOf,
  spanplan,
  warningsIn,
  writeSpans
} from '../lab/spans.ts'
import { hostNamespace } from '../lab/sweep.ts'

const user = 65534
/** Of Docker's socket. */
const group = 65533

let lab: Lab

beforeAll(async () => {
  lab = await createLab({ docker: true })
  await chown(lab.dockerHost.replace('unix://', ''), 0, group)
})
afterAll(() => lab?.close())

/** He may read the sources wherever they are, also in somebody's home. */
function asUser(groups: string, capabilities: readonly string[]): readonly string[] {
  const names = [...capabilities, 'dac_read_search'].map((name) => `+${name}`).join(',')
  const granted = [`--inh-caps=${names}`, `--ambient-caps=${names}`, `--bounding-set=-all,${names}`]
  return ['setpriv', `--reuid=${user}`, `--regid=${user}`, groups, ...granted]
}

test('a user with CAP_NET_ADMIN, the group of Docker and a folder for the lock needs no root', async () => {
  const before = await lab.snapshotText()
  const suricata = await lab.startSensor('suricata')
  const run = join(lab.files, 'run')
  await mkdir(run)
  await chown(run, user, user)
  const asHe: SpanplanOptions = {
    through: asUser(`--groups=${group}`, ['net_admin']),
    env: { SPANPLAN_RUN_DIR: run }
  }
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}], sensors: [suricata]}}')
  await spanplan(lab, ['apply'], 0, asHe)
  await expectConverged(lab, asHe)
  // Root sees more of containers: nobody else can close their network stacks.
  const { stdout } = await spanplan(lab, ['apply'])
  expect(stdout).toMatch(/~ +stack +suricata → span0 +closed: no → yes/)
  await expectConverged(lab)
  const setting = `net.ipv6.conf.${await portOf(lab, suricata)}.disable_ipv6`
  expect(await lab.run(['sysctl', '-n', setting])).toBe('1')
  await expectHeard(lab, [suricata])

  // Root takes no lock where he could lay links, unless he is who became root by sudo; and he takes it again after that.
  await lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'promisc', 'off'])
  const stderr = await expectRefusal(lab, ['apply'], 77, { env: { SPANPLAN_RUN_DIR: run } })
  expect(stderr).toContain(`the run directory ${run} cannot be used: ${run} belongs to another user (uid ${user})`)
  expect(stderr).toMatch(/^ {2}set \$SPANPLAN_RUN_DIR to a directory of your own, or run spanplan as the user/m)
  await spanplan(lab, ['apply'], 0, { env: { SPANPLAN_RUN_DIR: run, SUDO_UID: String(user) } })
  await spanplan(lab, ['destroy', '--yes'], 0, asHe)
  await suricata.remove({ force: true })
  await expectRestored(lab, before)
})

test('root that does not see what Docker mounts lacks no right, and is told what helps', async () => {
  const before = await lab.snapshotText()
  const suricata = await lab.startSensor('suricata')
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}], sensors: [suricata]}}')
  await spanplan(lab, ['apply'])
  const { SandboxKey } = (await suricata.inspect()).NetworkSettings
  // As for who has had a mount namespace of its own since before the sensor started.
  const script = `umount ${SandboxKey}; exec "$@"`
  const through = ['unshare', '--mount', '--propagation', 'private', 'sh', '-ec', script, 'sh']
  const { stderr } = await lab.spanplan(['status', '--for', '10ms'], { through })
  const why = 'what the host mounts does not come into the mount namespace of this process'
  expect(stderr).toContain(
    `warning: ${why}, so it is not known which ports belong to suricata\n  start spanplan again;`
  )
  expect(stderr).toContain(`reach the network stack of suricata: ${why}\n  start spanplan again;`)
  expect(stderr).not.toMatch(/no right|as root|CAP_SYS_ADMIN/)
  await spanplan(lab, ['destroy', '--yes'])
  await suricata.remove({ force: true })
  await expectRestored(lab, before)
})

test('all rights that are missing are told at once, after the plan', async () => {
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}], sensors: [suricata]}}')
  const nobody: SpanplanOptions = { through: asUser('--clear-groups', []), env: { SPANPLAN_RUN_DIR: '/nowhere/run' } }
  const { stdout } = await spanplan(lab, ['apply'], 77, nobody)
  expect(stdout).toContain('+   bridge     span0')
  const stderr = await expectRefusal(lab, ['apply'], 77, nobody)
  expect(stderr.match(/^error: /gm)).toHaveLength(3)
  expect(stderr).toMatch(/CAP_NET_ADMIN[\s\S]*Docker's socket[\s\S]*\/nowhere\/run.*Nothing was changed\.\n/)
  const json = await spanplan(lab, ['apply', '--json'], 77, nobody)
  expect(JSON.parse(json.stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({
    type: 'error',
    exit: 77,
    errors: [{ code: 'RIGHT_MISSING' }, { code: 'DOCKER_FORBIDDEN' }, { code: 'RIGHT_MISSING' }]
  })
})

test('so is the right to write the file of --install', async () => {
  const before = await lab.snapshotText()
  const folder = join(lab.files, 'installed')
  await mkdir(folder)
  const run = join(lab.files, 'run-installing')
  await mkdir(run)
  await chown(run, user, user)
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
  const asHe: SpanplanOptions = {
    through: asUser(`--groups=${group}`, ['net_admin']),
    env: { SPANPLAN_RUN_DIR: run }
  }
  const install = ['-f', 'spans.yaml', '--install', join(folder, 'spans.yaml')]
  expect(warningsIn(await expectRefusal(lab, ['apply', ...install], 77, asHe))).toMatch(
    /^error: \S*\/installed\/spans\.yaml cannot be installed: permission denied\. Nothing was changed\.\n {2}run it as root, with sudo\n$/
  )
  expect(await lab.snapshotText()).toBe(before)
  const { stderr } = await spanplan(lab, ['plan', ...install], 0, asHe)
  expect(stderr).toMatch(/^warning: \S*\/installed\/spans\.yaml cannot be installed: permission denied\n/m)
  await chown(folder, user, user)
  await spanplan(lab, ['apply', ...install], 0, asHe)
  await spanplan(lab, ['destroy', '--yes'], 0, asHe)
})

test("root's folder is not his; of his own, he needs to know nothing of before", async () => {
  const run = join(lab.files, 'roots')
  const asHe: SpanplanOptions = {
    through: asUser(`--groups=${group}`, ['net_admin']),
    env: { SPANPLAN_RUN_DIR: run }
  }
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
  await mkdir(run)
  expect(await expectRefusal(lab, ['apply'], 77, asHe)).toMatch(
    /cannot be created in the folder .*: permission denied\. Nothing was changed\.\n.*install -d -o USER .*\/roots-USER; then set \$SPANPLAN_RUN_DIR/
  )
  // As one that was killed has left it.
  const left = join(run, `net-${statSync(hostNamespace(lab.name)).ino}.lock`)
  await writeFile(left, '', { mode: 0o600 })
  expect(await expectRefusal(lab, ['apply'], 77, asHe)).toMatch(
    /net-\d+\.lock cannot be used: permission denied\. Nothing was changed\.\n.*install -d -o USER .*\/roots-USER; then set \$SPANPLAN_RUN_DIR/
  )
  await chown(run, user, user)
  await spanplan(lab, ['apply'], 0, asHe)
  expect(statSync(left)).toMatchObject({ mode: 0o100600, uid: user })
  await spanplan(lab, ['destroy', '--yes'], 0, asHe)
})

test('where there is nothing to do, no right is needed', async () => {
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
  await spanplan(lab, ['apply'])
  const { stdout } = await spanplan(lab, ['apply'], 0, { through: asUser('--clear-groups', []) })
  // Of what could not be looked at, nobody says that it is in sync.
  expect(stdout).toMatch(/\.\.\. table +spanplan_default +is not checked: reading nftables needs CAP_NET_ADMIN/)
  expect(stdout).toContain('No changes to what was checked')
})

test('status needs none, and says what it could not read', async () => {
  const suricata = await lab.startSensor('suricata')
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192, filter: vlan 10}], sensors: [suricata]}}')
  await spanplan(lab, ['apply', '--yes'])
  const nobody = await spanplan(lab, ['status', '--for', '10ms'], 0, { through: asUser('--clear-groups', []) })
  expect(nobody.stdout).toMatch(/^span0: healthy as far as could be checked without Docker, /)
  expect(nobody.stderr).toMatch(
    /warning: Docker's socket may not be used[^\n]*\n {2}run it as root, with sudo, or join/
  )
  expect(nobody.stderr.match(/warning: ens192 (in|e)gress → span0 waits for CAP_NET_RAW/g)).toHaveLength(2)
  const asHe: SpanplanOptions = { through: asUser(`--groups=${group}`, ['net_raw']) }
  const { stderr } = await spanplan(lab, ['status', '--for', '10ms'], 0, asHe)
  expect(stderr).toMatch(
    /^warning: no right to see which ports belong to suricata\n {2}run it as root, with sudo; .*SandboxKey.*\nwarning: it is not known whether mirrored frames reach the network stack of suricata: .*\n {2}run it as root, .*CAP_SYS_ADMIN.*\n$/
  )
  const { stdout } = await spanplan(lab, ['status', '--json', '--for', '10ms'], 0, asHe)
  expect(JSON.parse(stdout)).toMatchObject({
    healthy: true,
    unread: [{ code: 'RIGHT_MISSING' }, { code: 'STACK_UNREAD' }]
  })
  await suricata.remove({ force: true })
})
