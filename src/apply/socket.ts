import { once } from 'node:events'
import { chmodSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'

/** Bytes of the path of a socket: sun_path in unix(7), less its end. Node cuts a longer one off. */
const longestPath = 107

/**
 * Listens at a path of the run directory, for this user alone. Whoever calls it knows that nobody else listens there: what
 * one that was killed has left is removed.
 *
 * @throws if it cannot listen.
 */
export async function listenAt(path: string): Promise<Server> {
  if (Buffer.byteLength(path) > longestPath) throw new Error(`${path} is too long a path for a socket`)
  rmSync(path, { force: true })
  const server = createServer({ allowHalfOpen: true }).listen(path)
  await once(server, 'listening')
  chmodSync(path, 0o600)
  return server
}
