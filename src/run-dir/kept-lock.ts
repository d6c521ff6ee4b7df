import { closeSync } from 'node:fs'
import { within } from '../host/exec.ts'
import { type FlockServer, startFlockServer } from '../host/process/flock-server.ts'
import { openRunFolder, runFile } from './folder.ts'
import { isAt, type Lock, type Locking, type LockOptions, locked, simpleLocking, takeLock } from './lock.ts'
import { readHolder, windowLock } from './lock-holder.ts'

/** Milliseconds after which a program that has failed is started again. Until then, flock(1) is called. */
const restAfterFailure = 60_000

/** The lock of a process that takes it again and again. */
export type KeptLock = ReturnType<typeof openKeptLock>

/**
 * Makes a lock that is taken without a start of a program: its file stays open, and a program that is kept calls flock(2). Where that
 * program cannot be had, the lock is taken as {@link takeLock} does it.
 */
export function openKeptLock() {
  let kept: { readonly file: number; server: FlockServer | null } | null = null
  let restsUntil = 0
  let freed = Promise.resolve()
  /** Settles when nobody in this process has the lock. The kernel does not tell them apart: they all have the same open file. */
  let turn: Promise<true> = Promise.resolve(true)

  const drop = () => {
    kept?.server?.end()
    if (kept !== null) closeSync(kept.file)
    kept = null
  }
  const serve = async (file: number): Promise<FlockServer | null> => {
    const mine = kept
    if (mine === null || performance.now() < restsUntil) return null
    mine.server ??= await startFlockServer(file, runFile(windowLock)).catch(() => null)
    if (mine.server === null) restsUntil = performance.now() + restAfterFailure
    // It was closed meanwhile.
    else if (mine !== kept) mine.server.end()
    return mine === kept ? mine.server : null
  }
  const fail = () => {
    if (kept?.server == null) return
    kept.server.end()
    kept.server = null
    restsUntil = performance.now() + restAfterFailure
  }
  const giveBack = async () => {
    if ((await kept?.server?.give()) != null) return
    fail()
    drop()
  }
  const locking: Locking = {
    open: (path) => {
      openRunFolder()
      if (kept !== null && isAt(kept.file, path)) return kept.file
      drop()
      const file = simpleLocking.open(path)
      if (file !== null) kept = { file, server: null }
      return file
    },
    tryFlock: async (file, wait) => {
      // Another process is at work: to start a program costs nothing more.
      if (wait > 0) return simpleLocking.tryFlock(file, wait)
      const isTaken = await (await serve(file))?.take()
      if (isTaken != null) return isTaken
      // It may have taken the lock all the same: then flock(1) gets that of the same open file.
      fail()
      return simpleLocking.tryFlock(file, wait)
    },
    isWindowHeld: async () => (await kept?.server?.isOtherHeld()) ?? simpleLocking.isWindowHeld(),
    free: () => {
      freed = giveBack()
      return freed
    }
  }
  return {
    /** Takes it as {@link takeLock} does. What this process itself does with the lock is waited for, too. */
    take: async ({ timeout, ...options }: Omit<LockOptions, 'kind'>): Promise<Lock> => {
      const deadline = performance.now() + timeout
      const before = turn
      let pass: (turn: true) => void = () => undefined
      turn = new Promise((resolve) => {
        pass = resolve
      })
      if ((await within(timeout, before)) === null) {
        void before.then(pass)
        throw locked(readHolder())
      }
      try {
        const left = Math.max(0, deadline - performance.now())
        const { announce, release } = await takeLock({ ...options, timeout: left }, locking)
        return {
          announce,
          release: () => {
            release()
            void freed.then(() => pass(true))
          }
        }
      } catch (error) {
        pass(true)
        throw error
      }
    },
    /** Ends what it has started. Nobody in this process has the lock any more. */
    close: drop
  }
}
