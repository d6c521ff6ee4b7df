/** The whole terminal, drawn again and again until a key or a signal ends it. */
export interface Screen {
  /** Draws these lines. Where there is no room for all, it shows the first ones and the last two. */
  draw(lines: readonly string[]): void
  /** Aborts as soon as somebody ends it. */
  readonly end: AbortSignal
  /** Gives the terminal back as it was. */
  close(): void
}

/** q, ^C and ^D: a terminal in raw mode makes no signal of ^C, and no end of input of ^D. */
const endKeys = ['q', 'Q', '\u0003', '\u0004'] as const

/** xterm's control sequences (ctlseqs): alternate screen, no cursor, no line wrap; and back. */
const enter = '\u001b[?1049h\u001b[?25l\u001b[?7l'
const leave = '\u001b[?7h\u001b[?25h\u001b[?1049l'
const home = '\u001b[H'
const clearLine = '\u001b[K'
const clearBelow = '\u001b[J'

/** A VT100's rows, for a terminal that does not say how many it has. */
const defaultRows = 24

const ellipsis = '…'

/** Takes over the terminal on stdout. The caller has checked that stdout is a terminal. */
export function openScreen(): Screen {
  const stop = new AbortController()
  const abort = () => stop.abort()
  const onKey = (keys: Buffer) => {
    if (endKeys.some((key) => keys.includes(key))) abort()
  }
  const { stdin, stdout } = process
  let shown: readonly string[] = ['counting']
  const show = () => {
    const lines = shorten(shown, (stdout.rows || defaultRows) - 1)
    // The line is cleared before it is written: the cursor stays on the last column of a line that is too long.
    stdout.write(`${home}${lines.map((line) => `${clearLine}${line}\r\n`).join('')}${clearBelow}`)
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, abort)
  if (stdin.isTTY) stdin.setRawMode(true).on('data', onKey)
  stdout.write(enter)
  stdout.on('resize', show)
  show()
  return {
    draw: (lines) => {
      shown = lines
      show()
    },
    end: stop.signal,
    close: () => {
      stdout.off('resize', show)
      stdout.write(leave)
      if (stdin.isTTY) stdin.off('data', onKey).setRawMode(false).pause()
      for (const signal of signals) process.off(signal, abort)
    }
  }
}

function shorten(lines: readonly string[], rows: number): readonly string[] {
  if (lines.length <= rows) return lines
  return [...lines.slice(0, Math.max(0, rows - 3)), ellipsis, ...lines.slice(-2)].slice(-Math.max(1, rows))
}
