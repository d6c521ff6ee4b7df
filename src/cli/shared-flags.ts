/** The options that several commands share, and the parsers of values. */
import { isIP, isIPv4, isIPv6 } from 'node:net'
import { InvalidArgumentError, Option } from '@commander-js/extra-typings'
import { lockPatience } from '../run-dir/lock-limits.ts'
import { readDuration, writeDuration } from '../spec/values/duration.ts'
import { longestKept } from '../watch/events/event-history.ts'
import type { ListenAddress } from '../watch/serve/http-listener.ts'

/** For an option that may be given again. */
function collect(value: string, list: readonly string[]): string[] {
  if (value === '') throw new InvalidArgumentError('It has no value.')
  return [...list, value]
}

export const fileOption = (otherwise = '$SPANPLAN_FILE, ./spans.yaml or /etc/spanplan') =>
  new Option('-f, --file <path>', 'a file, a folder of *.yaml, or - for stdin; may be given again')
    .argParser(collect)
    .default([] as string[], otherwise)
export const spanOption = () =>
  new Option('--span <name>', 'only this span; may be given again').argParser(collect).default([] as string[], 'all')
export const interfaceOption = () =>
  new Option('--interface <name>', 'take this interface, and ask nothing; may be given again')
    .argParser(collect)
    .default([] as string[], 'you are asked')
export const jsonOption = () => new Option('--json', 'print JSON on stdout, for programs').default(false)
export const colorOption = () =>
  new Option('--color <when>', 'when to use colours')
    .choices(['auto', 'always', 'never'] as const)
    .default('auto' as const)
export const pruneOption = () => new Option('--no-prune', 'keep live spans that are no longer in the file')
export const adoptOption = () =>
  new Option('--adopt', 'take over foreign bridges, networks, qdiscs and mirrors that a span needs').default(false)
export const emptyOption = () =>
  new Option('--allow-empty', 'let a file without spans remove everything that is live').default(false)
export const deferOption = () =>
  new Option('--defer-docker', 'leave networks and sensors for a later run').default(false)
export const recreateOption = () =>
  new Option('--no-recreate', 'leave what would disconnect running sensors: nobody is there to restart them')
export const yesOption = () =>
  new Option('-y, --yes', 'do not ask before anything is removed or recreated').default(false)
export const insecureOption = () =>
  new Option('--insecure-file', 'as root, accept a file that other users can write').default(false)
export const lockOption = (milliseconds: number = lockPatience.apply) =>
  new Option('--lock-timeout <duration>', 'wait this long for another spanplan to end, as in 30s or 5m')
    .argParser(parseDuration)
    .default(milliseconds, writeDuration(milliseconds))
export const installOption = () =>
  new Option('--install <file>', 'put the file there once it is applied, and confirmed').argParser(parseOut)
export const exitcodeOption = (what: string) =>
  new Option('--detailed-exitcode', `exit with 2 if there ${what} changes`).default(false)

/** Milliseconds. A run takes a tenth of that. */
const shortestInterval = 1000

const listenExample = 'It must be an address and a port, as in 127.0.0.1:9477 or [::1]:9477.'

/** Parses a duration with a unit, into milliseconds. Commander adds the option's name to its errors and to those below. */
export function parseDuration(text: string): number {
  const duration = readDuration(text)
  if (typeof duration !== 'number') throw new InvalidArgumentError(`A duration must ${duration.problem}.`)
  return duration
}

/** `watch`: since the watch began. */
export function parseCountTime(text: string): number | 'watch' {
  return text === 'watch' ? text : parseDuration(text)
}

/** How far to look back: no further than a watch keeps. */
export function parseSince(text: string): number {
  const since = parseDuration(text)
  if (since === 0) throw new InvalidArgumentError('It must be more than 0s.')
  if (since > longestKept)
    throw new InvalidArgumentError(`It must be at most ${longestKept / 3_600_000}h: a watch keeps a day.`)
  return since
}

export function parseInterval(text: string): number {
  const interval = parseDuration(text)
  if (interval < shortestInterval) throw new InvalidArgumentError('It must be at least 1s.')
  return interval
}

/**
 * Parses an address and a port, as `127.0.0.1:9477` or `[::1]:9477`. A host name is refused, because it would have to be
 * looked up; so is a port alone, because it would be open to the whole network.
 *
 * @throws InvalidArgumentError.
 */
export function parseListenAddress(text: string): ListenAddress {
  const [, bracketed, bare, digits] = /^(?:\[(.*)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? []
  const [host, port] = [bracketed ?? bare ?? '', Number(digits)]
  if (digits === undefined) throw new InvalidArgumentError(listenExample)
  if (host === '') throw new InvalidArgumentError(`The address is missing: ${listenExample}`)
  if (isIP(host) === 0) throw new InvalidArgumentError(`${host} is not an address: ${listenExample}`)
  if (bracketed === undefined ? !isIPv4(host) : !isIPv6(host)) throw new InvalidArgumentError(listenExample)
  if (port < 1 || port > 65_535) throw new InvalidArgumentError('A port is a number from 1 to 65535.')
  return { host, port }
}

/** `-` is refused: stdout has the plan for people already. */
export function parseOut(path: string): string {
  if (path === '-' || path === '') throw new InvalidArgumentError('It must be the name of a file.')
  return path
}

export function parseWrite(path: string): string {
  if (path === '') throw new InvalidArgumentError('It must be the name of a file, or -.')
  return path
}

/** tcpdump reads the number as an int. */
export function parseCount(text: string): number {
  const count = Number(text)
  if (!/^[1-9]\d{0,9}$/.test(text) || count > 2 ** 31 - 1)
    throw new InvalidArgumentError('It must be a number, 1 or more.')
  return count
}
