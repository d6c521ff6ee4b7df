/** What of a snapshot is none of spanplan's business, while spans are there. */
import type { Lab } from '../lab/lab.ts'

interface Ours {
  readonly spans: readonly string[]
  /** The cards, and what is on them: whether these are up is ours to change. */
  readonly cards: readonly string[]
}

/** The snapshot with the spans cut out, and of their cards what spanplan may switch. */
export function foreignView(snapshot: string, ours: Ours): string {
  return snapshot
    .split(/^(?=\$ )/m)
    .map((section) => {
      const title = section.slice(2, section.indexOf('\n'))
      const body = section.slice(section.indexOf('\n') + 1)
      const cut = cuts.find(([start]) => title.startsWith(start))?.[1](body, ours) ?? body
      const device = /dev (\S+)/.exec(title)?.[1] ?? ''
      const rest = cut.replace(/\n{2,}|\n?$/g, '\n')
      return ours.spans.includes(device) || rest.trim() === '' || rest.trim() === '[]' ? '' : `$ ${title}\n${rest}`
    })
    .join('')
}

/** A bridge in the tools' words: what it is by itself, and what its ports and others who use it decide with it. */
export interface BridgeView {
  readonly own: string
  readonly unused: string
}

/** Looks at a bridge. */
export async function describeBridge(lab: Lab, bridge: string): Promise<BridgeView> {
  const [link]: LinkRow[] = JSON.parse(await lab.run(['ip', '-j', '-d', 'link', 'show', 'dev', bridge]))
  const features = await lab.run(['ethtool', '-k', bridge])
  const entries = await lab.run(['bridge', 'fdb', 'show', 'dev', bridge])
  const qdiscs = await lab.run(['tc', 'qdisc', 'show', 'dev', bridge])
  if (link === undefined) throw new Error(`no bridge ${bridge}`)
  const { address, mtu, ifalias = '', inet6_addr_gen_mode: generation = 'none', flags, linkinfo } = link
  const options = Object.entries(linkinfo.info_data).filter(([key]) => !/_timer$|^root_|^topology|^fdb_n/.test(key))
  const settings = { address, mtu, ifalias, generation, ...Object.fromEntries(options) }
  const clsact = qdiscs.includes('clsact')
  return {
    own: Object.entries(settings)
      .map(([key, value]) => `${key} ${value}`)
      .join('\n'),
    unused: [
      flags.includes('UP') ? 'up' : 'down',
      clsact ? 'clsact' : 'no clsact',
      ...lines(features),
      ...lines(entries).sort()
    ].join('\n')
  }
}

interface LinkRow {
  readonly address: string
  readonly mtu: number
  readonly ifalias?: string
  readonly inet6_addr_gen_mode?: string
  readonly flags: readonly string[]
  readonly linkinfo: { readonly info_data: Readonly<Record<string, unknown>> }
}

/** The same, with routes in an order of their own: the kernel lists those of equal prefix in the order of their making. */
export function sortRoutes(snapshot: string): string {
  return snapshot
    .split(/^(?=\$ )/m)
    .map((section) => (section.startsWith('$ ip route') ? section.split('\n').sort().join('\n') : section))
    .join('')
}

/**
 * Throws the lines in which two states differ.
 *
 * @throws Error
 */
export function expectSame(what: string, before: string, after: string): void {
  if (before === after) return
  const [old, now] = [labelled(before), labelled(after)]
  const less = old.filter((line) => !now.includes(line)).map((line) => `- ${line}`)
  const more = now.filter((line) => !old.includes(line)).map((line) => `+ ${line}`)
  throw new Error([what, ...less, ...more].join('\n'))
}

/** Lines, each with the command that printed it and the device that it is about. */
function labelled(snapshot: string): string[] {
  let [title, device] = ['', '']
  return snapshot.split('\n').map((line) => {
    if (line.startsWith('$ ')) [title, device] = [line, '']
    device = /^(?:N: |Features for )([^:@]+)/.exec(line)?.[1] ?? device
    return `${title} | ${device} | ${line}`
  })
}

const cuts: readonly (readonly [string, (body: string, ours: Ours) => string])[] = [
  ['ip -d link', cutLinks],
  ['ip addr', cutLinks],
  ['ip route', cutRoutes],
  ['tc qdisc', cutQdiscs],
  ['tc filter', cutFilters],
  ['ethtool', cutFeatures],
  ['grep', cutIpv6],
  ['nft', cutTables]
]

function cutLinks(body: string, { spans, cards }: Ours): string {
  return body
    .split(/^(?=N: )/m)
    .filter((block) => !spans.includes(nameOf(block)))
    .map((block) =>
      cards.includes(nameOf(block))
        ? block
            .replace(/<[^>]*>/, '<>')
            .replace(/ state \S+/g, ' state N')
            .replace(/ promiscuity \d+/, ' promiscuity N')
        : block
    )
    .join('')
}

const nameOf = (block: string) => /^N: ([^:@]+)/.exec(block)?.[1] ?? ''

function cutRoutes(body: string, { spans, cards }: Ours): string {
  return lines(body)
    .filter((line) => {
      const device = / dev (\S+)/.exec(line)?.[1] ?? ''
      return !spans.includes(device) && !(cards.includes(device) && /proto kernel|ff00::/.test(line))
    })
    .map((line) => line.replace(/ (?:linkdown|dead)\b/g, ''))
    .sort()
    .join('\n')
}

function cutQdiscs(body: string, { spans }: Ours): string {
  return lines(body)
    .filter((line) => !line.includes('clsact') && !spans.some((span) => line.includes(` dev ${span} `)))
    .join('\n')
}

function cutFilters(body: string): string {
  return lines(body)
    .map((line) => line.replace(/^\[|\]$/g, ''))
    .filter((line) => !/"pref":(?:8|65535),"kind":"bpf","chain":0/.test(line))
    .join('\n')
}

function cutFeatures(body: string, { spans, cards }: Ours): string {
  return body
    .split(/^(?=Features for )/m)
    .filter((block) => !spans.includes(/^Features for ([^:]+)/.exec(block)?.[1] ?? ''))
    .map((block) =>
      cards.includes(/^Features for ([^:]+)/.exec(block)?.[1] ?? '')
        ? block.replace(/^(?:generic-receive-offload|large-receive-offload|rx-gro-hw):.*\n/gm, '')
        : block
    )
    .join('')
}

function cutIpv6(body: string, { spans, cards }: Ours): string {
  return lines(body)
    .filter((line) => ![...spans, ...cards].includes(line.split('/')[6] ?? ''))
    .join('\n')
}

function cutTables(body: string): string {
  return body.replace(/^table (?:inet|bridge) spanplan_[\s\S]*?^}\n?/gm, '')
}

const lines = (text: string) => text.split('\n').filter((line) => line !== '')
