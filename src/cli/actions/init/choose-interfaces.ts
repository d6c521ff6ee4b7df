import type { ListedInterface } from '../../../discover/interface-list.ts'
import { diagnostic, SpanplanError } from '../../../errors.ts'
import { printable, quote } from '../../../printable.ts'
import { ask } from '../../input/ask.ts'

/**
 * Chooses the sources among those that are listed: a person does, or, where there is no terminal, what they look like.
 *
 * @throws SpanplanError SOURCE_UNCHOSEN, NOT_CONFIRMED.
 */
export async function chooseInterfaces(listed: readonly ListedInterface[]): Promise<readonly ListedInterface[]> {
  const likely = listed.filter(({ verdict }) => verdict.kind === 'mirror')
  const canAsk = process.stdin.isTTY === true && listed.length > 0
  if (!canAsk && likely.length > 0) return likely
  if (!canAsk) {
    const message = 'no interface looks like a mirror port, and none was named. Nothing was written.'
    throw new SpanplanError(diagnostic('SOURCE_UNCHOSEN', message, 'name one: spanplan init --interface NAME'))
  }
  const numbers = likely.map((one) => listed.indexOf(one) + 1).join(' ')
  const byDefault = numbers === '' ? '' : ` [${numbers}]`
  const question = `Which are to be sources? Their numbers or names, or q for none${byDefault}:`
  const chosen = await ask(question, (answer) => readChoice(answer, listed, likely))
  if (chosen !== null && chosen !== 'none') return chosen
  throw new SpanplanError(diagnostic('NOT_CONFIRMED', 'no interface was chosen. Nothing was written.'))
}

/** Reads an answer. undefined: it is not clear, and a line says why. */
function readChoice(
  answer: string,
  listed: readonly ListedInterface[],
  likely: readonly ListedInterface[]
): readonly ListedInterface[] | 'none' | undefined {
  const words = answer.split(/[\s,]+/).filter((word) => word !== '')
  if (words.length === 0 && likely.length > 0) return likely
  if (words.length === 1 && /^(q|quit)$/i.test(words[0] ?? '')) return 'none'
  // A name of digits alone is chosen by its number.
  const find = (word: string) =>
    /^\d+$/.test(word) ? listed[Number(word) - 1] : listed.find(({ link }) => link.name === word)
  const unknown = words.find((word) => find(word) === undefined)
  if (unknown === undefined && words.length > 0) return [...new Set(words.flatMap((word) => find(word) ?? []))]
  const names = listed.map(({ link }) => printable(link.name)).join(', ')
  const why = unknown === undefined ? 'There is no answer' : `${quote(unknown)} is not in the list`
  process.stderr.write(`${why}: 1 to ${listed.length}, or ${names}.\n`)
  return undefined
}
