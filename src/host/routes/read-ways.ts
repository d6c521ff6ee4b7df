import * as z from 'zod'
import { parseRecords } from '../parsers/records.ts'
import { option } from '../quote-command.ts'
import { runJsonBatch } from '../read-commands.ts'
import type { Remote, Way } from '../snapshot.ts'

const wayOutput = z.object({
  dev: z.string(),
  type: z.string().optional(),
  metrics: z.array(z.object({ mtu: z.number().optional() })).default([])
})

/** Reads the ways to hosts, by one process. For a host without a route, ip prints an error. */
export async function readWays(remotes: readonly Remote[]): Promise<Way[]> {
  const commands = remotes.map(({ remote, local }) => ['route', 'get', remote, ...option('from', local)])
  const documents = await runJsonBatch(['ip', '-json'], commands)
  return remotes.map(({ remote, local }, index): Way => {
    const [way] = parseRecords(wayOutput, documents[index] ?? [])
    if (way === undefined) return { remote, local, device: null }
    const mtu = way.metrics.find((one) => one.mtu !== undefined)?.mtu
    const isBroadcast = way.type === 'broadcast'
    return {
      remote,
      local,
      device: way.dev,
      ...(mtu !== undefined && { mtu }),
      ...(isBroadcast && { broadcast: true })
    }
  })
}
