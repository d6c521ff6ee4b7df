import { quote } from '../../printable.ts'
import { suggestWords } from '../schema/did-you-mean.ts'
import { alignSubnet, readSubnet, writeSubnet } from '../values/subnet.ts'
import { recogniseDisplayFilter, translateApplication } from './display-filter.ts'
import { findNames, isKeyword, readTokens, type Token } from './tokens.ts'

/** Where an expression that tcpdump refuses is wrong, as far as that can be told, and what to write. */
export interface Explanation {
  /** A position in the expression; null: not even tcpdump tells. */
  readonly at: number | null
  readonly hint: string
}

/** The words that are meant by most slips. */
const usualWords =
  'and or not host net port portrange proto src dst tcp udp icmp icmp6 ip ip6 arp vlan mpls ether broadcast multicast less greater mask'.split(
    ' '
  )

const manual = 'see pcap-filter(7)'

/** What tcpdump says of a word, with the word or its beginning, and a hint. Other words are found by their quotes. */
const namedWords: readonly (readonly [pattern: RegExp, hint: string | ((word: string) => string)])[] = [
  [/non-network bits set in "([^"]+)"/, suggestNetwork],
  [/invalid IPv4 address '([^']+)'/, () => 'an IPv4 address has four numbers from 0 to 255'],
  [/mask length must be/, () => 'the length of a prefix is 32 at most, and 128 with IPv6'],
  [/illegal port number (\d+)/, () => 'a port is a number from 0 to 65535'],
  [/VLAN tag (\d+) greater/, () => 'a VLAN is a number from 0 to 4095'],
  [/bogus ethernet address ([0-9A-Fa-f:]*[0-9A-Fa-f])/, () => 'a MAC address has six parts, as in 00:1b:21:aa:00:01'],
  [/bogus IPv6 address (\S+)/, () => 'an IPv6 address has eight parts, or fewer and "::" once'],
  [/unknown port '([^']+)'/, () => 'a port is a number, or a name that is in /etc/services'],
  [/unknown (?:\S+ )?(?:proto|protocol) '([^']+)'/, (word) => suggestWords(word, usualWords) ?? manual],
  [/unknown \S+(?: \S+)? '([^']+)'/, (word) => suggestWords(word, usualWords) ?? manual],
  [/'([^']+)' not supported/, () => manual]
]

/** Explains why tcpdump refuses an expression. `said` is what tcpdump says. */
export function explainRefusal(expression: string, said: string): Explanation {
  const tokens = readTokens(expression)
  for (const [pattern, hint] of namedWords) {
    const found = pattern.exec(said)
    if (!found) continue
    const [, word = ''] = found
    const at = word === '' ? -1 : (tokens.find(({ text }) => text === word)?.at ?? expression.indexOf(word))
    return { at: at === -1 ? null : at, hint: typeof hint === 'string' ? hint : hint(word) }
  }
  if (!/syntax error/.test(said)) return { at: null, hint: manual }
  return explainSyntaxError(expression, tokens) ?? { at: null, hint: manual }
}

function suggestNetwork(text: string): string {
  const subnet = readSubnet(text)
  return subnet ? `did you mean "net ${writeSubnet(alignSubnet(subnet))}"? For one address, write "host"` : manual
}

/** tcpdump does not tell where a syntax error is. */
function explainSyntaxError(expression: string, tokens: readonly Token[]): Explanation | undefined {
  const display = recogniseDisplayFilter(expression)
  if (display !== undefined) {
    const { at, translation } = display
    const what =
      translation === undefined ? 'this file takes the capture filters of pcap-filter(7)' : `write: ${translation}`
    return { at, hint: `a Wireshark display filter? ${what}` }
  }
  const strange = tokens.find(({ kind }) => kind === 'strange')
  if (strange) return { at: strange.at, hint: strangeHints[strange.text] ?? 'no filter has this character' }
  return explainName(tokens) ?? explainBrackets(tokens) ?? explainOrder(tokens)
}

const strangeHints: Readonly<Record<string, string>> = {
  ',': 'join the parts with "or"',
  ';': 'join the parts with "or"',
  '#': 'a filter has no comments',
  '"': 'a filter has no quotes',
  "'": 'a filter has no quotes',
  '~': 'a filter compares numbers only; the sensor can look into the text of packets'
}

/** A word that stands where no name can stand. */
function explainName(tokens: readonly Token[]): Explanation | undefined {
  const found = findNames(tokens).find(({ stands }) => stands === null)
  if (found === undefined) return undefined
  const { text, at } = found.token
  const lower = text.toLowerCase()
  if (isKeyword(lower)) return { at, hint: `write it in lower case: ${lower}` }
  const application = translateApplication(text)
  if (application !== undefined)
    return { at, hint: `${quote(text)} is no word of pcap-filter(7): write ${application}` }
  const hint = suggestWords(text, usualWords) ?? `${quote(text)} is no word of pcap-filter(7)`
  return { at, hint }
}

const closing: Readonly<Record<string, string>> = { '(': ')', '[': ']' }

function explainBrackets(tokens: readonly Token[]): Explanation | undefined {
  const open: Token[] = []
  for (const token of tokens) {
    if (token.kind !== 'sign') continue
    if (token.text in closing) open.push(token)
    if (token.text !== ')' && token.text !== ']') continue
    if (closing[open.pop()?.text ?? ''] !== token.text)
      return { at: token.at, hint: `nothing opens this ${token.text}: take it out` }
  }
  const last = open.at(-1)
  if (last === undefined) return undefined
  return { at: last.at, hint: `this ${last.text} is never closed: write the ${closing[last.text]} that belongs to it` }
}

const joins: ReadonlySet<string> = new Set(['and', 'or', '&&', '||'])
/** Words that a value follows. */
const typed: ReadonlySet<string> = new Set(['host', 'net', 'port', 'portrange', 'proto', 'src', 'dst'])

const misspeltJoin = ({ kind, text }: Token) => (kind === 'name' ? suggestWords(text, ['and', 'or']) : undefined)

/** Two tokens that cannot follow each other. */
function explainOrder(tokens: readonly Token[]): Explanation | undefined {
  const [first] = tokens
  const last = tokens.at(-1)
  if (first && joins.has(first.text))
    return { at: first.at, hint: `nothing stands before ${quote(first.text)}: take it out` }
  if (first?.kind === 'value') {
    const word = /[.:-]/.test(first.text) ? 'host' : 'port'
    return { at: first.at, hint: `say what it is: ${word} ${first.text}` }
  }
  for (const [index, token] of tokens.entries()) {
    const before = tokens[index - 1]
    if (before === undefined) continue
    const { at, text } = token
    if ((typed.has(before.text) || before.text === 'vlan') && (text === '=' || text === '=='))
      return { at, hint: `take the ${quote(text)} out: ${before.text} ${tokens[index + 1]?.text ?? ''}` }
    if (joins.has(before.text) && joins.has(text))
      return { at, hint: `take this ${quote(text)} out, or the one before` }
    const isValue = before.kind === 'value' || before.kind === 'name' || before.text === ')'
    const begins = token.kind === 'value' || token.kind === 'name' || text === '(' || text === 'not' || text === '!'
    const isKey = token.kind === 'keyword' && !joins.has(text) && text !== 'mask'
    if (isValue && (begins || isKey))
      return { at, hint: misspeltJoin(token) ?? `write "and" or "or" before ${quote(text)}` }
  }
  if (last && (joins.has(last.text) || typed.has(last.text) || last.text === 'not' || last.text === '!')) {
    return { at: last.at, hint: `nothing follows ${quote(last.text)}` }
  }
  return undefined
}
