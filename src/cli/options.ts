/** The options that several commands share, and the parsers of their values. */
import { InvalidArgumentError, Option } from '@commander-js/extra-typings'
import type { ListenAddress } from '../watch/serve/http-listener.ts'
import { parseDuration } from './input/duration.ts'
import { parseListenAddress } from './input/listen-address.ts'

/** For an option that may be given again. */
const collect = (value: string, list: readonly string[]): string[] => [...list, value]

export const fileOption = (otherwise = '$SPANPLAN_FILE, ./spans.yaml or /etc/spanplan') =>
  new Option('-f, --file <path>', 'a file, a folder of *.yaml, or - for stdin; may be given again')
    .argParser(collect)
    .default([] as string[], otherwise)
export const spanOption = () =>
  new Option('--span <name>', 'only this span; may be given again').argParser(collect).default([] as string[], 'all')
export const jsonOption = () => new Option('--json', 'for programs: JSON on stdout').default(false)
export const colorOption = () =>
  new Option('--color <when>', 'colours').choices(['auto', 'always', 'never'] as const).default('auto' as const)
export const outOption = () => new Option('--out <file>', 'also save the plan, for apply').argParser(parseOut)
export const pruneOption = () => new Option('--no-prune', 'keep spans that are live, and no longer in the file')
export const adoptOption = () =>
  new Option('--adopt', 'take over foreign bridges, networks, qdiscs and mirrors that a span needs').default(false)
export const emptyOption = () =>
  new Option('--allow-empty', 'let a file without spans remove all that is live').default(false)
export const rollbackOption = () =>
  new Option('--rollback-after <duration>', 'roll back after this time, as in 2m, unless it is confirmed')
    .argParser((text: string): number | null => parseDuration(text))
    .default(null as number | null, 'never')
export const waitOption = () =>
  new Option('--wait <duration>', 'wait so long for sensors that are not there, as in 60s, and connect them')
    .argParser((text: string): number | null => parseDuration(text))
    .default(null as number | null, 'not at all')
    .conflicts(['rollbackAfter', 'deferDocker'])
export const deferOption = () =>
  new Option('--defer-docker', 'leave networks and sensors for a later run').default(false)
export const yesOption = () =>
  new Option('-y, --yes', 'do not ask before something is removed or replaced').default(false)
export const intervalOption = () =>
  new Option('--interval <duration>', 'look again after so long, though nothing has happened')
    .argParser(parseInterval)
    .default(60_000, '60s')
export const listenOption = () =>
  new Option('--listen <address>', 'serve metrics and health there, as in 127.0.0.1:9477')
    .argParser((text: string): ListenAddress | null => parseListenAddress(text))
    .default(null as ListenAddress | null, 'nowhere')
export const dryRunOption = () => new Option('--dry-run', 'only report what differs, and change nothing').default(false)
export const insecureOption = () =>
  new Option('--insecure-file', 'as root, also do what a file says that others may write').default(false)
export const lockOption = (milliseconds = 0, otherwise = 'not at all') =>
  new Option('--lock-timeout <duration>', 'wait so long for another spanplan, as in 30s or 5m')
    .argParser(parseDuration)
    .default(milliseconds, otherwise)
export const exitcodeOption = (what: string) =>
  new Option('--detailed-exitcode', `exit with 2 if there ${what} changes`).default(false)

/** Milliseconds. A run takes a tenth of that. */
const shortestInterval = 1000

/** `-` is refused: stdout has the plan for people already. */
function parseOut(path: string): string {
  if (path === '-' || path === '') throw new InvalidArgumentError('It is the name of a file.')
  return path
}

function parseInterval(text: string): number {
  const interval = parseDuration(text)
  if (interval < shortestInterval) throw new InvalidArgumentError('It must be 1s at least.')
  return interval
}

export function parseWrite(path: string): string {
  if (path === '') throw new InvalidArgumentError('It is the name of a file, or -.')
  return path
}

/** tcpdump reads the number as an int. */
export function parseCount(text: string): number {
  const count = Number(text)
  if (!/^[1-9]\d{0,9}$/.test(text) || count > 2 ** 31 - 1) throw new InvalidArgumentError('It is a number from 1 on.')
  return count
}
