/** Milliseconds of quiet that are waited for, and how long at most. */
const quiet = 50
const longest = 500

/** Acts once for a burst, soon after its end: a file is written in pieces, and a folder file by file. */
export interface Debounced {
  (): void
  close(): void
}

/** Makes one for an action. */
export function debounce(act: () => void): Debounced {
  let timer: NodeJS.Timeout | undefined
  let end: number | null = null
  const finish = () => {
    end = null
    act()
  }
  const wake = () => {
    const now = performance.now()
    end ??= now + longest
    clearTimeout(timer)
    timer = setTimeout(finish, Math.max(0, Math.min(quiet, end - now)))
  }
  return Object.assign(wake, { close: () => clearTimeout(timer) })
}
