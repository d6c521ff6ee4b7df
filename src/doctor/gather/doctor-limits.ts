import type { CallLimits } from '../../host/docker/call-limits.ts'

/** Limits of one call. Docker answers in less than 100 ms; one that needs longer for a question as plain as these hangs. */
export const doctorLimits: CallLimits = { milliseconds: 5000, bytes: 128 * 1024 * 1024 }

/** Milliseconds for a program that tells its version, or reads an index. */
export const programTime = 5000

/** Milliseconds to wait for tcpdump. */
export const filterPatience = 5000
