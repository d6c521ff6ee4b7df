import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach } from 'vitest'
import type { CallLimits } from '../../../src/host/docker/call-limits.ts'

/** Limits for a call that is to be answered, or ended by its size, on any machine. */
export const untimed: CallLimits = { milliseconds: 600_000, bytes: 100_000 }

/** Gives each test of a file a daemon that answers as told. For as long, it is the Docker that spanplan finds. */
export function serveDocker(answer: RequestListener): void {
  let folder: string
  let server: Server
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'spanplan-unit-'))
    const path = join(folder, 'docker.sock')
    process.env.DOCKER_HOST = `unix://${path}`
    // Docker ends no connection, however slow or idle it is.
    server = createServer({ keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0 }, answer)
    await once(server.listen(path), 'listening')
  })
  afterEach(async () => {
    delete process.env.DOCKER_HOST
    server.closeAllConnections()
    server.close()
    await rm(folder, { recursive: true })
  })
}
