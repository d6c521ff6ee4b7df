import { closeSync, readFileSync, readlinkSync } from 'node:fs'

/**
 * O_PATH of asm-generic/fcntl.h, on x86-64 and arm64: what it opens is not touched, whatever it is, and a folder may be one that may be
 * entered but not read.
 */
export const O_PATH = 0o10000000

/** Works with an open file or folder, and closes it. */
export function withFile<T>(file: number, work: (file: number) => T): T {
  try {
    return work(file)
  } finally {
    closeSync(file)
  }
}

/** The path of an open file or folder. */
export const pathOf = (file: number) => readlinkSync(`/proc/self/fd/${file}`)

/** By what an entry of an open folder is reached, whatever has taken the folder's place since. */
export const entryOf = (folder: number, name: string) => `/proc/self/fd/${folder}/${name}`

/** What is in a file; null: it does not exist, or may not be read. */
export function readOptional(path: string | Buffer): Buffer | null {
  try {
    return readFileSync(path)
  } catch {
    return null
  }
}

/** The text in a file; null: it does not exist, or may not be read. */
export const readText = (path: string | Buffer) => readOptional(path)?.toString() ?? null
