import { readSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemCode } from '../../errors.ts'

/** Milliseconds to read a pipe to its end: the same as for any program that spanplan starts. */
const defaultTimeLimit = 30_000

/** Milliseconds between two reads of an empty pipe. */
const interval = 10

/** How a pipe is read. */
interface PipeOptions {
  /** Bytes. Reading stops once there are more. */
  readonly limit: number
  /** No process may have opened it for writing yet. Until then, reading it gives an end of file. */
  readonly awaitWriter: boolean
  /** Milliseconds. */
  readonly timeLimit?: number
}

/**
 * Reads a pipe to its end. Signals are handled meanwhile.
 *
 * @param file a descriptor that does not block.
 * @throws if it does not end in time.
 */
export async function readPipe(
  file: number,
  { limit, awaitWriter, timeLimit = defaultTimeLimit }: PipeOptions
): Promise<Buffer> {
  const deadline = performance.now() + timeLimit
  const chunks: Buffer[] = []
  let size = 0
  while (size <= limit) {
    if (performance.now() > deadline) throw tooLate(timeLimit, size)
    const chunk = tryRead(file)
    if (chunk?.length === 0 && !(awaitWriter && size === 0)) break
    if (chunk === null || chunk.length === 0) {
      await sleep(interval)
      continue
    }
    chunks.push(chunk)
    size += chunk.length
    // So that a pipe that always has data does not keep timers and signals from being handled.
    await sleep(0)
  }
  return Buffer.concat(chunks)
}

/**
 * Reads a descriptor that cannot be opened again to its end: a socket, or a pipe that another user made.
 *
 * @param limit bytes. Reading stops once there are more.
 * @throws if it does not end in time.
 */
export async function readStream(file: number, limit: number): Promise<Buffer> {
  const stream: Readable = file === 0 ? process.stdin : new Socket({ fd: file, writable: false })
  const chunks: Buffer[] = []
  let size = 0
  const timer = setTimeout(() => stream.destroy(tooLate(defaultTimeLimit, size)), defaultTimeLimit)
  try {
    for await (const chunk of stream) {
      chunks.push(chunk)
      size += chunk.length
      if (size > limit) break
    }
  } finally {
    clearTimeout(timer)
  }
  return Buffer.concat(chunks)
}

/** null: the pipe is empty at the moment. */
function tryRead(file: number): Buffer | null {
  const chunk = Buffer.alloc(64 * 1024)
  try {
    return chunk.subarray(0, readSync(file, chunk))
  } catch (error) {
    if (systemCode(error) === 'EAGAIN') return null
    throw error
  }
}

function tooLate(timeLimit: number, size: number): Error {
  const seconds = timeLimit / 1000
  return new Error(size === 0 ? `nothing came from it for ${seconds} s` : `it did not end within ${seconds} s`)
}
