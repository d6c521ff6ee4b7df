import { apply } from '../../apply/executor.ts'
import { checkRights } from '../../apply/preflight.ts'
import { readSnapshotFor, refresh } from '../../apply/refresh.ts'
import { asForeseen, type Diagnostic, Exit, type ExitCode, SpanplanError } from '../../errors.ts'
import { closeInherited } from '../../host/inherited-descriptors.ts'
import type { Link } from '../../host/snapshot.ts'
import { localTime } from '../../local-time.ts'
import { findInterfaceSpans, type InterfaceSpans } from '../../plan/interface-spans.ts'
import { renderChange } from '../../plan/output/text.ts'
import type { Target } from '../../plan/target.ts'
import { plain, printable } from '../../printable.ts'
import { takeLock } from '../../run-dir/lock.ts'
import {
  markGoingDown,
  type Pause,
  type Pauses,
  readOwnPauses,
  readPauses,
  stillGoingDown,
  writePauses
} from '../../run-dir/pauses.ts'
import { everySpan } from '../../spec/scope.ts'
import type { Spec } from '../../spec/spec.ts'
import { askWatch } from '../../watch/serve/ask-watch.ts'
import { loadFiles } from '../input/spec-files.ts'
import { openProgress } from '../output/progress.ts'
import { renderDiagnostic } from '../output/terminal.ts'
import type { Session } from '../session.ts'
import { watchSignals } from './apply.ts'

/** What the command line says; what it does not, the environment does. */
interface HookOptions {
  readonly file: readonly string[]
  readonly interface: string | undefined
  readonly phase: string | undefined
  readonly insecureFile: boolean
  /** Milliseconds. */
  readonly lockTimeout: number
  /** What goes wrong is the exit status too. */
  readonly strict: boolean
}

/** An interface, and which way it goes. */
interface Event {
  readonly name: string
  readonly way: 'up' | 'down'
}

/** What is read if nothing else is named: where a hook is started is nobody's choice. */
const configuration = '/etc/spanplan'

/** What ifupdown calls all of them together, after `ifup -a` or before `ifdown -a` has come to each. */
const everyInterface = '--all'

/** The phases of ifupdown, ifupdown2, ifupdown-ng and NetworkManager, and ifupdown's modes. null: nothing is to be done yet. */
const ways: ReadonlyMap<string, Event['way'] | null> = new Map([
  ...(['depend', 'create', 'pre-up', 'destroy'] as const).map((phase) => [phase, null] as const),
  ...(['up', 'post-up', 'start'] as const).map((phase) => [phase, 'up'] as const),
  ...(['down', 'pre-down', 'post-down', 'stop'] as const).map((phase) => [phase, 'down'] as const)
])

/**
 * `spanplan hook`: an interface comes up, or is about to go down. What goes wrong is told, and is no failure unless
 * `strict`: an interface whose hook fails counts as not configured.
 */
export async function hookCommand(session: Session, options: HookOptions): Promise<ExitCode> {
  const { IFACE = '' } = process.env
  const name = options.interface ?? IFACE
  const say = (text: string) => {
    const prefix = ['spanplan hook', ...(name === '' ? [] : [printable(name)])].join(': ')
    for (const line of text.split('\n')) process.stderr.write(`${prefix}: ${line}\n`)
  }
  try {
    const way = chooseWay(options.phase)
    if (way !== null) await follow(session, { name, way }, options, say)
    return Exit.done
  } catch (error) {
    const { diagnostics, exit } = asForeseen(error)
    for (const diagnostic of diagnostics) say(renderDiagnostic('error', diagnostic, [], plain))
    return options.strict ? exit : Exit.done
  }
}

function chooseWay(phase: string | undefined): Event['way'] | null {
  const { PHASE, MODE } = process.env
  const word = phase || PHASE || MODE || ''
  const way = ways.get(word)
  if (way !== undefined) return way
  const message =
    word === '' ? 'which way the interface goes is not said' : `"${printable(word)}" is no phase of a hook`
  throw unclear(message, `--phase up or --phase down, or as ifupdown does with $PHASE`)
}

function unclear(message: string, hint: string): SpanplanError {
  return new SpanplanError({ code: 'HOOK_UNCLEAR', message, hint }, Exit.usage)
}

async function follow(
  session: Session,
  event: Event,
  options: HookOptions,
  say: (text: string) => void
): Promise<void> {
  if (event.name === '') throw unclear('which interface it is about is not said', '--interface NAME, or $IFACE')
  // Each that goes down has a hook of its own; a card that nobody takes down goes on.
  if (event.name === everyInterface && event.way === 'down') return
  const files = options.file.length > 0 ? options.file : [process.env.SPANPLAN_FILE || configuration]
  const spec = await loadFiles(files, { trust: options.insecureFile ? 'all' : 'safe', onFiles: () => {} })
  // Only now: the file may be one of them.
  closeInherited()
  const concern = await findConcerned(spec, event)
  if (concern.spans.length === 0) return
  const signals = watchSignals()
  const command = ['spanplan', ...process.argv.slice(2)].join(' ')
  const { signal } = signals
  try {
    const lock = await takeLock({ command, timeout: options.lockTimeout, signal })
    try {
      keepHold(event, concern)
      const holds = readPauses(Date.now())
      if (await leaveToWatch(spec)) return
      const spans = leavePaused(concern.spans, holds, say)
      if (spans.length > 0) await makeTrue(session, aimOf(spec, spans, holds), signal, say)
    } finally {
      lock.release()
    }
  } finally {
    signals.stop()
  }
}

/** What of the file an interface concerns, and what is there of interfaces. */
interface Concerned extends InterfaceSpans {
  readonly links: readonly Link[]
}

async function findConcerned(spec: Spec, { name }: Event): Promise<Concerned> {
  if (name === everyInterface) return { card: name, spans: spec.spans.map((span) => span.name), links: [] }
  const scope = { name: spec.name, spans: everySpan }
  const host = await readSnapshotFor({ want: 'nothing', owner: spec.name, scope, known: [], deferDocker: true })
  return { ...findInterfaceSpans(spec, name, host), links: host.links }
}

/** Who comes after us knows of a card that goes down, until it has come up again. */
function keepHold({ name, way }: Event, { card, links }: Concerned): void {
  if (name === everyInterface) return
  const holds = readOwnPauses(Date.now())
  const link = links.find((one) => one.name === card)
  const others = stillGoingDown(holds.goingDown, links).filter(({ index }) => index !== link?.index)
  const own = way === 'down' && link !== undefined ? [markGoingDown(link)] : []
  if (holds.goingDown.length + own.length > 0) writePauses({ ...holds, goingDown: [...others, ...own] })
}

/** A watch knows better, of Docker too; but for one that changes nothing. */
async function leaveToWatch({ name }: Spec): Promise<boolean> {
  const watch = await askWatch(name, 'state')
  if (watch === null || watch.dryRun) return false
  return (await askWatch(name, 'hook')) !== null
}

function leavePaused(spans: readonly string[], { pauses }: Pauses, say: (text: string) => void): readonly string[] {
  const pauseOf = (name: string): Pause | undefined => pauses.find(({ span }) => span === null || span === name)
  for (const span of spans) {
    const pause = pauseOf(span)
    if (pause) say(`${span} is paused until ${localTime(pause.until)}: it is left as it is`)
  }
  return spans.filter((span) => pauseOf(span) === undefined)
}

function aimOf(spec: Spec, spans: readonly string[], { goingDown }: Pauses): Target {
  const scope = { name: spec.name, spans: { only: new Set(spans) } }
  return { want: 'spec', spec, scope, adopt: false, deferDocker: true, patient: true, goingDown }
}

async function makeTrue(
  session: Session,
  target: Target,
  signal: AbortSignal,
  say: (text: string) => void
): Promise<void> {
  const view = await refresh(target)
  const { plan } = view
  for (const { diagnostic } of plan.waiting) {
    if (diagnostic.code === 'LOOP') say(renderDiagnostic('error', diagnostic, [], plain))
  }
  const none: readonly Diagnostic[] = []
  checkRights(plan, none, none)
  if (plan.changes.length === 0) return
  const progress = openProgress(session, plan)
  const { done } = await apply(target, view, progress, signal).finally(progress.close)
  for (const change of done) say(renderChange(change))
}
