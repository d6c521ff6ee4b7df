/** An apply that a unit of a real systemd rolls back unless somebody confirms it, and the file that is installed with it. */
import { chmod, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectRestored, spanplan as runHere, until, writeSpans } from '../lab/spans.ts'
import { type Installed, install } from '../lab/system/installed.ts'
import { bootSystemd, type Systemd } from '../lab/system/systemd.ts'

const file = '/etc/spanplan/spans.yaml'
const textOf = (port: number) =>
  `version: 1\nspans: {span0: {sources: [{interface: ens192, filter: not port ${port}}]}}\n`
const before = textOf(22)
const candidate = textOf(23)
const detached = `apply -f - --install ${file} --yes --json --lock-timeout 1m --detach --rollback-after`

let lab: Lab
let host: Installed
let systemd: Systemd
let empty: string
/** With the file from before. */
let old: string

beforeAll(async () => {
  lab = await createLab({ docker: true })
  empty = await lab.snapshotText()
  host = await install(lab)
  systemd = await bootSystemd(lab, host)
})
afterAll(() => lab?.close())

beforeEach(async () => {
  await writeFile(host.path(file), before)
  await spanplan('apply --yes')
  old = await lab.snapshotText()
})
afterEach(async () => {
  // Where a test has failed, a window may be open.
  await sh('spanplan rollback 2>/dev/null || :')
  await spanplan('destroy --all --yes')
  await expectRestored(lab, empty)
  // No unit is left, and no file but the spans'.
  await until('every unit has ended', async () => (await units()) === '')
  expect(await sh('ls -A /etc/spanplan')).toBe('spans.yaml')
})

interface Ended {
  readonly stdout: string
  readonly stderr: string
  readonly exit: number
  /** The lines of JSON on stdout. */
  readonly lines: readonly Readonly<Record<string, unknown>>[]
}

const sh = (script: string) => systemd.run(['sh', '-c', script])
const units = () => systemd.run(['systemctl', 'list-units', '--all', '--plain', '--no-legend', 'spanplan-window-*'])
const readInstalled = () => readFile(host.path(file), 'utf8')

/** Runs a line with spanplan on that host; it has to exit as said. `prefix` stands before it. */
async function spanplan(line: string, exit = 0, input = '', prefix = ''): Promise<Ended> {
  const script = `printf %s "$1" | ${prefix} spanplan ${line} 2>/tmp/stderr; echo "exit $?"; cat /tmp/stderr`
  const said = await systemd.run(['sh', '-c', script, 'sh', input])
  const [, stdout = '', status = '', stderr = ''] = /^([\s\S]*?)exit (\d+)\n?([\s\S]*)$/.exec(said) ?? []
  const lines = stdout.split('\n').flatMap((one) => (one.startsWith('{') ? [JSON.parse(one)] : []))
  expect(Number(status), said).toBe(exit)
  return { stdout, stderr, exit: Number(status), lines }
}

/** Applies the candidate, and gives the window that is open then. */
async function openWindow(time = '10m', text = candidate, prefix = '') {
  const { lines } = await spanplan(`${detached} ${time}`, 0, text, prefix)
  const last = lines.at(-1)
  expect(last).toMatchObject({ type: 'window', unit: `spanplan-window-${last?.id}.service` })
  expect(await readInstalled()).toBe(before)
  expect(await lab.snapshotText()).not.toBe(old)
  return { id: String(last?.id), unit: String(last?.unit), lines }
}

/** All is as it was, and the window is over. */
async function expectOld(id: string, why: string): Promise<void> {
  await until('it is rolled back', async () => (await lab.snapshotText()) === old)
  expect(await readInstalled()).toBe(before)
  await until('the window is over', async () => !(await units()).includes(id))
  const { lines } = await spanplan(`confirm ${id} --json`, 1)
  expect(JSON.stringify(lines)).toContain('"code":"NOTHING_WAITS"')
  expect(JSON.stringify(lines)).toContain(why)
  expect((await spanplan(`rollback ${id} --json`)).lines).toMatchObject([{ type: 'rolled_back', id }])
}

test('confirmed, the file is installed, and the next run changes nothing; a second confirm is no mistake', async () => {
  const { id } = await openWindow()
  for (const other of ['00000000', '../lock', '', id.slice(1)]) await spanplan(`confirm "${other}x"`, 1)
  const confirmed = { type: 'confirmed', id, installed: file }
  expect((await spanplan(`confirm ${id} --json`)).lines).toMatchObject([confirmed])
  expect(await readInstalled()).toBe(candidate)
  const { mode, uid, gid } = await stat(host.path(file))
  expect([mode & 0o7777, uid, gid]).toEqual([0o644, 0, 0])
  expect((await spanplan(`confirm ${id} --json`)).lines).toMatchObject([confirmed])
  await spanplan(`rollback ${id}`, 1)
  await spanplan('confirm', 1)
  const again = await spanplan(`${detached} 10m --detailed-exitcode`, 0, candidate)
  expect(again.lines.map(({ type }) => type)).toEqual(['version', 'plan', 'summary'])
})

test('a file that only reads differently is installed at once; one that is invalid is not', async () => {
  const commented = `# As before.\n${before}`
  const plan = await spanplan(`plan -f - --install ${file} --json --detailed-exitcode`, 2, commented)
  expect(plan.lines).toMatchObject([{ changes: [], install: { file, changed: true } }])
  const { lines } = await spanplan(`${detached} 10m --detailed-exitcode`, 2, commented)
  expect(lines.at(-1)).toEqual({ type: 'installed', file })
  expect(await readInstalled()).toBe(commented)
  await spanplan(`${detached} 10m`, 65, 'version: 1\nspans: {span0: {}}\n')
  expect(await readInstalled()).toBe(commented)
})

test('not confirmed in time, stopped, or killed: all is as before', async () => {
  const late = await openWindow('1s')
  await expectOld(late.id, 'not confirmed in time')
  const stopped = await openWindow()
  await systemd.run(['systemctl', 'stop', stopped.unit])
  await expectOld(stopped.id, 'interrupted before it was confirmed')
  const killed = await openWindow()
  await systemd.run(['systemctl', 'kill', '--signal=SIGKILL', killed.unit])
  await expectOld(killed.id, 'the unit of the window was killed')
  expect(await sh('journalctl --no-pager --output=cat --identifier=spanplan')).toContain('not confirmed in time')
})

/** Puts before tc what a script does where tc changes something. Gives what has to stand before spanplan, so that it finds that tc. */
async function wrapTc(script: string): Promise<string> {
  await mkdir(host.path('tmp/bin'), { recursive: true })
  const wrapper = `#!/bin/sh
input=/tmp/bin/input-$$
cat >$input
if grep -Eq 'filter (add|replace|del)' $input; then ${script}; fi
exec /sbin/tc "$@" <$input
`
  await writeFile(host.path('tmp/bin/tc'), wrapper)
  await chmod(host.path('tmp/bin/tc'), 0o755)
  return 'PATH=/tmp/bin:$PATH'
}

test('where the caller is killed in the middle of the apply, all is as before, and stays so', async () => {
  const slowly = 'touch /tmp/bin/begun; until [ -e /tmp/bin/go ]; do sleep 0.05; done'
  const path = await wrapTc(slowly)
  await writeFile(host.path('tmp/candidate.yaml'), candidate)
  const line = detached.replace('-f -', '-f /tmp/candidate.yaml')
  await sh(`${path} setsid spanplan ${line} 10m </dev/null >/tmp/out 2>&1 & echo $! >/tmp/caller`)
  await until('tc has begun', async () => (await sh('ls /tmp/bin')).includes('begun'))
  const id = /window-(\w+)\.service/.exec(await units())?.[1] ?? ''
  // The unit finds the real tc.
  await rm(host.path('tmp/bin/tc'))
  await sh('kill -KILL "$(cat /tmp/caller)"')
  await expectOld(id, 'the apply was killed')
  // A tc that the caller has started, and that goes on, would make the change now.
  await sh('touch /tmp/bin/go')
  await until('tc has ended', async () => (await sh('pgrep -f "[/]tmp/bin/tc" || :')) === '')
  expect(await lab.snapshotText()).toBe(old)
  await rm(host.path('tmp/bin'), { recursive: true })
})

test('where others come to block a removal, all is rolled back', async () => {
  const other = 'version: 1\nspans: {span1: {sources: [{interface: ens192}]}}\n'
  const path = await wrapTc('ip link add mv0 link span0 type macvlan 2>/dev/null')
  const { lines } = await spanplan(`${detached} 10m`, 5, other, path)
  expect(lines.at(-1)).toMatchObject({ type: 'error', errors: [{ code: 'BRIDGE_IN_USE' }] })
  expect(JSON.stringify(lines.at(-1))).toContain('Everything was rolled back')
  await sh('ip link del mv0')
  expect(await lab.snapshotText()).toBe(old)
  expect(await readInstalled()).toBe(before)
  await rm(host.path('tmp/bin'), { recursive: true })
})

test('a rollback that is not complete is reported as such also when it is asked for again', async () => {
  const path = await wrapTc('if [ -e /tmp/bin/broken ]; then exit 1; fi')
  const { id } = await openWindow('10m', candidate, path)
  await writeFile(host.path('tmp/bin/broken'), '')
  for (const decision of ['rollback', 'rollback', 'confirm']) {
    const { lines } = await spanplan(`${decision} ${id} --json`, 4)
    expect(lines).toMatchObject([{ type: 'error', errors: [{ code: 'ROLLBACK_PARTIAL' }] }])
  }
  await spanplan('apply --yes')
  expect(await lab.snapshotText()).toBe(old)
  await rm(host.path('tmp/bin'), { recursive: true })
})

test('where the record cannot be read, the unit fails, and everybody is told that the changes stay', async () => {
  const { id, unit } = await openWindow()
  const applied = await lab.snapshotText()
  await sh('truncate --size=100 /run/spanplan/net-*.window-record')
  await systemd.run(['systemctl', 'kill', '--signal=SIGKILL', unit])
  const journal = () => sh(`journalctl --no-pager --output=cat -u ${unit}`)
  await until('the unit fails', async () => (await journal()).includes(`the record of the window ${id} cannot be read`))
  await until('the window is over', async () => !(await units()).includes(id))
  for (const line of [`rollback ${id}`, `confirm ${id}`, 'rollback']) {
    const { lines } = await spanplan(`${line} --json`, 4)
    expect(lines).toMatchObject([{ type: 'error', errors: [{ code: 'WINDOW_UNREADABLE' }] }])
  }
  expect(await lab.snapshotText()).toBe(applied)
  await spanplan('apply --yes')
  expect(await lab.snapshotText()).toBe(old)
  await spanplan(`rollback ${id}`, 1)
})

test('one that was confirmed when its unit was killed is finished by the next apply, which says so', async () => {
  const { id } = await openWindow()
  await sh('cp /run/spanplan/net-*.window-record /tmp/record')
  await spanplan(`rollback ${id}`)
  await until('the window is over', async () => (await units()) === '')
  await sh(`sed 's/"phase":"held"/"phase":"confirmed"/' /tmp/record >"$(echo /run/spanplan/net-*.window-record)"`)
  const next = await spanplan(`${detached} 10m`, 0, textOf(24))
  expect(next.lines[0]).toMatchObject({ type: 'window_confirmed', id })
  expect(next.stderr).toContain(
    `the window ${id} of an earlier apply: Confirmed: the changes stay. ${file} is installed.`
  )
  expect(await readInstalled()).toBe(candidate)
  await spanplan('rollback')
})

test('a change of somebody else to the file stays, and so does a file for which there is no room', async () => {
  const { id } = await openWindow()
  await writeFile(host.path(file), textOf(99))
  const { lines } = await spanplan(`confirm ${id} --json`, 5)
  expect(lines).toMatchObject([{ type: 'error', errors: [{ code: 'FILE_CHANGED' }] }])
  expect(await readInstalled()).toBe(textOf(99))
  expect(await lab.snapshotText()).toBe(old)
  await writeFile(host.path(file), before)

  await sh(`mount -t tmpfs -o size=8k,mode=755 tmpfs /etc/spanplan && printf %s '${before}' >${file}`)
  try {
    const full = await spanplan(`${detached} 10m`, 0, candidate)
    await sh('dd if=/dev/zero of=/etc/spanplan/rest bs=4k 2>/dev/null || :')
    const failed = await spanplan(`confirm ${full.lines.at(-1)?.id} --json`, 5)
    expect(failed.lines).toMatchObject([{ type: 'error', errors: [{ code: 'FILE_UNWRITABLE' }] }])
    expect(await sh(`cat ${file}; ls -A /etc/spanplan`)).toBe(`${before}rest\nspans.yaml`)
    expect(await lab.snapshotText()).toBe(old)
    // Without a window, the apply is rolled back as well.
    await spanplan(`apply -f - --install ${file} --yes`, 5, candidate)
    expect(await lab.snapshotText()).toBe(old)
  } finally {
    await sh('umount /etc/spanplan')
  }
})

test('where the file could not be written, nothing is changed', async () => {
  await sh(`mount -t tmpfs -o mode=755 tmpfs /etc/spanplan && printf %s '${before}' >${file}`)
  try {
    await sh('mount -o remount,ro /etc/spanplan')
    const plan = await spanplan(`plan -f - --install ${file} --json`, 0, candidate)
    const warnings = expect.arrayContaining([expect.objectContaining({ code: 'FILE_UNWRITABLE' })])
    expect(plan.lines).toMatchObject([{ warnings }])
    for (const line of [`apply -f - --install ${file} --yes --json`, `${detached} 10m`]) {
      const { lines } = await spanplan(line, 1, candidate)
      expect(lines.at(-1)).toMatchObject({ type: 'error', errors: [{ code: 'FILE_UNWRITABLE' }] })
      expect(JSON.stringify(lines.at(-1))).toContain('the file system is read-only. Nothing was changed.')
      expect(lines.map(({ type }) => type)).toEqual(['version', 'plan', 'error'])
      expect(await lab.snapshotText()).toBe(old)
    }
    await spanplan(`apply -f - --install ${file} --yes`, 0, before)
  } finally {
    await sh('umount /etc/spanplan')
  }
})

test('a folder that cannot be read, and a systemd that cannot, are no bugs of spanplan', async () => {
  await chmod(host.path('etc/spanplan'), 0o711)
  try {
    const nobody = 'setpriv --reuid=65534 --regid=65534 --clear-groups'
    const said = await sh(`printf %s '${candidate}' | ${nobody} spanplan plan -f - --install ${file} --json || echo $?`)
    expect(said).toMatch(
      /"code":"FILE_UNREADABLE","message":"\/etc\/spanplan cannot be read: permission denied"[\s\S]*\n65$/
    )
  } finally {
    await chmod(host.path('etc/spanplan'), 0o755)
  }
  const few = 'setpriv --bounding-set=-all,+net_admin,+net_raw --inh-caps=-all'
  const refused = await sh(`printf %s '${candidate}' | ${few} spanplan ${detached} 10m || echo $?`)
  expect(refused).toMatch(
    /"code":"DETACH_IMPOSSIBLE","message":"[^"]*\/proc\/1\/ns\/net cannot be read: permission denied"[\s\S]*\n1$/
  )
  expect(await lab.snapshotText()).toBe(old)
})

test('a run directory that is relative is the same one for the unit', async () => {
  const there = 'cd /tmp && export SPANPLAN_RUN_DIR=windows &&'
  const opened = await sh(`${there} printf %s '${candidate}' | spanplan ${detached} 10m`)
  expect(opened).toContain('"type":"window"')
  await sh(`${there} spanplan confirm`)
  expect(await readInstalled()).toBe(candidate)
})

test('what would be followed or could be replaced by others is refused before anything is changed', async () => {
  await mkdir(host.path('tmp/open'))
  await chmod(host.path('tmp/open'), 0o777)
  await sh(`ln -sf ${file} /tmp/link.yaml; mkdir -p /tmp/own; ln -sf ${file} /tmp/own/link.yaml`)
  await sh('mkdir -p /tmp/theirs/own; chown 65534 /tmp/theirs; ln -sfn /tmp/own /tmp/theirs/link')
  for (const [path, exit, code] of [
    ['/tmp/open/spans.yaml', 65, 'FILE_INSECURE'],
    ['/tmp/theirs/own/spans.yaml', 65, 'FILE_INSECURE'],
    ['/tmp/theirs/link/spans.yaml', 65, 'FILE_INSECURE'],
    ['/tmp/own/link.yaml', 1, 'FILE_UNWRITABLE'],
    ['/tmp/own', 1, 'FILE_UNWRITABLE'],
    ['/tmp/missing/spans.yaml', 1, 'FILE_UNWRITABLE'],
    ['/etc/spanplan/spans.conf', 64, 'INSTALL_UNREAD']
  ] as const) {
    const line = `apply -f - --install ${path} --yes --json --detach --rollback-after 10m`
    expect((await spanplan(line, exit, candidate)).lines.at(-1)).toMatchObject({ type: 'error', errors: [{ code }] })
  }
  expect(await lab.snapshotText()).toBe(old)
  expect(await readInstalled()).toBe(before)
})

test('meanwhile others leave the host alone, and say so; the next apply with --install is not kept from its work', async () => {
  await spanplan('pause span0 --for 1h')
  const { id } = await openWindow()
  for (const line of ['confirm', `confirm ${id}`, `rollback ${id}`]) {
    const { stderr } = await spanplan(line, 77, '', 'setpriv --reuid=65534 --regid=65534 --clear-groups')
    expect(stderr).toContain('the apply that waits belongs to another user')
  }
  const refused = await spanplan('apply --yes --lock-timeout 5m', 75)
  expect(refused.stderr).toContain('It waits for confirmation')
  const hook = await spanplan('hook --interface ens192 --phase up --strict')
  expect(hook.stderr).toContain('its spans are left unchanged')
  const status = await spanplan('status --json --for 10ms')
  expect(status.lines).toMatchObject([{ healthy: true, window: { id }, spans: [{ drift: true }] }])
  expect((await spanplan('status --for 10ms')).stdout).toContain('A change waits for confirmation until')

  const next = await spanplan(`${detached} 10m`, 0, textOf(24))
  expect(next.lines[0]).toMatchObject({ type: 'window_rolled_back', id })
  expect(next.stderr).toContain(`the window ${id} of an earlier apply: rollback requested`)
  const { lines } = await spanplan(`confirm ${id} --json`, 1)
  expect(JSON.stringify(lines)).toContain('NOTHING_WAITS')
  await spanplan(`confirm ${next.lines.at(-1)?.id}`)
  expect(await readInstalled()).toBe(textOf(24))
  expect((await spanplan('status --json --for 10ms')).lines).toMatchObject([
    { window: null, spans: [{ paused_until: expect.any(String) }] }
  ])
  await spanplan('resume')
})

test('a watch leaves the spans alone, and finds them in sync once the file is installed', async () => {
  await host.put('etc/systemd/system/spanplan.service', 'systemd/spanplan.service')
  await systemd.run(['systemctl', 'start', 'spanplan.service'])
  try {
    const { id } = await openWindow()
    const applied = await lab.snapshotText()
    await systemd.run(['systemctl', 'reload', 'spanplan.service'])
    expect((await spanplan('status --json --for 3s')).lines).toMatchObject([{ healthy: true, window: { id } }])
    expect(await lab.snapshotText()).toBe(applied)
    const since = new Date().toISOString()
    await spanplan(`confirm ${id}`)
    const state = async () => (await spanplan('status --json --for 10ms')).lines[0] ?? {}
    const lastRun = async () => String(/"last":\{"at":"([^"]*)/.exec(JSON.stringify(await state()))?.[1])
    await until('the watch has run', async () => (await lastRun()) > since)
    expect(await state()).toMatchObject({
      healthy: true,
      watch: { drift: 0, degraded: [], last: { result: 'unchanged' } }
    })
    expect(await lab.snapshotText()).toBe(applied)
    expect(await sh('journalctl --no-pager --output=cat -u spanplan.service')).not.toMatch(/error|warning/i)

    const rolledBack = await spanplan(`${detached} 10m`, 0, textOf(24))
    await spanplan(`rollback ${rolledBack.lines.at(-1)?.id}`)
    expect(await lab.snapshotText()).toBe(applied)
  } finally {
    await systemd.run(['systemctl', 'stop', 'spanplan.service'])
  }
})

test('what lies beside the file counts too, whatever $SPANPLAN_FILE names: its spans stay', async () => {
  const beside = 'version: 1\nspans: {span1: {sources: [{interface: ens192}]}}\n'
  await writeFile(host.path('etc/spanplan/beside.yaml'), beside)
  await spanplan('apply --yes')
  for (const named of ['', '/tmp', '/etc/spanplan']) {
    const plan = await sh(
      `printf %s '${candidate}' | SPANPLAN_FILE=${named} spanplan plan -f - --install ${file} --json`
    )
    expect(JSON.parse(plan)).toMatchObject({ summary: { update: 2, remove: 0 } })
  }
  const { lines } = await spanplan(`apply -f - --install ${file} --yes --json`, 0, candidate)
  expect(lines.find(({ type }) => type === 'plan')).toMatchObject({ summary: { update: 2, remove: 0 } })
  await spanplan('plan --detailed-exitcode')
  await rename(host.path('etc/spanplan/beside.yaml'), host.path('tmp/beside.yaml'))
})

test('where the machine loses power meanwhile, it comes up with the old file', async () => {
  await host.put('etc/systemd/system/spanplan-apply.service', 'systemd/spanplan-apply.service')
  await systemd.run(['systemctl', 'enable', 'spanplan-apply.service'])
  const { id } = await openWindow()
  const pid = (await readFile(host.path('run/systemd.pid'), 'utf8')).trim()
  await lab.run(['kill', '-KILL', pid])
  await until('every process has ended', async () => {
    await expect(lab.run(['kill', '-0', pid])).rejects.toThrow()
    return true
  })
  // What is neither a file nor a file of /run does not outlive that.
  await runHere(lab, ['destroy', '--all', '--yes'])
  for (const name of await readdir(host.path('run'))) await rm(host.path(`run/${name}`), { recursive: true })
  expect(await lab.snapshotText()).toBe(empty)
  systemd = await bootSystemd(lab, host)
  await expectRestored(lab, old)
  expect(await readInstalled()).toBe(before)
  await spanplan(`confirm ${id}`, 1)
  await systemd.run(['systemctl', 'disable', 'spanplan-apply.service'])
})

test('without a systemd, --detach is refused before anything is changed', async () => {
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
  const { stderr } = await runHere(lab, ['apply', '--rollback-after', '10m', '--detach'], 1)
  expect(stderr).toMatch(/no unit can hold the window: systemd (does not run here|runs in another)/)
  expect(await lab.snapshotText()).toBe(old)
})
