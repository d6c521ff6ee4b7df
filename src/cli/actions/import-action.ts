import { meaningOf } from '../../codes/meanings.ts'
import { discoverBridges } from '../../discover/discover.ts'
import { findAllLeftOut } from '../../discover/tunnels.ts'
import { writeImport } from '../../discover/write-yaml.ts'
import { Exit, type ExitCode } from '../../errors.ts'
import { compileFilters } from '../../host/compile-filters.ts'
import { indexHost } from '../../host/host-index.ts'
import { timeLimit } from '../../host/process/run-limits.ts'
import { readSnapshot } from '../../host/read-snapshot.ts'
import { during, readingHost } from '../output/activity.ts'
import { type Session, warn } from '../session.ts'

/** The flags of `spanplan import`. */
interface ImportOptions {
  readonly name?: string | undefined
}

/** `spanplan import`: writes a spans.yaml for the mirrors found on this host, and changes nothing. */
export async function importCommand(session: Session, { name }: ImportOptions): Promise<ExitCode> {
  const none = new Set<string>()
  const nothing = {
    programmed: () => [],
    routed: () => [],
    removable: () => false,
    senders: () => true,
    modules: () => []
  }
  const request = { networks: none, sourceNetworks: none, bridges: none, containers: [], tables: false, ...nothing }
  const first = await during(session, readingHost, readSnapshot({ ...request, deferDocker: true }))
  const bridges = discoverBridges(indexHost(first))
  // Then Docker is read for the networks and containers of these bridges.
  const host = indexHost(
    bridges.length === 0
      ? first
      : await during(
          session,
          'Asking Docker',
          readSnapshot({ ...request, bridges: new Set(bridges), deferDocker: false })
        )
  )
  if (host.docker.state === 'unreachable' && meaningOf(host.docker.reason).lacksRight) {
    warn(session, [host.docker.reason])
  }
  const filters = await during(session, 'Compiling the filters', compileFilters(findAllLeftOut(host), timeLimit))
  process.stdout.write(writeImport(host, { name: name ?? null, filters, created: new Date().toISOString() }))
  return Exit.done
}
