import { nowhere } from '../errors.ts'
import { label } from '../host/docker/docker-names.ts'
import type { HostIndex } from '../host/host-index.ts'
import { makePlan, type PlannedChange } from '../plan/plan.ts'
import { nothingRests, type Target } from '../plan/target.ts'
import type { DesiredSpan } from '../resources/desired-state.ts'
import { readMark } from '../resources/marks.ts'
import { readMarks } from '../resources/read-marks.ts'
import { readSeal } from '../resources/seal.ts'
import { matchesSpan } from '../spec/scope.ts'

/** What closes a sensor. */
const closing: ReadonlySet<string> = new Set(['port', 'xdp', 'stack'])

/**
 * Plans what closes the sensors of the sealed spans that a target does not have, of whichever owner. No file is asked: what is live
 * says that a span is sealed.
 */
export function planClosing(
  { spec, scope }: Pick<Target, 'spec' | 'scope'>,
  host: HostIndex
): readonly PlannedChange[] {
  const own = new Set(spec.spans.map(({ name }) => name).filter((name) => matchesSpan(scope.spans, name)))
  const spans = host.links.flatMap((link): DesiredSpan[] => {
    const { name, mtu } = link
    const mark = readMark(link)
    if (mark === null || own.has(name) || readSeal(host, name) !== 'sealed') return []
    const network = host.networks.find(({ labels }) => labels[label.span] === name && labels[label.name] === mark.owner)
    return [
      {
        ...{ name, owner: mark.owner, mtu, wantedMtu: mtu, sealed: true, wire: false, description: null },
        ...{ network: network ? { name: network.name, subnet: null, origin: nowhere } : null },
        ...{ mirrors: [], sensors: [], origin: nowhere }
      }
    ]
  })
  const only = new Set(spans.map(({ name }) => name))
  const marked = { known: [], also: new Set<number>(), goingDown: new Set<string>(), subnetSeed: '' }
  const desired = readMarks({ owner: spec.name, scope: { name: null, spans: { only } }, spans, ...marked }, host)
  const how = { adopt: false, recreate: false, patient: true, resting: nothingRests }
  const plan = makePlan({ desired, waits: [], untouched: [], warnings: [] }, host, how)
  const changes = 'changes' in plan ? plan.changes : []
  return changes.filter(({ kind, action }) => closing.has(kind) && action === 'update')
}
