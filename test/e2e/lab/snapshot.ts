import { parseRows } from './json.ts'

/** Runs a command in the lab's host and gives its output. */
type Run = (argv: readonly [string, ...string[]]) => Promise<string>

export interface NetworkSummary {
  readonly Id: string
  readonly Name: string
  readonly Driver: string
  readonly Scope: string
}

/** All that spanplan may touch, in the tools' own words, less what changes by itself. */
export async function describeHost(run: Run, networks: readonly NetworkSummary[]): Promise<string> {
  const links = parseRows<{ ifname: string }>(await run(['ip', '-j', 'link']))
  const sections: [string, ...string[]][] = [
    ['ip', '-d', 'link'],
    ['ip', 'addr'],
    ['ip', 'route', 'show', 'table', 'all'],
    ['tc', 'qdisc'],
    ...links.flatMap(({ ifname }): [string, ...string[]][] => [
      ['tc', 'filter', 'show', 'dev', ifname, 'ingress'],
      ['tc', 'filter', 'show', 'dev', ifname, 'egress']
    ]),
    ['ethtool', '-k', '*'],
    // What ip -d link does not show of a device's IPv6.
    ['sh', '-c', 'grep . /proc/sys/net/ipv6/conf/*/disable_ipv6']
  ]
  const texts = await Promise.all(
    sections.map(
      async (argv) =>
        `$ ${argv.join(' ')}\n${normalise(argv[1] === 'route' ? sortLines(await run(argv)) : await run(argv))}\n`
    )
  )
  const rows = networks.map(({ Id, Name, Driver, Scope }) => `${Id.slice(0, 12)} ${Name} ${Driver} ${Scope}`).sort()
  return [...texts, '$ docker network ls\n', ...rows.map((row) => `${row}\n`)].join('')
}

/** Routes of equal rank stand in the order in which they were added. */
function sortLines(text: string): string {
  return text.split('\n').sort().join('\n')
}

/** Blanks interface indexes, running timers and lifetimes. */
function normalise(text: string): string {
  return text
    .replace(/^\d+: /gm, 'N: ')
    .replace(/@if\d+/g, '@ifN')
    .replace(/(\w+_timer) +[\d.]+/g, '$1 N')
    .replace(/(valid_lft|preferred_lft) \d+sec/g, '$1 Nsec')
    .replace(/expires \d+sec/g, 'expires Nsec')
    .replace(/link-netnsid \d+/g, 'link-netnsid N')
    .replace(/fdb_n_learned \d+/g, 'fdb_n_learned N')
    .replace(/ tentative\b/g, '')
}
