import { meaningOf } from '../../codes/meanings.ts'
import { type Diagnostic, diagnostic } from '../../errors.ts'
import { type Engine, label } from '../../host/docker/docker-names.ts'
import { enterNamespace } from '../../host/exec.ts'
import { groupsOf, indexTc, type TcIndex } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { Container, Endpoint } from '../../host/snapshot.ts'
import { innerDevice, sealPref } from '../../host/tc-conventions.ts'
import { countFilters, filterWords } from '../foreign/filter-words.ts'
import { type Kind, memoized, type ObservedState, type Resource, type Step } from '../kind.ts'
import { readInnerClass, sealHandle, writeInnerClass } from '../marks.ts'
import { findSeal, hasOtherFilters, isTransparent, readSeal, type Seal, sealCommands } from '../seal-commands.ts'
import { yesNo } from '../settings.ts'
import { hiddenNamespace } from '../unread.ts'
import { liveNetworks } from './network.ts'

/**
 * A sensor's network stack, as far as mirrored frames reach it. Packet sockets of ETH_P_ALL get a frame before tc's ingress hook
 * (__netif_receive_skb_core() in net/core/dev.c), and the stack after it: a filter there that drops everything on the sensor's own end
 * changes nothing for an IDS, and closes the stack. Nobody can then send frames over the mirrored wire to a socket of the sensor.
 */
export interface Stack extends Resource {
  readonly kind: 'stack'
  readonly network: string
  readonly container: string
  /** Docker's file of the container's network namespace. */
  readonly sandbox: string
  /** The sensor's end of the interface, as tc finds it in that namespace. */
  readonly device: string
  readonly seal: Seal
  /** The interface had a clsact qdisc before. */
  readonly hadClsact: boolean
  /** The container's own filters on the interface: its clsact qdisc holds these. */
  readonly qdiscInUse: boolean
  /** Why the stack cannot be closed. */
  readonly obstacle: string | null
}

/** How network stacks of sensors are observed, closed and opened again. */
export const stack: Kind<Stack> = {
  kind: 'stack',
  fields: { seal: { label: 'closed', words: (seal) => yesNo(seal === 'sealed') } },
  desire: ({ desired }, live) =>
    live.flatMap((one) => {
      const span = desired.spanOfNetwork(one.network)
      const closed = one.obstacle === null ? 'sealed' : one.seal
      return span === undefined ? [] : [{ ...one, owner: 'ours', seal: span.sealed ? closed : openSeal(one) }]
    }),
  observe: memoized(observeStacks),
  evidence: () => ['docker'],
  rollbackTarget: rollbackStacks,
  update: (before, after) => steps(before, after.seal, after.seal === 'sealed' ? 'close' : 'open'),
  undone: explainUndone,
  title: ({ container, network }) => `${container} → ${network}`,
  summary: () => 'closed to what is mirrored',
  address: ({ network, container }) => [network, container],
  container: ({ container }) => container,
  serves: ({ container }) => container
}

/** The ends of all that is on the networks of spans: who is there gets what is mirrored, whoever has connected it. */
function observeStacks({ desired, host }: ObservedState): Stack[] {
  return liveNetworks(desired, host).flatMap(({ name: network, labels }) => {
    const bridge = desired.spanOfNetwork(network)?.bridge ?? labels[label.span]
    return host.endpointsOn(network).flatMap(({ container, endpoint: { port, inner } }): Stack | [] => {
      if (typeof port === 'string' || container.sandbox === null || inner === undefined || 'unread' in inner) return []
      const [tc, device] = [indexTc(inner), innerDevice(port.inside)]
      const ours = findSeal(tc, device)
      return {
        kind: 'stack',
        id: `${network}/${container.name}`,
        spans: bridge === undefined ? [] : [desired.names.nameOf(bridge)],
        network,
        device,
        container: container.name,
        sandbox: container.sandbox,
        // Whatever else happens to the endpoint, the filter goes with the interface.
        owner: 'shared',
        seal: readSeal(tc, device),
        hadClsact: readInnerClass(ours?.classId ?? null) ?? tc.hasQdisc(device, 'clsact'),
        qdiscInUse: hasOtherFilters(tc, device),
        obstacle: findObstacle(tc, device)
      }
    })
  })
}

/** A container's own filters stay, and would get no frames behind spanplan's: it is not added where there are any. */
function findObstacle(tc: TcIndex, device: string): string | null {
  const qdisc = tc.qdiscsOf(device).find(({ kind }) => kind === 'ingress' || kind === 'clsact')
  if (qdisc && qdisc.block !== null) return `it takes its filters from the shared block ${qdisc.block}`
  if (qdisc?.kind === 'ingress')
    return `it has an ingress qdisc, which excludes clsact, and holds ${countFilters(tc.filtersOf(device))}`
  const ours = findSeal(tc, device)
  const other = tc.filtersAt(device, 'ingress').find((filter) => {
    const isBefore = filter.pref < sealPref
    return filter.chain === 0 && filter !== ours && (isBefore ? !isTransparent(filter) : ours === undefined)
  })
  return other ? `it has a filter of its own at preference ${other.pref}: ${filterWords(other)}` : null
}

/** Without spanplan's filter. A qdisc that was there before, or that holds other filters, stays. */
function openSeal({ seal, hadClsact, qdiscInUse }: Stack): Seal {
  if (seal === 'none' || seal === 'qdisc') return seal
  return hadClsact || qdiscInUse ? 'qdisc' : 'none'
}

function steps({ container, sandbox, device, hadClsact, seal }: Stack, to: Seal, verb: string): Step[] {
  const place = { handle: sealHandle(device), classId: writeInnerClass(hadClsact) }
  return sealCommands(device, seal, to, place).map((argv) => ({
    summary: `${verb} the network stack of ${container}`,
    argv: enterNamespace(sandbox, argv)
  }))
}

/** In the namespace that a container has now. A stack that was closed by its container's end stays with that. */
function rollbackStacks(stacks: readonly Stack[], _: ObservedState, now: ObservedState): Stack[] {
  const ends = new Map(stack.observe(now).map((one) => [one.id, one]))
  return stacks.flatMap(({ id, seal, hadClsact }): Stack[] => {
    const live = ends.get(id)
    if (live === undefined) return []
    const then = seal === 'none' && live.qdiscInUse ? 'qdisc' : seal
    return [{ ...live, hadClsact, seal: then === 'broken' ? 'qdisc' : then }]
  })
}

/** Which network stacks may hear what is mirrored though the span is sealed, and why. */
export function warnOfStacks(state: ObservedState): Diagnostic[] {
  const { desired, host } = state
  const unread = desired.spans.flatMap(({ sealed, network }) =>
    sealed && network !== null ? host.endpointsOn(network.name).flatMap(whyUnread) : []
  )
  const reasons = [...groupsOf(unread, ({ reason }) => reason).values()]
  const blocked = stack.observe(state).flatMap((one) => {
    const span = desired.spanOfNetwork(one.network)
    return span?.sealed && one.obstacle !== null ? [explainObstacle(one, span.name, one.obstacle)] : []
  })
  return [...reasons.map((same) => explainUnread(same, host.engine)), ...blocked]
}

function explainUndone({ container }: Stack, reason: string): Diagnostic {
  return diagnostic('STACK_OPEN', `mirrored frames reach the network stack of ${container}: ${reason}`)
}

interface Unread {
  readonly container: string
  readonly reason: string
  /** What helps; or what a container does that can do as it likes. */
  readonly help: { readonly hint: string } | { readonly canHave: string }
}

const asRoot = {
  hint: 'run it as root, with sudo; in a unit, give it CAP_SYS_ADMIN, as examples/systemd/spanplan.service does'
}
const unknownPort = 'which interface is its own cannot be told'
const forbidden = { reason: unknownPort, help: asRoot }
const hidden = { reason: hiddenNamespace.reason, help: hiddenNamespace }

/** All veth pairs of the container are known: no right is missing. */
const severalPorts = {
  reason: `${unknownPort}: it has more than one on the bridge, or somebody has put one on another bridge`,
  help: { canHave: 'make itself another interface' }
}

/** Nothing for a container that has no namespace yet, or none any more. */
function whyUnread({ container, endpoint: { port, inner } }: { container: Container; endpoint: Endpoint }): Unread[] {
  const { name, running, restarting, sandbox, veths, isHidden } = container
  if (!running || restarting || sandbox === null || veths?.length === 0) return []
  if (port === 'unknown')
    return [{ container: name, ...(veths !== null ? severalPorts : isHidden ? hidden : forbidden) }]
  if (inner === undefined || !('unread' in inner)) return []
  const help = meaningOf(inner.unread).lacksRight ? asRoot : { canHave: 'have more filters than are read' }
  return [{ container: name, reason: inner.unread.message, help }]
}

function explainUnread(unread: readonly [Unread, ...Unread[]], engine: Engine): Diagnostic {
  const [{ reason, help }] = unread
  const names = [...new Set(unread.map(({ container }) => container))].sort()
  const message = `it is not known whether mirrored frames reach the network stack of ${names.join(', ')}: ${reason}`
  const restart = shellLine([engine, 'restart', ...names])
  const hint =
    'hint' in help
      ? help.hint
      : `a container with CAP_NET_ADMIN can ${help.canHave}: take that right from it; a restart takes away what it has made: ${restart}`
  return diagnostic('STACK_UNREAD', message, hint)
}

function explainObstacle({ container, network, sandbox, device }: Stack, span: string, obstacle: string): Diagnostic {
  const show = shellLine(enterNamespace(sandbox, ['tc', 'filter', 'show', 'dev', device, 'ingress']))
  return {
    ...diagnostic(
      'STACK_BLOCKED',
      `mirrored frames reach the network stack of ${container}, because spanplan leaves its interface as it is: ${obstacle}`,
      `look at it with: ${show}; have the container take that off, or write "sealed: false"`
    ),
    subject: { span, kind: 'stack', id: [network, container] }
  }
}
