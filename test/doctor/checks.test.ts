import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { runChecks } from '../../src/doctor/all-checks.ts'
import { findInstallations } from '../../src/doctor/gather/installations.ts'
import { neededModules } from '../../src/doctor/gather/needed-modules.ts'
import { parseUnits, type UnitReading } from '../../src/doctor/gather/systemd.ts'
import { renderFindings } from '../../src/doctor/output.ts'
import type { DoctorReadings } from '../../src/doctor/readings.ts'
import type { Diagnostic } from '../../src/errors.ts'
import { indexHost } from '../../src/host/host-index.ts'
import { parseFirewall } from '../../src/host/nftables/firewall.ts'
import { parsePacketListeners } from '../../src/host/parsers/packet-listeners.ts'
import { judgeModule } from '../../src/host/tunnels/kernel-modules.ts'
import { makeTarget } from '../../src/plan/target.ts'
import { plain } from '../../src/printable.ts'
import { warnOfListeners } from '../../src/resources/kinds/xdp.ts'
import { everySpan } from '../../src/spec/scope.ts'
import { makeHeadline } from '../../src/status/output/headline.ts'
import type { SilentWatch } from '../../src/status/watch-state.ts'
import { converged, fixture, see } from '../lab/fixtures/converged.ts'
import { casesFolder, readSnapshot } from '../lab/fixtures/plan-case.ts'
import { load } from '../lab/fixtures/spec-text.ts'
import { packaged, readingsWith, reportOn } from './readings.ts'

/** What is not well: the check, the result and the command of each finding. */
function found(more: Partial<DoctorReadings>) {
  const bad = runChecks(readingsWith(more)).filter(({ result }) => result !== 'ok')
  return bad.map(({ id, result, command }) => [id, result, command])
}

const { docker: answering } = readingsWith()
if (answering.state !== 'answers') throw new Error('Docker answers')

test('a host on which all is well', () => {
  expect(found({})).toEqual([])
})

test('what could not be read is not guessed', () => {
  const unknown = { unknown: 'it could not be read' }
  const nothing = runChecks(
    readingsWith({
      file: { state: 'missing', diagnostic: { code: 'FILE_MISSING', message: 'there is no file' } },
      host: unknown,
      managers: unknown,
      spans: unknown,
      units: unknown,
      listeners: unknown,
      watches: [],
      modules: new Map([['bridge', unknown]])
    })
  )
  const known = nothing.filter(({ result }) => result !== 'unknown').map(({ id }) => id)
  expect(known).toEqual([
    ...['node', 'iproute2', 'ethtool', 'tcpdump', 'bpftool', 'tools', 'rights', 'docker', 'live_restore'],
    ...['run_directory', 'firewall', 'watch', 'installation']
  ])
  const deferred = see({ ...converged, docker: { state: 'deferred' } })
  expect(found({ spans: reportOn(deferred) })).toEqual([
    ['spans', 'unknown', null],
    ['sensors', 'unknown', null]
  ])
})

test('a sensor that the file names, and that does not exist, is a problem of the sensors, and told once', () => {
  const spans = reportOn(see(converged, fixture('spans.yaml').replace('zeek', 'zeek, snort')))
  const bad = runChecks(readingsWith({ spans })).filter(({ result }) => result !== 'ok')
  expect(bad.map(({ id, result, message }) => [id, result, message])).toEqual([
    ['sensors', 'problem', 'spans.yaml:9:31: span span0: the sensor snort waits for the container snort']
  ])
})

test('a check that has nothing to look at says so, instead of that all is well', () => {
  const nothing = { ...converged, links: [], filters: [], qdiscs: [] }
  const text = 'version: 1\nspans: {span0: {sources: [{interface: ens192}]}}\n'
  const view = see(nothing, text)
  const readings = readingsWith({ host: { known: view.host }, managers: { known: [] }, spans: reportOn(view) })
  const idle = runChecks(readings).flatMap(({ id, result, message }) =>
    message.startsWith('nothing to check: ') ? [`${id} ${result}`] : []
  )
  const ids = ['carrier', 'managers', 'offloads', 'mtu', 'firewall', 'sensors', 'listeners', 'silence']
  expect(idle).toEqual(ids.map((id) => `${id} ok`))
  const empty = see({ ...nothing, docker: { state: 'deferred' } }, 'version: 1\nspans: {}\n')
  expect(runChecks(readingsWith({ spans: reportOn(empty) }))).toContainEqual({
    id: 'spans',
    result: 'ok',
    message: 'nothing to check: the file has no spans',
    command: null
  })
  const whole = runChecks(readingsWith({})).filter(({ message }) => message.startsWith('nothing to check'))
  expect(whole.map(({ id }) => id)).toEqual(['firewall'])
})

test('an interface that is set down has no bad cable', () => {
  const links = converged.links.map((link) => (link.name === 'ens192' ? { ...link, up: false, carrier: false } : link))
  const bad = runChecks(readingsWith({ spans: reportOn(see({ ...converged, links })) })).filter(
    ({ result }) => result !== 'ok'
  )
  expect(bad.map(({ id, message, command }) => [id, message, command])).toEqual([
    ['spans', expect.stringContaining('state: down → up'), 'spanplan apply'],
    ['carrier', 'ens192 is set down; an apply sets it up', null]
  ])
})

test('what differs while a change waits for confirmation is no problem, and the command confirms it', () => {
  const links = converged.links.map((link) => (link.name === 'span0' ? { ...link, up: false } : link))
  const view = see({ ...converged, links })
  expect(found({ spans: reportOn(view) })).toEqual([['spans', 'problem', 'spanplan apply']])
  const window = { id: '0a1b2c3d', until: '2026-01-01T12:00:00.000Z' }
  expect(found({ spans: reportOn(view, {}, window) })).toEqual([['spans', 'warning', 'spanplan confirm 0a1b2c3d']])
})

/** As ss of iproute2 6.15 prints them: of processes whose names are hostile, or that this user may not see. */
const sockets = `
p_raw 0      0           *:*     * users:(("lldpd",pid=812,fd=9),("lldpd",pid=809,fd=9))
p_dgr 0      0           *:PORT  * users:(("x",pid=1,fd=3)",pid=31000,fd=5))
p_raw 0      0      [2048]:*     * users:(("dhclient",pid=7,fd=4))
p_raw 0      0           *:ens3  * users:(("ntopng",pid=8,fd=4))
p_raw 0      0           *:PORT  *
`

test('processes of the host whose packet sockets hear what sealed sensors send', () => {
  const { host } = see()
  const known = parsePacketListeners(sockets.replaceAll('PORT', host.portsOf('span0')[0]?.name ?? ''))
  const messages = runChecks(readingsWith({ listeners: { known } }))
    .filter(({ id }) => id === 'listeners')
    .map(({ message }) => message.split(' hears every frame ')[0])
  expect(messages).toEqual(['lldpd (812)', 'lldpd (809)', 'x",pid=1,fd=3) (31000)', 'a process that root sees'])
  expect(found({ listeners: { known: known.slice(2, 3) } })).toEqual([])
})

test('a host on which no port of a sealed sensor can be silent: once, whoever listens', () => {
  const silence = { state: 'unusable', reason: 'there is no BPF file system' } as const
  const bad = (text?: string) =>
    runChecks(readingsWith({ spans: reportOn(see({ ...converged, silence }, text)), listeners: { known: [] } })).filter(
      ({ message }) => message.includes('there is no BPF file system')
    )
  expect(bad()).toMatchObject([{ id: 'xdp', result: 'warning' }])
  expect(bad(fixture('spans.yaml').replace('network: span', 'network: span\n    sealed: false'))).toEqual([])
})

test('a user who may not read the programs: what the ports show to everybody, and no guess', () => {
  const silence = { state: 'unread', reason: 'it needs CAP_SYS_ADMIN' } as const
  const ports = see().host.portsOf('span0')
  const says = (programmed: number) => {
    const bare = { id: 7, name: null, tag: null, isNative: true }
    const isProgrammed = (index: number) => ports.slice(0, programmed).some((port) => port.index === index)
    const links = converged.links.map((link) => ({ ...link, xdp: isProgrammed(link.index) ? bare : null }))
    const view = see({ ...converged, links, silence })
    const listeners = { known: [{ device: null, processes: [{ name: 'lldpd', pid: 812 }] }] }
    const findings = runChecks(readingsWith({ spans: reportOn(view), listeners }))
    return [
      warnOfListeners(view.desired, view.host).length,
      ...findings.flatMap(({ id, result }) => (isOfXdp(id) ? [result] : []))
    ]
  }
  const isOfXdp = (id: string) => ['xdp', 'listeners'].includes(id)
  expect(says(ports.length)).toEqual([0, 'unknown', 'unknown'])
  expect(says(ports.length - 1)).toEqual([1, 'warning', 'warning'])
})

describe('modules', () => {
  const nothing = { loaded: null, config: null, locked: false, modprobe: null }
  const says = (stdout: string, status = 0) => ({ ...nothing, modprobe: { stdout, status } })

  test('what tells of a module', () => {
    expect(judgeModule('bridge', nothing)).toBe(null)
    expect(judgeModule('bridge', { ...nothing, loaded: 'bridge 385024 0 - Live 0x0\n' })).toBe('loaded')
    expect(judgeModule('bridge', { ...nothing, loaded: 'br_netfilter 1 0 bridge, Live 0x0\n' })).toBe(null)
    expect(judgeModule('cls_bpf', { ...nothing, config: 'CONFIG_NET_CLS_BPF=y\n' })).toBe('built in')
    expect(judgeModule('cls_bpf', { ...nothing, config: 'CONFIG_NET_CLS_BPF=m\n' })).toBe(null)
    expect(judgeModule('cls_bpf', { ...nothing, config: '# CONFIG_NET_CLS_BPF is not set\n' })).toBe('missing')
  })

  test('those that only some sources need are looked at where the file has such a source', () => {
    const list = (source: string) => neededModules(load(`version: 1\nspans: {span0: {sources: [{${source}}]}}`))
    expect(list('interface: ens192')).toEqual(neededModules(undefined))
    expect(list('vxlan: {id: 42}')).toEqual([...neededModules(undefined), 'vxlan'])
    expect(list('erspan: {local: 192.0.2.1, type: 1}')).toEqual([...neededModules(undefined), 'ip_gre'])
    const limited = list('interface: ens192, limit: 2gbit')
    expect(limited.filter((name) => !neededModules(undefined).includes(name))).toEqual(['act_police'])
  })

  test('one that a tunnel waits for is told here, and nowhere else', () => {
    const text = fixture('spans.yaml').replace('sources:\n', 'sources:\n      - {gretap: {local: 10.0.3.7}}\n')
    const lacking = [{ name: 'ip_gre', message: 'the running kernel has no ip_gre', command: 'modprobe ip_gre' }]
    const view = see({ ...converged, lacking }, text)
    expect(makeHeadline(reportOn(view).known.report)).toMatchObject([
      { text: expect.stringMatching(/the running kernel has no ip_gre/), action: 'modprobe ip_gre' }
    ])
    expect(found({ spans: reportOn(view), modules: new Map([['ip_gre', { known: 'missing' }]]) })).toEqual([
      ['kernel_modules', 'problem', 'apt-get install linux-image-amd64']
    ])
  })

  test('what modprobe of kmod 34 says', () => {
    expect(judgeModule('veth', says('builtin veth\n'))).toBe('built in')
    const chain =
      'insmod /lib/modules/6.12/kernel/net/llc/llc.ko.xz \ninsmod /lib/modules/6.12/kernel/net/bridge.ko.xz \n'
    expect(judgeModule('bridge', says(chain))).toBe('loadable')
    expect(judgeModule('bridge', { ...says(chain), locked: true })).toBe('locked')
    expect(judgeModule('cls_bpf', says('install /bin/false \n'))).toBe('blocked')
    expect(judgeModule('cls_bpf', says('', 1))).toBe('missing')
    expect(judgeModule('cls_bpf', { ...says('', 1), config: 'CONFIG_NET_CLS_BPF=y\n' })).toBe('built in')
  })

  test.each([
    ['blocked', "sed -i '/^ *install  *cls_bpf /d' /etc/modprobe.d/*.conf"],
    ['locked', 'echo cls_bpf >>/etc/modules-load.d/spanplan.conf'],
    ['missing', 'apt-get install linux-image-amd64']
  ] as const)('one that is %s', (state, command) => {
    expect(found({ modules: new Map([['cls_bpf', { known: state }]]) })).toEqual([
      ['kernel_modules', 'problem', command]
    ])
  })
})

describe('Docker', () => {
  const away = (reason: Diagnostic, more: object = {}) =>
    ({ state: 'unreachable', reason, hangs: false, installed: true, ...more }) as const
  const reason = { code: 'DOCKER_UNREACHABLE', message: 'Docker is not reachable' } as const

  test.each([
    ['stopped', away(reason), 'problem', 'systemctl start docker'],
    ['hung', away(reason, { hangs: true }), 'problem', 'systemctl restart docker'],
    ['not installed', away(reason, { installed: false }), 'problem', 'apt-get install docker.io'],
    ['elsewhere', away({ code: 'DOCKER_REMOTE', message: '' }), 'problem', 'unset DOCKER_HOST'],
    ["root's", away({ code: 'DOCKER_FORBIDDEN', message: '' }), 'unknown', 'sudo spanplan doctor'],
    [
      'Podman by its package',
      { ...answering, isPodman: true, version: '4.3.1' },
      'problem',
      'apt-get install docker.io podman-docker-'
    ],
    [
      'Podman by name',
      { ...answering, isPodman: true, version: '4.3.1', isNamed: true },
      'problem',
      'unset DOCKER_HOST'
    ],
    [
      "a user's Podman",
      { ...answering, isPodman: true, version: '5.4.2', rootless: true, isNamed: true },
      'problem',
      'unset DOCKER_HOST'
    ]
  ] as const)('that is %s', (_, docker, result, command) => {
    expect(found({ docker })).toEqual([
      ['docker', result, command],
      ['live_restore', 'unknown', null]
    ])
  })

  test('that is a Podman whose networks can hand out a span', () => {
    expect(found({ docker: { ...answering, isPodman: true, version: '5.4.2' } })).toEqual([])
  })

  test.each([
    [null, { 'live-restore': true }],
    ['{}\n', { 'live-restore': true }],
    [
      '{"log-driver": "journald", "bip": "10.0.0.1/24"}',
      { 'log-driver': 'journald', bip: '10.0.0.1/24', 'live-restore': true }
    ],
    ['{\n  "builder": {"gc": {}}\n}\n', { builder: { gc: {} }, 'live-restore': true }],
    ['{\n  "live-restore" : false,\n  "debug": false\n}\n', { debug: false, 'live-restore': true }]
  ])('live-restore is switched on in %j, and nothing else is changed', (text, settings) => {
    const docker = { ...answering, liveRestore: { known: false }, settings: { known: text } }
    const [[id, result, command] = []] = found({ docker })
    expect([id, result]).toEqual(['live_restore', 'warning'])
    const folder = mkdtempSync('/tmp/spanplan-doctor-')
    try {
      const file = join(folder, 'daemon.json')
      if (text !== null) writeFileSync(file, text)
      const line = command?.replaceAll('/etc/docker/daemon.json', file).replace('systemctl reload docker', 'true')
      execFileSync('sh', ['-c', line ?? 'false'])
      expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(settings)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

describe('interfaces', () => {
  const managed = (
    manager: 'ifupdown' | 'systemd-networkd' | 'NetworkManager',
    name: string,
    uuid: string | null = null
  ) => found({ managers: { known: [{ name, manager, tcConnection: { known: uuid } }] } })

  test('who manages a source or a bridge', () => {
    expect(managed('NetworkManager', 'ens192')).toEqual([])
    expect(managed('ifupdown', 'span0')).toEqual([])
    expect(managed('NetworkManager', 'span0')).toEqual([['managers', 'warning', 'nmcli device set span0 managed no']])
    expect(managed('systemd-networkd', 'span0')).toEqual([
      [
        'managers',
        'warning',
        "printf '[Match]\\nName=%s\\n\\n[Link]\\nUnmanaged=yes\\n' span0 >/etc/systemd/network/05-spanplan-span0.network && networkctl reload"
      ]
    ])
    expect(managed('NetworkManager', 'ens192', '1b3d5f70-0000-4000-8000-000000000001')).toEqual([
      [
        'managers',
        'problem',
        "nmcli connection modify uuid 1b3d5f70-0000-4000-8000-000000000001 tc.qdiscs '' tc.tfilters ''"
      ]
    ])
  })

  test('an interface that merges frames', () => {
    const links = converged.links.map((link) =>
      link.name === 'ens192' ? { ...link, offloads: { lro: { active: true, fixed: false } } } : link
    )
    const spans = reportOn(see({ ...converged, links }))
    expect(found({ spans })).toEqual([['offloads', 'warning', 'ethtool -K ens192 lro off']])
  })

  test('a source that is silent', () => {
    const text = fixture('spans.yaml').replace('filter: not port 22', 'max_idle: 5m')
    expect(found({ spans: reportOn(see(converged, text), { idle: 400 }) })).toContainEqual(['silence', 'problem', null])
    expect(found({ spans: reportOn(see(), { idle: 400 }) })).toEqual([])
    const folder = join(casesFolder, 'container-source-converged')
    const containers = readFileSync(join(folder, 'spans.yaml'), 'utf8').replace('filter: not port 22', 'max_idle: 5m')
    const view = see(readSnapshot(folder, 'host.json'), containers)
    expect(found({ spans: reportOn(view, { idle: 400 }) })).toContainEqual(['silence', 'problem', null])
    const messages = runChecks(readingsWith({ spans: reportOn(view, { idle: 400 }) }))
      .filter(({ id }) => id === 'silence')
      .map(({ message }) => message.split(' for ')[0])
    expect(messages[0]).toBe('span span0: no frame has come from web')
    const tunnels = join(casesFolder, 'vxlan-source-in-sync')
    const tunnel = see(readSnapshot(tunnels, 'host.json'), readFileSync(join(tunnels, 'spans.yaml'), 'utf8'))
    const silent = runChecks(readingsWith({ spans: reportOn(tunnel, { idle: 90_000, frames: 0 }) }))
    expect(silent.find(({ id }) => id === 'silence')?.message).toMatch(
      /^span span0: no frame has ever come from vxlan 42, .*; do its senders still send/
    )
  })
})

describe('the watch and its units', () => {
  const unit = (more: Partial<UnitReading>) => {
    const { units } = readingsWith()
    if (!('known' in units)) throw new Error('the units are known')
    return { units: { known: units.known.map((one) => ({ ...one, ...more })) } }
  }

  test.each([
    [{ loadState: 'masked' }, 'problem', 'systemctl unmask spanplan.service'],
    [{ activeState: 'failed' }, 'problem', 'systemctl restart spanplan.service'],
    [{ activeState: 'inactive' }, 'problem', 'systemctl start spanplan.service'],
    [{ fileState: 'disabled' }, 'warning', 'systemctl enable spanplan.service'],
    [{ needsReload: true }, 'warning', 'systemctl daemon-reload'],
    [
      { loadState: 'not-found' },
      'warning',
      'cp /lib/spanplan/examples/systemd/spanplan.service /etc/systemd/system/ && systemctl daemon-reload && systemctl enable --now spanplan.service'
    ]
  ])('a unit with %j', (more, result, command) => {
    expect(found(unit(more))).toEqual([['units', result, command]])
  })

  test("of the package's two units, the one that is in use counts", () => {
    const { units } = readingsWith()
    const [one] = 'known' in units ? units.known : []
    if (one === undefined) throw new Error('the units are known')
    const idle = { fileState: 'disabled', activeState: 'inactive' }
    const both = (watch: Partial<UnitReading>, apply: Partial<UnitReading>) => ({
      units: {
        known: [
          { ...one, ...watch },
          { ...one, id: 'spanplan-apply.service', ...apply }
        ]
      }
    })
    expect(found(both({}, idle))).toEqual([])
    expect(found({ ...both(idle, { activeState: 'inactive' }), watches: [] })).toEqual([])
    expect(found(both(idle, idle))).toEqual([
      ['units', 'warning', 'systemctl enable spanplan.service'],
      ['units', 'problem', 'systemctl start spanplan.service']
    ])
  })

  test("a copy of a unit that hides the package's, unless it starts the package's spanplan", () => {
    const file = '/etc/systemd/system/spanplan.service'
    const copy = { file, hidden: '/usr/lib/systemd/system/spanplan.service', program: '/usr/bin/env' }
    const command = `rm -- ${file} && systemctl daemon-reload && systemctl try-restart spanplan.service`
    expect(found(unit(copy))).toEqual([['installation', 'warning', command]])
    expect(found(unit({ ...copy, program: '/usr/bin/spanplan' }))).toEqual([])
  })

  test('a watch that was killed, one that hangs, and one that only root may ask', () => {
    const one = (silent: SilentWatch) => ({ watches: [{ name: 'default', socket: '/run/x', state: null, silent }] })
    const restart = 'systemctl restart spanplan.service'
    expect(found(one({ is: 'killed' }))).toEqual([['watch', 'problem', restart]])
    expect(found(one({ is: 'hanging', pid: 7 }))).toEqual([['watch', 'problem', restart]])
    expect(found(one({ is: 'hidden' }))).toEqual([['watch', 'unknown', null]])
    // The unit's process is another, or there is no unit.
    expect(found(one({ is: 'hanging', pid: 8 }))).toEqual([['watch', 'problem', `kill -KILL 8 && ${restart}`]])
    const alone = { units: { unknown: 'no systemd' }, fileArguments: ['-f', 'my spans.yaml'] }
    const start = "spanplan watch -f 'my spans.yaml'"
    expect(found({ ...one({ is: 'killed' }), ...alone })).toContainEqual(['watch', 'problem', start])
    const command = `kill -KILL 8 && ${start}`
    expect(found({ ...one({ is: 'hanging', pid: 8 }), ...alone })).toContainEqual(['watch', 'problem', command])
  })

  test('the watch of a file whose name is another by now, and not that none of the new name runs', () => {
    const [own] = readingsWith().watches
    if (own === undefined || own.state === null) throw new Error('the readings have a watch')
    const changed = {
      code: 'NAME_CHANGED',
      message: 'the name in the file is now other',
      hint: 'restart the watch'
    } as const
    const held = { ...own, state: { ...own.state, file: { valid: false, diagnostics: [changed] } } }
    const none = { name: 'other', socket: null, state: null, silent: null }
    const results = runChecks(readingsWith({ file: loadNamed('other'), watches: [held, none] }))
    expect(results.filter(({ id }) => id === 'watch').map(({ message }) => message)).toEqual([
      expect.stringMatching(/^the watch still follows the last valid file: the name in the file is now other/)
    ])
  })

  test('the socket of a killed watch of another name', () => {
    const [own] = readingsWith().watches
    if (own === undefined) throw new Error('the readings have a watch')
    const socket = '/run/spanplan/net-1.lab9.watch'
    const beside = (silent: SilentWatch) => ({ watches: [own, { name: 'lab9', socket, state: null, silent }] })
    expect(found(beside({ is: 'killed' }))).toEqual([['run_directory', 'warning', `rm -f -- ${socket}`]])
    expect(found(beside({ is: 'hidden' }))).toEqual([])
    expect(found(beside({ is: 'hanging', pid: 8 }))).toEqual([])
  })

  test('what systemctl of systemd 257 prints', () => {
    const text = `Result=success
ExecMainStatus=0
Id=spanplan.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled
NeedDaemonReload=yes
FragmentPath=/etc/systemd/system/spanplan.service
ExecStart={ path=/usr/bin/env ; argv[]=/usr/bin/env spanplan watch -f /etc/spanplan ; ignore_errors=no ; status=0/0 }
MainPID=812

Result=success
ExecMainStatus=0
Id=spanplan-apply.service
LoadState=not-found
ActiveState=inactive
UnitFileState=
NeedDaemonReload=no
MainPID=0
`
    const file = '/etc/systemd/system/spanplan.service'
    const hidden = '/usr/lib/systemd/system/spanplan.service'
    expect(parseUnits(text, () => true)).toMatchObject([
      {
        id: 'spanplan.service',
        activeState: 'active',
        needsReload: true,
        file,
        hidden,
        program: '/usr/bin/env',
        mainPid: 812
      },
      {
        id: 'spanplan-apply.service',
        loadState: 'not-found',
        fileState: '',
        file: '',
        hidden: null,
        program: '',
        mainPid: null
      }
    ])
    expect(parseUnits(text, () => false)).toMatchObject([{ file, hidden: null }, {}])
    // What systemctl prints in a chroot, where it ignores the question.
    expect(parseUnits('\n')).toEqual([])
  })
})

describe('spanplan itself', () => {
  const npm = {
    path: '/usr/local/bin/spanplan',
    target: '/usr/local/lib/node_modules/spanplan/bin/spanplan.js',
    isPackaged: false,
    npmPrefix: '/usr/local'
  }
  const clone = {
    path: '/opt/bin/spanplan',
    target: '/home/me/spanplan/bin/spanplan.js',
    isPackaged: false,
    npmPrefix: null
  }
  const uninstall = 'npm uninstall --global --prefix=/usr/local spanplan'

  test.each([
    [[], []],
    [[npm], []],
    [[npm, packaged], [['installation', 'warning', uninstall]]],
    [[packaged, npm], [['installation', 'warning', uninstall]]],
    [[clone, npm], [['installation', 'warning', uninstall]]],
    [[npm, clone], [['installation', 'warning', null]]]
  ])('installed as %j', (installations, findings) => {
    expect(found({ installations })).toEqual(findings)
  })

  test('is found by PATH: each file once, and nothing that cannot be run', () => {
    const folder = mkdtempSync('/tmp/spanplan-doctor-')
    try {
      const library = join(folder, 'lib/node_modules/spanplan/bin')
      for (const name of ['bin', 'sbin', 'other']) mkdirSync(join(folder, name))
      mkdirSync(library, { recursive: true })
      writeFileSync(join(library, 'spanplan.js'), '', { mode: 0o755 })
      for (const name of ['bin', 'sbin']) symlinkSync(join(library, 'spanplan.js'), join(folder, name, 'spanplan'))
      writeFileSync(join(folder, 'other/spanplan'), '', { mode: 0o644 })
      const searchPath = ['other', 'missing', 'bin', 'sbin'].map((name) => join(folder, name)).join(':')
      expect(findInstallations(`.:${searchPath}`)).toEqual([
        {
          path: join(folder, 'bin/spanplan'),
          target: join(library, 'spanplan.js'),
          isPackaged: false,
          npmPrefix: folder
        }
      ])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

test('the marks of another name: old, unless a file or a watch has the name', () => {
  const spans = { ...readingsWith().spans }
  const file = loadNamed('other')
  expect(found({ file, spans, watches: [] })).toContainEqual(['marks', 'warning', 'spanplan destroy --name default'])
  expect(found({ file, spans, watches: [], otherNames: ['default'] }).map(([id]) => id)).not.toContain('marks')
  expect(found({ file, spans }).map(([id]) => id)).not.toContain('marks')
})

test('the marks of tunnels, also of one that somebody has renamed', () => {
  const marksOn = (name: string) => {
    const host = { known: indexHost(readSnapshot(join(casesFolder, name), 'host.json')) }
    const findings = runChecks(readingsWith({ file: loadNamed('other'), host, watches: [] }))
    return findings.find(({ id }) => id === 'marks')?.message
  }
  const said = 'no file here has the name default, whose mark is on the bridge span0, the interface'
  expect(marksOn('vxlan-senders-in-sync')).toBe(`${said} vxlan-3d98b18a`)
  expect(marksOn('vxlan-source-renamed')).toBe(`${said} foo`)
})

function loadNamed(name: string): DoctorReadings['file'] {
  const { file } = readingsWith()
  if (file.state !== 'valid') throw new Error('the file is valid')
  const { target } = file
  return { state: 'valid', target: { ...target, spec: { ...target.spec, name } } }
}

test('what a person reads: 100 columns at most, but for commands, and nothing that a terminal obeys', () => {
  const docker = { ...answering, version: '\u001b[31m26'.repeat(30), isPodman: true }
  const text = renderFindings(runChecks(readingsWith({ docker, canAdminister: false })), plain)
  expect(text).not.toContain('\u001b')
  const lines = text.split('\n').filter((line) => !line.includes('$ ') && !line.includes('\\u001b'))
  expect(lines.filter((line) => line.length > 100)).toEqual([])
  const narrow = renderFindings(runChecks(readingsWith({ canAdminister: false })), plain, 80).split('\n')
  expect(narrow.filter((line) => line.length > 80 && !line.includes('$ '))).toEqual([])
  expect(text).toContain('problem    rights          root has no CAP_NET_ADMIN: apply and watch need it.')
  expect(text).toContain('\n           $ apt-get install docker.io podman-docker-\n')
  expect(text.trimEnd().split('\n').at(-1)).toMatch(/^2 problems, 0 warnings, 1 not known\. Each \$ line/)
})

describe('the firewall', () => {
  const targetOf = (source: string, more = '') => {
    const spec = load(`version: 1\nspans: {span0: {sources: [{${source}}]${more}}}`)
    return makeTarget(spec, { scope: { name: spec.name, spans: everySpan }, deferDocker: false, subnetSeed: '' })
  }
  const target = targetOf('vxlan: {id: 42}')
  const sending = (output: string) => targetOf('interface: ens192', `, outputs: [{${output}}]`)
  const chain = (table: string, hook: string) => ({
    chain: { family: 'inet', table, name: hook, type: 'filter', hook, prio: 0, policy: 'drop' }
  })
  const ufw = [{ chain: { family: 'ip', table: 'filter', name: 'ufw-user-input' } }]
  const gre = 'gretap: {local: 192.0.2.1}'
  test.each([
    ['vxlan: {id: 42}', 'filter', [], 'nft insert rule inet filter input udp dport 4789 accept'],
    ['vxlan: {id: 42}', 'firewalld', [], 'firewall-cmd --add-port=4789/udp'],
    ['vxlan: {id: 42}', 'filter', ufw, 'ufw allow 4789/udp'],
    [gre, 'filter', [], 'nft insert rule inet filter input meta l4proto gre accept'],
    [gre, 'firewalld', [], 'firewall-cmd --add-protocol=gre'],
    [gre, 'filter', ufw, 'ufw allow proto gre from any to any']
  ])('for %s, of the table %s is told what lets it in', (source, table, more, command) => {
    const firewall = { known: parseFirewall({ nftables: [chain(table, 'input'), ...more] }) }
    expect(found({ file: { state: 'valid', target: targetOf(source) }, firewall })).toEqual([
      ['firewall', 'warning', command]
    ])
    // Neither a source nor an output of that file is a tunnel.
    expect(found({ firewall })).toEqual([])
  })

  test.each([
    { match: { op: '==', left: { meta: { key: 'l4proto' } }, right: 47 } },
    { match: { op: '==', left: { payload: { protocol: 'ip', field: 'protocol' } }, right: 'gre' } }
  ])('that lets GRE in lets in no VXLAN', (match) => {
    const rule = { family: 'inet', table: 'filter', chain: 'input', expr: [match, { accept: null }] }
    const firewall = { known: parseFirewall({ nftables: [chain('filter', 'input'), { rule }] }) }
    expect(found({ file: { state: 'valid', target: targetOf(gre) }, firewall })).toEqual([])
    expect(found({ file: { state: 'valid', target }, firewall })).toHaveLength(1)
  })

  const saddr = { payload: { protocol: 'ip', field: 'saddr' } }
  const fromOne = { match: { op: '==', left: saddr, right: '10.60.0.1' } }
  const rule = { family: 'inet', table: 'filter', chain: 'input', handle: 7, expr: [fromOne, { accept: null }] }
  const some = { known: parseFirewall({ nftables: [chain('filter', 'input'), { rule }] }) }

  test('that takes some is not certain, unless the senders are known', () => {
    const messages = (source: string) =>
      runChecks(readingsWith({ file: { state: 'valid', target: targetOf(source) }, firewall: some }))
        .filter(({ id }) => id === 'firewall')
        .map(({ result, message }) => `${result}: ${message}`)
    const where = 'the chain input of the table inet filter'
    expect(messages('vxlan: {id: 42}')).toEqual([
      `unknown: whether ${where} lets in what comes to UDP port 4789 is not certain: see the rule with the handle 7 (nft -a list chain inet filter input)`
    ])
    expect(messages('vxlan: {id: 42}, from: [10.60.0.1, 10.60.0.2]')).toEqual([
      expect.stringContaining(
        `warning: ${where} drops what comes to UDP port 4789 from 10.60.0.2: span span0 gets nothing of that.`
      )
    ])
    expect(messages('vxlan: {id: 42}, from: [10.60.0.1]')).toEqual([expect.stringMatching(/^ok: each chain of/)])
  })

  const vxlan = 'vxlan: {id: 42, remote: 192.0.2.9}'
  const vxlan6 = 'vxlan: {id: 42, remote: "2001:db8::9", port: 8472}'
  const greOut = 'gretap: {remote: 192.0.2.9}'
  test.each([
    [vxlan, 'filter', [], 'nft insert rule inet filter output ip daddr 192.0.2.9 udp dport 4789 accept'],
    [vxlan6, 'filter', [], 'nft insert rule inet filter output ip6 daddr 2001:db8::9 udp dport 8472 accept'],
    [vxlan, 'firewalld', [], 'nft insert rule inet firewalld output ip daddr 192.0.2.9 udp dport 4789 accept'],
    [vxlan, 'filter', ufw, 'ufw allow out 4789/udp'],
    [greOut, 'filter', [], 'nft insert rule inet filter output ip daddr 192.0.2.9 meta l4proto gre accept'],
    [greOut, 'filter', ufw, 'ufw allow out proto gre from any to 192.0.2.9']
  ])('for the output %s, of the table %s is told what lets it out', (output, table, more, command) => {
    const firewall = { known: parseFirewall({ nftables: [chain(table, 'output'), ...more] }) }
    const file = { state: 'valid', target: sending(output) } as const
    expect(found({ file, firewall })).toEqual([['firewall', 'warning', command]])
    // What leaves does not pass the chains of what comes, and the other way round.
    const inbound = { known: parseFirewall({ nftables: [chain(table, 'input'), ...more] }) }
    expect(found({ file, firewall: inbound })).toEqual([])
    expect(found({ file: { state: 'valid', target }, firewall })).toEqual([])
  })

  const messagesOf = (more: Partial<DoctorReadings>) =>
    runChecks(readingsWith(more))
      .filter(({ id }) => id === 'firewall')
      .map(({ result, message }) => `${result}: ${message}`)

  test('is looked at for sources and outputs, each by itself', () => {
    const both = (output: string) =>
      ({ state: 'valid', target: targetOf('vxlan: {id: 7}', `, outputs: [{${output}}]`) }) as const
    const firewall = { known: parseFirewall({ nftables: [chain('filter', 'postrouting')] }) }
    const letIn = 'ok: each chain of nftables lets in what senders send into a tunnel'
    const where = 'the chain postrouting of the table inet filter'
    const lost = "span span0 sends nothing by it. What lasts is what the firewall's own files say"
    expect(messagesOf({ file: both(vxlan), firewall })).toEqual([
      letIn,
      `warning: ${where} drops what leaves to UDP port 4789 of 192.0.2.9: ${lost}`
    ])
    expect(messagesOf({ file: both(greOut), firewall })).toEqual([
      letIn,
      `warning: ${where} drops all that leaves with GRE to 192.0.2.9: ${lost}`
    ])
    expect(messagesOf({ file: both(greOut) })).toEqual([letIn, 'ok: each chain of nftables lets out what outputs send'])
  })

  test('that lets out by one interface, or from one address: the way to the other host and its own address tell', () => {
    const rule = (left: object, right: string) => ({
      rule: {
        ...{ family: 'inet', table: 'filter', chain: 'output', handle: 7 },
        expr: [{ match: { op: '==', left, right } }, { accept: null }]
      }
    })
    const oifname = rule({ meta: { key: 'oifname' } }, 'ens192')
    const own = { family: 'inet', address: '192.0.2.1', prefix: 24, automatic: false } as const
    const addressed = {
      ...converged,
      links: converged.links.map((link) => (link.name === 'ens192' ? { ...link, addresses: [own] } : link))
    }
    const results = (entry: object, device: string | null, output = vxlan, local: string | null = null) => {
      const host = indexHost({ ...addressed, ways: [{ remote: '192.0.2.9', local, device }] })
      const firewall = { known: parseFirewall({ nftables: [chain('filter', 'output'), entry] }) }
      const file = { state: 'valid', target: sending(output) } as const
      return messagesOf({ file, firewall, host: { known: host } }).map((one) => one.split(' (')[0])
    }
    const well = 'ok: each chain of nftables lets out what outputs send'
    const unsure =
      'unknown: whether the chain output of the table inet filter lets out what leaves to UDP port 4789 of 192.0.2.9 is not certain: see the rule with the handle 7'
    expect(results(oifname, 'ens192')).toEqual([well])
    expect(results(oifname, 'span0')).toEqual([expect.stringMatching(/^warning: /)])
    expect(results(oifname, null)).toEqual([unsure])
    const saddrIs = (address: string) => rule(saddr, address)
    expect(results(saddrIs('192.0.2.1'), 'ens192', 'vxlan: {id: 42, remote: 192.0.2.9, local: 192.0.2.1}')).toEqual([
      well
    ])
    expect(results(saddrIs('192.0.2.2'), 'ens192', 'vxlan: {id: 42, remote: 192.0.2.9, local: 192.0.2.1}')).toEqual([
      expect.stringMatching(/^warning: /)
    ])
    expect(results(saddrIs('192.0.2.7'), 'ens192')).toEqual([expect.stringMatching(/^warning: /)])
  })

  test('that cannot be read is not guessed', () => {
    const firewall = { unknown: 'what the firewall lets in and out is not known' }
    for (const one of [target, sending(vxlan), targetOf('vxlan: {id: 7}', `, outputs: [{${vxlan}}]`)]) {
      expect(found({ file: { state: 'valid', target: one }, firewall })).toEqual([['firewall', 'unknown', null]])
    }
  })
})
