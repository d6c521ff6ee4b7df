import type { HostIndex } from '../host/host-index.ts'
import type { Link } from '../host/snapshot.ts'
import { readCookie } from '../resources/marks.ts'
import { isOwnTunnel, markOf } from '../resources/ownership.ts'
import { checkInterface } from '../resources/sources/check-interface.ts'
import { listFew } from '../text-lines.ts'
import { problemOf } from './refusal.ts'

/** What is known of the host, to tell what may be a source. */
interface Known {
  readonly host: HostIndex
  /** The devices of its default routes. */
  readonly routed: ReadonlySet<string>
}

/** Why an interface is not listed among the sources. */
export interface LeftOut {
  readonly link: Link
  readonly reason: string
  /** Who names it may have it all the same. */
  readonly isPossible: boolean
}

/** The interfaces of a host: those that may be sources, and those that are left out. */
export interface Candidates {
  readonly listed: readonly Link[]
  readonly leftOut: readonly LeftOut[]
}

/** Says why a link is left out; null: it is not. */
type Rule = (link: Link, known: Known) => string | null

const onlyIf = (isSo: boolean, reason: string) => (isSo ? reason : null)

/** The names of VLANs and the like that a message has. */
const fewUppers = 2

/** What can be no source. The first rule that holds says why. */
const impossible: readonly Rule[] = [
  ({ type }) => onlyIf(type === 'loopback', 'the loopback: what this host says to itself'),
  (link, { host }) => onlyIf(markOf(host, link) !== null, 'the bridge of a span'),
  ({ master }, { host }) =>
    onlyIf(markOf(host, host.linkOf(master)) !== null, `a port of the span ${master}, which hears what the span has`),
  (link, { host }) => onlyIf(isOwnTunnel(host, link), 'a tunnel that spanplan has made'),
  ({ type }) => onlyIf(type !== 'ether', `not Ethernet but "${type}": its frames have no MAC header`),
  (link) => checkInterface(link, true)?.message ?? null,
  ({ name }) => problemOf('span0', { sources: [{ interface: name }] })
]

/** What is no mirror port, or no person would choose. */
const unlikely: readonly Rule[] = [
  ({ name }, { host }) => {
    const spans = host.filtersOf(name).flatMap(({ mirror }) => (readCookie(mirror?.cookie ?? null) && mirror) || [])
    return spans[0] === undefined ? null : `a source of ${spans[0].target} already`
  },
  ({ kind }) => onlyIf(kind === 'bridge', 'a bridge; a Docker network is taken with "network: NAME"'),
  ({ master, port }) => onlyIf(port !== null, `a port of the bridge ${master}`),
  ({ master }) => onlyIf(master !== null, `a part of ${master}`),
  ({ name }, { routed }) => onlyIf(routed.has(name), "the host's own: has the default route"),
  ({ addresses }) => {
    const own = addresses.find(({ automatic }) => !automatic)
    return own === undefined ? null : `the host's own: has the address ${own.address}/${own.prefix}`
  },
  (link, { host }) => {
    const uppers = host.uppersOf(link).map(({ name }) => name)
    return onlyIf(uppers.length > 0, `the host's own: carries ${listFew(uppers, fewUppers)}`)
  }
]

/** Why a link is left out; null: it is a possible source like any other. */
export function explainLeftOut(link: Link, known: Known): LeftOut | null {
  const find = (rules: readonly Rule[]) => rules.map((rule) => rule(link, known)).find((reason) => reason !== null)
  const never = find(impossible)
  const reason = never ?? find(unlikely)
  return reason === undefined ? null : { link, reason, isPossible: never === undefined }
}

/** Tells the interfaces that may be sources from the others. */
export function findCandidates(known: Known): Candidates {
  const leftOut = known.host.links.flatMap((link) => explainLeftOut(link, known) ?? [])
  const out = new Set(leftOut.map(({ link }) => link))
  return { listed: known.host.links.filter((link) => !out.has(link)), leftOut }
}
