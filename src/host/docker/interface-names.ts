import * as z from 'zod'
import { enterNamespace, mapConcurrently, run } from '../exec.ts'
import { parseRecords } from '../parsers/records.ts'
import { parseToolJson } from '../parsers/tool-json.ts'
import type { RunLimits } from '../process/run-limits.ts'
import type { ContainerInterface } from '../snapshot.ts'
import { isSandbox } from './container-veths.ts'

/** Limits of ip: a container with CAP_NET_ADMIN can have as many interfaces as it likes. A thousand fit. */
const limits: RunLimits = { milliseconds: 5000, bytes: 1024 * 1024 }

const linkOutput = z.object({ ifindex: z.number(), ifname: z.string() })

/**
 * Reads the names that interfaces have in their containers: the host's ip asks the kernel, in the namespace of Docker's file.
 *
 * @returns the names, by interface; null: the name cannot be read, or the interface has gone.
 */
export function readInterfaceNames<One extends ContainerInterface>(
  interfaces: readonly One[]
): Promise<ReadonlyMap<One, string | null>> {
  return mapConcurrently(interfaces, readName)
}

async function readName({ sandbox, index }: ContainerInterface): Promise<string | null> {
  if (!isSandbox(sandbox)) return null
  try {
    const output = await run(enterNamespace(sandbox, ['ip', '-json', 'link', 'show']), '', limits)
    if (output.status !== 0) return null
    const links = parseRecords(linkOutput, parseToolJson(output.stdout))
    return links.find(({ ifindex }) => ifindex === index)?.ifname ?? null
  } catch {
    // The container has ended, or a right or a program is missing.
    return null
  }
}
