import * as z from 'zod'
import { diagnostic, SpanplanError } from '../../errors.ts'
import { type Argv, commandFailed, run } from '../exec.ts'
import { parseRecords } from '../parsers/records.ts'
import { runStarted } from '../process/program-pool.ts'
import { indexName, shellLine } from '../quote-command.ts'
import { runJsonBatch } from '../read-commands.ts'

/** The host's end of a container's interface, as the kernel had it before the container was disconnected. */
export interface ConnectedPort {
  readonly name: string
  /** An index stays with an interface that is renamed, and no later interface gets it. */
  readonly index: number
}

const linkOutput = z.object({ ifindex: z.number() })

/** A veth whose other end is in another network namespace. */
const vethOutput = linkOutput.extend({
  link_netnsid: z.number(),
  linkinfo: z.object({ info_kind: z.literal('veth') })
})

/**
 * Removes the port of a container that was disconnected, if the port is still there. Docker and Podman look for the interface by its
 * name inside the container, find none where the container has renamed it, and say that all is done (DeleteEndpoint() of Docker's
 * driver `bridge`; netavark): the container would go on to hear the span. The kernel has the last word.
 *
 * @throws SpanplanError PORT_LEFT: the port cannot be removed; or that the kernel cannot be asked.
 */
export async function removeLeftPort(port: ConnectedPort, container: string): Promise<void> {
  const { isLeft, isIndexName } = await readLinks(port)
  if (!isLeft) return
  // Its index is no other's; another port may have its name the moment that it goes.
  const argv: Argv = ['ip', 'link', 'del', 'dev', isIndexName ? port.name : indexName(port.index)]
  const output = await run(argv)
  if (output.status === 0 || !(await readLinks(port)).isLeft) return
  const [{ message } = { message: '' }] = commandFailed(argv, output).diagnostics
  throw new SpanplanError(
    diagnostic(
      'PORT_LEFT',
      `${container} was disconnected, but its interface is still there, and hears the span by the port ${port.name}: ${message}`,
      `remove the port: ${shellLine(['ip', 'link', 'del', 'dev', port.name])}`
    )
  )
}

/** Whether a port is still there, and whether an interface has the name that stands for the port's index. */
async function readLinks(port: ConnectedPort): Promise<{ readonly isLeft: boolean; readonly isIndexName: boolean }> {
  const [named, byIndex] = await runJsonBatch(
    ['ip', '-json', '-details'],
    [port.name, indexName(port.index)].map((name) => ['link', 'show', 'dev', name]),
    // One that stays may remember the index that the name had.
    runStarted
  )
  return {
    isLeft: parseRecords(vethOutput, named).some(({ ifindex }) => ifindex === port.index),
    isIndexName: parseRecords(linkOutput, byIndex).length > 0
  }
}
