/** README.md as text that tests read: its blocks of commands. */
import { readFileSync } from 'node:fs'

/** A fenced block, and the heading under which it stands. */
interface Block {
  readonly heading: string
  readonly language: string
  readonly text: string
}

function readBlocks(markdown: string): Block[] {
  const blocks: Block[] = []
  let heading = ''
  let open: { language: string; lines: string[] } | null = null
  for (const line of markdown.split('\n')) {
    const fence = /^```(\w*)$/.exec(line)
    if (fence && open === null) open = { language: fence[1] ?? '', lines: [] }
    else if (fence && open !== null) {
      blocks.push({ heading, language: open.language, text: `${open.lines.join('\n')}\n` })
      open = null
    } else if (open !== null) open.lines.push(line)
    else heading = /^#+ (.*)$/.exec(line)?.[1] ?? heading
  }
  return blocks
}

export const blocks = readBlocks(readFileSync('README.md', 'utf8'))
export const runnable = ['sh', 'console']
export const spansYaml = blocks.find(({ language }) => language === 'yaml')?.text ?? ''

/** The lab that its output is of. */
export const describedLab = { cables: [{ card: 'ens192', mtu: 1500 }], docker: true }

/** The runnable blocks under a heading. */
export const under = (heading: string) =>
  blocks.filter((block) => block.heading === heading && runnable.includes(block.language)).map(({ text }) => text)
