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

function isColoured(color: ColorChoice, stream: NodeJS.WriteStream): boolean {
  if (color !== 'auto') return color === 'always'
  if (process.env.NO_COLOR) return false
  const forced = process.env.FORCE_COLOR
  if (forced !== undefined) return forced !== '0' && forced !== 'false'
  return stream.isTTY === true && process.env.TERM !== 'dumb'
}
