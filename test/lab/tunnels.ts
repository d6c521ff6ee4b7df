/** A host that others send mirrors to in tunnels of VXLAN: from the switch, by devices of these names. */
import type Docker from 'dockerode'
import { BROADCAST, ether, filler } from './frames/frames.ts'
import { createLab, type Lab } from './lab.ts'
import { runnersOf } from './restored.ts'
import { expectRestored, listen, spanplan, writeSpans } from './spans.ts'

const senders = {
  out: 'id 42 remote 10.50.0.2',
  other: 'id 43 remote 10.50.0.2',
  elsewhere: 'id 42 remote 10.50.0.2 dstport 4790',
  many: 'id 44 group 239.1.1.1 dev sw0',
  six: 'id 42 remote fd50::2'
}

type Sender = keyof typeof senders

export const stranger = '02:00:00:00:57:01'

/** The interface of id 42 and port 4789, and of the name "default". */
export const tunnel = 'vxlan-3d98b18a'

/** What two sensors hear of that. */
export const twice = (...heard: Sender[]) => [heard, heard]

export interface TunnelLab {
  readonly lab: Lab
  readonly suricata: Docker.Container
  readonly zeek: Docker.Container
  readonly onSwitch: (command: string) => Promise<string>
  readonly onHost: (command: string) => Promise<string>
  /** Writes a file with one span, whose source is a VXLAN and whose sensors are both. */
  write(vxlan: string): Promise<unknown>
  /** What these sensors hear while each of these devices sends one frame: the names of the devices. Default: both sensors. */
  heardOf(devices: readonly Sender[], sensors?: readonly Docker.Container[]): Promise<string[][]>
  /** After a destroy, the lab is as it was. */
  expectNothingLeft(): Promise<void>
  /** The lab as it was. */
  readonly before: string
}

export async function createTunnelLab(): Promise<TunnelLab> {
  const lab = await createLab({ docker: true })
  const suricata = await lab.startListener('suricata')
  const zeek = await lab.startListener('zeek')
  const { onHost, onSwitch } = runnersOf(() => lab)
  await onSwitch('ip addr add 10.50.0.1/24 dev sw0')
  await onHost('ip addr add 10.50.0.2/24 dev ens192')
  await onSwitch('ip addr add fd50::1/64 dev sw0 nodad')
  await onHost('ip addr add fd50::2/64 dev ens192 nodad')
  for (const [name, rest] of Object.entries(senders)) {
    const port = rest.includes('dstport') ? '' : ' dstport 4789'
    const local = name === 'six' ? 'fd50::1' : '10.50.0.1'
    await onSwitch(`ip link add dev ${name} type vxlan ${rest}${port} local ${local} nolearning`)
    // Frames of 9,014 bytes come in two datagrams.
    if (name === 'out') await onSwitch(`ip link set dev ${name} mtu 9000`)
    await onSwitch(`ip link set dev ${name} addrgenmode none`)
    await onSwitch(`ip link set dev ${name} up`)
  }
  const before = await lab.snapshotText()
  return {
    ...{ lab, suricata, zeek, onSwitch, onHost, before },
    async expectNothingLeft() {
      await spanplan(lab, ['destroy', '--all', '--yes'])
      await expectRestored(lab, before)
    },
    write: (vxlan) => writeSpans(lab, `spans: {span0: {sources: [{vxlan: {${vxlan}}}], sensors: [suricata, zeek]}}`),
    async heardOf(devices, sensors = [suricata, zeek]) {
      const frames = devices.map((_, index) => ether(BROADCAST, stranger, filler(100 + index)))
      const captures = await Promise.all(
        sensors.map((sensor) => listen(lab, sensor, { expression: `ether src ${stranger}` }))
      )
      for (const [index, frame] of frames.entries()) await lab.send([frame], devices[index], 'switch')
      const heard = await Promise.all(captures.map((capture) => capture.stop({ seconds: 1 })))
      return heard.map((one) => one.frames.map(({ length }) => devices[length - 100] ?? ''))
    }
  }
}
