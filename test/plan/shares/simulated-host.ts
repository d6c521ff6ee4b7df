/** A host that commands of a plan change, as far as they are about mirrors and the ports of sensors: tc, ip, bridge and ethtool do the rest. */
import type { Filter, Link } from '../../../src/host/snapshot.ts'
import { readLimitCookie } from '../../../src/host/tc-conventions.ts'
import type { CapturedHost } from '../../lab/fixtures/host-file.ts'

type Words = readonly string[]

/** The host after one command. */
export function run(host: CapturedHost, argv: Words): CapturedHost {
  const known = programs.find(([start]) => start.every((word, index) => argv[index] === word))
  if (known === undefined) throw new Error(`not simulated: ${argv.join(' ')}`)
  return known[1](host, argv)
}

const programs: readonly (readonly [Words, (host: CapturedHost, argv: Words) => CapturedHost])[] = [
  [['tc', 'filter', 'replace'], replaceFilter],
  [['tc', 'filter', 'del'], (host, argv) => ({ ...host, filters: host.filters.filter((one) => !isAt(one, argv)) })],
  [['ip', 'link', 'set', 'dev'], setLink],
  [['bridge', 'link', 'set', 'dev'], setState],
  [['ethtool', '-K'], setOffloads]
]

const after = (argv: Words, word: string) => argv[argv.indexOf(word) + 1] ?? ''

function isAt({ device, tcHook, pref, handle }: Filter, argv: Words): boolean {
  const place = [after(argv, 'dev'), argv[5], Number(after(argv, 'pref')), Number(after(argv, 'handle'))]
  return [device, tcHook, pref, handle].every((one, index) => one === place[index])
}

function replaceFilter(host: CapturedHost, argv: Words): CapturedHost {
  const action = argv.slice(argv.indexOf('mirred'))
  const limit = argv.includes('police') ? readLimitCookie(after(argv, 'cookie').replace(/^0x/, '')) : null
  const mirror = {
    target: after(action, 'dev'),
    control: 'continue',
    cookie: after(action, 'cookie'),
    ...(limit !== null && { limit })
  }
  const filter: Filter = {
    device: after(argv, 'dev'),
    tcHook: argv[5] === 'ingress' ? 'ingress' : 'egress',
    protocol: 'all',
    pref: Number(after(argv, 'pref')),
    chain: 0,
    kind: 'bpf',
    handle: Number(after(argv, 'handle')),
    classId: null,
    program: after(argv, 'bytecode'),
    directAction: false,
    selects: { kind: 'bpf' },
    copies: [mirror],
    others: false,
    mirror
  }
  return { ...host, filters: [filter, ...host.filters.filter((one) => !isAt(one, argv))] }
}

function change(host: CapturedHost, name: string, act: (link: Link) => Link): CapturedHost {
  return { ...host, links: host.links.map((link) => (link.name === name ? act(link) : link)) }
}

/** The kernel has a port forward again that has a carrier and is set (measured, Linux 6.18). */
function setLink(host: CapturedHost, argv: Words): CapturedHost {
  return change(host, argv[4] ?? '', (link) => {
    if (link.port === null) throw new Error(`no port: ${argv.join(' ')}`)
    const { isDisabled: _, ...port } = link.port
    const flooding = argv.includes('flood') ? after(argv, 'flood') === 'on' : port.flooding
    return { ...link, port: { ...port, flooding, ...(!link.carrier && { isDisabled: true }) } }
  })
}

function setState(host: CapturedHost, argv: Words): CapturedHost {
  return change(host, argv[4] ?? '', (link) => {
    if (link.port === null) throw new Error(`no port: ${argv.join(' ')}`)
    const { isDisabled: _, ...port } = link.port
    const isForwarding = after(argv, 'state') === '3'
    if (isForwarding && !link.carrier) throw new Error(`Network is down: ${argv.join(' ')}`)
    return { ...link, port: { ...port, ...(!isForwarding && { isDisabled: true }) } }
  })
}

function setOffloads(host: CapturedHost, argv: Words): CapturedHost {
  return change(host, argv[2] ?? '', (link) => {
    const set = Object.entries(link.offloads).map(([name, offload]) =>
      argv.includes(name) ? [name, { ...offload, active: after(argv, name) === 'on' }] : [name, offload]
    )
    return { ...link, offloads: Object.fromEntries(set) }
  })
}
