import { readFileSync } from 'node:fs'
import { type Diagnostic, diagnostic } from '../../errors.ts'

/** The bits of linux/capability.h. */
const capabilities = {
  CAP_KILL: 5n,
  CAP_SETGID: 6n,
  CAP_SETUID: 7n,
  CAP_NET_ADMIN: 12n,
  CAP_NET_RAW: 13n,
  CAP_SYS_ADMIN: 21n
} as const

/** A right of a process. */
type Capability = keyof typeof capabilities

/** What takes rights, with these. */
const needed = {
  'changing the network': ['CAP_NET_ADMIN'],
  /** For tcpdump as another user, which is ended at the end. */
  listening: ['CAP_NET_RAW', 'CAP_SETUID', 'CAP_SETGID', 'CAP_KILL'],
  /** For a port, a network namespace, and the same in that namespace. */
  capturing: ['CAP_NET_ADMIN', 'CAP_SYS_ADMIN', 'CAP_NET_RAW', 'CAP_SETUID', 'CAP_SETGID', 'CAP_KILL']
} as const satisfies Readonly<Record<string, readonly Capability[]>>

/** Which rights are missing for some work; null: none is. */
export function findMissingRights(work: keyof typeof needed): Diagnostic | null {
  const missing = needed[work].filter((capability) => !hasCapability(capability))
  return missing.length === 0 ? null : rightMissing(`${work} needs ${missing.join(', ')}`)
}

/** A right that root has. */
export function rightMissing(message: string): Diagnostic {
  return diagnostic('RIGHT_MISSING', message, 'run it as root, with sudo')
}

/** Whether this process is root's. */
export function isRoot(): boolean {
  return process.geteuid?.() === 0
}

/** Reads the effective capabilities of this process: proc_pid_status(5), one bit each. */
export function hasCapability(capability: Capability): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
  return ((BigInt(`0x${effective}`) >> capabilities[capability]) & 1n) === 1n
}
