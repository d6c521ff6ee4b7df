import { readSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'

/** Milliseconds that a pipe is given to say all that it has: as long as any program that spanplan starts. */
const timeLimit = 30_000

/** Milliseconds between two looks at a pipe that had nothing to say. */
const period = 10

/** A pipe, and how far it is read. */
export interface PipeOptions {
  /** Bytes: no more of it is read than shows that it has more. */
  readonly most: number
  /** Nobody may have opened it for writing yet: until somebody has, it looks as if it had ended. */
  readonly awaitWriter: boolean
  /** Milliseconds. */
  readonly within?: number
}

/**
 * Reads a pipe to its end. Signals are heard meanwhile.
 *
 * @param file a descriptor that does not block.
 * @throws if it does not end in time.
 */
export async function readPipe(file: number, { most, awaitWriter, within = timeLimit }: PipeOptions): Promise<Buffer> {
  const deadline = performance.now() + within
  const chunks: Buffer[] = []
  let size = 0
  while (size <= most) {
    if (performance.now() > deadline) throw tooLate(within, size)
    const chunk = tryRead(file)
    if (chunk?.length === 0 && !(awaitWriter && size === 0)) break
    if (chunk === null || chunk.length === 0) {
      await sleep(period)
      continue
    }
    chunks.push(chunk)
    size += chunk.length
    // A pipe that never runs dry keeps nothing else from being done.
    await sleep(0)
  }
  return Buffer.concat(chunks)
}

/**
 * The same for what cannot be opened by its descriptor: a socket, or a pipe that another user has made.
 *
 * @throws if it does not end in time.
 */
export async function readStream(
  file: number,
  { most, within = timeLimit }: Omit<PipeOptions, 'awaitWriter'>
): Promise<Buffer> {
  const stream: Readable = file === 0 ? process.stdin : new Socket({ fd: file, writable: false })
  const chunks: Buffer[] = []
  let size = 0
  const timer = setTimeout(() => stream.destroy(tooLate(within, size)), within)
  try {
    for await (const chunk of stream) {
      chunks.push(chunk)
      size += chunk.length
      if (size > most) break
    }
  } finally {
    clearTimeout(timer)
  }
  return Buffer.concat(chunks)
}

/** null: it has nothing to say at the moment. */
function tryRead(file: number): Buffer | null {
  const chunk = Buffer.alloc(64 * 1024)
  try {
    return chunk.subarray(0, readSync(file, chunk))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EAGAIN') return null
    throw error
  }
}

function tooLate(within: number, size: number): Error {
  const seconds = within / 1000
  return new Error(size === 0 ? `nothing came from it for ${seconds} s` : `it did not end within ${seconds} s`)
}
