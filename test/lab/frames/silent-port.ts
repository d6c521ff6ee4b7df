/** What a packet socket of the host's hears of what a sensor sends, and the XDP program that keeps that from it. */
import { expect } from 'vitest'
import type { Lab } from '../lab.ts'
import { findTap } from '../spans.ts'
import { everyKind } from './every-kind.ts'

/** Has a BPF file system of its own, as a host with systemd has one. */
export const able = { through: ['unshare', '--mount', 'sh', '-c', 'mount -t bpf bpf /sys/fs/bpf && exec "$@"', 'sh'] }

/** The modes and names of the XDP programs on an interface. */
export async function programsOn(lab: Lab, device: string): Promise<string[]> {
  const text = await lab.run(['ip', '-details', 'link', 'show', 'dev', device])
  return [...text.matchAll(/prog\/(\S+) id \d+ name (\S+)/g)].map(([, mode, name]) => `${mode} ${name}`)
}

/** What a silent port has. */
export const silent = ['xdp spanplan_seal']

/** Sends what stdin has, a frame a line: usually, past the qdisc, and 40 KB of TCP in one packet that the kernel has yet to cut up. */
const sender = `
import socket, struct, sys
device, frames = sys.argv[1], [bytes.fromhex(line) for line in sys.stdin.read().split()]
def opened(**options):
    one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    for name in options: one.setsockopt(263, options[name], 1)
    one.bind((device, 0))
    return one
usual, past, large = opened(), opened(bypass=20), opened(header=15)
for one in (usual, past):
    for frame in frames: one.send(frame)
source, destination, data = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2]), bytes(40000)
ip = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 40 + len(data), 1, 0x4000, 64, 6, 0, source, destination)
tcp = struct.pack('!HHIIBBHHH', 1, 2, 1, 1, 0x50, 0x18, 1000, 0, 0)
large.send(struct.pack('=BBHHHH', 1, 1, 54, 1400, 34, 16) + frames[0][:12] + bytes([8, 0]) + ip + tcp + data)
`

/** How many frames of one MAC address a packet socket of the host's gets on the port of suricata, which sends all kinds. */
export async function countHeard(lab: Lab, sensors: Parameters<typeof everyKind>[1]): Promise<number> {
  const { suricata } = sensors
  const { name, mac, port } = await findTap(lab, suricata)
  const frames = Object.values(await everyKind(lab, sensors, mac))
  const capture = await lab.captureLink(port, { direction: 'in', expression: `ether src ${mac}`, bulk: true })
  const { State } = await suricata.inspect()
  const argv = [`--net=/proc/${State.Pid}/ns/net`, '--', 'python3', '-c', sender, name] as const
  await lab.run(['nsenter', ...argv], { input: frames.map((frame) => frame.toString('hex')).join('\n') })
  const heard = await capture.stop()
  expect(heard.dropped).toBe(0)
  return heard.frames.length
}
