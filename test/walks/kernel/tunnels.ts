/** The tunnels that files may have, as sources and as outputs; and the interfaces that are outputs. */
import { run } from '../../../src/host/exec.ts'
import { keysOf } from '../../../src/keys.ts'
import { tunnelName } from '../../../src/resources/marks.ts'
import { loadSpec } from '../../../src/spec/load.ts'
import type { TunnelProtocol } from '../../../src/spec/sources/tunnel-spec.ts'

/** A name of spans: no two have a tunnel or an interface in common, for the kernel has one link for what tells packets apart. */
export const names = ['a', 'b'] as const
export type Name = (typeof names)[number]

/** An address of the host, and one beyond its interface own0. */
const here = '10.99.0.1'
const there = '10.97.0.9'

/** The first of a name's numbers. */
const first = (name: Name) => names.indexOf(name) * 10

const sources = {
  'vxlan 0': (name: Name) => ({ vxlan: { id: first(name), port: 4789 } }),
  'vxlan 1': (name: Name) => ({ vxlan: { id: first(name) + 1, port: 4789 } }),
  'gretap 0': (name: Name) => ({ gretap: { local: here, key: first(name) } }),
  'gretap 1': (name: Name) => ({ gretap: { local: here, key: first(name) + 1, remote: there } }),
  'erspan 0': (name: Name) => ({ erspan: { local: here, session: first(name) } }),
  'erspan 1': (name: Name) => ({ erspan: { local: here, session: first(name) + 1, type: 3 } })
} as const

const outputs = {
  interface: (name: Name) => ({ interface: outputCards[name] }),
  'vxlan 2': (name: Name) => ({ vxlan: { id: 100 + first(name), remote: there } }),
  'vxlan 3': (name: Name) => ({ vxlan: { id: 101 + first(name), remote: there, local: here, port: 4790 } }),
  'gretap 2': (name: Name) => ({ gretap: { remote: there, key: 100 + first(name) } }),
  'erspan 2': (name: Name) => ({ erspan: { remote: there, session: 100 + first(name) } })
} as const

/** The cards of the lab that are outputs, and never sources. */
export const outputCards: Readonly<Record<Name, string>> = { a: 'ens384', b: 'ens416' }

export type Source = keyof typeof sources
export type Output = keyof typeof outputs

/** The source as the file of a name has it. */
export const writeTunnel = (name: Name, source: Source): object => sources[source](name)

/** The output as the file of a name has it. */
export const writeOutput = (name: Name, output: Output): object => outputs[output](name)

/** Whether a file can choose who sends into it: with `remote`, there is one sender already. */
export const choosesSenders = (source: Source): boolean => source !== 'gretap 1'

const protocolOf = (one: Source | Output) => one.split(' ')[0]

/** What of it a kernel with these tunnels has. */
export interface Alphabet {
  readonly sources: readonly Source[]
  readonly outputs: readonly Output[]
}

/**
 * Asks the kernel of this machine which tunnels it has, in a network namespace that ends with the question. It loads their modules: then
 * gre0, gretap0 and erspan0 are in each lab from its beginning on.
 */
export async function readAlphabet(): Promise<Alphabet> {
  const asked = Object.entries(probes).map(async ([protocol, options]) => {
    const link = ['ip', 'link', 'add', 'dev', 'asked', 'type', protocol, ...options.split(' ')]
    const { status } = await run(['unshare', '--net', ...link])
    return status === 0 ? [protocol] : []
  })
  const there: readonly (string | undefined)[] = ['interface', ...(await Promise.all(asked)).flat()]
  const isThere = (one: Source | Output) => there.includes(protocolOf(one))
  return { sources: keysOf(sources).filter(isThere), outputs: keysOf(outputs).filter(isThere) }
}

const probes: Readonly<Record<TunnelProtocol, string>> = {
  vxlan: 'id 1 dstport 4789',
  gretap: `local ${here} key 1`,
  erspan: `local ${here} seq key 1 erspan_ver 1`
}

/** The link that the source of a name ends in. */
export function sourceLink(name: Name, source: Source): string {
  return linkOf(name, { sources: [writeTunnel(name, source)] })
}

/** The link that the frames of a name leave by. */
export function outputLink(name: Name, output: Output): string {
  return output === 'interface'
    ? outputCards[name]
    : linkOf(name, { sources: [{ interface: 'eth0' }], outputs: [writeOutput(name, output)] })
}

function linkOf(name: Name, span: object): string {
  const bytes = Buffer.from(JSON.stringify({ version: 1, name, spans: { span } }))
  const [{ sources, outputs } = { sources: [], outputs: [] }] = loadSpec([{ path: 'spans.yaml', bytes }]).spans
  const [tunnel] = [...sources, ...outputs].flatMap((one) => ('tunnel' in one ? one.tunnel : []))
  if (tunnel === undefined) throw new Error('no tunnel')
  return tunnelName(name, tunnel)
}

/** The links of all that a file may have. */
export const allLinks: readonly string[] = names.flatMap((name) => [
  ...keysOf(sources).map((source) => sourceLink(name, source)),
  ...keysOf(outputs).map((output) => outputLink(name, output))
])
