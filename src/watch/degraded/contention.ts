import { shellLine } from '../../host/quote-command.ts'
import { readManager } from '../../host/read-manager.ts'
import { renderChange } from '../../plan/output/text.ts'
import type { PlannedChange } from '../../plan/plan.ts'
import type { PlanView } from '../../plan/plan-view.ts'
import type { Problem } from './backoff.ts'

/** A change is contested if it was needed again `limit` times within so many milliseconds. */
const window = 60_000
const limit = 5

/** How often a change was needed. */
interface Repeats {
  readonly span: string | null
  /** The last times, at most `limit`. */
  readonly times: readonly number[]
  readonly isContested: boolean
}

/** Makes a record that recognises changes that another program undoes again and again. Times are of the monotonic clock. */
export function openContention() {
  const records = new Map<string, Repeats>()
  const lastOf = ({ times }: Repeats) => times.at(-1) ?? 0
  const forgetOld = (now: number) => {
    for (const [key, record] of records) {
      if (!record.isContested && lastOf(record) <= now - window) records.delete(key)
    }
  }
  /** @returns whether it is contested. */
  const addKey = (key: string, span: string | null, now: number): boolean => {
    const before = records.get(key)
    const times = [...(before?.times ?? []), now].filter((time) => time > now - window).slice(-limit)
    const isContested = times.length >= limit || before?.isContested === true
    records.set(key, { span, times, isContested })
    return isContested
  }
  return {
    /** Takes the changes that a run has applied, and gives those of them that are contested. */
    add: (changes: readonly PlannedChange[], now: number): readonly PlannedChange[] => {
      forgetOld(now)
      return changes.filter((change) => keysOf(change).filter((key) => addKey(key, change.span, now)).length > 0)
    },
    /** When the contention of a span is over if no contested change is needed before; null: there is none. */
    suspectedUntil: (span: string | null, now: number): number | null => {
      const contested = [...records].filter(([, record]) => record.isContested && record.span === span)
      const until = Math.max(0, ...contested.map(([, record]) => lastOf(record) + window))
      if (until > now) return until
      for (const [key] of contested) records.delete(key)
      return null
    },
    clear: () => records.clear()
  }
}

/** One key for each field that differed; where the resource itself was missing, or should not have been there, one for the action. */
function keysOf({ address, action, facts }: PlannedChange): string[] {
  const fields = facts.filter(({ changed }) => changed).map(({ key }) => key)
  return (fields.length > 0 ? fields : [action]).map((field) => `${address} ${field}`)
}

/** Who else may change resources of a kind, and the command that shows it. */
const links = { who: 'a network configuration tool, or a script', show: 'ip monitor link' }
const filters = { who: 'a tool that sets filters or shapers with tc, or a script', show: 'tc monitor' }
const docker = { who: 'a user of Docker, such as Compose or a script', show: 'docker events' }
const firewall = { who: 'a firewall that flushes nftables, or a script', show: 'nft monitor' }

/** By kind; for all other kinds, it is `links`. */
const suspects: Readonly<Record<string, typeof links>> = {
  ...{ mirror: filters, qdisc: filters, table: firewall },
  ...{ network: docker, sensor: docker, address: docker }
}

/** The problem that a change is undone again and again. Says which change, and who may be doing so. */
export function explainContention(change: PlannedChange, { host }: PlanView): Problem {
  const { span, address, origin } = change
  const { who, show } = suspects[change.kind] ?? links
  const link = host.linkOf(change.device)
  const manager = link && readManager(link)
  const suspect = manager ? `${manager}, which manages ${link.name}` : who
  const pause = shellLine(['spanplan', 'pause', ...(span === null ? [] : [span]), '--for', '30m'])
  const message = `something keeps undoing this change: ${renderChange(change)}; probably ${suspect}`
  const hint = `to see when it happens: ${show}; to stop repairing it meanwhile: ${pause}`
  return {
    ...{ span, reason: 'contested', backsOff: true },
    diagnostic: { ...{ code: 'CONTESTED', message, hint, address }, ...(origin && { origin }) }
  }
}
