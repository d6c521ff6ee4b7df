/** Milliseconds without a call after which a burst is over, and the longest that a burst is waited for. */
const quietTime = 50
const longestBurst = 500

/** A debounced function: files are written in pieces, and folders file by file. */
export interface Debounced {
  (): void
  close(): void
}

/** Gives a function that calls `act` once for a burst of calls, soon after its end. */
export function debounce(act: () => void): Debounced {
  let timer: NodeJS.Timeout | undefined
  let deadline: number | null = null
  const finish = () => {
    deadline = null
    act()
  }
  const call = () => {
    const now = performance.now()
    deadline ??= now + longestBurst
    clearTimeout(timer)
    timer = setTimeout(finish, Math.max(0, Math.min(quietTime, deadline - now)))
  }
  return Object.assign(call, { close: () => clearTimeout(timer) })
}
