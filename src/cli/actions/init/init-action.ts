import { meaningOf } from '../../../codes/meanings.ts'
import { type Candidates, explainLeftOut, findCandidates } from '../../../discover/candidates.ts'
import {
  type InterfaceList,
  interfacesDocument,
  type ListedInterface,
  renderInterfaces
} from '../../../discover/interface-list.ts'
import { compareLikelihood, judgeTraffic } from '../../../discover/judge-traffic.ts'
import { findSensors, type RunningContainer, writeSpans } from '../../../discover/write-spans.ts'
import {
  type Diagnostic,
  diagnostic,
  diagnosticOf,
  Exit,
  type ExitCode,
  ifForeseen,
  SpanplanError
} from '../../../errors.ts'
import { defaultLimits } from '../../../host/docker/call-limits.ts'
import { listRunning } from '../../../host/docker/read-docker.ts'
import { type HostIndex, indexHost } from '../../../host/host-index.ts'
import { isRoot } from '../../../host/process/process-rights.ts'
import { shellLine } from '../../../host/quote-command.ts'
import { readSnapshot } from '../../../host/read-snapshot.ts'
import { readDefaultRoutes } from '../../../host/routes/read-default-routes.ts'
import type { Link } from '../../../host/snapshot.ts'
import { readHardware } from '../../../host/traffic/read-hardware.ts'
import { readTraffic } from '../../../host/traffic/read-traffic.ts'
import { printable, printableJson } from '../../../printable.ts'
import { loadSpec } from '../../../spec/load.ts'
import { suggestHint } from '../../../spec/schema/did-you-mean.ts'
import { counted, listAll } from '../../../text-lines.ts'
import { during, readingHost } from '../../output/activity.ts'
import { choosePaint } from '../../output/colours.ts'
import { type Session, warn } from '../../session.ts'
import { chooseInterfaces } from './choose-interfaces.ts'
import { choosePlace, type NewPlace, writeNewFile } from './new-file.ts'

interface InitOptions {
  /** The interfaces to take. None: a person chooses, or what they look like does. */
  readonly interface: readonly string[]
  readonly file?: string | undefined
  /** Nothing is written. */
  readonly list: boolean
}

/** Milliseconds for which frames are counted. */
const interval = 2000

/** Milliseconds for Docker to say what runs. */
const dockerPatience = 5000

/** `spanplan init`: lists the interfaces with what they carry, and writes a first spans.yaml. It changes nothing of the host. */
export async function initCommand(session: Session, options: InitOptions): Promise<ExitCode> {
  const isList = options.list || session.json
  const place = isList ? null : choosePlace(options.file)
  const reading = Promise.all([readHost(), readRunning(), readDefaultRoutes()])
  const [host, running, routed] = await during(session, readingHost, reading)
  const known = { host, routed }
  const candidates = options.interface.length === 0 ? findCandidates(known) : findNamed(options.interface, known)
  const list = await readList(session, candidates)
  if (options.interface.length > 0) refuseGone(list)
  if (session.json) {
    process.stdout.write(`${printableJson(interfacesDocument(list, new Date().toISOString()))}\n`)
    return Exit.done
  }
  const toPeople = place?.path === '-' ? process.stderr : process.stdout
  toPeople.write(renderInterfaces(list, choosePaint(session.color, toPeople)))
  if (place === null) return Exit.done
  const chosen = options.interface.length > 0 ? list.listed : await chooseInterfaces(list.listed)
  if ('reason' in running && meaningOf(running.reason).lacksRight) warn(session, [running.reason])
  write(place, chosen, host, 'reason' in running ? [] : running.containers)
  return Exit.done
}

async function readHost(): Promise<HostIndex> {
  const none = new Set<string>()
  const nothing = {
    programmed: () => [],
    routed: () => [],
    removable: () => false,
    senders: () => false,
    modules: () => []
  }
  const request = { networks: none, sourceNetworks: none, bridges: none, containers: [], tables: false, ...nothing }
  return indexHost(await readSnapshot({ ...request, deferDocker: true }))
}

/** The containers that run, or why they are not known: the file only suggests some of them. */
async function readRunning(): Promise<
  { readonly containers: readonly RunningContainer[] } | { readonly reason: Diagnostic }
> {
  try {
    return { containers: await listRunning({ ...defaultLimits, milliseconds: dockerPatience }) }
  } catch (error) {
    return { reason: diagnosticOf(ifForeseen(error)) }
  }
}

/** What was named, and nothing else: whoever names an interface may have one that is not listed. */
function findNamed(
  names: readonly string[],
  known: { readonly host: HostIndex; readonly routed: ReadonlySet<string> }
): Candidates {
  const { host } = known
  const problems: Diagnostic[] = []
  const links = names.flatMap((name): Link[] => {
    const link = host.findLink(name)
    const problem = link === undefined ? interfaceMissing(name, host) : refuse(link)
    if (problem !== null) problems.push(problem)
    return problem === null && link !== undefined ? [link] : []
  })
  if (problems.length > 0) throw new SpanplanError(problems, Exit.usage)
  const listed = [...new Set(links)]
  return { listed, leftOut: listed.flatMap((link) => explainLeftOut(link, known) ?? []) }

  function refuse(link: Link): Diagnostic | null {
    const found = explainLeftOut(link, known)
    if (found === null || found.isPossible) return null
    const message = `${link.name} cannot be a source: ${found.reason}`
    return diagnostic('SOURCE_IMPOSSIBLE', message, 'see what can be one: spanplan init --list')
  }
}

function interfaceMissing(name: string, { links }: HostIndex): Diagnostic {
  const names = links.map((link) => link.name)
  const hint = suggestHint(name, names) ?? 'see which there are: spanplan init --list'
  return diagnostic('INTERFACE_MISSING', `there is no interface ${name} on this host`, hint)
}

/** Counts frames and listens for a while. What has gone meanwhile is left out. */
async function readList(session: Session, { listed, leftOut }: Candidates): Promise<InterfaceList> {
  const uses = new Map(leftOut.map(({ link, reason }) => [link.index, reason]))
  const isHeard = ({ up, carrier }: Link) => up && carrier
  // Where there are too many, physical interfaces come first.
  const heard = [...listed.filter(isHeard)].sort(
    (one, other) => Number(one.kind !== null) - Number(other.kind !== null)
  )
  const reads = Promise.all([readTraffic(heard, interval), readHardware(listed.map(({ name }) => name))])
  const listening = `Listening for ${interval / 1000} s on ${counted(heard.length, 'interface')}`
  const [reading, hardware] = await during(session, heard.length > 0 ? listening : readingHost, reads)
  if (reading.deafness !== null) warn(session, [explainDeafness(reading.deafness)])
  const all = listed.map((link): ListedInterface => {
    const traffic = reading.links.get(link.index)
    const verdict = judgeTraffic({ link, use: uses.get(link.index) ?? null, traffic })
    const { driver = null, speed = null } = hardware.get(link.name) ?? {}
    return { link, driver, speed, traffic, verdict }
  })
  const isGone = ({ verdict }: ListedInterface) => verdict.kind === 'gone'
  const gone = all.filter(isGone).map(({ link, verdict }) => ({ link, reason: verdict.message, isPossible: false }))
  const isListed = (index: number) => listed.some((link) => link.index === index)
  return {
    listed: all.filter((one) => !isGone(one)).sort(compareLikelihood),
    leftOut: [...leftOut.filter(({ link }) => !isListed(link.index)), ...gone],
    seconds: reading.seconds
  }
}

/** Whoever has named an interface wants that one. */
function refuseGone({ leftOut }: InterfaceList): void {
  if (leftOut.length === 0) return
  const gone = leftOut.map(({ link, reason }) =>
    diagnostic('INTERFACE_MISSING', `${link.name}: ${reason}`, 'call init again')
  )
  throw new SpanplanError(gone)
}

function explainDeafness({ message, hint }: Diagnostic): Diagnostic {
  return diagnostic('TRAFFIC_UNHEARD', `who frames are for is not known, only how many there are: ${message}`, hint)
}

function write(
  place: NewPlace,
  chosen: readonly ListedInterface[],
  host: HostIndex,
  running: readonly RunningContainer[]
): void {
  const names = chosen.map(({ link }) => link.name)
  const span = nameSpan(host)
  const text = writeSpans({
    span,
    sources: chosen.map(({ link, verdict }) => ({ name: link.name, verdict })),
    sensors: findSensors(running),
    created: new Date().toISOString()
  })
  // What is written is valid, or this is a bug.
  loadSpec([{ path: place.path, bytes: Buffer.from(text) }])
  if (place.path === '-') {
    process.stdout.write(text)
    return
  }
  writeNewFile(place, text, names)
  const flags = place.isDefault ? [] : ['-f', place.path]
  const sudo = isRoot() && !process.env.SUDO_UID ? [] : ['sudo']
  const next = [['validate'], ['plan'], ['apply']].map(([command = '']) =>
    shellLine([...(command === 'apply' ? sudo : []), 'spanplan', command, ...flags])
  )
  const what = `Wrote ${printable(place.path)}: ${span} with the source${names.length === 1 ? '' : 's'} ${printable(listAll(names))}.`
  process.stdout.write(
    `\n${[what, 'Read it, name sensors in it, and go on:', ...next.map((line) => `  ${line}`)].join('\n')}\n`
  )
}

/** The number of names that are tried for a span. */
const mostSpans = 1000

/** A name that no interface of the host has. */
function nameSpan(host: HostIndex): string {
  const names = Array.from({ length: mostSpans }, (_, number) => `span${number}`)
  return names.find((name) => !host.mayExist(name)) ?? 'span'
}
