import { packageOf } from '../../host/exec.ts'
import { shellLine } from '../../host/quote-command.ts'
import { type Check, type Finding, ok, orOk, problem, unknown, warning, whenKnown } from '../finding.ts'
import type { DoctorFacts } from '../readings.ts'

/** With an older one, no command begins. */
export const node: Check = { id: 'node', find: ({ node }) => [ok(`Node.js ${node}`)] }

export const iproute2: Check = { id: 'iproute2', find: (facts) => findMissing(facts, ['ip', 'tc', 'bridge']) }

export const ethtool: Check = { id: 'ethtool', find: (facts) => findMissing(facts, ['ethtool']) }

/** The smaller programs that every apply calls. */
export const tools: Check = {
  id: 'tools',
  find: (facts) => findMissing(facts, ['sysctl', 'flock', 'setpriv', 'unshare', 'nsenter'])
}

export const tcpdump: Check = {
  id: 'tcpdump',
  find: (facts) => {
    const hasFilters =
      facts.file.state === 'valid' &&
      facts.file.target.spec.spans.some(({ sources }) => sources.some(({ filter }) => filter !== null))
    return hasFilters
      ? findMissing(facts, ['tcpdump'])
      : findMissing(facts, ['tcpdump'], { make: warning, loss: 'filters cannot be compiled, and nothing captured' })
  }
}

export const bpftool: Check = {
  id: 'bpftool',
  find: (facts) =>
    findMissing(facts, ['bpftool'], {
      make: warning,
      loss: 'plan and status do not see eBPF programs that hide frames'
    })
}

const openPort = "a sensor's port is open until spanplan has sealed it, instead of closed from its first frame on"

export const nftables: Check = {
  id: 'nftables',
  find: (facts) => {
    const missing = findMissing(facts, ['nft'], { make: warning, loss: openPort })
    if (missing.some(({ result }) => result !== 'ok')) return missing
    return whenKnown(facts.host, ({ nftables }) => {
      if (nftables === null || nftables.state === 'usable') return missing
      const { message } = nftables.reason
      return nftables.state === 'unread' ? [unknown(message)] : [warning(`${message}: ${openPort}`)]
    })
  }
}

interface Severity {
  readonly make: (message: string, command: string) => Finding
  /** What is lost without the program. */
  readonly loss: string
}

function findMissing(facts: DoctorFacts, names: readonly string[], severity?: Severity): readonly Finding[] {
  const { make, loss } = severity ?? { make: problem, loss: '' }
  const missing = names.flatMap((name) => {
    const fact = facts.programs.get(name)
    if (fact === undefined || 'version' in fact) return []
    return [make(`${fact.missing}${loss === '' ? '' : `; without it, ${loss}`}`, install(packageOf[name] ?? name))]
  })
  const versions = names.map((name) => {
    const fact = facts.programs.get(name)
    return fact !== undefined && 'version' in fact ? `${name} ${fact.version}`.trimEnd() : name
  })
  return orOk(missing, versions.join(', '))
}

function install(name: string): string {
  return shellLine(['apt-get', 'install', name])
}
