import type { HostIndex } from '../../host/host-index.ts'
import type { Arrival, Datagram } from '../../host/nftables/arrival.ts'
import { type Barrier, type BaseChain, type Firewall, findBarriers } from '../../host/nftables/firewall.ts'
import { shellLine } from '../../host/quote-command.ts'
import { findInterface, matchOf } from '../../resources/sources/find-interface.ts'
import { hostKindOf } from '../../resources/sources/registry.ts'
import { isUnicast } from '../../spec/sources/tunnel-spec.ts'
import type { Spec } from '../../spec/spec.ts'
import { familyOf } from '../../spec/values/ip-address.ts'
import { type Check, type Finding, ok, orOk, unknown, warning, whenKnown } from '../finding.ts'

/** What senders send to this host has to pass each of its chains, also those of other programs than the host's firewall. */
export const firewall: Check = ({ file, firewall, host }) => {
  if (file.state !== 'valid') return [ok('nothing to check: no file says what this host has to let in')]
  const { spec } = file.target
  const needed = spec.spans.flatMap(({ name, sources }) =>
    sources.flatMap((source) =>
      (hostKindOf(source).needs(source, spec).datagrams ?? []).map((datagram) => ({ span: name, datagram }))
    )
  )
  if (needed.length === 0) return [ok('nothing to check: no source is a tunnel, and what outputs send is not checked')]
  return whenKnown(firewall, (known) => {
    const links = 'known' in host ? host.known : null
    const findings = needed.flatMap(({ span, datagram }) => checkDatagram(datagram, span, known, spec, links))
    return orOk(findings, 'each chain of nftables lets in what senders send into a tunnel')
  })
}

/** What a chain does with what each sender sends. */
interface Met extends Barrier {
  readonly sender: string | null
}

function checkDatagram(
  datagram: Datagram,
  span: string,
  firewall: Firewall,
  spec: Spec,
  host: HostIndex | null
): Finding[] {
  const place = host === null ? { receivers: null, interfaces: null, devices: null } : findPlace(datagram, spec, host)
  const senders = datagram.senders.length > 0 ? datagram.senders : [null]
  const met = senders.flatMap((sender) =>
    findBarriers(firewall, { ...datagram, ...place, sender }).map((one): Met => ({ ...one, sender }))
  )
  const keyOf = ({ chain }: Met) => JSON.stringify(chain)
  return [...new Set(met.map(keyOf))].flatMap((key) => {
    const all = met.filter((one) => keyOf(one) === key)
    const closed = all.filter(({ isClosed }) => isClosed)
    const [first] = closed.length > 0 ? closed : all
    if (first === undefined) return []
    const written = writeDatagram(datagram)
    const isSome = first.sender !== null && closed.length < senders.length
    const from = isSome ? ` from ${closed.map(({ sender }) => sender).join(', ')}` : ''
    return first.isClosed
      ? closedFinding(first.chain, `${written.title}${from}`, span, firewall, written)
      : unknown(writeUndecided(first, written.title))
  })
}

/** Where on this host a datagram comes in. */
function findPlace(
  { family, receiver, interface: wanted }: Datagram,
  spec: Spec,
  host: HostIndex
): Pick<Arrival, 'receivers' | 'interfaces' | 'devices'> {
  const own = ({ address }: { readonly address: string }) =>
    familyOf(address) === family && (receiver === null ? isUnicast(address) : address === receiver)
  const found = wanted === null ? undefined : findInterface(matchOf(spec, wanted), host)
  const links =
    wanted === null
      ? host.links.filter(({ type, addresses }) => type !== 'loopback' && addresses.some(own))
      : host.links.filter((link) => link === found)
  const receivers = receiver === null ? host.links.flatMap(({ addresses }) => addresses).filter(own) : []
  // A VRF gets what comes on its members.
  const isTold = links.length > 0 && links.every(({ master }) => master === null)
  const below = new Set(links)
  // A set takes what is added while it is iterated.
  for (const link of below) {
    const lower = host.linkAt(link.lower)
    for (const one of [...host.membersOf(link.name), ...(lower === undefined ? [] : [lower])]) below.add(one)
  }
  return {
    receivers: receiver === null ? receivers.map(({ address }) => address) : [receiver],
    interfaces: isTold ? links.map(({ name }) => name) : null,
    devices: isTold ? [...below].map(({ name }) => name) : null
  }
}

function writeUndecided({ chain: { table, name }, rule }: Barrier, title: string): string {
  const [family, ofTable] = table
  const chain = rule?.chain ?? name
  const shown = shellLine(['nft', '-a', 'list', 'chain', family, ofTable, chain])
  const where = `the chain ${name} of the table ${family} ${ofTable}`
  const why =
    rule === null
      ? 'it drops what comes on some interfaces'
      : `see the rule with the handle ${rule.handle}${chain === name ? '' : ` of the chain ${chain}`}`
  return `whether ${where} lets in ${title} is not certain: ${why} (${shown})`
}

function closedFinding(
  chain: BaseChain,
  title: string,
  span: string,
  firewall: Firewall,
  { firewalld, ufw, nft }: ReturnType<typeof writeDatagram>
): Finding {
  const [family, table] = chain.table
  const isOf = (prefix: string) => firewall.chains.some(({ name }) => name.startsWith(prefix))
  const command =
    table === 'firewalld'
      ? ['firewall-cmd', firewalld]
      : isOf('ufw-')
        ? ['ufw', 'allow', ...ufw]
        : ['nft', 'insert', 'rule', family, table, chain.name, ...nft, 'accept']
  const where = `the chain ${chain.name} of the table ${family} ${table}`
  return warning(
    `${where} drops ${title}: span ${span} gets nothing of that. What lasts is what the firewall's own files say`,
    shellLine(command)
  )
}

/** What senders send, in words, and what lets it in: of each tool, its arguments. */
function writeDatagram({ protocol, port }: Pick<Datagram, 'protocol' | 'port'>) {
  const name = protocol.toUpperCase()
  return port === null
    ? {
        title: `all that comes with ${name}`,
        firewalld: `--add-protocol=${protocol}`,
        ufw: ['proto', protocol, 'from', 'any', 'to', 'any'],
        nft: ['meta', 'l4proto', protocol]
      }
    : {
        title: `what comes to ${name} port ${port}`,
        firewalld: `--add-port=${port}/${protocol}`,
        ufw: [`${port}/${protocol}`],
        nft: [protocol, 'dport', String(port)]
      }
}
