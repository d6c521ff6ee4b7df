import { closeSync, readdirSync, readFileSync } from 'node:fs'

/** O_CLOEXEC in asm-generic/fcntl.h: on x86-64 and arm64. */
const closedOnExec = 0o2000000

/**
 * Closes the descriptors, past stderr, that whoever started us has left open and that what we start would inherit in its
 * turn: a lock of theirs would be held for as long. All that Node opens, and what it finds open up to 15, is not inherited.
 */
export function closeInherited(): void {
  for (const name of readdirSync('/proc/self/fd')) {
    if (Number(name) > 2 && isInherited(name)) closeSync(Number(name))
  }
}

function isInherited(descriptor: string): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))?.[1]
    return flags !== undefined && (Number.parseInt(flags, 8) & closedOnExec) === 0
  } catch {
    // That of the folder, while it was read.
    return false
  }
}
