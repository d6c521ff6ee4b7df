import { readFileSync } from 'node:fs'
import * as z from 'zod'
import { diagnosticOf, SpanplanError, systemCode } from '../../errors.ts'
import { connectDocker, dockerFailed } from '../../host/docker/docker-client.ts'
import { canPodmanHandOut } from '../../host/docker/docker-names.ts'
import { isRootless } from '../../host/docker/podman.ts'
import { run } from '../../host/exec.ts'
import type { Known } from '../known.ts'
import type { DockerReading } from '../readings.ts'
import { doctorLimits, programTime } from './doctor-limits.ts'

/** dockerd's own default. */
const settingsFile = '/etc/docker/daemon.json'

/** The default address of dockerd, by both of its names. */
const defaultAddresses: ReadonlySet<string> = new Set(['unix:///var/run/docker.sock', 'unix:///run/docker.sock'])

const versionSchema = z.object({ Version: z.string().catch('') })
const infoSchema = z.object({ LiveRestoreEnabled: z.boolean() })

/** Asks Docker what it is. It takes three calls at most. */
export async function readDockerDaemon(): Promise<DockerReading> {
  const named = process.env.DOCKER_HOST || null
  const begun = performance.now()
  try {
    const client = await connectDocker(doctorLimits)
    if ('reason' in client) throw new SpanplanError(client.reason)
    const { Version } = versionSchema.parse(await client.docker.version())
    const info = await client.docker.info().then(
      (info): Known<unknown> => ({ known: info }),
      (error: unknown) => ({ unknown: diagnosticOf(dockerFailed(error)).message })
    )
    return {
      state: 'answers',
      address: named ?? 'unix:///var/run/docker.sock',
      isNamed: named !== null,
      isPodman: client.podman !== null,
      version: Version,
      api: client.api,
      rootless: 'known' in info && isRootless(info.known),
      liveRestore: 'known' in info ? readLiveRestore(info.known) : info,
      settings: readSettings(named)
    }
  } catch (error) {
    const reason = diagnosticOf(dockerFailed(error))
    const hangs = performance.now() - begun >= doctorLimits.milliseconds
    const installed = await run(['dockerd', '--version'], '', { milliseconds: programTime }).then(
      ({ status }) => status === 0,
      () => false
    )
    return { state: 'unreachable', reason, hangs, installed }
  }
}

/** Whether Podman answers, and its networks cannot hand out a span. */
export function isPodmanWithoutSpans(docker: Extract<DockerReading, { state: 'answers' }>): boolean {
  return docker.isPodman && (docker.rootless || !canPodmanHandOut(docker.version))
}

function readLiveRestore(info: unknown): Known<boolean> {
  const { success, data } = infoSchema.safeParse(info)
  return success ? { known: data.LiveRestoreEnabled } : { unknown: 'Docker does not say whether live-restore is on' }
}

function readSettings(named: string | null): Known<string | null> {
  if (named !== null && !defaultAddresses.has(named)) return { unknown: 'it is not known which file has its settings' }
  try {
    return { known: readFileSync(settingsFile, 'utf8') }
  } catch (error) {
    return systemCode(error) === 'ENOENT' ? { known: null } : { unknown: `${settingsFile} cannot be read` }
  }
}
