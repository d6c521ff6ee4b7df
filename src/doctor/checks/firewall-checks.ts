import type { HostIndex } from '../../host/host-index.ts'
import { type Barrier, type BaseChain, type Firewall, findBarriers } from '../../host/nftables/firewall.ts'
import type { Datagram, Passage } from '../../host/nftables/passage.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { Link } from '../../host/snapshot.ts'
import { outputKindOf } from '../../resources/outputs/registry.ts'
import { findInterface, matchOf } from '../../resources/sources/find-interface.ts'
import { hostKindOf } from '../../resources/sources/registry.ts'
import { isUnicast, type TunnelWay } from '../../spec/sources/tunnel-spec.ts'
import type { Spec } from '../../spec/spec.ts'
import { familyOf } from '../../spec/values/ip-address.ts'
import { type Check, type Finding, ok, orOk, unknown, warning, whenKnown } from '../finding.ts'

/** What the findings say of what comes to this host, and of what it sends. */
const words = {
  in: {
    passes: 'lets in',
    some: 'it drops what comes on some interfaces',
    loss: 'gets nothing of that',
    well: 'each chain of nftables lets in what senders send into a tunnel'
  },
  out: {
    passes: 'lets out',
    some: 'it drops what leaves by some interfaces',
    loss: 'sends nothing by it',
    well: 'each chain of nftables lets out what outputs send'
  }
} as const satisfies Record<TunnelWay, unknown>

/**
 * What senders send to this host, and what it sends to others, has to pass each chain on its way, also those of other programs than the
 * host's firewall.
 */
export const firewall: Check = ({ file, firewall, host }) => {
  if (file.state !== 'valid') return [ok('nothing to check: no file says what this host has to let in or out')]
  const { spec } = file.target
  const needed = spec.spans.flatMap(({ name, sources, outputs }) => {
    const received = sources.flatMap((source) => hostKindOf(source).needs(source, spec).datagrams ?? [])
    const sent = outputs.flatMap((output) => outputKindOf(output).datagrams(output))
    return [...received, ...sent].map((datagram) => ({ span: name, datagram }))
  })
  if (needed.length === 0) return [ok('nothing to check: neither a source nor an output is a tunnel')]
  return whenKnown(firewall, (known) => {
    const links = 'known' in host ? host.known : null
    return (['in', 'out'] as const).flatMap((way) => {
      const those = needed.filter(({ datagram }) => datagram.way === way)
      const findings = those.flatMap(({ span, datagram }) => checkDatagram(datagram, span, known, spec, links))
      return those.length === 0 ? [] : orOk(findings, words[way].well)
    })
  })
}

function checkDatagram(
  datagram: Datagram,
  span: string,
  firewall: Firewall,
  spec: Spec,
  host: HostIndex | null
): Finding[] {
  const passages = findPassages(datagram, spec, host)
  const met = passages.flatMap((passage) => findBarriers(firewall, passage).map((one) => ({ ...one, passage })))
  const keyOf = ({ chain }: Barrier) => JSON.stringify(chain)
  return [...new Set(met.map(keyOf))].flatMap((key) => {
    const all = met.filter((one) => keyOf(one) === key)
    const closed = all.filter(({ isClosed }) => isClosed)
    const [first] = closed.length > 0 ? closed : all
    if (first === undefined) return []
    const written = writeDatagram(datagram)
    const isSome = closed.length < passages.length
    const from = isSome ? ` from ${closed.flatMap(({ passage }) => passage.senders ?? []).join(', ')}` : ''
    return first.isClosed
      ? closedFinding(first.chain, `${written.title}${from}`, span, firewall, written)
      : unknown(writeUndecided(first, written))
  })
}

/** How a datagram passes this host: what comes, once for each that may send. */
function findPassages(datagram: Datagram, spec: Spec, host: HostIndex | null): Passage[] {
  const { way, receiver, senders } = datagram
  const nowhere = { receivers: receiver === null ? null : [receiver], interfaces: null, devices: null }
  if (way === 'in') {
    const place = host === null ? nowhere : findEntry(datagram, spec, host)
    const each = senders.length > 0 ? senders.map((sender) => [sender]) : [null]
    return each.map((one) => ({ ...datagram, ...place, senders: one }))
  }
  const chosen = senders.length > 0 ? senders : null
  if (host === null) return [{ ...datagram, ...nowhere, senders: chosen }]
  const known = host.ways?.find(({ remote, local }) => remote === receiver && local === (senders[0] ?? null))
  const link = host.linkOf(known?.device ?? null)
  const place = describeLinks(link === undefined ? [] : [link], host)
  return [{ ...datagram, ...nowhere, ...place, senders: chosen ?? addressesOf(datagram, host) }]
}

/** The addresses of this host by which it can reach others. */
function addressesOf({ family }: Pick<Datagram, 'family'>, { links }: HostIndex): string[] {
  const all = links.flatMap(({ addresses }) => addresses).map(({ address }) => address)
  return all.filter((address) => familyOf(address) === family && isUnicast(address))
}

/** Where on this host a datagram comes in. */
function findEntry(
  { family, receiver, interface: wanted }: Datagram,
  spec: Spec,
  host: HostIndex
): Pick<Passage, 'receivers' | 'interfaces' | 'devices'> {
  const own = ({ address }: { readonly address: string }) =>
    familyOf(address) === family && (receiver === null ? isUnicast(address) : address === receiver)
  const found = wanted === null ? undefined : findInterface(matchOf(spec, wanted), host)
  const links =
    wanted === null
      ? host.links.filter(({ type, addresses }) => type !== 'loopback' && addresses.some(own))
      : host.links.filter((link) => link === found)
  const receivers = receiver === null ? addressesOf({ family }, host) : [receiver]
  return { receivers, ...describeLinks(links, host) }
}

/** The names of links of which a datagram passes one, and of what is below them. */
function describeLinks(links: readonly Link[], host: HostIndex): Pick<Passage, 'interfaces' | 'devices'> {
  // Of what its members carry, a VRF is the interface.
  const isTold = links.length > 0 && links.every(({ master }) => master === null)
  if (!isTold) return { interfaces: null, devices: null }
  const below = new Set(links)
  // A set takes what is added while it is iterated.
  for (const link of below) {
    const lower = host.linkAt(link.lower)
    for (const one of [...host.membersOf(link.name), ...(lower === undefined ? [] : [lower])]) below.add(one)
  }
  return { interfaces: links.map(({ name }) => name), devices: [...below].map(({ name }) => name) }
}

type Written = ReturnType<typeof writeDatagram>

function writeUndecided({ chain: { table, name }, rule }: Barrier, { title, passes, some }: Written): string {
  const [family, ofTable] = table
  const chain = rule?.chain ?? name
  const shown = shellLine(['nft', '-a', 'list', 'chain', family, ofTable, chain])
  const where = `the chain ${name} of the table ${family} ${ofTable}`
  const why =
    rule === null
      ? some
      : `see the rule with the handle ${rule.handle}${chain === name ? '' : ` of the chain ${chain}`}`
  return `whether ${where} ${passes} ${title} is not certain: ${why} (${shown})`
}

function closedFinding(
  chain: BaseChain,
  title: string,
  span: string,
  firewall: Firewall,
  { loss, firewalld, ufw, nft }: Written
): Finding {
  const [family, table] = chain.table
  const isOf = (prefix: string) => firewall.chains.some(({ name }) => name.startsWith(prefix))
  const command =
    table === 'firewalld' && firewalld !== null
      ? ['firewall-cmd', firewalld]
      : table !== 'firewalld' && isOf('ufw-')
        ? ['ufw', 'allow', ...ufw]
        : ['nft', 'insert', 'rule', family, table, chain.name, ...nft, 'accept']
  const where = `the chain ${chain.name} of the table ${family} ${table}`
  return warning(
    `${where} drops ${title}: span ${span} ${loss}. What lasts is what the firewall's own files say`,
    shellLine(command)
  )
}

/** What is sent, in words, and what lets it pass: of each tool, its arguments; null: it has no single command for that. */
function writeDatagram({ way, family, protocol, port, receiver }: Datagram) {
  const name = protocol.toUpperCase()
  const nft = port === null ? ['meta', 'l4proto', protocol] : [protocol, 'dport', String(port)]
  if (way === 'out') {
    const to = receiver ?? 'any'
    return {
      ...words.out,
      title: port === null ? `all that leaves with ${name} to ${to}` : `what leaves to ${name} port ${port} of ${to}`,
      firewalld: null,
      ufw: ['out', ...(port === null ? ['proto', protocol, 'from', 'any', 'to', to] : [`${port}/${protocol}`])],
      nft: [...(receiver === null ? [] : [family === 'inet' ? 'ip' : 'ip6', 'daddr', receiver]), ...nft]
    }
  }
  return {
    ...words.in,
    title: port === null ? `all that comes with ${name}` : `what comes to ${name} port ${port}`,
    firewalld: port === null ? `--add-protocol=${protocol}` : `--add-port=${port}/${protocol}`,
    ufw: port === null ? ['proto', protocol, 'from', 'any', 'to', 'any'] : [`${port}/${protocol}`],
    nft
  }
}
