/** Milliseconds without a call after which a burst is over, and the longest that a burst is waited for. */
const quietTime = 50
const longestBurst = 500

/**
 * Gives a function that calls `act` once for a burst of calls, soon after its end: files are written in pieces, and folders file
 * by file.
 */
export function debounce(act: () => void) {
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
