import * as z from 'zod'
import { forEachConcurrently, run } from '../exec.ts'
import { parseToolJson } from '../parsers/tool-json.ts'
import type { RunLimits } from '../process/run-limits.ts'
import { isSandbox } from './container-veths.ts'

/** An interface in a container, by its index there, and by Docker's file of its network namespace. */
export interface InnerInterface {
  readonly sandbox: string
  readonly index: number
}

/** Limits of ip: a container with CAP_NET_ADMIN can have as many interfaces as it likes. A thousand fit. */
const limits: RunLimits = { milliseconds: 5000, bytes: 1024 * 1024 }

const linkOutput = z.object({ ifindex: z.number(), ifname: z.string() })

/**
 * Reads the names that interfaces have in their containers: the host's ip asks the kernel, in the namespace of Docker's file.
 *
 * @returns the names, by interface; null: the name cannot be read, or the interface has gone.
 */
export async function readInterfaceNames<One extends InnerInterface>(
  interfaces: readonly One[]
): Promise<ReadonlyMap<One, string | null>> {
  const names = new Map<One, string | null>()
  await forEachConcurrently(interfaces, async (one) => {
    names.set(one, await readName(one))
  })
  return names
}

async function readName({ sandbox, index }: InnerInterface): Promise<string | null> {
  if (!isSandbox(sandbox)) return null
  try {
    const output = await run(['nsenter', `--net=${sandbox}`, '--', 'ip', '-json', 'link', 'show'], '', limits)
    if (output.status !== 0) return null
    const links = z.array(z.unknown()).parse(parseToolJson(output.stdout))
    return links.map((link) => linkOutput.safeParse(link).data).find((link) => link?.ifindex === index)?.ifname ?? null
  } catch {
    // The container has ended, or a right or a program is missing.
    return null
  }
}
