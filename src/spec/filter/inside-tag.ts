import { isKeyword, readTokens, type Token } from './tokens.ts'

/**
 * The words after which libpcap looks inside of what they name, whether the frame has it or not (pcap-filter(7), `vlan`: "changes
 * the decoding offsets for the remainder of the expression").
 */
const wrappers: ReadonlyMap<string, string> = new Map([
  ['vlan', 'behind a VLAN tag'],
  ['mpls', 'behind an MPLS label'],
  ['pppoes', 'in a PPPoE session'],
  ['geneve', 'in a Geneve tunnel'],
  ['vxlan', 'in a VXLAN tunnel']
])

/** The words of what stays where it is behind a tag: measured with libpcap 1.10, as all that this file says. */
const fixed: ReadonlySet<string> = new Set(
  'less greater len length inbound outbound ifindex broadcast multicast'.split(' ')
)

/** In these, the inner frame has a header of its own. */
const tunnels: ReadonlySet<string> = new Set(['geneve', 'vxlan'])

function isFixed(part: Node, wrapper: Node, tokens: readonly Token[]): boolean {
  const [text = '', next] = tokens.slice(part.from, part.from + 2).map((token) => token.text)
  if (tunnels.has(tokens[wrapper.from]?.text ?? '')) return false
  return fixed.has(text) || (text === 'ether' && next !== 'proto')
}

/** A part of an expression that is looked for inside of what the expression says a frame need not have. */
export interface InsideTag {
  /** The part's position in the expression. */
  readonly at: number
  /** The part, such as `udp`. */
  readonly part: string
  /** The word that moves it, such as `vlan`. */
  readonly wrapper: string
  /** Where the part is looked for. */
  readonly where: string
  /** An expression in which the part stands left of the word; null: there is none that is sure. */
  readonly better: string | null
}

/** Tokens of an expression: the index of the first, and that behind the last. */
interface Range {
  readonly from: number
  readonly to: number
}

interface Join extends Range {
  readonly kind: 'and' | 'or'
  readonly left: Node
  readonly right: Node
}

/** An expression as libpcap reads it: `and` and `or` bind alike, from left to right. */
type Node =
  | Join
  | (Range & { readonly kind: 'not' | 'group'; readonly inner: Node })
  | (Range & { readonly kind: 'primitive' })

/**
 * Finds the first part of a valid expression that is looked for inside a tag though it counts for frames without that tag, too.
 * `vlan 5 and udp` has none: `udp` counts only behind the tag. `not vlan 5 and udp` and `vlan 5 or udp` have.
 */
export function findInsideTag(expression: string): InsideTag | null {
  const tokens = readTokens(expression)
  if (tokens.length > mostTokens || !tokens.some(({ text }) => wrappers.has(text))) return null
  const found = findMovedIn(tokens)
  if (found === null) return null
  const { node, wrapper, join } = found
  const better = reorder(expression, tokens, join, wrapper)
  const isBetter = better !== null && findMovedIn(readTokens(better)) === null
  const word = tokens[wrapper.from]?.text ?? ''
  return {
    at: tokens[node.from]?.at ?? 0,
    part: textOf(expression, tokens, node),
    wrapper: word,
    where: wrappers.get(word) ?? '',
    better: isBetter ? better : null
  }
}

/** The kernel accepts no filter that is much longer. */
const mostTokens = 3000

const findMovedIn = (tokens: readonly Token[]) => findMoved(parse(tokens, 0, tokens.length), tokens)

const joinWords: ReadonlyMap<string, Join['kind']> = new Map([
  ['and', 'and'],
  ['&&', 'and'],
  ['or', 'or'],
  ['||', 'or']
])

/** Parses the tokens from one index to before another. */
function parse(tokens: readonly Token[], from: number, to: number): Node {
  const joins: { readonly at: number; readonly kind: Join['kind'] }[] = []
  let depth = 0
  for (let at = from; at < to; at++) {
    const text = tokens[at]?.text ?? ''
    if (text === '(' || text === '[') depth++
    if (text === ')' || text === ']') depth--
    const kind = joinWords.get(text)
    if (depth <= 0 && kind !== undefined) joins.push({ at, kind })
  }
  let node = parseOperand(tokens, from, joins[0]?.at ?? to)
  for (const [place, { at, kind }] of joins.entries()) {
    const end = joins[place + 1]?.at ?? to
    node = { kind, from, to: end, left: node, right: parseOperand(tokens, at + 1, end) }
  }
  return node
}

function parseOperand(tokens: readonly Token[], from: number, to: number): Node {
  const text = tokens[from]?.text
  if (text === 'not' || text === '!') return { kind: 'not', from, to, inner: parseOperand(tokens, from + 1, to) }
  // Brackets around a number are a part of a primitive: (len + 4) > 100.
  if (text === '(' && closingOf(tokens, from) === to - 1) {
    return { kind: 'group', from, to, inner: parse(tokens, from + 1, to - 1) }
  }
  return { kind: 'primitive', from, to }
}

function closingOf(tokens: readonly Token[], open: number): number {
  let depth = 0
  return tokens.findIndex(({ text }, index) => {
    if (index < open) return false
    if (text === '(') depth++
    if (text === ')') depth--
    return depth === 0
  })
}

/** A wrapper on the left. Frames without its tag count too, on the right of a part of the expression. */
interface Wrapper {
  readonly wrapper: Node
  /** The part of the expression with the wrapper on its left, and what it moves on its right. */
  readonly join: Join
}

interface Moved extends Wrapper {
  readonly node: Node
}

/** @param around the whole chain of operands that are joined alike, if the node is its beginning. */
function findMoved(
  node: Node,
  tokens: readonly Token[],
  before: readonly Wrapper[] = [],
  around: Join | null = null
): Moved | null {
  if (node.kind === 'primitive') {
    const moving = before.find(({ wrapper }) => !isFixed(node, wrapper, tokens))
    return moving === undefined ? null : { node, ...moving }
  }
  if ('inner' in node) return findMoved(node.inner, tokens, before)
  const { kind, left, right } = node
  const chain = around?.kind === kind ? around : node
  const unsure = wrappersIn(left, tokens).filter((wrapper) => kind === 'or' || !implies(left, wrapper))
  const inside = unsure.map((wrapper): Wrapper => ({ wrapper, join: chain }))
  return findMoved(left, tokens, before, chain) ?? findMoved(right, tokens, [...before, ...inside])
}

function wrappersIn(node: Node, tokens: readonly Token[]): readonly Node[] {
  if (node.kind === 'primitive') return wrappers.has(tokens[node.from]?.text ?? '') ? [node] : []
  if ('inner' in node) return wrappersIn(node.inner, tokens)
  return [...wrappersIn(node.left, tokens), ...wrappersIn(node.right, tokens)]
}

/** Whether a frame that matches has the tag. */
function implies(node: Node, wrapper: Node): boolean {
  if (node.kind === 'and') return implies(node.left, wrapper) || implies(node.right, wrapper)
  return node === wrapper || (node.kind === 'group' && implies(node.inner, wrapper))
}

/** The expression with the operand of the wrapper last among those that are joined alike. */
function reorder(expression: string, tokens: readonly Token[], join: Join, wrapper: Node): string | null {
  const operands = operandsOf(join, join.kind)
  const isComplete = operands.every(({ from }) => {
    const { kind, text = '' } = tokens[from] ?? {}
    return (kind === 'keyword' && isKeyword(text)) || text === '(' || text === '!'
  })
  const isLast = (one: Node) => one.from <= wrapper.from && wrapper.to <= one.to
  const ordered = [...operands.filter((one) => !isLast(one)), ...operands.filter(isLast)]
  const [first] = operands
  const start = first && tokens[first.from]?.at
  const last = tokens[join.to - 1]
  if (!isComplete || start === undefined || last === undefined) return null
  const text = ordered.map((one) => textOf(expression, tokens, one)).join(` ${join.kind} `)
  return `${expression.slice(0, start)}${text}${expression.slice(last.at + last.text.length)}`
}

function operandsOf(node: Node, kind: 'and' | 'or'): readonly Node[] {
  return node.kind === kind ? [...operandsOf(node.left, kind), node.right] : [node]
}

function textOf(expression: string, tokens: readonly Token[], { from, to }: Node): string {
  const last = tokens[to - 1]
  return expression.slice(tokens[from]?.at ?? 0, last === undefined ? undefined : last.at + last.text.length)
}
