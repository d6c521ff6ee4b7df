import { closeSync, readdirSync, readFileSync } from 'node:fs'

/** O_CLOEXEC in asm-generic/fcntl.h: on x86-64 and arm64. */
const closeOnExec = 0o2000000

/**
 * Closes the file descriptors after stderr that our parent process has left open and that our child processes would inherit: a lock
 * of the parent would be held as long as they run. Child processes do not inherit what Node itself opens, nor the descriptors up to
 * 15.
 */
export function closeInherited(): void {
  for (const name of readdirSync('/proc/self/fd')) {
    if (Number(name) > 2 && isInherited(name)) closeSync(Number(name))
  }
}

function isInherited(descriptor: string): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))?.[1]
    return flags !== undefined && (Number.parseInt(flags, 8) & closeOnExec) === 0
  } catch {
    // The descriptor of the folder itself, which is closed by now.
    return false
  }
}
