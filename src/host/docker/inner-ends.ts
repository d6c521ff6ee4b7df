import { randomBytes } from 'node:crypto'
import { diagnostic, diagnosticOf } from '../../errors.ts'
import { commandFailed, enterNamespace, mapConcurrently, run } from '../exec.ts'
import { parseFilters } from '../parsers/filters.ts'
import { parseInnerQdiscs } from '../parsers/qdiscs.ts'
import type { RunLimits } from '../process/run-limits.ts'
import { parseJsonBatch, parseOutput } from '../read-commands.ts'
import type { Container, ContainerInterface, Endpoint, InnerEnd } from '../snapshot.ts'
import { innerDevice } from '../tc-conventions.ts'

/**
 * Reads what keeps a sensor's network stack from what is mirrored: the filters on the sensor's own end of its interface. The host's
 * tc reads them in the network namespace that Docker's file names. Nothing in the container is read or run.
 */

/** Limits of tc: a container with CAP_NET_ADMIN can have as many filters as it likes. Those of spanplan take 400 bytes. */
const limits: RunLimits = { milliseconds: 5000, bytes: 256 * 1024 }

/** Of a name that tc reads: IFNAMSIZ in linux/if.h, less the zero at its end. */
const longestName = 15

/**
 * Adds the container's ends of the endpoints on these networks. One process for each end. An end that cannot be read keeps no other
 * from being read.
 *
 * @param networks the names of networks.
 */
export async function readInnerEnds<One extends Pick<Container, 'sandbox' | 'endpoints'>>(
  containers: readonly One[],
  networks: ReadonlySet<string>
): Promise<readonly One[]> {
  const ends = containers.flatMap(({ sandbox, endpoints }) =>
    endpoints.flatMap((endpoint) =>
      sandbox !== null && typeof endpoint.port !== 'string' && networks.has(endpoint.network)
        ? [{ endpoint, sandbox, index: endpoint.port.inside }]
        : []
    )
  )
  const found = [...(await mapConcurrently(ends, readEnd))]
  const innerOf = new Map(found.map(([{ endpoint }, inner]) => [endpoint, inner]))
  return containers.map((container) => ({
    ...container,
    endpoints: container.endpoints.map((endpoint) => {
      const inner = innerOf.get(endpoint)
      return inner === undefined ? endpoint : { ...endpoint, inner }
    })
  }))
}

const missingRight = diagnostic('RIGHT_MISSING', 'entering its network namespace needs CAP_SYS_ADMIN')

const tcHooks = ['ingress', 'egress'] as const

/** undefined: the namespace or the interface has gone. */
async function readEnd({ sandbox, index }: ContainerInterface): Promise<Endpoint['inner']> {
  const device = innerDevice(index)
  // What stands behind the slash does not matter to tc. A container cannot guess it, and give it to another interface as an altname,
  // for which the kernel takes any text.
  const name = `${device}${randomBytes(longestName).toString('hex')}`.slice(0, longestName)
  const lines = [`qdisc show dev ${name}`, ...tcHooks.map((tcHook) => `filter show dev ${name} ${tcHook}`)]
  const argv = enterNamespace(sandbox, ['tc', '-json', '-force', '-batch', '-'])
  const command = { argv, input: lines.map((line) => `${line}\n`).join('') }
  try {
    const output = await run(argv, command.input, limits)
    const { stderr } = output
    if (/No such (file|device)|Cannot find device/.test(stderr)) return undefined
    // Docker unmounts the namespace of a container that ends, and then removes the file.
    if (/^nsenter: reassociate .*Invalid argument/m.test(stderr)) return undefined
    if (/^nsenter: .*(Permission denied|not permitted)/m.test(stderr)) return { unread: missingRight }
    if (stderr.startsWith('nsenter: ')) throw commandFailed(argv, output)
    const [qdiscs, ...filters] = parseJsonBatch(command, output)
    return parseOutput('tc', (): InnerEnd => {
      return {
        qdiscs: parseInnerQdiscs(device, qdiscs),
        filters: tcHooks.flatMap((tcHook, index) => parseFilters({ device, tcHook }, filters[index] ?? []))
      }
    })
  } catch (error) {
    return { unread: diagnosticOf(error) }
  }
}
