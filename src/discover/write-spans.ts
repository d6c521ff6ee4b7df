import { Document } from 'yaml'
import { printable } from '../printable.ts'
import { wrap } from '../text-lines.ts'
import type { Verdict } from './judge-traffic.ts'
import { problemOf } from './refusal.ts'

/** A source of a new file. */
export interface NewSource {
  readonly name: string
  readonly verdict: Verdict
}

/** A container that runs. */
export interface RunningContainer {
  readonly name: string
  readonly image: string
}

/** What a new file says. */
export interface NewFile {
  /** The name of the span. */
  readonly span: string
  readonly sources: readonly NewSource[]
  /** Those that may be sensors. */
  readonly sensors: readonly string[]
  /** The time, as people read it. */
  readonly created: string
}

/** Images of tools that listen, by a word of their name. */
const sensorImage = /(^|[^a-z])(suricata|zeek|snort3?|arkime|malcolm|nessus)([^a-z]|$)/i

/** The names of the containers that look like sensors by their images, in order; those that the file can have. */
export function findSensors(running: readonly RunningContainer[]): string[] {
  const names = running.filter(({ image }) => sensorImage.test(image)).map(({ name }) => name)
  return names.filter((name) => problemOf('span0', { sensors: [name] }) === null && printable(name) === name).sort()
}

/** Columns of a comment. */
const width = 98

/**
 * Writes a spans.yaml with one span, which is valid whatever names the host has.
 *
 * @param file what it says.
 */
export function writeSpans({ span, sources, sensors, created }: NewFile): string {
  const [source] = sources
  const example = sensors.length > 0 ? sensors : ['suricata', 'zeek']
  const lines = [
    ...comment('', `Written by spanplan ${SPANPLAN_VERSION} init at ${created}. It has changed nothing of the host.`),
    ...comment('', 'Every key that there is: spanplan help spans.yaml'),
    'version: 1',
    '',
    'spans:',
    `  ${scalar(span)}: # also the name of the bridge, and of the Docker network that sensors are on`,
    '    sources:',
    ...sources.flatMap(({ name, verdict }) => [
      ...comment('      ', verdict.message),
      `      - interface: ${scalar(name)}`,
      ...(verdict.kind === 'in_use'
        ? []
        : ['        direction: ingress # what comes in; without this line, also what goes out'])
    ]),
    ...comment(
      '    ',
      sensors.length > 0
        ? 'The containers that get these frames. These run here, and look like sensors by their images; take out "# " in these lines:'
        : 'The containers that get these frames, by name. They need not run yet. To name some, take out "# " in these lines:'
    ),
    '    # sensors:',
    ...example.map((name) => `    #   - ${scalar(name)}`),
    ...(sources.length > 1 && source
      ? [
          '',
          ...comment('', 'For two spans, each with sensors of its own, move a source to a second one:'),
          `#   ${scalar(`${span}b`)}:`,
          '#     sources:',
          `#       - interface: ${scalar(sources.at(-1)?.name ?? source.name)}`
        ]
      : []),
    ...(source === undefined || source.verdict.kind === 'in_use'
      ? []
      : [
          '',
          ...comment(
            '',
            'An interface that has no other use may be closed to the host, without ARP, IPv6 and merged frames:'
          ),
          '# interfaces:',
          `#   ${scalar(source.name)}:`,
          '#     dedicated: true'
        ])
  ]
  return `${lines.join('\n')}\n`
}

function comment(margin: string, text: string): string[] {
  return wrap(printable(text), width - margin.length).map((line) => `${margin}# ${line}`)
}

/** A name as YAML, in quotes where other tools would read something else (YAML 1.1: yes, 0o7). */
function scalar(name: string): string {
  return new Document(name, { compat: 'yaml-1.1' }).toString({ lineWidth: 0 }).trimEnd()
}
