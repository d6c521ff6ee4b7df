import { label } from '../../host/docker/docker-names.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import { readTableMark } from '../../resources/marks.ts'
import { destroyOf, markOf, tunnelOwner } from '../../resources/ownership.ts'
import { namesOf } from '../../spec/scope.ts'
import { type Check, orOkOf, unknown, warning, whenKnown } from '../finding.ts'
import type { DoctorReadings } from '../readings.ts'

export const marks: Check = (readings) =>
  whenKnown(readings.host, (host) => {
    const marked = findMarked(host)
    const { file } = readings
    const known = knownNames(readings)
    const strange = [...marked].filter(([name]) => !known.has(name))
    return orOkOf(
      [...marked],
      'nothing on this host has a mark',
      strange.map(([name, things]) =>
        // The marks may be those of the file that cannot be read.
        file.state === 'valid'
          ? warning(
              `no file here has the name ${name}, whose mark is on ${[...things].join(', ')}`,
              shellLine(destroyOf(name))
            )
          : unknown(`whether a file has the name ${name}, whose mark is on ${[...things].join(', ')}`)
      ),
      'every mark on this host is of a name that a file has'
    )
  })

/** The names of the file, of the other files, and of the watches that run. */
function knownNames({ file, otherNames, watches }: DoctorReadings): ReadonlySet<string> {
  return new Set([
    ...(file.state === 'valid' ? namesOf(file.target.spec) : []),
    ...otherNames,
    ...watches.filter(({ state }) => state !== null).map(({ name }) => name)
  ])
}

/** What bears marks, by their names. */
function findMarked(host: HostIndex): Map<string, Set<string>> {
  const found = [
    ...host.links.map((link) => [markOf(host, link)?.owner, `the bridge ${link.name}`] as const),
    ...host.links.map((link) => [tunnelOwner(host, link, '') ?? undefined, `the interface ${link.name}`] as const),
    ...host.networks.map(({ name, labels }) => [labels[label.name], `the Docker network ${name}`] as const),
    ...host.tables.map((table) => [readTableMark(table) ?? undefined, `the table ${table.name}`] as const)
  ]
  const marked = new Map<string, Set<string>>()
  for (const [owner, thing] of found) {
    if (owner !== undefined) marked.set(owner, (marked.get(owner) ?? new Set()).add(thing))
  }
  return marked
}
