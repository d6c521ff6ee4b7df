/** Milliseconds. iproute2 reads or writes 1,000 links in less than a second: a program that takes this long hangs. */
export const timeLimit = 30_000

/** Limits of a program's time and output; `cancel` kills the program. */
export interface RunLimits {
  readonly milliseconds?: number
  readonly bytes?: number
  readonly cancel?: AbortSignal
  /** Where the output is too long, its start is returned. Default: that is an error. */
  readonly keepsStart?: true
}

/** Enough for thousands of links: `ethtool -k` prints 16 MB for 2,000. */
export const defaultBytes = 512 * 1024 * 1024

/** Milliseconds for a program to end after SIGKILL. */
export const killGrace = 1000

/** Processes at once: enough to keep two cores busy. */
export const concurrency = 4
