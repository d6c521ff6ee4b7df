import { isAbout } from '../../codes/meanings.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { Link, Manager } from '../../host/snapshot.ts'
import type { PlanView } from '../../plan/plan-view.ts'
import { type CopyPoint, type DesiredSpan, linksOf } from '../../resources/desired-state.ts'
import { markOf } from '../../resources/ownership.ts'
import { type Check, type Finding, orOkOf, problem, unknown, warning, whenKnown } from '../finding.ts'
import { bridgeAndPorts } from '../gather/managers.ts'
import type { DoctorReadings, ManagerReading, SpansReading } from '../readings.ts'
import { sentenceOf, spanplanLine } from '../wording.ts'

/** What is found where the file could be planned: what is live does not say how it should be. */
export function whenPlanned(
  { spans }: DoctorReadings,
  find: (spans: SpansReading) => readonly Finding[]
): readonly Finding[] {
  return whenKnown(spans, (known) =>
    known.conflicts === null ? find(known) : [unknown('there is no plan: see the check "spans"')]
  )
}

const noSource = 'no source is there'

export const carrier: Check = (readings) =>
  whenKnown(readings.spans, ({ report }) => {
    const lost = report.spans.flatMap(({ unhealthy }) => unhealthy.filter(isAbout('carriers')))
    const read = report.spans.flatMap(({ flowReport }) =>
      flowReport.hops.filter(({ kind, frames }) => kind === 'interface' && frames !== null)
    )
    const findings = [...new Set(lost.map(sentenceOf))].map((message) => problem(message))
    return orOkOf(read, noSource, findings, 'every source that is there has a carrier')
  })

/** The command that has each tool leave an interface alone. ifupdown does nothing by itself once an interface is up. */
const releases: Readonly<Partial<Record<Manager, (name: string) => string>>> = {
  NetworkManager: (name) => shellLine(['nmcli', 'device', 'set', name, 'managed', 'no']),
  'systemd-networkd': (name) => {
    const text = shellLine(['printf', '[Match]\\nName=%s\\n\\n[Link]\\nUnmanaged=yes\\n', name])
    return `${text} >${shellLine([`/etc/systemd/network/05-spanplan-${name}.network`])} && networkctl reload`
  }
}

export const managers: Check = (readings) =>
  whenKnown(readings.spans, ({ view }) =>
    whenKnown(readings.managers, (managers) => {
      const findings = managers.flatMap((one) => judgeManager(one, view))
      const others = managers.flatMap(({ name, manager }) => (manager === null ? [] : [`${name}: ${manager}`]))
      const message = others.length === 0 ? 'no other tool manages the interfaces' : others.join(', ')
      return orOkOf(managers, 'neither a source nor a bridge of a span is there', findings, message)
    })
  )

function judgeManager({ name, manager, tcConnection }: ManagerReading, view: PlanView): Finding[] {
  if (manager === null) return []
  if ('unknown' in tcConnection) return [unknown(`${name}: ${tcConnection.unknown}`)]
  if (tcConnection.known !== null) {
    const message = `NetworkManager's connection ${tcConnection.known} has tc settings: whenever it comes up on ${name}, NetworkManager removes the mirrors`
    const cleared = ['tc.qdiscs', '', 'tc.tfilters', '']
    return [problem(message, shellLine(['nmcli', 'connection', 'modify', 'uuid', tcConnection.known, ...cleared]))]
  }
  const release = releases[manager]
  if (release === undefined || !isCaptureOnly(name, view)) return []
  return [warning(`${manager} manages ${name}, and may give it addresses or set it down`, release(name))]
}

/** Whether nothing but spanplan has business with an interface: it is dedicated, or part of a bridge that spanplan made. */
function isCaptureOnly(name: string, { host, desired }: PlanView): boolean {
  const link = host.linkOf(name)
  const mark = markOf(host, host.linkOf(link?.master ?? null) ?? link)
  const points = desired.spans.flatMap(({ mirrors }) => mirrors.filter(({ device }) => device.name === name))
  return (mark !== null && mark.original === null) || points.some(isDedicated)
}

/** Offloads are switched off on dedicated interfaces alone. */
function isDedicated({ settings }: CopyPoint): boolean {
  return settings.includes('gro')
}

export const offloads: Check = (readings) =>
  whenPlanned(readings, ({ view: { desired, plan } }) => {
    const findings = [
      ...plan.warnings.filter(isAbout('offloads')).map((found) => warning(sentenceOf(found))),
      // The plan leaves as they are only the interfaces that the file has not dedicated to capture.
      ...desired.spans.flatMap((span) =>
        linksOf(span.mirrors.filter((point) => !isDedicated(point))).flatMap((link) => judgeOffloads(link, span))
      )
    ]
    const distinct = [...new Map(findings.map((finding) => [finding.message, finding])).values()]
    return orOkOf(presentSources(desired), noSource, distinct, 'sensors get frames as on the wire')
  })

/** The interfaces of the sources that are there. */
function presentSources({ spans }: PlanView['desired']): Link[] {
  return spans.flatMap(({ mirrors }) => linksOf(mirrors))
}

/** What GRO merges, a span with "wire" splits again; what LRO merges, nobody can. */
function judgeOffloads({ name, offloads }: Link, { name: span, wire }: DesiredSpan): Finding[] {
  const isOn = (offload: 'gro' | 'rx-gro-hw' | 'lro') => offloads[offload]?.active === true && !offloads[offload]?.fixed
  const off = (offload: string) => shellLine(['ethtool', '-K', name, offload, 'off'])
  const merged = `${name} merges frames (GRO), and span ${span} has "wire: false": sensors get merged ones`
  return [
    ...(isOn('lro') ? [warning(`${name} merges frames (LRO) in a way that cannot be undone`, off('lro'))] : []),
    ...(isOn('gro') && !wire ? [warning(merged, off('gro'))] : [])
  ]
}

export const mtu: Check = (readings) =>
  whenPlanned(readings, ({ view }) => {
    const { desired, plan } = view
    const findings = [
      ...plan.warnings.filter(isAbout('mtu')).map((found) => warning(sentenceOf(found))),
      ...desired.spans.flatMap((span) => findSmall(span, view, spanplanLine(readings, 'apply')))
    ]
    const bridges = desired.spans.filter(({ bridge }) => view.host.linkOf(bridge)?.bridge)
    const checked = presentSources(desired).length > 0 ? bridges : []
    const nothing = 'no source is there, or no bridge of a span'
    const isTunnel = presentSources(desired).some(({ tunnel }) => tunnel !== undefined)
    const senders = isTunnel ? '; how large those are that come out of a tunnel, only its senders know' : ''
    const fits = `every frame of the sources fits through the bridges and their ports${senders}`
    return orOkOf(checked, nothing, findings, fits)
  })

/** The bridge and the ports that are smaller than the file wants. */
function findSmall({ bridge, wantedMtu: mtu }: DesiredSpan, { host }: PlanView, apply: string): Finding[] {
  return bridgeAndPorts(host, bridge)
    .filter((link) => link.mtu < mtu)
    .map((link) => {
      const message = `${link.name} has an MTU of ${link.mtu}: larger frames, of up to ${mtu} bytes, do not reach the sensors`
      return problem(message, apply)
    })
}
