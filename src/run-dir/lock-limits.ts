/** Milliseconds to wait for a lock, by who waits. */
export const lockPatience = {
  /** A command that applies spans, unless --lock-timeout says otherwise. A watch may be in the middle of a run. */
  apply: 2000,
  watch: 2000,
  /** A hook, unless --lock-timeout says otherwise. */
  hook: 30_000,
  /** The watch, in the place of a hook. That waits longer, and has a limit of its own. */
  hookEvent: 1000,
  /** For a port: nobody sees one that is not complete. */
  capture: 2000,
  /** A watch may be in the middle of a run. */
  pause: 30_000,
  /** The unit of a window. Others hold its lock only to look whether it is held. */
  unit: 5000,
  /** Whoever ends a window that was left: nobody holds the lock for long meanwhile. */
  leftWindow: 5000,
  /** Whoever has ended a window: its unit releases its lock then. */
  endedWindow: 10_000
} as const
