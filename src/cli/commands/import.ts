import { findTargets } from '../../discover/discover.ts'
import { writeImport } from '../../discover/write-yaml.ts'
import { Exit, type ExitCode } from '../../errors.ts'
import { readSnapshot } from '../../host/read-snapshot.ts'
import { type Session, warn } from '../session.ts'

/** `spanplan import`: writes a spans.yaml for the mirrors found on this host, and changes nothing. */
export async function importCommand(session: Session): Promise<ExitCode> {
  const none = new Set<string>()
  const question = { expressions: [], networks: none, bridges: none, containers: [], copies: false, routed: () => [] }
  const first = await readSnapshot({ ...question, deferDocker: true })
  const targets = findTargets(first)
  // Docker is asked for the containers of the bridges that were found.
  const host =
    targets.length === 0 ? first : await readSnapshot({ ...question, bridges: new Set(targets), deferDocker: false })
  if (host.docker.state === 'unreachable' && host.docker.reason.code === 'DOCKER_FORBIDDEN') {
    warn(session, [host.docker.reason])
  }
  process.stdout.write(writeImport(host, { version: SPANPLAN_VERSION, created: new Date().toISOString() }))
  return Exit.done
}
