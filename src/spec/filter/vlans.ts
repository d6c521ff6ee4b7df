import { readTokens, type Token } from './tokens.ts'

/** The VLANs that an expression asks for, each once, and none that it negates; null: any of them (`vlan` without a number). */
export function askedVlans(expression: string): (number | null)[] {
  const tokens = withoutNegated(readTokens(expression))
  const asked = tokens.flatMap(({ text }, index) => (text === 'vlan' ? readNumber(tokens[index + 1]?.text ?? '') : []))
  return [...new Set(asked)]
}

/** The tokens but for the operands of `not`: a group, or all up to what joins operands. */
function withoutNegated(tokens: readonly Token[]): Token[] {
  const kept: Token[] = []
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at]
    if (token === undefined) break
    if (token.text !== 'not' && token.text !== '!') kept.push(token)
    else at = endOfOperand(tokens, at + 1) - 1
  }
  return kept
}

const joins: ReadonlySet<string> = new Set(['and', '&&', 'or', '||', ')'])

/** The index behind an operand. */
function endOfOperand(tokens: readonly Token[], from: number): number {
  let depth = 0
  for (let at = from; at < tokens.length; at++) {
    const text = tokens[at]?.text ?? ''
    if (depth === 0 && joins.has(text)) return at
    if (text === '(') depth++
    if (text === ')') depth--
  }
  return tokens.length
}

/** As strtoul(3) reads it, which libpcap calls; null: it is no number. */
function readNumber(text: string): number | null {
  if (/^0[0-7]+$/.test(text)) return Number.parseInt(text, 8)
  return /^(?:\d+|0x[0-9a-f]+)$/i.test(text) ? Number(text) : null
}
