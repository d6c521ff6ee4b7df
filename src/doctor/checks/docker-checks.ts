import { meaningOf } from '../../codes/meanings.ts'
import { shellLine } from '../../host/quote-command.ts'
import { type Check, type Finding, ok, problem, unknown, warning, whenKnown } from '../finding.ts'
import { isPodmanWithoutSpans } from '../gather/read-docker-daemon.ts'
import type { DockerReading, DoctorReadings } from '../readings.ts'
import { asRoot } from './right-checks.ts'

export const docker: Check = (readings) => {
  const { docker } = readings
  if (docker.state === 'unreachable') return [unreachableFinding(docker, readings)]
  if (!docker.isPodman) return [ok(`Docker ${docker.version} (API ${docker.api}) at ${docker.address}`)]
  const answers = `Podman ${docker.version} answers at ${docker.address} in Docker's place`
  if (!isPodmanWithoutSpans(docker)) return [ok(answers)]
  const why = docker.rootless ? "it is a user's own, so " : ''
  const message = `${answers}: it can report the containers that are sources, but ${why}its networks cannot hand out a span`
  // A package of Debian's puts Podman's socket where Docker's would be.
  const command = docker.isNamed ? 'unset DOCKER_HOST' : 'apt-get install docker.io podman-docker-'
  const report = severityOf(readings)
  return [report === ok ? ok(`no span of the file has a network; ${message}`) : report(message, command)]
}

/** Without a span that has a network, nothing needs Docker. */
function severityOf({ file }: DoctorReadings): typeof problem {
  if (file.state !== 'valid') return warning
  return file.target.spec.spans.some(({ network }) => network !== null) ? problem : ok
}

function unreachableFinding(
  docker: Extract<DockerReading, { state: 'unreachable' }>,
  readings: DoctorReadings
): Finding {
  const { reason, hangs, installed } = docker
  const report = severityOf(readings)
  if (meaningOf(reason).lacksRight) return unknown(reason.message, asRoot(readings))
  if (reason.code === 'DOCKER_REMOTE') return report(reason.message, 'unset DOCKER_HOST')
  if (report === ok) return ok('no span of the file needs Docker, and none is reachable')
  if (hangs) return report(`Docker hangs: ${reason.message}`, 'systemctl restart docker')
  return report(reason.message, installed ? 'systemctl start docker' : 'apt-get install docker.io')
}

const settingsFile = '/etc/docker/daemon.json'

export const liveRestore: Check = (readings) => {
  const { docker } = readings
  if (severityOf(readings) === ok) return [ok('no span of the file needs Docker')]
  if (docker.state === 'unreachable' || isPodmanWithoutSpans(docker)) return [unknown('Docker was not asked')]
  if (docker.isPodman) return [ok('Podman has no daemon: sensors run on whatever becomes of its service')]
  return whenKnown(docker.liveRestore, (isOn) =>
    isOn
      ? [ok('on: sensors run on while dockerd restarts')]
      : [warning('off: a restart or an upgrade of dockerd stops the sensors', switchOn(docker.settings))]
  )
}

/** The command that switches live-restore on, and leaves the other settings as they are; null: they are not known. */
function switchOn(settings: Extract<DockerReading, { state: 'answers' }>['settings']): string | null {
  if ('unknown' in settings) return null
  const reload = 'systemctl reload docker'
  const text = settings.known?.trim() ?? ''
  if (text === '' || text === '{}') return `echo '{"live-restore": true}' >${settingsFile} && ${reload}`
  const edit = /"live-restore"\s*:/.test(text)
    ? String.raw`s/"live-restore"\s*:\s*false/"live-restore": true/`
    : '0,/{/s//{"live-restore": true,/'
  return `${shellLine(['sed', '-i', edit, settingsFile])} && ${reload}`
}
