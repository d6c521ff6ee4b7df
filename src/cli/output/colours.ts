import { styleText } from 'node:util'
import { type Paint, plain, type Tone } from '../../printable.ts'

/** The values of --color. */
export type ColorChoice = 'auto' | 'always' | 'never'

const colours = {
  create: 'green',
  update: 'yellow',
  replace: 'magenta',
  remove: 'red',
  adopt: 'cyan',
  wait: 'dim',
  title: 'bold'
} as const satisfies Record<Tone, string>

/**
 * The colours for a stream: none where it is no terminal, unless the user wants them. --color decides, then NO_COLOR
 * (no-color.org) and FORCE_COLOR.
 */
export function choosePaint(color: ColorChoice, stream: NodeJS.WriteStream): Paint {
  return isColoured(color, stream) ? (tone, text) => styleText(colours[tone], text, { validateStream: false }) : plain
}

/** Columns of a line that is read at a stroke, and of the smallest terminal that lines are broken for. */
const widths = { most: 100, least: 60 } as const

/** Columns of a line on a stream: a terminal's, or fewer. Where no terminal is, no line is broken: programs search in lines. */
export function lineWidth({ isTTY, columns }: NodeJS.WriteStream): number {
  return isTTY === true ? Math.max(widths.least, Math.min(widths.most, columns || 80)) : Number.POSITIVE_INFINITY
}

function isColoured(color: ColorChoice, stream: NodeJS.WriteStream): boolean {
  if (color !== 'auto') return color === 'always'
  if (process.env.NO_COLOR) return false
  const forced = process.env.FORCE_COLOR
  if (forced !== undefined) return forced !== '0' && forced !== 'false'
  return stream.isTTY === true && process.env.TERM !== 'dumb'
}
