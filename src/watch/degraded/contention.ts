import { isDeepStrictEqual } from 'node:util'
import { containerOf, type LeftOut, withoutDependants } from '../../apply/sensors/left-out.ts'
import type { Diagnostic } from '../../errors.ts'
import type { Engine } from '../../host/docker/docker-names.ts'
import { enterNamespace } from '../../host/exec.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import { readManager } from '../../host/read-manager.ts'
import { renderChange, renderTitle } from '../../plan/output/plan-text.ts'
import { instanceOf, type PlannedChange } from '../../plan/plan.ts'
import type { KindName } from '../../resources/registry.ts'
import { delayAfter, type Rest } from './backoff.ts'

/** A thing is contested if it was undone `limit` times within so many milliseconds. */
const interval = 60_000
const limit = 5

/** What a run has made of a thing, and how often that was undone. */
interface Thing {
  /** The last change of it that a run has applied, or that failed. */
  readonly change: PlannedChange
  /** It was applied: only then can somebody undo it. */
  readonly made: boolean
  /** When it was undone: the last times, at most `limit`. */
  readonly undone: readonly number[]
  /** null: it is not contested. */
  readonly contested: Contested | null
}

interface Contested {
  readonly diagnostic: Diagnostic
  readonly delay: number
  /** Until then, it is left alone. */
  readonly restsUntil: number
}

/**
 * Makes a record that recognises what another program undoes again and again. Counted is what a run has made, and what is not
 * so any more though the thing is the same and the file wants the same. A source or a sensor that stops and starts is another
 * thing each time, and with it the bridge's mark is to be another. Times are of the monotonic clock.
 */
export function openContention() {
  const things = new Map<string, Thing>()
  const contestedUntil = ({ contested, undone }: Pick<Thing, 'contested' | 'undone'>) =>
    contested === null ? 0 : Math.max(contested.restsUntil, ...undone.map((time) => time + interval))
  /** `until`: when it is tried again, or is contested no longer. */
  const contestedThings = (now: number) =>
    [...things].flatMap(([address, { change, contested, undone }]) => {
      if (contested === null) return []
      const rests = now < contested.restsUntil
      return [
        { address, change, contested, until: rests ? contested.restsUntil : contestedUntil({ contested, undone }) }
      ]
    })
  return {
    /**
     * Takes the changes that a run has applied.
     *
     * @param host as it was read before them; null: it could not be read.
     * @param rested the addresses of what the run has left alone. Nothing new is known of that, also where its rest is over by now.
     */
    add: (
      done: readonly PlannedChange[],
      host: HostIndex | null,
      now: number,
      rested: Pick<ReadonlySet<string>, 'has'> = new Set()
    ): void => {
      for (const [address, { change }] of things) if (host !== null && hasGone(change, host)) things.delete(address)
      for (const change of done) {
        const before = things.get(change.address)
        const recent = before?.undone.filter((time) => time > now - interval) ?? []
        const isSame = before?.change.instance === change.instance
        const isUndone = isSame && before.made && wasUndone(before.change, change)
        const undone = isSame ? (isUndone ? [...recent, now].slice(-limit) : recent) : []
        const contested = isSame ? before.contested : null
        const isContested = isUndone && (contested !== null || undone.length >= limit)
        const next = isContested ? rest(change, explainContention(change, host), contested, now) : contested
        things.set(change.address, { change, made: true, undone, contested: next })
      }
      // What is needed again after its rest is contested all the same.
      for (const [address, thing] of things) {
        if (thing.contested === null || now < contestedUntil(thing) || rested.has(address)) continue
        things.set(address, { ...thing, undone: [], contested: null })
      }
    },
    /** Takes the changes that failed, or did not last, and cost nothing else: each is left alone at once. Comes before `add`. */
    fail: (leftOut: readonly LeftOut[], now: number): void => {
      for (const { change, diagnostic, made } of leftOut) {
        const before = things.get(change.address)
        const contested = before?.change.instance === change.instance ? before.contested : null
        const undone = made ? [now] : []
        things.set(change.address, { change, made, undone, contested: rest(change, diagnostic, contested, now) })
      }
    },
    /** What is left alone now: the instance of each thing, by its address. */
    resting: (now: number): ReadonlyMap<string, string> =>
      new Map(
        contestedThings(now).flatMap(({ address, change, contested }) =>
          now < contested.restsUntil ? [[address, change.instance]] : []
        )
      ),
    /** @param write gives a time as ISO 8601. */
    list: (now: number, write: (time: number) => string): readonly Rest[] =>
      withoutDependants(contestedThings(now)).map(({ change, contested: { diagnostic, delay }, until }) => ({
        span: change.span,
        reason: 'contested',
        diagnostic,
        container: containerOf(change),
        thing: renderTitle(change),
        until: write(until),
        rest: delay
      })),
    /** When a thing is tried again, or is contested no longer; Infinity: none is contested. */
    next: (now: number): number => Math.min(...contestedThings(now).map(({ until }) => until)),
    clear: () => things.clear()
  }
}

/** Whether the interface or the container of a change is gone, or is another by now. */
function hasGone({ instance, device, container }: PlannedChange, host: HostIndex): boolean {
  if (instance === '' || (device === null && host.docker.state !== 'read')) return false
  return instanceOf(device, container, host) !== instance
}

/** Whether somebody has undone the first change, so that the second was needed. Else the second leads to something else. */
function wasUndone(first: PlannedChange, second: PlannedChange): boolean {
  if (first.after === null || second.after === null) return first.after === second.after
  if (second.before === null) return true
  const [was, is] = [new Map(Object.entries(first.after)), new Map(Object.entries(second.after))]
  return second.facts.some(({ key, changed }) => changed && isDeepStrictEqual(was.get(key), is.get(key)))
}

/** A change that is tried before its rest is over does not make the rest longer. What keeps sensors from sending, or the host from receiving, never rests. */
function rest(change: PlannedChange, diagnostic: Diagnostic, before: Contested | null, now: number): Contested {
  if (change.closes) return { diagnostic, delay: 0, restsUntil: now }
  if (before !== null && now < before.restsUntil) return { ...before, diagnostic }
  const delay = delayAfter(before?.delay)
  return { diagnostic, delay, restsUntil: now + delay }
}

/** Who else may change resources, and the command that shows it. */
interface Suspect {
  readonly who: string
  readonly show: string
}

const links: Suspect = { who: 'a network configuration tool, or a script', show: 'ip monitor link' }
const filters: Suspect = { who: 'a tool that sets filters or shapers with tc, or a script', show: 'tc monitor' }
const firewall: Suspect = { who: 'a firewall that flushes nftables, or a script', show: 'nft monitor' }
const engineUsers: Readonly<Record<Engine, Suspect>> = {
  docker: { who: 'a user of Docker, such as Compose or a script', show: 'docker events' },
  podman: { who: 'a user of Podman, such as a quadlet or a script', show: 'podman events' }
}

/** By kind; for all other kinds, it is `links`. */
const suspectsOf = (engine: Engine): Readonly<Partial<Record<KindName, Suspect>>> => ({
  mirror: filters,
  qdisc: filters,
  table: firewall,
  network: engineUsers[engine],
  sensor: engineUsers[engine],
  address: engineUsers[engine]
})

/** What a container undoes in its own network namespace, no monitor outside shows. That an interface is gone, `ip` shows outside, too. */
function insideOf({ kind, container, facts }: PlannedChange, host: HostIndex | null): Suspect | null {
  if (kind === 'sensor' && container !== null && facts.some(({ key, changed }) => changed && key === 'present'))
    return { who: `the container ${container} itself, which then has CAP_NET_ADMIN, or a script`, show: links.show }
  const sandbox = kind === 'stack' && container !== null ? host?.containerOf(container)?.sandbox : null
  if (!sandbox) return null
  const show = shellLine(enterNamespace(sandbox, ['tc', 'monitor']))
  return { who: `the container ${container} itself, which then has CAP_NET_ADMIN`, show }
}

/** Says which change is undone again and again, and who may be doing so. */
export function explainContention(change: PlannedChange, host: HostIndex | null): Diagnostic {
  const { span, subject, origin } = change
  const usual = suspectsOf(host?.engine ?? 'docker')[change.kind] ?? links
  const { who, show } = insideOf(change, host) ?? usual
  const link = host?.linkOf(change.device)
  const manager = link && readManager(link)
  const suspect = manager ? `${manager}, which manages ${link.name}` : who
  const pause = shellLine(['spanplan', 'pause', ...(span === null ? [] : [span]), '--for', '30m'])
  const message = `something keeps undoing this change: ${renderChange(change)}; probably ${suspect}`
  const hint = `to see when it happens: ${show}; to stop repairing it meanwhile: ${pause}`
  return { code: 'CONTESTED', message, hint, subject, ...(origin && { origin }) }
}
