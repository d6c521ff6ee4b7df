import { type Diagnostic, diagnostic } from '../../errors.ts'
import type { Engine } from '../../host/docker/docker-names.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import { renderChange } from '../../plan/output/plan-text.ts'
import { explainUndone, isTolerated, type Plan, type PlannedChange } from '../../plan/plan.ts'
import type { PlanView } from '../../plan/plan-view.ts'
import { printable } from '../../printable.ts'
import { writeAddress } from '../../resources/kind.ts'
import { isMirror } from '../../resources/mirrors/mirror-resource.ts'
import { kindOf } from '../../resources/registry.ts'

/** A change about one container or tunnel that could not be made, or did not last. It costs nothing else: the rest is applied and verified. */
export interface LeftOut {
  readonly change: PlannedChange
  readonly diagnostic: Diagnostic
  /** The change was made, and did not last; else it failed. */
  readonly made: boolean
}

/** How often an apply connects a sensor whose interface is gone again when the host is read: each time, Docker makes a new one. */
const mostConnects = 2

/**
 * Whether a change is about one container: its place on a network, or the host's end of one of its interfaces. A container can
 * end at any time, and with CAP_NET_ADMIN it can remove its interfaces, and so the host's ends of these.
 */
export function isAboutContainer({ container, device }: PlannedChange, hosts: readonly HostIndex[]): boolean {
  if (container !== null) return true
  return hosts.some((host) => {
    const link = host.linkOf(device)
    return link !== undefined && (host.attachmentOf(link) !== undefined || (link.port !== null && link.foreignPeer))
  })
}

/** The container that a change is about, in its span; null: it is about none. */
export function containerOf({ span, container, serves }: PlannedChange): string | null {
  const name = container ?? serves
  return name === null ? null : JSON.stringify([span, name])
}

/** One trouble is one entry: where a sensor or a device itself is left out, what depends on it is not listed beside it. */
export function withoutDependants<Entry extends Pick<LeftOut, 'change'>>(all: readonly Entry[]): readonly Entry[] {
  const sensors = new Set(all.flatMap(({ change }) => (change.kind === 'sensor' ? (containerOf(change) ?? []) : [])))
  const makers = new Map(all.flatMap(({ change }) => (makesDevice(change) ? [[change.device, change] as const] : [])))
  return all.filter(({ change }) => {
    if (devicesOf(change).some((device) => ![undefined, change].includes(makers.get(device)))) return false
    return change.kind === 'sensor' || !sensors.has(containerOf(change) ?? '')
  })
}

const makesDevice = ({ kind }: PlannedChange) => kindOf(kind).makesDevice === true

/** What a change needs: the device that it is on, and the one that a mirror leads to. */
function devicesOf({ device, before, after }: PlannedChange): readonly (string | null)[] {
  const resource = after ?? before
  return [device, resource && isMirror(resource) ? resource.target : null]
}

/** Whether a change needs a device that another change is to make, and that is not there. */
export function lacksDevice(change: PlannedChange, maker: PlannedChange, { host }: PlanView): boolean {
  return makesDevice(maker) && devicesOf(change).includes(maker.device) && !host.mayExist(maker.device)
}

/**
 * Whether the change's interface or container was there and is gone, or another interface has its name, or the container has ended or
 * started again since; or the change waits for something by now. What depends on a container also goes with an interface that only
 * the container sees.
 */
export function hasGone(change: PlannedChange, before: PlanView, now: PlanView): boolean {
  const { device, container, address } = change
  const isNeeded = now.plan.changes.some((one) => one.address === address)
  const waits = now.plan.waiting.some(({ diagnostic }) => writeAddress(diagnostic.subject) === address)
  const isThere = ({ host }: PlanView) =>
    host.mayExist(device) || host.containers.some(({ name }) => name === container)
  // Each start has a network namespace of its own.
  const startOf = ({ host }: PlanView) => (container === null ? null : (host.containerOf(container)?.sandbox ?? null))
  const hasEnded = startOf(before) !== null && startOf(before) !== startOf(now)
  const index = before.host.linkOf(device)?.index
  const isAnother = index !== undefined && index !== now.host.linkOf(device)?.index
  return waits || hasEnded || isAnother || (isThere(before) && !isThere(now)) || (isTolerated(change) && !isNeeded)
}

/**
 * Makes an empty record of what an apply leaves out.
 *
 * @param engine gives the containers their commands.
 */
export function openLeftOut(engine: Engine) {
  const list = new Map<string, LeftOut>()
  const tries = new Map<string, number>()
  const triesOf = (change: PlannedChange) => tries.get(keyOf(change)) ?? 0
  const leave = (change: PlannedChange, made: boolean, message: string, hint: string | undefined): void => {
    list.set(change.address, { change, made, diagnostic: leftOutDiagnostic(change, message, hint) })
  }
  const containers = () => new Set([...list.values()].flatMap(({ change }) => change.container ?? []))
  return {
    list: (): readonly LeftOut[] => withoutDependants([...list.values()]),
    /** The changes that are not left out; so are the notes on a container whose place on a network is. */
    without: (changes: readonly PlannedChange[]): readonly PlannedChange[] =>
      changes.filter(
        ({ address, kind, container }) => !list.has(address) && !(kind === 'note' && containers().has(container ?? ''))
      ),
    /** A step of the change failed, or one that it depends on. */
    addFailed: (change: PlannedChange, { message, hint }: Diagnostic): void => leave(change, false, message, hint),
    /**
     * Forgets the changes that are made all the same, as where Docker did what it said had failed. So the notes on their containers
     * can go. `plan`: what is left to do by now.
     */
    dropMade: ({ changes, waiting }: Pick<Plan, 'changes' | 'waiting'>): void => {
      const left = new Set([
        ...changes.map((change) => change.address),
        ...waiting.map(({ diagnostic }) => writeAddress(diagnostic.subject))
      ])
      for (const address of list.keys()) if (!left.has(address)) list.delete(address)
    },
    /** Counts a round that makes these changes. */
    addRound: (changes: readonly PlannedChange[]): void => {
      for (const change of changes) tries.set(keyOf(change), triesOf(change) + 1)
    },
    /** How many rounds have made this change. */
    triesOf,
    /** Leaves out the sensors that were connected often enough, and have to be connected again; and what others undo at will. */
    addRepeated: (changes: readonly PlannedChange[]): void => {
      for (const change of changes) {
        if (triesOf(change) < mostConnects) continue
        if (isTolerated(change))
          leave(change, true, 'somebody has undone this at once', containerOf(change) === null ? undefined : takeRight)
        if (change.kind !== 'sensor') continue
        const logs = shellLine([engine, 'logs', change.container ?? ''])
        const message = `${printable(change.title)} was connected, and its interface is gone again: something in the container, or on this host, removes it`
        const hint = `see what the container does: ${logs}; without CAP_NET_ADMIN it cannot remove its interfaces`
        leave(change, true, message, hint)
      }
    },
    /** Leaves out what is not in sync after all rounds. */
    addUnsteady: (changes: readonly PlannedChange[]): void => {
      for (const change of changes) {
        const message = isTolerated(change)
          ? 'this was done, and is not so any more'
          : `this was done, and is not in sync again: ${renderChange(change)}`
        const hint = `its container may be restarting: see ${engine} events`
        leave(change, true, message, containerOf(change) === null ? undefined : hint)
      }
    }
  }
}

const takeRight = 'a container with CAP_NET_ADMIN may do as it likes with its interfaces: take that right from it'

/** The record of what an apply leaves out. */
export type LeftOutRecord = Readonly<ReturnType<typeof openLeftOut>>

/**
 * A change that leads to something else is another, and so is one about a container or an interface that has started again.
 * Whatever a sensor lacks, it is connected again.
 */
function keyOf({ address, instance, kind, action, facts, after }: PlannedChange): string {
  const values = new Map<string, unknown>(Object.entries(after ?? {}))
  const goals = kind === 'sensor' ? [] : facts.flatMap(({ changed, key }) => (changed ? [key, values.get(key)] : []))
  return JSON.stringify([address, instance, kind === 'sensor' ? '' : action, ...goals])
}

function leftOutDiagnostic(change: PlannedChange, message: string, hint: string | undefined): Diagnostic {
  const { subject, kind, origin } = change
  const code = kind === 'sensor' || kind === 'note' ? 'SENSOR_FAILED' : 'NOT_CONVERGED'
  const whole = `${message.replace(/\.$/, '')}. Everything else was done`
  const explained: Diagnostic = explainUndone(change, whole) ?? { code, message: whole }
  return { ...diagnostic(explained.code, explained.message, hint ?? explained.hint, origin), subject }
}
