/** Podman in Docker's place: spans that it hands out, and the facts of Podman that decide how, each of which may change. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import Docker from 'dockerode'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { importSensorImage, SENSOR_IMAGE } from '../lab/docker/sensor-images.ts'
import { attack, NOTHING, openHost } from '../lab/frames/attack.ts'
import { createLab, type Lab, type SpanplanOptions } from '../lab/lab.ts'
import { privateRoot } from '../lab/programs.ts'
import {
  expectArriving,
  expectConverged,
  expectHeard,
  findTap,
  interfacesOf,
  spanplan,
  until,
  writeSpans
} from '../lab/spans.ts'

let lab: Lab
let podman: Docker
let options: SpanplanOptions
/** It forgets a connection whose interface is gone. Podman 5.8 fails, until the container has started again. */
let forgets: boolean

/**
 * Where Debian's packages have their files, also those that test/setup has unpacked, and with nothing of the machine's own: neither
 * containers, nor networks, nor cgroups.
 */
const service = `set -e
for folder in usr etc; do [ ! -d "$0" ] || mount -t overlay overlay -o "lowerdir=$0/$folder:/$folder" "/$folder"; done
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
  lab = await createLab({ cables: [{ card: 'ens192' }, { card: 'ens224' }] })
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
  forgets = (await podman.version()).Version.startsWith('5.4.')
  options = {
    through: ['nsenter', `--target=${running.pid}`, '--mount', `--wd=${lab.files}`, '--'],
    env: { DOCKER_HOST: `unix://${socketPath}` }
  }
})
afterAll(() => lab?.close())

async function start(
  name: string,
  NetworkMode = 'bridge',
  Cmd = ['/bin/sleep', 'infinity']
): Promise<Docker.Container> {
  const HostConfig = { NetworkMode, CapAdd: ['NET_RAW', 'NET_ADMIN'] }
  const Image = `docker.io/library/${SENSOR_IMAGE}:latest`
  const container = await podman.createContainer({ name, Image, Cmd, HostConfig, StopSignal: 'SIGKILL' })
  await container.start()
  return container
}

/** Podman's own API: a network's bridge and its modes are in no call of Docker's. */
async function ask(method: 'GET' | 'POST', path: string, body?: object): Promise<Record<string, unknown>> {
  const request = { method, path: `/v5.0.0/libpod${path}`, statusCodes: { 200: true }, ...(body && { options: body }) }
  return new Promise((resolve, reject) => {
    podman.modem.dial(request, (error, answer) =>
      error ? reject(error) : resolve(Object.fromEntries(Object.entries(answer ?? {})))
    )
  })
}

async function aliasesOf(container: Docker.Container, network: string): Promise<readonly string[]> {
  const { Id, NetworkSettings } = await container.inspect()
  const aliases: readonly string[] = NetworkSettings.Networks[network]?.Aliases ?? []
  return aliases.filter((alias) => alias !== Id.slice(0, 12))
}

const applySpan = (more: string, exitCode = 0) =>
  writeSpans(lab, `spans: {span0: {sources: [{interface: ens192}], ${more}}}\n`).then(() =>
    spanplan(lab, ['apply', '--yes'], exitCode, options)
  )

/** Applies what disconnects a container that has no interface of the name that Podman remembers. */
async function applyWithoutInterface(more: string, container: Docker.Container, name: string): Promise<void> {
  const { stderr } = await applySpan(more, forgets ? 0 : 4)
  if (forgets) return
  expect(stderr).toMatch(new RegExp(`could not disconnect ${name} from span0: .*\\n(.*\\n)*.*podman restart ${name}`))
  await restart(container)
  await applySpan(more)
}

/** What Podman 5.8 has failed to disconnect may not start at the first time. */
const restart = (container: Docker.Container) => container.restart().catch(() => container.restart())

let suricata: Docker.Container
let zeek: Docker.Container

test('sensors get each frame whole and once, and can send to nobody', async () => {
  const receiver = await openHost(lab)
  suricata = await start('suricata')
  zeek = await start('zeek')
  await applySpan('network: span0, sensors: [suricata, zeek]')
  await expectConverged(lab, options)
  await expectHeard(lab, [suricata, zeek])
  expect(await attack(lab, receiver, suricata, zeek)).toEqual(NOTHING)
  expect(await aliasesOf(suricata, 'span0')).toEqual(['spanplan.name=default'])
  expect((await spanplan(lab, ['apply'], 0, options)).stdout).toContain('No changes. 1 span matches')
})

test('one that restarts is a sensor again with a watch, and its interface keeps the name that the file gives', async () => {
  await applySpan('network: span0, sensors: [{container: suricata, interface_name: tap9}, zeek]')
  expect((await findTap(lab, suricata, 'span0')).name).toBe('tap9')
  await using watch = await startWatch(lab, [], options)
  const before = watch.told.length
  await suricata.restart()
  await watch.expectTold(/suricata/, before)
  await expectArriving(lab, suricata)
  await watch.settle()
  await expectConverged(lab, options)
  expect((await findTap(lab, suricata, 'span0')).name).toBe('tap9')
  await watch.stop()
})

test('a network that is recreated keeps the names of interfaces, and what others have connected with alias and address', async () => {
  const network = 'network: {name: span0, subnet: 198.18.9.0/26}, sensors: [suricata, zeek]'
  await applySpan(network)
  const others = await start('others')
  const place = { container: 'others', aliases: ['ids'], static_ips: ['198.18.9.40'] }
  await ask('POST', '/networks/span0/connect', place)
  const stopped = await start('stopped', 'span0')
  await stopped.stop()
  const names = () => Promise.all([suricata, zeek, others].map(async (one) => (await findTap(lab, one, 'span0')).name))
  const before = await names()
  await applySpan(`${network}, mtu: 8000`)
  await expectConverged(lab, options)
  expect(await names()).toEqual(before)
  expect(await aliasesOf(others, 'span0')).toContain('ids')
  expect(await aliasesOf(others, 'span0')).not.toContain('spanplan.name=default')
  expect((await others.inspect()).NetworkSettings.Networks.span0).toMatchObject({ IPAddress: '198.18.9.40' })
  expect(Object.keys((await stopped.inspect()).NetworkSettings.Networks)).toEqual(['span0'])
  await expectHeard(lab, [suricata, zeek, others])
  for (const one of [others, stopped]) await one.remove({ force: true })
})

test('one whose interface is gone, or whose bridge was deleted, is one again after an apply', async () => {
  await applySpan('network: span0, sensors: [suricata, zeek]')
  const { State } = await zeek.inspect()
  const { name } = await findTap(lab, zeek, 'span0')
  await lab.run(['nsenter', `--net=/proc/${State.Pid}/ns/net`, 'ip', 'link', 'del', 'dev', name])
  await applyWithoutInterface('network: span0, sensors: [suricata, zeek]', zeek, 'zeek')
  await expectConverged(lab, options)
  // Unmanaged means that Podman makes no bridge: what starts without it has to wait for an apply.
  await zeek.stop()
  await lab.run(['ip', 'link', 'del', 'dev', 'span0'])
  await expect(zeek.start()).rejects.toThrow(/in unmanaged mode, the bridge must already exist/)
  await spanplan(lab, ['apply', '--yes'], 0, options)
  await zeek.start()
  await spanplan(lab, ['apply', '--yes'], 0, options)
  await expectConverged(lab, options)
  await expectHeard(lab, [suricata, zeek])
})

test('one that has renamed its interface loses it all the same: off the file, and when it is connected anew', async () => {
  const { State } = await zeek.inspect()
  const inside = (...argv: string[]) => lab.run(['nsenter', `--net=/proc/${State.Pid}/ns/net`, 'ip', 'link', ...argv])
  const rename = async () => {
    const { name } = await findTap(lab, zeek, 'span0')
    await inside('set', 'dev', name, 'down', 'name', 'mine')
    await inside('set', 'dev', 'mine', 'up')
    return name
  }
  const decoy = async () => inside('add', 'name', await rename(), 'type', 'bridge')
  const ports = async () => JSON.parse(await lab.run(['ip', '-j', 'link', 'show', 'master', 'span0'])).length
  const named = 'network: span0, sensors: [suricata, {container: zeek, interface_name: tap9}]'
  await applySpan(named)
  await decoy()
  await applySpan('network: span0, sensors: [suricata]')
  expect(await ports()).toBe(1)
  expect((await interfacesOf(zeek)).map(({ name }) => name)).toEqual(['eth0'])

  await applySpan(named)
  await decoy()
  const { stderr } = await applySpan(`${named}, mtu: 8000`)
  expect(await ports()).toBe(2)
  expect((await interfacesOf(zeek)).map(({ name }) => name)).toEqual(['eth0', 'tap9'])
  expect(stderr).toMatch(/zeek has lost its interface mine on span0, and has tap9 now.*\n.*podman restart zeek/)
  await expectConverged(lab, options)
  await expectHeard(lab, [suricata, zeek])

  // Nothing has the name that Podman remembers.
  await rename()
  await applySpan('network: span0, sensors: [suricata]', forgets ? 0 : 4)
  expect(await ports()).toBe(1)
  expect((await interfacesOf(zeek)).map(({ name }) => name)).toEqual(['eth0'])
  if (!forgets) {
    // What Podman keeps on the network keeps the network from being recreated.
    const { stderr } = await applySpan('network: span0, mtu: 7000, sensors: [suricata]', 5)
    expect(stderr).toMatch(
      /could not remove the network span0: Podman refused: (.*\n)*.*podman ps --all --filter network=span0/
    )
    await restart(zeek)
  }
  await applySpan('network: span0, sensors: [suricata, zeek]')
})

test('one that has moved its interface to a network namespace of its own loses it all the same', async () => {
  const move =
    'unshare -Urn sleep 600 >/dev/null 2>&1 & until [ "$(readlink /proc/$!/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do :; done; ip link set $0 netns $!'
  const moveTap = async () => {
    const { name, port } = await findTap(lab, zeek, 'span0')
    const [link] = JSON.parse(await lab.run(['ip', '-j', 'link', 'show', 'dev', port]))
    // NET_ADMIN is all that it takes: Podman lets each container have user namespaces.
    await lab.exec(zeek, ['/bin/sh', '-c', move, name])
    expect((await interfacesOf(zeek)).map((one) => one.name)).not.toContain(name)
    expect(await indexes()).toContain(link.ifindex)
    return link.ifindex
  }
  const indexes = async () => {
    const links: { ifindex: number }[] = JSON.parse(await lab.run(['ip', '-j', 'link']))
    return links.map(({ ifindex }) => ifindex)
  }
  const first = await moveTap()
  await applyWithoutInterface('network: span0, sensors: [suricata]', zeek, 'zeek')
  expect(await indexes()).not.toContain(first)

  await applySpan('network: span0, sensors: [suricata, zeek]')
  // Somebody else's, which has ended: no port is its own.
  const ended = await start('ended', 'span0')
  await ended.stop()
  const second = await moveTap()
  await applyWithoutInterface('network: span0, sensors: [suricata, zeek]', zeek, 'zeek')
  await expectConverged(lab, options)
  expect(await indexes()).not.toContain(second)
  await ended.remove({ force: true })
  await expectHeard(lab, [suricata, zeek])
})

test('what Podman cannot connect costs itself alone', async () => {
  const alone = await start('alone', 'none')
  const { stderr } = await applySpan('network: span0, sensors: [suricata, zeek, alone]', 4)
  expect(stderr).toMatch(/alone .*cannot be connected: .*\(network_mode: none\)\. Everything else was done/)
  expect(stderr).toContain('Podman cannot connect it: recreate it with --network bridge')
  // A name that the container has already.
  const taken = 'network: span0, sensors: [{container: suricata, interface_name: eth0}, zeek]'
  expect((await applySpan(taken, 4)).stderr).toMatch(/could not connect suricata .*already exists/)
  await expectHeard(lab, [zeek])
  await applySpan('network: span0, sensors: [suricata, zeek]')
  await expectConverged(lab, options)
  await expectHeard(lab, [suricata, zeek])
  await alone.remove({ force: true })
})

test('destroy leaves nothing', async () => {
  const { name } = await findTap(lab, suricata, 'span0')
  const { State } = await suricata.inspect()
  const set = ['nsenter', `--net=/proc/${State.Pid}/ns/net`, 'ip', 'link', 'set', 'dev', name] as const
  await lab.run([...set, 'down', 'name', 'mine'])
  if (!forgets) {
    const { stderr } = await spanplan(lab, ['destroy', '--yes'], 4, options)
    expect(stderr).toMatch(/could not disconnect suricata from span0: (.*\n)*.*podman restart suricata/)
    expect((await interfacesOf(suricata)).map(({ name }) => name)).toEqual(['eth0'])
    await restart(suricata)
  }
  await spanplan(lab, ['destroy', '--yes'], 0, options)
  for (const container of [suricata, zeek])
    expect((await interfacesOf(container)).map(({ name }) => name)).toEqual(['eth0'])
  // Docker's name for the network that is Podman's own.
  expect((await podman.listNetworks()).map(({ Name }) => Name)).toEqual(['bridge'])
  await expect(lab.run(['ip', 'link', 'show', 'dev', 'span0'])).rejects.toThrow(/does not exist/)
})

test('containers are sources, also after they have started again, and what they send and receive can be captured', async () => {
  const web = await start('web', 'bridge')
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}, {container: web}]}}\n')
  await spanplan(lab, ['apply'], 0, options)
  await expectConverged(lab, options)

  await using watch = await startWatch(lab, [], options)
  const before = watch.told.length
  await web.restart()
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

test("of a network's bridge, Docker's calls say nothing, and Podman removes one that it manages", async () => {
  await lab.run(['ip', 'link', 'add', 'name', 'span9', 'type', 'bridge'])
  const options9 = { 'com.docker.network.bridge.name': 'span9', mode: 'unmanaged' }
  const made = await podman.createNetwork({ Name: 'nine', Driver: 'bridge', Internal: true, Options: options9 })
  // The mode is dropped without a word, and the bridge is not told.
  expect(await made.inspect()).toMatchObject({ Internal: true, Options: {} })
  await made.remove()
  const subnets = [{ subnet: '198.18.9.0/26' }]
  const nine = {
    name: 'nine',
    driver: 'bridge',
    network_interface: 'span9',
    internal: true,
    dns_enabled: false,
    subnets
  }
  await ask('POST', '/networks/create', nine)
  await writeSpans(lab, 'spans: {span9: {sources: [{interface: ens192}], network: nine}}\n')
  const { stderr } = await spanplan(lab, ['plan', '--adopt'], 1, options)
  expect(stderr).toContain('it cannot be adopted: Podman manages its bridge')

  // The bridge was not Podman's, and goes with the last container on the network all the same.
  const network = podman.getNetwork('nine')
  await network.connect({ Container: 'zeek' })
  expect(await lab.run(['ip', 'link', 'show', 'master', 'span9'])).toContain('veth')
  await network.disconnect({ Container: 'zeek' })
  await expect(lab.run(['ip', 'link', 'show', 'dev', 'span9'])).rejects.toThrow(/does not exist/)
  await network.remove()
})

test('an endpoint has no options, and none is made for a container of the network "none"', async () => {
  await ask('POST', '/networks/create', { name: 'plain', driver: 'bridge', dns_enabled: false })
  const plain = podman.getNetwork('plain')
  await plain.connect({ Container: 'zeek', EndpointConfig: { DriverOpts: { 'spanplan.name': 'default' } } })
  expect((await zeek.inspect()).NetworkSettings.Networks.plain).toMatchObject({ DriverOpts: null })
  const alone = await start('alone', 'none')
  await expect(plain.connect({ Container: 'alone' })).rejects.toThrow(/invalid network mode/)
  await alone.remove({ force: true })
})

test('where it fails to connect one container, Podman 5.4 lists none any more, and spanplan all but that one', async () => {
  await start('broken')
  await expect(ask('POST', '/networks/plain/connect', { container: 'broken', interface_name: 'eth0' })).rejects.toThrow(
    /already exists/
  )
  if (forgets) await expect(podman.listContainers()).rejects.toThrow(/network inspection mismatch/)
  else expect(Object.keys((await podman.getContainer('broken').inspect()).NetworkSettings.Networks)).toEqual(['podman'])
  await applySpan('network: span0, sensors: [zeek]')
  await expectConverged(lab, options)
  await expectHeard(lab, [zeek])
  await spanplan(lab, ['destroy', '--yes'], 0, options)
})
