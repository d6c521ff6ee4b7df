import { packageOf } from '../../host/exec.ts'
import { shellLine } from '../../host/quote-command.ts'
import { type Check, type Finding, ok, orOk, problem, unknown, warning, whenKnown } from '../finding.ts'
import type { DoctorReadings } from '../readings.ts'

/** With an older one, no command begins. */
export const node: Check = ({ node }) => [ok(`Node.js ${node}`)]

export const iproute2: Check = (readings) => findMissing(readings, ['ip', 'tc', 'bridge'])

export const ethtool: Check = (readings) => findMissing(readings, ['ethtool'])

/** The smaller programs that every apply calls. */
export const tools: Check = (readings) => findMissing(readings, ['sysctl', 'flock', 'setpriv', 'unshare', 'nsenter'])

export const tcpdump: Check = (readings) => {
  const hasFilters =
    readings.file.state === 'valid' &&
    readings.file.target.spec.spans.some(({ sources }) => sources.some(({ filter }) => filter !== null))
  const unused = { make: warning, loss: 'filters cannot be compiled, and nothing captured' }
  return findMissing(readings, ['tcpdump'], hasFilters ? {} : unused)
}

export const bpftool: Check = (readings) =>
  findMissing(readings, ['bpftool'], {
    make: warning,
    loss: 'plan and status do not see eBPF programs that hide frames'
  })

const openPort = "a sensor's port is open until spanplan has sealed it, instead of closed from its first frame on"

export const nftables: Check = (readings) => {
  const missing = findMissing(readings, ['nft'], { make: warning, loss: openPort })
  if (missing.some(({ result }) => result !== 'ok')) return missing
  return whenKnown(readings.host, ({ nftables }) => {
    if (nftables === null || nftables.state === 'usable') return missing
    const { message } = nftables.reason
    return nftables.state === 'unread' ? [unknown(message)] : [warning(`${message}: ${openPort}`)]
  })
}

/** @param severity the result, and what is lost without the program. Default: a problem, without more words. */
function findMissing(
  readings: DoctorReadings,
  names: readonly string[],
  { make = problem, loss = '' }: { readonly make?: typeof problem; readonly loss?: string } = {}
): readonly Finding[] {
  const missing = names.flatMap((name) => {
    const reading = readings.programs.get(name)
    if (reading === undefined || 'version' in reading) return []
    const install = shellLine(['apt-get', 'install', packageOf[name] ?? name])
    return [make(`${reading.missing}${loss === '' ? '' : `; without it, ${loss}`}`, install)]
  })
  const versions = names.map((name) => {
    const reading = readings.programs.get(name)
    return reading !== undefined && 'version' in reading ? `${name} ${reading.version}`.trimEnd() : name
  })
  return orOk(missing, versions.join(', '))
}
