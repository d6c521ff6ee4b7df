import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach } from 'vitest'

/** Gives each test of a file a daemon that answers as told. For as long, it is the Docker that spanplan finds. */
export function serveDocker(answer: RequestListener): void {
  let folder: string
  let server: Server
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'spanplan-unit-'))
    const path = join(folder, 'docker.sock')
    process.env.DOCKER_HOST = `unix://${path}`
    server = createServer(answer)
    await once(server.listen(path), 'listening')
  })
  afterEach(async () => {
    delete process.env.DOCKER_HOST
    server.closeAllConnections()
    server.close()
    await rm(folder, { recursive: true })
  })
}
