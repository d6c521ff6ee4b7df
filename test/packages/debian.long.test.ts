/**
 * Debian's packages: made twice, checked, and lived with on a Debian 13 of its own, from the installation to the purge; and on a
 * Debian 12 that has no Node.js.
 */
import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type Docker from 'dockerode'
import { execa } from 'execa'
import { afterAll, beforeAll, expect, test } from 'vitest'
import * as z from 'zod'
import { ether, filler, writePcap } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { findProgram, privateEnvironment, privateRoot, projectRoot } from '../lab/programs.ts'
import { expectHeard, listen, until } from '../lab/spans.ts'
import { buildPackages, type Debian, lintPackages, makeDebian } from '../lab/system/debian.ts'
import { allUnits, bootSystemd, type Systemd } from '../lab/system/systemd.ts'

const { version }: { version: string } = JSON.parse(await readFile(join(projectRoot, 'package.json'), 'utf8'))
const service = 'spanplan.service'
const file = `/tmp/packages/one/spanplan_${version}_all.deb`
const ownNode = file.replace('all', 'amd64')
const archive = `/tmp/packages/one/spanplan-${version}-linux-x64.tar.xz`
const sender = '02:00:00:00:0b:01'

let lab: Lab
let systemd: Systemd
let suricata: Docker.Container
let host: Debian
let before: ReadonlySet<string>

beforeAll(async () => {
  lab = await createLab({ cables: [{ card: 'ens192' }, { card: 'ens224' }], docker: true })
  suricata = await lab.startSensor('suricata')
  host = await makeDebian(lab)
})
afterAll(() => lab?.close())

/** A script on the Debian. */
const sh = (script: string) => systemd.run(['sh', '-ec', script])
const dpkg = (...argv: readonly string[]) =>
  systemd.run(['env', 'DEBIAN_FRONTEND=noninteractive', 'dpkg', '--force-confold', ...argv])
const write = (path: string, text: string) => systemd.run(['sh', '-c', 'printf %s "$1" >"$2"', 'sh', text, path])
const show = async (property: string) =>
  (await systemd.run(['systemctl', 'show', '--value', `--property=${property}`, service])).trim()
/** What is in the file system, and when each file was written, but for what dpkg, apt, debconf and the test itself write. */
const listFiles = async () => {
  const left = ['/var/lib/dpkg', '/var/lib/apt', '/var/cache/apt', '/var/cache/debconf', '/var/log', '/tmp', '/run']
  const prune = left.map((path) => `-path ${path}`).join(' -o ')
  const text = await sh(
    String.raw`find / -xdev \( ${prune} \) -prune -o -type f -printf '%p %s %T@\n' -o -printf '%p\n'`
  )
  return new Set(text.split('\n'))
}

test('two builds by two users in two folders, at two times, are one', { timeout: 1_200_000 }, async () => {
  const names = await buildPackages(lab, host.path('tmp/packages'))
  expect(names).toEqual([
    ...['arm64', 'x64'].map((cpu) => `spanplan-${version}-linux-${cpu}.tar.xz`),
    ...['all', 'amd64', 'arm64'].map((architecture) => `spanplan_${version}_${architecture}.deb`)
  ])
})

test('a release has all of them, its checksums tell a broken download, and its notes are those of the version', async () => {
  const release = host.path('tmp/packages/one/release')
  const inRelease = (script: string) => execa('sh', ['-c', `cd "$0" && ${script}`, release], { reject: false })
  const files = [
    'SHA256SUMS',
    'notes.md',
    ...['-linux-arm64.tar.xz', '-linux-x64.tar.xz', '.tgz'].map((end) => `spanplan-${version}${end}`),
    ...['all', 'amd64', 'arm64'].map((architecture) => `spanplan_${version}_${architecture}.deb`)
  ]
  expect((await readdir(release)).sort()).toEqual(files)
  const sums = await readFile(join(release, 'SHA256SUMS'), 'utf8')
  expect(sums.split('\n').flatMap((line) => line.split('  ')[1] ?? [])).toEqual(files.slice(1))
  expect(await inRelease('sha256sum --check --strict --quiet SHA256SUMS')).toMatchObject({ exitCode: 0, stdout: '' })
  // As whoever has downloaded one file does.
  const one = `mkdir ../got && cp notes.md SHA256SUMS ../got && cd ../got && sha256sum --check --ignore-missing SHA256SUMS`
  expect(await inRelease(one)).toMatchObject({ exitCode: 0, stdout: 'notes.md: OK' })
  const broken = await inRelease('cd ../got && echo >>notes.md && sha256sum --check --ignore-missing SHA256SUMS')
  expect(broken).toMatchObject({ exitCode: 1, stdout: 'notes.md: FAILED' })
  const notes = await readFile(join(release, 'notes.md'), 'utf8')
  expect(notes).toMatch(new RegExp(`^# spanplan ${version.replaceAll('.', '\\.')}\n\n- `))
  expect(notes).toContain(`\n## Files\n`)
  expect(notes).not.toMatch(/\]\((?!https?:)/)
  for (const name of files.slice(2)) expect(notes).toContain(`\`${name}\``)
  const listed = await inRelease(
    `tar -tvzf spanplan-${version}.tgz | grep -E 'package/(bin/spanplan.js|dist/commands.cjs|README.md)$'`
  )
  expect(listed.stdout.replace(/ +\d+ \S+ \S+ /g, ' ').split('\n')).toEqual([
    '-rw-r--r-- 0/0 package/README.md',
    expect.stringMatching(/^-rwxr-xr-x 0\/0 package\/bin\/spanplan\.js$/),
    '-rw-r--r-- 0/0 package/dist/commands.cjs'
  ])
})

test('lintian has nothing to say', async () => {
  expect(await lintPackages(lab, host.path('tmp/packages'))).toBe('')
})

test.each([
  ['amd64', 'x64', 'AMD x86-64'],
  ['arm64', 'arm64', 'AARCH64']
])(
  'the one for %s has a Node.js besides, with its licences, and for the rest is the same',
  async (architecture, cpu, machine) => {
    const unpack = `set -e
    cd "$0"
    rm -rf all other
    dpkg-deb -R spanplan_*_all.deb all
    dpkg-deb -R spanplan_*_"$1".deb other`
    const folder = host.path('tmp/packages/one')
    await lab.run(['sh', '-c', unpack, folder, architecture])
    const differ = 'diff -rq --no-dereference "$0/all" "$0/other" || [ $? = 1 ]'
    expect((await lab.run(['sh', '-c', differ, folder])).replaceAll(`${folder}/`, '').trim().split('\n')).toEqual([
      'Files all/DEBIAN/control and other/DEBIAN/control differ',
      'Files all/DEBIAN/md5sums and other/DEBIAN/md5sums differ',
      'Only in other/usr/lib: spanplan',
      'Files all/usr/share/doc/spanplan/LICENSES.txt.gz and other/usr/share/doc/spanplan/LICENSES.txt.gz differ',
      'Files all/usr/share/doc/spanplan/copyright and other/usr/share/doc/spanplan/copyright differ',
      'Files all/usr/share/lintian/overrides/spanplan and other/usr/share/lintian/overrides/spanplan differ',
      'Files all/usr/share/spanplan/bin/spanplan.js and other/usr/share/spanplan/bin/spanplan.js differ'
    ])
    const control = await readFile(join(folder, 'other/DEBIAN/control'), 'utf8')
    expect(control).toMatch(new RegExp(`^Architecture: ${architecture}$`, 'm'))
    expect(control).toMatch(/^Depends: .*libc6 \(>= 2\.28\)/m)
    expect(control).not.toContain('nodejs')
    const read = [
      'unshare',
      '--mount',
      'sh',
      '-c',
      readProgram,
      privateRoot,
      join(folder, 'other/usr/lib/spanplan/node')
    ] as const
    const program = await lab.run(read)
    expect(program).toMatch(new RegExp(`Machine: +${machine}$`, 'm'))
    expect(program).not.toContain('.symtab')
    const newest = (name: string) =>
      [...program.matchAll(new RegExp(`${name}_([\\d.]+)`, 'g'))].map(([, one = '']) => one)
    const later = (one: string, other: string) => one.localeCompare(other, 'en', { numeric: true })
    expect(newest('GLIBC').sort(later).at(-1)).toBe('2.28')
    // Of GCC 8.
    expect(later(newest('GLIBCXX').sort(later).at(-1) ?? '', '3.4.25')).toBeLessThanOrEqual(0)
    const licences = ['sh', '-c', 'zcat "$0"', join(folder, 'other/usr/share/doc/spanplan/LICENSES.txt.gz')] as const
    const texts = await lab.run(licences)
    for (const part of ['zod', 'Node.js is licensed', 'V8', 'OpenSSL', 'libuv']) expect(texts).toContain(part)
    const archived = await lab.run(['tar', '-tf', join(folder, `spanplan-${version}-linux-${cpu}.tar.xz`)])
    expect(archived.split('\n').filter((name) => /\/(bin\/spanplan|node|LICENSES.*)$/.test(name))).toEqual(
      ['bin/spanplan', 'lib/spanplan/node', 'share/doc/spanplan/LICENSES.txt.gz'].map(
        (name) => `spanplan-${version}-linux-${cpu}/${name}`
      )
    )
  }
)

/** Of a program for whichever processor. */
const readProgram = `mount -t overlay overlay -o "lowerdir=$0/usr:/usr" /usr
exec eu-readelf --file-header --section-headers --version-info "$1"`

const packed = z.array(z.object({ size: z.number(), files: z.array(z.object({ path: z.string() })) })).length(1)

test('npm has the same files, in less than 1 MB, and runs no script when it installs them', async () => {
  const npm = await execa('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: projectRoot })
  const [{ size, files } = { size: 0, files: [] }] = packed.parse(JSON.parse(npm.stdout))
  expect(size).toBeLessThan(1024 * 1024)
  const { scripts } = JSON.parse(await readFile(join(projectRoot, 'package.json'), 'utf8'))
  expect(Object.keys(scripts).filter((name) => /^(pre|post)?install$|^prepare$/.test(name))).toEqual([])
  const places: readonly (readonly [RegExp, string])[] = [
    [/^(bin|dist\/(.*\.cjs|seal\.o)|schemas|package\.json)/, 'usr/share/spanplan/$&'],
    [/^(docs|examples|README\.md|SECURITY\.md)/, 'usr/share/doc/spanplan/$&'],
    [/^dist\/(LICENSES\.txt)$/, 'usr/share/doc/spanplan/$1.gz'],
    [/^man\/(.*\.(\d))$/, 'usr/share/man/man$2/$1.gz'],
    [/^CHANGELOG\.md$/, 'usr/share/doc/spanplan/changelog.gz'],
    [/^LICENSE$/, 'usr/share/doc/spanplan/copyright']
  ]
  const expected = files.map(({ path }) => {
    const place = places.find(([pattern]) => pattern.test(path))
    return place ? path.replace(...place) : path
  })
  const { stdout } = await execa('sh', ['-c', 'dpkg-deb --fsys-tarfile "$0" | tar -t', host.path(file)])
  const shipped = stdout.split('\n').map((name) => name.replace(/^\.\//, ''))
  expect(expected.filter((name) => !shipped.includes(name))).toEqual([])
  const library = shipped.filter((name) => name.startsWith('usr/share/spanplan/') && !name.endsWith('/'))
  expect(library.filter((name) => !expected.includes(name))).toEqual([])
})

test('installed, it does nothing until there is a file, and starts what the administrator enables', async () => {
  systemd = await bootSystemd(lab, host, allUnits)
  expect((await sh('node --version; grep -h VERSION_CODENAME /etc/os-release')).trim()).toMatch(
    /^v20\.19\.\d+\n.*trixie$/
  )
  await sh('mkdir -p /run/network; printf "iface ens224 inet manual\\n" >>/etc/network/interfaces')
  before = await listFiles()
  await systemd.run(['apt-get', 'install', '-y', '--no-install-recommends', file])
  expect(await sh('spanplan --version')).toBe(`${version} (Debian package)`)
  expect(await sh('head -n1 /usr/bin/spanplan')).toBe('#!/usr/bin/node')
  expect(await sh('systemctl is-enabled spanplan.service spanplan-apply.service spanplan-pull.timer || true')).toBe(
    'disabled\ndisabled\ndisabled'
  )
  expect(await show('ActiveState')).toBe('inactive')
  const verify = 'systemd-analyze verify --man=no /usr/lib/systemd/system/spanplan*.service 2>&1 || true'
  // git is only suggested.
  expect(await sh(verify)).toMatch(/^spanplan-pull\.service: Command \/usr\/bin\/git is not executable: .*$/)
  // Nothing to do, without a file.
  expect(await sh('ifup ens224 2>&1; ifdown ens224 2>&1')).toBe('')
  const ended = 'for event in up pre-down; do /etc/NetworkManager/dispatcher.d/spanplan ens224 $event 2>&1; done'
  expect(await sh(ended)).toBe('')
  expect(await sh('stat -c "%a %U" /etc/spanplan /var/cache/spanplan')).toBe('755 root\n755 root')
  // The first command of docs/howto/install.md after the installation.
  expect(await sh('spanplan init --interface ens192 --file /etc/spanplan')).toContain(
    'Wrote /etc/spanplan/spans.yaml: '
  )
  expect(await sh('spanplan plan')).toContain('mirror     ens192 ingress → span0')
  await write(
    '/etc/spanplan/spans.yaml',
    `version: 1
spans:
  span0: {sources: [{interface: ens192}], sensors: [suricata]}
  span1: {sources: [{interface: ens224}]}
`
  )
  await sh(`systemctl enable --now ${service}`)
  expect(await show('ActiveState')).toBe('active')
  await expectHeard(lab, [suricata])
  expect(await sh('ls /var/cache/spanplan')).toContain('spanplan.cjs.cache')
})

test('to the package with its own Node.js and back is one command each, and the taps stay', async () => {
  const showTap = () => lab.run(['sh', '-c', 'ip -o link show span0 | cut -d: -f1; tc filter show dev ens192 ingress'])
  const tap = await showTap()
  for (const [path, architecture, program] of [
    [ownNode, 'amd64', '/usr/lib/spanplan/node'],
    [file, 'all', '/usr/bin/node']
  ] as const) {
    const pid = await show('MainPID')
    await systemd.run(['apt-get', 'install', '-y', '--no-install-recommends', path])
    expect(await sh('dpkg --status spanplan | grep ^Architecture; dpkg --verify spanplan')).toBe(
      `Architecture: ${architecture}`
    )
    await until('another watch runs', async () => ![pid, '0'].includes(await show('MainPID')))
    await until('it is ready', async () => (await show('ActiveState')) === 'active')
    expect(await sh(`readlink /proc/${await show('MainPID')}/exe`)).toBe(program)
    expect(await sh('spanplan --version')).toBe(`${version} (Debian package)`)
    expect(await sh('spanplan plan --detailed-exitcode')).toContain('No changes')
    expect(await showTap()).toBe(tap)
    await expectHeard(lab, [suricata])
  }
  expect(await sh('ls -d /usr/lib/spanplan 2>&1 || true')).toMatch(/No such file/)
})

test('an upgrade restarts the watch once, keeps what the administrator has changed, and loses no frame', async () => {
  await sh('echo "# Ours." >>/etc/network/if-up.d/spanplan')
  await sh(`cp ${file} /tmp/old.deb
    dpkg-deb -R /tmp/old.deb /tmp/new
    sed -i 's/^Version: .*/Version: 9.0/' /tmp/new/DEBIAN/control
    for hook in up down; do echo '# Newer.' >>/tmp/new/etc/network/if-$hook.d/spanplan; done
    dpkg-deb -b /tmp/new /tmp/new.deb`)
  const capture = await listen(lab, suricata, { expression: `ether src ${sender}`, bulk: true })
  const flow = await startFrames()
  const pid = await show('MainPID')
  const starts = await countStarts()
  await dpkg('-i', '/tmp/new.deb')
  await until('another watch runs', async () => ![pid, '0'].includes(await show('MainPID')))
  await until('it is ready', async () => (await show('ActiveState')) === 'active')
  const sent = await flow.end()
  const { frames, dropped } = await capture.stop({ count: sent })
  expect(dropped).toBe(0)
  // Interrupted, tcpreplay may not have counted the last.
  expect(sent).toBeGreaterThan(50)
  expect([sent, sent + 1]).toContain(frames.length)
  expect(frames.filter((frame, index) => !numbered[index % numbered.length]?.equals(frame))).toEqual([])
  expect(await countStarts()).toBe(starts + 1)
  expect(await show('NRestarts')).toBe('0')
  expect(await sh('tail -qn1 /etc/network/if-up.d/spanplan /etc/network/if-down.d/spanplan')).toBe('# Ours.\n# Newer.')
  expect(await sh('cat /etc/spanplan/spans.yaml')).toContain('span1')
})

const countStarts = async () =>
  (await sh(`journalctl --output=cat --unit=${service}`)).match(/keeps the spans of this name in sync/g)?.length ?? 0

/** No two are alike. */
const numbered = Array.from({ length: 200 }, (_, number) => ether('02:00:00:00:0b:02', sender, filler(100, number)))

/** Sends them again and again, from the switch, two hundred a second, until they are ended; then says how many. */
async function startFrames(): Promise<{ end(): Promise<number> }> {
  const pcap = join(lab.files, 'numbered.pcap')
  await writeFile(pcap, writePcap(numbered))
  const { LD_LIBRARY_PATH = '' } = privateEnvironment(lab.name)
  const replay = [findProgram('tcpreplay'), '--pps=200', '--loop=0', '-i', 'sw0', pcap]
  const sending = lab.start(['env', `LD_LIBRARY_PATH=${LD_LIBRARY_PATH}`, ...replay], { on: 'switch' })
  const countSent = async () => {
    const [link] = z
      .array(z.object({ stats64: z.object({ tx: z.object({ packets: z.number() }) }) }))
      .parse(JSON.parse(await lab.run(['ip', '-j', '-s', 'link', 'show', 'dev', 'sw0'], { on: 'switch' })))
    return link?.stats64.tx.packets ?? 0
  }
  const before = await countSent()
  await until('frames are sent', async () => (await countSent()) > before)
  return {
    async end() {
      sending.kill('SIGINT')
      const { stdout } = await sending.catch((error) => error)
      return Number(/Successful packets:\s+(\d+)/.exec(stdout)?.[1] ?? 'NaN')
    }
  }
}

test("the package's hook makes the mirrors of an interface that comes up, and takes them back before it goes down", async () => {
  await systemd.run(['systemctl', 'stop', service])
  const filters = () => lab.run(['tc', 'filter', 'show', 'dev', 'ens224', 'ingress'])
  await sh('ifup ens224')
  expect(await filters()).toContain('mirred')
  await sh('ifdown ens224')
  expect(await filters()).not.toContain('mirred')
  await sh('ifup ens224')
  await systemd.run(['systemctl', 'start', service])
})

const doctorSchema = z.object({
  checks: z.array(z.object({ id: z.string(), message: z.string(), command: z.string().nullable() }))
})

test("the doctor finds what npm's package has left, and its command lets the package's unit act again", async () => {
  const library = '/usr/local/lib/node_modules/spanplan'
  const unit = `/etc/systemd/system/${service}`
  await sh(`mkdir -p ${library} /usr/local/bin
    cd /tmp/packages/one/spanplan
    cp -r bin dist package.json ${library}
    ln -s ../lib/node_modules/spanplan/bin/spanplan.js /usr/local/bin/spanplan
    cp /usr/share/doc/spanplan/examples/systemd/${service} ${unit}
    systemctl daemon-reload
    systemctl restart ${service}`)
  expect(await sh('spanplan --version; /usr/bin/spanplan --version')).toBe(`${version}\n${version} (Debian package)`)
  const findAll = async () => {
    const { checks } = doctorSchema.parse(JSON.parse(await sh('spanplan doctor --json || [ $? = 2 ]')))
    return checks.filter(({ id }) => id === 'installation')
  }
  const [twice, hidden] = await findAll()
  expect(twice).toEqual({
    id: 'installation',
    message:
      'spanplan is installed 2 times: /usr/local/bin/spanplan comes first in PATH, before /usr/bin/spanplan (the Debian package)',
    command: 'npm uninstall --global --prefix=/usr/local spanplan'
  })
  expect(hidden).toMatchObject({
    message: `${unit} hides the unit of the Debian package, /usr/lib/systemd/system/${service}`,
    command: `rm -- ${unit} && systemctl daemon-reload && systemctl try-restart ${service}`
  })
  await sh(hidden?.command ?? '')
  // What npm would do; it is not on this Debian.
  await sh(`rm -r /usr/local/lib/node_modules /usr/local/bin/spanplan`)
  expect(await findAll()).toMatchObject([
    { message: 'spanplan is installed once: /usr/bin/spanplan (the Debian package)' }
  ])
  expect(await show('ExecStart')).toContain('path=/usr/bin/spanplan ')
  expect(await sh(`systemctl is-enabled ${service}`)).toBe('enabled')
  expect(await show('ActiveState')).toBe('active')
})

test('removed, it leaves the taps, and its hooks are silent; installed again, it finds nothing to do', async () => {
  const said = await dpkg('-r', 'spanplan')
  expect(said).toContain('To remove them as well, install it again, and run: spanplan destroy --all')
  expect(await show('ActiveState')).toBe('inactive')
  await expectHeard(lab, [suricata])
  expect(await sh('dpkg-query -l spanplan')).toMatch(/^rc +spanplan/m)
  expect(await sh('ifdown ens224 2>&1; ifup ens224 2>&1')).toBe('')
  const ended = 'for event in up pre-down; do /etc/NetworkManager/dispatcher.d/spanplan ens224 $event 2>&1; done'
  expect(await sh(ended)).toBe('')
  await dpkg('-i', file)
  expect(await sh('tail -n1 /etc/network/if-up.d/spanplan')).toBe('# Ours.')
  expect(await sh('spanplan plan --detailed-exitcode')).toContain('No changes')
  await expectHeard(lab, [suricata])
  expect(await sh('spanplan destroy --all --yes')).toMatch(/^Destroyed.*: 12 removed/m)
})

test("purged, nothing of it is left, and the administrator's files are", async () => {
  await dpkg('-P', 'spanplan')
  const after = await listFiles()
  expect([...after].filter((name) => !before.has(name)).sort()).toEqual([
    '/etc/spanplan',
    expect.stringMatching(/^\/etc\/spanplan\/spans\.yaml /)
  ])
  expect([...before].filter((name) => !after.has(name))).toEqual([])
  expect(await sh('ls -d /run/spanplan 2>&1 || true')).toMatch(/No such file/)
  expect(await sh('dpkg-query -l spanplan 2>&1 || true')).toMatch(/no packages found/)
})

test('on a Debian 12 without Node.js, the package with its own plans, applies and watches', async () => {
  await systemd.cutPower()
  const packages = host.path('tmp/packages/one')
  host = await makeDebian(lab, ['debian-12'])
  await cp(packages, host.path('tmp/packages/one'), { recursive: true, filter: (path) => !path.endsWith('/spanplan') })
  systemd = await bootSystemd(lab, host, allUnits)
  expect(await sh('grep -h VERSION_CODENAME /etc/os-release; command -v node || true')).toMatch(/.*bookworm$/)
  await systemd.run(['apt-get', 'install', '-y', '--no-install-recommends', ownNode])
  await liveAlone()
  await sh('mv /tmp/spans.yaml /etc/spanplan/')
  await sh(`systemctl enable --now ${service}`)
  expect(await show('ActiveState')).toBe('active')
  await expectHeard(lab, [suricata])
  await lab.run(['tc', 'qdisc', 'del', 'dev', 'ens192', 'clsact'])
  await until('the watch has repaired it', async () =>
    (await lab.run(['tc', 'filter', 'show', 'dev', 'ens192', 'ingress'])).includes('mirred')
  )
  await expectHeard(lab, [suricata])
  await sh(`systemctl stop ${service}; spanplan destroy --all --yes`)
  await dpkg('-P', 'spanplan')
})

/** With spans of /tmp/spans.yaml: what a person does by hand, up to a sensor that hears; and a second start takes the code compiled at the first. */
async function liveAlone(): Promise<void> {
  await write('/tmp/spans.yaml', 'version: 1\nspans: {span0: {sources: [{interface: ens192}], sensors: [suricata]}}\n')
  const { checks } = doctorSchema.parse(JSON.parse(await sh('spanplan doctor --json -f /tmp/spans.yaml || [ $? = 2 ]')))
  expect(checks.find(({ id }) => id === 'node')?.message).toMatch(/^Node\.js 24\./)
  expect(await sh('spanplan plan -f /tmp/spans.yaml')).toContain('mirror     ens192 ingress → span0')
  const cached = () =>
    sh('stat -c "%n %i %z" /var/cache/spanplan/spanplan.cjs.cache /var/cache/spanplan/plan-commands.cjs.cache')
  const compiled = await cached()
  expect(await sh('spanplan apply -f /tmp/spans.yaml')).toContain('Applied and verified')
  await expectHeard(lab, [suricata])
  expect(await sh('spanplan plan -f /tmp/spans.yaml')).toContain('No changes')
  expect(await cached()).toBe(compiled)
  expect(await sh('spanplan status -f /tmp/spans.yaml || true')).toMatch(/mirror +ens192 ingress/)
}

test('there, the archive is unpacked anywhere, and runs, also through a link', async () => {
  await sh(`mkdir "/srv/any where"
    tar -xf ${archive} -C "/srv/any where"
    ln -s "/srv/any where/spanplan-${version}-linux-x64/bin/spanplan" /usr/local/bin/spanplan`)
  expect(await sh('spanplan --version')).toBe(version)
  await liveAlone()
  expect(await sh(`"/srv/any where/spanplan-${version}-linux-x64/bin/spanplan" destroy --all --yes`)).toContain(
    'Destroyed'
  )
})
