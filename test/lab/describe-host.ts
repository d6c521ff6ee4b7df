import { randomUUID } from 'node:crypto'

/** Runs a command in the lab's host and gives its output. */
type Run = (argv: readonly [string, ...string[]], options?: { readonly input: string }) => Promise<string>

export interface NetworkSummary {
  readonly Id: string
  readonly Name: string
  readonly Driver: string
  readonly Scope: string
}

const commands = [
  'ip -d link',
  'ip addr',
  'ip route show table all',
  "ethtool -k '*'",
  // What ip -d link does not show of a device's IPv6.
  'grep . /proc/sys/net/ipv6/conf/*/disable_ipv6',
  'nft list ruleset',
  'tc qdisc'
] as const
/** Between what two commands print; no name or alias can hold it. */
const mark = randomUUID()
/** In one shell: to start each of them from here takes longer than they do. */
const script = commands.join(`; printf '\\n${mark}\\n'; `)

/** All that spanplan may touch, in the tools' own words, less what changes by itself. */
export async function describeHost(run: Run, networks: readonly NetworkSummary[]): Promise<string> {
  const output = await run(['sh', '-e', '-c', script])
  const parts = output.split(`\n${mark}\n`).map((part) => part.replace(/\n$/, ''))
  const [links = '', addresses = '', routes = '', features = '', ipv6 = '', tables = '', qdiscs = ''] = parts
  const bodies = [links, addresses, sortLines(routes), features, ipv6, tables]
  const texts = bodies.map((body, index) => `$ ${commands[index]}\n${normalise(body)}\n`)
  const rows = networks.map(({ Id, Name, Driver, Scope }) => `${Id.slice(0, 12)} ${Name} ${Driver} ${Scope}`).sort()
  return [...texts, await describeTraffic(run, qdiscs), '$ docker network ls\n', ...rows.map((row) => `${row}\n`)].join(
    ''
  )
}

/** Routes of equal rank stand in the order in which they were added. */
function sortLines(text: string): string {
  return text.split('\n').sort().join('\n')
}

/** Qdiscs, with the classes and the filters of those that have any: a row each, as tc's JSON, in two processes for all. */
async function describeTraffic(run: Run, qdiscs: string): Promise<string> {
  const commands = qdiscs.split('\n').flatMap((line) => {
    const [, kind, device] = /^qdisc (\S+) .*?\bdev (\S+)/.exec(line) ?? []
    return device === undefined ? [] : (hangingAt[kind ?? ''] ?? []).map((what) => what.replace('DEVICE', () => device))
  })
  // A batch reads quotes, backslashes and the like in a name as its own.
  const plain = commands.filter((command) => /^[\w.: @-]+$/.test(command))
  const batch = (await run(['tc', '-j', '-batch', '-'], { input: `${plain.join('\n')}\n` })).split('\n')
  const documents = await Promise.all(
    commands.map((command) =>
      plain.includes(command) ? (batch[plain.indexOf(command)] ?? '') : run(['tc', '-j', ...command.split(' ')])
    )
  )
  const texts = commands.map((command, index) => `$ tc ${command}\n${rowsOf(documents[index] ?? '')}\n`)
  return [`$ tc qdisc\n${normalise(qdiscs)}\n`, ...texts].join('')
}

/** A row a line; the kernel numbers actions through, in whatever order they come. */
function rowsOf(document: string): string {
  return document.replace(/(?<=\}),(?=\{"(?:protocol|parent)")/g, '\n').replace(/"index":\d+/g, '"index":N')
}

/** What tc shows of a device, by the kind of a qdisc on it. */
const hangingAt: Readonly<Record<string, readonly string[]>> = {
  clsact: ['filter show dev DEVICE ingress', 'filter show dev DEVICE egress'],
  ingress: ['filter show dev DEVICE ingress'],
  htb: ['class show dev DEVICE', 'filter show dev DEVICE'],
  prio: ['class show dev DEVICE', 'filter show dev DEVICE']
}

/** Blanks interface indexes, numbers of XDP programs, running timers and lifetimes. */
function normalise(text: string): string {
  return text
    .replace(/^\d+: /gm, 'N: ')
    .replace(/@if\d+/g, '@ifN')
    .replace(/(\w+_timer) +[\d.]+/g, '$1 N')
    .replace(/(valid_lft|preferred_lft) \d+sec/g, '$1 Nsec')
    .replace(/expires \d+sec/g, 'expires Nsec')
    .replace(/link-netnsid \d+/g, 'link-netnsid N')
    .replace(/fdb_n_learned \d+/g, 'fdb_n_learned N')
    .replace(/(prog\/xdp) id \d+(.*) load_time \d+/g, '$1 id N$2 load_time N')
    .replace(/xdp\/id:\d+/g, 'xdp/id:N')
    .replace(/ tentative\b/g, '')
}
