/** README.md and docs/ as text that tests read: their blocks of commands, and what is said to come of them. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'

/** A heading of a document, and what is under it. */
export interface Section {
  readonly document: string
  readonly heading: string
}

/** A fenced block. */
interface Block extends Section {
  readonly language: string
  readonly text: string
}

/** All of them, by their path. */
export const documents: readonly string[] = [
  'README.md',
  'SECURITY.md',
  ...readdirSync('docs', { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name))
    .sort()
]

function readBlocks(document: string): Block[] {
  const blocks: Block[] = []
  let heading = ''
  let open: { language: string; indent: string; lines: string[] } | null = null
  for (const line of readFileSync(document, 'utf8').split('\n')) {
    const [, indent = '', language = ''] = /^( *)```(\w*)$/.exec(line) ?? []
    const isFence = /^ *```\w*$/.test(line)
    if (isFence && open === null) open = { language, indent, lines: [] }
    else if (isFence && open !== null) {
      blocks.push({ document, heading, language: open.language, text: `${open.lines.join('\n')}\n` })
      open = null
    } else if (open !== null) open.lines.push(line.slice(open.indent.length))
    else heading = /^#+ (.*)$/.exec(line)?.[1] ?? heading
  }
  return blocks
}

/** Runs the blocks under a heading, and looks whether what the text promises has come true. */
export type Story<Reader> = (reader: Reader, ...blocks: readonly string[]) => Promise<void>

/** The stories of documents, by the document's path and the heading. */
export type Stories<Reader> = Readonly<Record<string, Readonly<Record<string, Story<Reader>>>>>

export const blocks: readonly Block[] = documents.flatMap(readBlocks)

/** Whether it holds commands; in `console`, with what they print. */
export const isRunnable = ({ language }: Block): boolean => language === 'sh' || language === 'console'

/** The file of which the README and most how-tos speak. */
export const spansYaml =
  blocks.find(({ document, language }) => document === 'README.md' && language === 'yaml')?.text ?? ''

/** The lab that the output of the documents is of. */
export const describedLab = { cables: [{ card: 'ens192', mtu: 1500 }], docker: true }

/** The runnable blocks of a section. */
export const under = ({ document, heading }: Section): string[] =>
  blocks
    .filter((block) => block.document === document && block.heading === heading && isRunnable(block))
    .map(({ text }) => text)

/**
 * Compares a block of a document with what is printed now, less what is another each time. Where DOCUMENTS=update is set, a
 * block that differs is written anew instead, unless it leaves out lines.
 *
 * @param block As it stands in the document; a line of dots alone stands for lines that are left out.
 */
export function expectShown({ document, heading }: Section, block: string, shown: string): void {
  const [said, real] = [withoutChance(block), withoutChance(shown)]
  if (said === real) return
  const parts = said.split(/^\.\.\.\n/m)
  if (parts.length > 1) {
    expectInOrder(parts, real)
  } else if (process.env.DOCUMENTS === 'update') {
    const text = readFileSync(document, 'utf8')
    const section = text.indexOf(`# ${heading}\n`)
    const begin = text.indexOf(`\`\`\`console\n${block}\`\`\``, section) + '```console\n'.length
    writeFileSync(document, text.slice(0, begin) + shown + text.slice(begin + block.length))
  } else {
    expect(real).toBe(said)
  }
}

function expectInOrder(parts: readonly string[], text: string): void {
  let from = 0
  for (const part of parts) {
    const at = text.indexOf(part, from)
    expect(at, `the lines\n${part}are not, or not there, in\n${text}`).toBeGreaterThanOrEqual(0)
    from = at + part.length
  }
}

/**
 * Without what is another each time: the names that Docker gives to ports, times, rates, the room that they take, and where
 * lines are broken for it.
 */
function withoutChance(text: string): string {
  return text
    .replace(/veth[0-9a-f]+/g, 'veth')
    .replace(/\b198\.1[89]\.\d+\.\d+\/26\b/g, 'SUBNET')
    .replace(/\b(?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d\b/g, 'TIME')
    .replace(/\b(?:\d+[hms])+\b/g, 'TIME')
    .replace(/\b\d+ µs/g, 'TIME')
    .replace(/[\d,]+ frames?, [\d.]+ [kM]?B in TIME; last (?:TIME ago|just now)/g, 'TOTAL')
    .replace(/last frame (?:TIME ago|just now)/g, 'LAST')
    .replace(/ +([\d,]+) +[\d,]+ +(?:[\d.]+ [kM]?B)? +([\d,]+)$/gm, ' $1 RATE $2')
    .replace(/\n {4,}(?=\S)/g, ' ')
    .replace(/(\bpid|-KILL) \d+/g, '$1 PID')
}
