/** A word or a sign of a pcap-filter(7) expression, as libpcap's scanner.l splits it. */
export interface Token {
  /**
   * `keyword`: a word of the language · `value`: a number or an address · `name`: any other word · `sign`: an operator or a
   * bracket · `strange`: a character that no expression has.
   */
  readonly kind: 'keyword' | 'value' | 'name' | 'sign' | 'strange'
  readonly text: string
  /** Its position in the expression. */
  readonly at: number
}

/** The words of libpcap 1.10's scanner.l. They are lower case. */
const keywords: ReadonlySet<string> = new Set(
  `dst src link ether ppp slip fddi tr wlan arp rarp ip sctp tcp udp icmp igmp igrp pim vrrp carp radio ip6 icmp6 ah esp atalk
  aarp decnet lat sca moprc mopdl iso esis es-is isis is-is l1 l2 iih lsp snp csnp psnp clnp stp ipx netbeui host net mask port
  portrange proto protochain gateway type subtype direction dir address1 addr1 address2 addr2 address3 addr3 address4 addr4 ra
  ta less greater byte broadcast multicast and or not len length inbound outbound ifindex vlan mpls pppoed pppoes geneve lane
  llc metac bcc oam oamf4 oamf4ec oamf4sc sc ilmic vpi vci connectmsg metaconnect on ifname rset ruleset rnr rulenum srnr
  subrulenum reason action fisu lssu lsu msu hfisu hlssu hmsu sio opc dpc sls hsio hopc hdpc hsls`.split(/\s+/)
)

/** Whether a word is one of the language. */
export const isKeyword = (word: string) => keywords.has(word)

const spaces = '[ \\t\\r\\n]+'
const address =
  '(?:[0-9A-Fa-f]{0,4}:){2,}[0-9A-Fa-f:.]*|(?:[0-9A-Fa-f]{1,2}[:-]){5}[0-9A-Fa-f]{1,2}|\\$[0-9A-Fa-f]{1,2}(?![\\w])'
const escaped = '\\\\[^ !()\\n\\t]+'
const word = '[A-Za-z0-9](?:[-_.A-Za-z0-9]*[.A-Za-z0-9])?'
const sign = '&&|\\|\\||[<>!=]=|<<|>>|[-+*/%:[\\]!<>()&|^=]'
const lexemes = new RegExp(`(?:${spaces})|(${address})|(${escaped})|(${word})|(${sign})|(.)`, 'gsuy')

/** Numbers, IPv4 addresses, MAC addresses without colons, and libpcap's names of numbers. */
const valueWord =
  /^(?:0x[0-9a-f]+|\d+(?:\.\d+){0,3}|[0-9a-f]{12}|[0-9a-f]{4}(?:\.[0-9a-f]{4}){2}|icmp6?(?:type|code)|(?:icmp6?|tcp)-[a-z0-9]+|tcpflags)$/i

/** Splits an expression. Every character belongs to a token or is a space. */
export function readTokens(expression: string): Token[] {
  const tokens: Token[] = []
  for (const found of expression.matchAll(lexemes)) {
    const [text, value, backslashed, plain, operator] = found
    const at = found.index
    if (value !== undefined) tokens.push({ kind: 'value', text, at })
    else if (backslashed !== undefined) tokens.push({ kind: 'name', text, at })
    else if (plain !== undefined) tokens.push({ kind: kindOf(plain), text, at })
    else if (operator !== undefined) tokens.push({ kind: 'sign', text, at })
    else if (text.trim() !== '') tokens.push({ kind: 'strange', text, at })
  }
  return tokens
}

function kindOf(text: string): Token['kind'] {
  if (isKeyword(text)) return 'keyword'
  return valueWord.test(text) ? 'value' : 'name'
}

/** The keywords after which a name stands for a host, and those after which it stands for something else. */
const beforeHost: ReadonlySet<string> = new Set(
  'host net mask gateway src dst ra ta addr1 addr2 addr3 addr4'.split(' ')
)
const beforeOther: ReadonlySet<string> = new Set(
  'port portrange proto protochain type subtype dir direction on ifname reason action rset ruleset llc'.split(' ')
)

const joins: ReadonlySet<string> = new Set(['and', 'or', 'not'])

/** A name, and what it stands for; null: no name can stand there. */
export interface Name {
  readonly token: Token
  readonly stands: 'host' | 'other' | null
}

/**
 * The names of an expression. In `host a or b`, `b` stands for a host too: a name that follows "and" or "or" stands for the same as the
 * name before it. A name that a value follows is no name: it is meant as a keyword.
 */
export function findNames(tokens: readonly Token[]): Name[] {
  let meaning: Name['stands'] = null
  return tokens.flatMap((token, index) => {
    if (token.kind === 'keyword' && !joins.has(token.text))
      meaning = beforeHost.has(token.text) ? 'host' : beforeOther.has(token.text) ? 'other' : null
    if (token.kind !== 'name') return []
    const next = tokens[index + 1]
    const isFollowed = next?.kind === 'value' || next?.kind === 'name'
    return [{ token, stands: isFollowed ? null : meaning }]
  })
}
