/** Podman in Docker's place: what its API keeps of what a span asks for, what spanplan refuses for that, and what works. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import Docker from 'dockerode'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { privateRoot } from './lab/programs.ts'
import { importSensorImage, SENSOR_IMAGE } from './lab/sensor.ts'
import { createLab, type Lab, type SpanplanOptions } from './lab.ts'
import { expectConverged, expectRefusal, spanplan, until, writeSpans } from './spans.ts'
import { startWatch } from './watching.ts'

let lab: Lab
let podman: Docker
let options: SpanplanOptions

/** Where Debian's packages have their files, and with nothing of the machine's own: neither containers, nor networks, nor cgroups. */
const service = `set -e
for folder in usr etc; do mount -t overlay overlay -o "lowerdir=$0/$folder:/$folder" "/$folder"; done
mount -t tmpfs tmpfs /run
mkdir /run/netns /run/cgroup
mount -t cgroup2 cgroup2 /run/cgroup
mkdir -p "/run/cgroup/$2/podman"
echo $$ >"/run/cgroup/$2/podman/cgroup.procs"
umount --recursive /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
printf '[engine]\\ncgroup_manager="cgroupfs"\\nevents_logger="file"\\n[containers]\\ncgroups="disabled"\\n' >/run/containers.conf
export CONTAINERS_CONF=/run/containers.conf
exec podman --root /run/storage --runroot /run/state --storage-driver vfs --network-config-dir /run/networks \
  system service --time 0 "unix://$1/podman.sock"`

beforeAll(async () => {
  lab = await createLab()
  const running = lab.start(['unshare', '--mount', 'sh', '-c', service, privateRoot, lab.files, lab.name])
  const socketPath = join(lab.files, 'podman.sock')
  let ended = ''
  running.catch((error: Error) => {
    ended = error.message
  })
  await until('Podman listens', async () => ended !== '' || existsSync(socketPath))
  expect(ended).toBe('')
  podman = new Docker({ socketPath })
  await importSensorImage(podman, join(lab.files, 'image'))
  options = {
    through: ['nsenter', `--target=${running.pid}`, '--mount', `--wd=${lab.files}`, '--'],
    env: { DOCKER_HOST: `unix://${socketPath}` }
  }
})
afterAll(() => lab?.close())

async function start(name: string, NetworkMode: string, Cmd = ['/bin/sleep', 'infinity']): Promise<Docker.Container> {
  const HostConfig = { NetworkMode, CapAdd: ['NET_RAW', 'NET_ADMIN'] }
  const Image = `docker.io/library/${SENSOR_IMAGE}:latest`
  const container = await podman.createContainer({ name, Image, Cmd, HostConfig, StopSignal: 'SIGKILL' })
  await container.start()
  return container
}

test('a span with a network is refused, before anything is changed', async () => {
  const spans = 'spans: {span0: {sources: [{interface: ens192}], sensors: [suricata]}}\n'
  await writeSpans(lab, spans)
  const said = await expectRefusal(lab, ['apply'], 1, options)
  expect(said).toMatch(
    /spans\.yaml:2:\d+: error: span span0: Podman \d+\.\S+ cannot hand out a span, because it keeps no options/
  )
  expect((await spanplan(lab, ['apply', '--defer-docker'], 0, options)).stdout).toContain('2 wait')
  await spanplan(lab, ['destroy', '--yes'], 0, options)
})

test('containers are sources, also after they have started again, and what they send and receive can be captured', async () => {
  const web = await start('web', 'bridge')
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}, {container: web}]}}\n')
  await spanplan(lab, ['apply'], 0, options)
  await expectConverged(lab, options)

  await using watch = await startWatch(lab, [], options)
  const before = watch.told.length
  await web.restart({ t: 0 })
  await watch.expectTold(/\+ mirror web .* → span0/, before)
  await expectConverged(lab, options)
  const capturing = lab.startSpanplan(['capture', 'span0', 'icmp', '--count', '2'], options)
  let hasEnded = false
  capturing.finally(() => {
    hasEnded = true
  })
  await until('it is captured', async () => {
    await lab.exec(web, ['/bin/ping', '-c', '1', '-W', '1', '10.88.0.1'])
    return hasEnded
  })
  const { stdout } = await capturing
  expect(stdout).toContain('ICMP echo request')
  expect(stdout).toContain('ICMP echo reply')
  await watch.stop()
  await web.remove({ force: true })
  await spanplan(lab, ['destroy', '--yes'], 0, options)
})

test('its API forgets what a span rests on, and says no word of it', async () => {
  await lab.run(['ip', 'link', 'add', 'name', 'span9', 'type', 'bridge'])
  const network = await podman.createNetwork({
    ...{ Name: 'nine', Driver: 'bridge', Internal: true },
    IPAM: { Config: [{ Subnet: '198.18.9.0/26' }] },
    Options: { 'com.docker.network.bridge.name': 'span9' }
  })
  expect(await network.inspect()).toMatchObject({ Internal: true, Options: {} })
  const plain = await podman.createNetwork({ Name: 'plain' })
  const second = await start('second', 'bridge')
  await plain.connect({ Container: 'second', EndpointConfig: { DriverOpts: { 'spanplan.name': 'default' } } })
  const { NetworkSettings } = await second.inspect()
  expect(NetworkSettings.Networks.plain).toMatchObject({ DriverOpts: null })
  await start('alone', 'none')
  await expect(plain.connect({ Container: 'alone' })).rejects.toThrow(/invalid network mode/)

  // The bridge was not Podman's, and goes with the last container on the network all the same.
  await network.connect({ Container: 'second' })
  expect(await lab.run(['ip', 'link', 'show', 'master', 'span9'])).toContain('veth')
  await network.disconnect({ Container: 'second' })
  await expect(lab.run(['ip', 'link', 'show', 'dev', 'span9'])).rejects.toThrow(/does not exist/)
})
