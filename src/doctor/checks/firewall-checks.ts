import { type BaseChain, type Datagram, type Firewall, findClosedChains } from '../../host/nftables/firewall.ts'
import { shellLine } from '../../host/quote-command.ts'
import { hostKindOf } from '../../resources/sources/registry.ts'
import { type Check, type Finding, ok, orOk, warning, whenKnown } from '../finding.ts'

/** What senders send to this host has to pass each of its chains, also those of other programs than the host's firewall. */
export const firewall: Check = ({ file, firewall }) => {
  if (file.state !== 'valid') return [ok('nothing to check: no file says what this host has to let in')]
  const { spec } = file.target
  const needed = spec.spans.flatMap(({ name, sources }) =>
    sources.flatMap((source) =>
      (hostKindOf(source).needs(source, spec).datagrams ?? []).map((datagram) => ({ span: name, datagram }))
    )
  )
  if (needed.length === 0) return [ok('nothing to check: no source is a tunnel')]
  return whenKnown(firewall, (known) => {
    const findings = needed.flatMap(({ span, datagram }) =>
      findClosedChains(known, datagram).map((chain) => closedFinding(chain, datagram, span, known))
    )
    return orOk(findings, 'no chain of nftables drops what senders send into a tunnel')
  })
}

function closedFinding(chain: BaseChain, datagram: Datagram, span: string, firewall: Firewall): Finding {
  const [family, table] = chain.table
  const isOf = (prefix: string) => firewall.chains.some(({ name }) => name.startsWith(prefix))
  const { title, firewalld, ufw, nft } = writeDatagram(datagram)
  const command =
    table === 'firewalld'
      ? ['firewall-cmd', firewalld]
      : isOf('ufw-')
        ? ['ufw', 'allow', ...ufw]
        : ['nft', 'insert', 'rule', family, table, chain.name, ...nft, 'accept']
  const where = `the chain ${chain.name} of the table ${family} ${table}`
  return warning(
    `${where} drops ${title}: span ${span} gets nothing of its tunnel. What lasts is what the firewall's own files say`,
    shellLine(command)
  )
}

/** What senders send, in words, and what lets it in: of each tool, its arguments. */
function writeDatagram({ protocol, port }: Datagram) {
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
