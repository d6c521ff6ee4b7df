import { fstatSync } from 'node:fs'

/** How severe a message is, with its priority in the journal (syslog(3)). */
const priorities = { error: 3, warning: 4, info: 6 } as const

/** The values of --log-level. */
export type LogLevel = keyof typeof priorities

/** Whether a message of this level is shown where `least` is the least severe level that is. */
export function isShown(level: LogLevel, least: LogLevel): boolean {
  return priorities[level] <= priorities[least]
}

/**
 * Whether a descriptor leads to systemd's journal. A process may have inherited $JOURNAL_STREAM and write elsewhere, so the
 * device and the inode in it are compared, as systemd.exec(5) says.
 */
export function isJournal(descriptor: number, stream = process.env.JOURNAL_STREAM): boolean {
  if (!stream) return false
  const { dev, ino } = fstatSync(descriptor, { bigint: true })
  return stream === `${dev}:${ino}`
}

/** Gives each line the priority that the journal reads from its start (sd-daemon(3)): each line is a message there. */
export function addPriority(level: LogLevel, text: string): string {
  return text.replace(/^/gm, `<${priorities[level]}>`)
}
