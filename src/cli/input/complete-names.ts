import { statSync } from 'node:fs'
import { Exit, type ExitCode } from '../../errors.ts'
import { isPlainName, listInterfaces, listLiveSpans } from '../../look/kernel-names.ts'
import { indexNames, type NamedSpan } from '../../spec/span-names.ts'
import type { Session } from '../session.ts'
import { listedSpans } from './known-spans.ts'

/** What a shell may ask for: names, by what they are of. */
const lists = {
  spans: async (words: readonly string[]) => {
    const listed = await listFileSpans(words)
    const { nameOf } = indexNames(listed)
    return [...listed.map(({ name }) => name), ...listLiveSpans().map(nameOf)]
  },
  interfaces: async () => listInterfaces()
} as const satisfies Readonly<Record<string, (words: readonly string[]) => Promise<readonly string[]>>>

/** What a script for a shell may ask for. */
export type NameList = keyof typeof lists

/**
 * Prints names for a shell to complete a word with, each on a line. It is called while somebody types: it starts no program, asks neither
 * Docker nor the network, reads no pipe, and says nothing of what it cannot read. A name that a shell or a terminal could take for anything
 * else is left out.
 *
 * @param words what has been typed so far, after "spanplan".
 */
export async function completeCommand(
  _: Session,
  { kind, words }: { readonly kind: string; readonly words: readonly string[] }
): Promise<ExitCode> {
  const list = Object.entries(lists).find(([name]) => name === kind)?.[1]
  const names = (await list?.(words)) ?? []
  process.stdout.write(
    [...new Set(names)]
      .filter(isPlainName)
      .map((name) => `${name}\n`)
      .join('')
  )
  return Exit.done
}

/** The spans of the files that are named so far, or of the default ones. */
async function listFileSpans(words: readonly string[]): Promise<readonly NamedSpan[]> {
  const file = words.flatMap((word, index) => {
    if (['-f', '--file'].includes(words[index - 1] ?? '')) return word
    return /^(?:-f|--file=)(.+)$/s.exec(word)?.[1] ?? []
  })
  const named = file.length > 0 ? file : [process.env.SPANPLAN_FILE || []].flat()
  return named.every(isReadable) ? listedSpans({ file, insecureFile: false }) : []
}

/** Whether to read it takes no waiting. */
function isReadable(path: string): boolean {
  try {
    const stats = statSync(path)
    return stats.isFile() || stats.isDirectory()
  } catch {
    return false
  }
}
