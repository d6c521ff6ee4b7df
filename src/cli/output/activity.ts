import { printable } from '../../printable.ts'
import { writeDuration } from '../../spec/values/duration.ts'
import { cutTo } from '../../text-lines.ts'

/** Whether a person looks on as a command runs. */
interface Audience {
  /** Stdout is for a program. */
  readonly json: boolean
}

/** What most commands do for most of the time. */
export const readingHost = 'Reading the host'

/** What a command does that counts frames for a time, or since a watch has begun. */
export const counting = (time: number | 'watch') =>
  time === 'watch' ? readingHost : `Counting for ${writeDuration(time)}`

/** What a command waits for that is to change the host. */
export const awaitingLock = 'Waiting for another spanplan to end'

/** Milliseconds for which nothing is said: most commands have ended by then. */
const patience = 500

/** Columns of a terminal that does not say how many it has. */
const usualWidth = 80

/** A terminal has one such line: nothing else stands in it. */
let isShown = false

/** Whether there is such a line: no pipe, no log and no program gets it. */
function canShow({ json }: Audience): boolean {
  return !json && process.stderr.isTTY === true && process.env.TERM !== 'dumb'
}

/** Says in one line of the terminal, on stderr, what goes on. It stands until something else does, or until it is cleared. */
export function showActivity(audience: Audience, text: string): void {
  if (!canShow(audience)) return
  clearActivity()
  isShown = true
  process.stderr.write(cutTo((process.stderr.columns || usualWidth) - 1, printable(text)))
}

/** Removes the line, before anything else is printed. */
export function clearActivity(): void {
  if (isShown) process.stderr.write('\r\u001b[K')
  isShown = false
}

/** Something goes on already, and is said: what it consists of is not. */
let isSaid = false

/** Says what goes on, and for how long by now, until it has ended. Nothing where that takes a moment only. */
export async function during<T>(audience: Audience, what: string, work: Promise<T>): Promise<T> {
  if (isSaid || !canShow(audience)) return work
  isSaid = true
  const start = performance.now()
  const show = () => {
    const seconds = Math.floor((performance.now() - start) / 1000)
    showActivity(audience, `${what} …${seconds === 0 ? '' : ` ${writeDuration(seconds * 1000)}`}`)
  }
  const timer = setInterval(show, patience)
  try {
    return await work
  } finally {
    isSaid = false
    clearInterval(timer)
    clearActivity()
  }
}
