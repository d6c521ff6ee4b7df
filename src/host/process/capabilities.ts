import { readFileSync } from 'node:fs'

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
export type Capability = keyof typeof capabilities

/** Reads the effective capabilities of this process: proc_pid_status(5), one bit each. */
export function hasCapability(capability: Capability): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
  return ((BigInt(`0x${effective}`) >> capabilities[capability]) & 1n) === 1n
}
