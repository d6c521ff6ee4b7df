/** What tests of the whole program share: files written, applied and checked in a lab, and frames followed to a sensor. */
import { writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type Docker from 'dockerode'
import { execa } from 'execa'
import { expect } from 'vitest'
import { ether, filler } from './frames/frames.ts'
import type { Capture, CaptureOptions } from './frames/tcpdump.ts'
import type { Lab, Outcome, SpanplanOptions } from './lab.ts'
import { parseRows } from './parse-rows.ts'
import { findProgram } from './programs.ts'

/** Ends what would never come; nothing is said of how long it may take. */
const PATIENCE_MS = 300_000
/** How long {@link until} leaves alone what it waits for, in times of a look. */
const pauses = availableParallelism() === 1 ? 3 : 1
const STRANGER = '02:00:00:00:0a:01'
const NOBODY = '02:00:00:00:0a:02'

/** Writes the lab's spans.yaml, which spanplan finds by itself: the version and this. */
export async function writeSpans(lab: Lab, text: string): Promise<void> {
  await writeFile(join(lab.files, 'spans.yaml'), `version: 1\n${text}`)
}

/** Runs spanplan, which has to exit as said. */
export async function spanplan(
  lab: Lab,
  args: readonly string[],
  exitCode = 0,
  options: SpanplanOptions = {}
): Promise<Outcome> {
  const outcome = await lab.spanplan(args, options)
  expect(outcome, `spanplan ${args.join(' ')}\n${outcome.stdout}\n${outcome.stderr}`).toMatchObject({ exitCode })
  return outcome
}

/** The plan has nothing to do. */
export async function expectConverged(lab: Lab, options: SpanplanOptions = {}): Promise<void> {
  const { stdout } = await spanplan(lab, ['plan', '--detailed-exitcode'], 0, options)
  expect(stdout).toContain('No changes')
}

/** What a plan warns of, less what it says on a kernel that cannot close a port from its first frame on, or silence it. */
export function warningsIn(stderr: string): string {
  return stderr.replace(/^warning: (a new sensor can send|what sealed sensors send) .*\n( {2}.*\n)?/gm, '')
}

/** Runs spanplan, which has to fail as said, and to leave the lab as it is; gives what it said. */
export async function expectRefusal(
  lab: Lab,
  args: readonly string[],
  exitCode = 1,
  options: SpanplanOptions = {}
): Promise<string> {
  const before = await lab.snapshotText()
  const { stderr } = await spanplan(lab, args, exitCode, options)
  expect(await lab.snapshotText()).toBe(before)
  return stderr
}

/**
 * Waits for what the kernel or Docker does in its own time, and leaves it that time: half of it goes into looking, at the most. On a
 * machine of one processor, where what looks takes it from what is waited for, it is a quarter.
 */
export async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS
  for (;;) {
    const start = performance.now()
    // What is looked at may go while it is looked at.
    const answer = await isSo().catch((error: unknown) => error)
    if (answer === true) return
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`, { cause: answer })
    await sleep(Math.max(50, pauses * (performance.now() - start)))
  }
}

/**
 * Has the kernel load nftables' modules, by a plan of the lab's file: on an emulated machine that may take longer than spanplan waits, and
 * what is not read is left for a later run.
 */
export async function awaitNftables(lab: Lab): Promise<void> {
  await until('nftables is read', async () => !(await lab.spanplan(['plan'])).stdout.includes('is not checked'))
}

/** Waits until the lab is as it was: addresses that the kernel gives back take it a second. */
export async function expectRestored(lab: Lab, before: string): Promise<void> {
  let now = ''
  const isRestored = async () => {
    now = await lab.snapshotText()
    return now === before
  }
  await until('the lab is as it was', isRestored).catch(() => undefined)
  expect(now).toBe(before)
}

/** The names of the Docker networks that a container is on. */
export async function networksOf(container: Docker.Container): Promise<string[]> {
  const { NetworkSettings } = await container.inspect()
  return Object.keys(NetworkSettings.Networks).sort()
}

export interface Interface {
  readonly name: string
  readonly mac: string
  /** The index of the host's end. */
  readonly peer: number
}

/** The container's interfaces, less its loopback. */
export async function interfacesOf(container: Docker.Container): Promise<Interface[]> {
  const { State } = await container.inspect()
  const argv = [`--net=/proc/${State.Pid}/ns/net`, '--', 'ip', '-json', 'link', 'show']
  const { stdout } = await execa(findProgram('nsenter'), argv)
  return parseRows<{ ifname: string; address: string; ifindex: number; link_index?: number }>(stdout)
    .filter(({ ifname }) => ifname !== 'lo')
    .map(({ ifname, address, ifindex, link_index = ifindex }) => ({ name: ifname, mac: address, peer: link_index }))
}

interface Tap {
  readonly name: string
  readonly mac: string
  /** The host's end. */
  readonly port: string
}

/** The interface that a container listens on: by the bridge that its other end is a port of. */
export async function findTap(lab: Lab, container: Docker.Container, span = 'span0'): Promise<Tap> {
  const ports: { ifindex: number; ifname: string }[] = JSON.parse(await lab.run(['ip', '-j', 'link']))
  const masters: { ifindex: number }[] = JSON.parse(await lab.run(['ip', '-j', 'link', 'show', 'master', span]))
  for (const { name, mac, peer } of await interfacesOf(container)) {
    const port = ports.find(({ ifindex }) => ifindex === peer)
    if (port && masters.some(({ ifindex }) => ifindex === peer)) return { name, mac, port: port.ifname }
  }
  throw new Error(`no interface of the container is on ${span}`)
}

/** The host's end of a container's interface on a span. */
export async function portOf(lab: Lab, container: Docker.Container, span = 'span0'): Promise<string> {
  return (await findTap(lab, container, span)).port
}

/** The MAC address of a link of the lab's host. */
export async function macOf(lab: Lab, device: string): Promise<string> {
  const [link]: { address: string }[] = JSON.parse(await lab.run(['ip', '-j', 'link', 'show', 'dev', device]))
  if (link === undefined) throw new Error(`no link ${device}`)
  return link.address
}

interface ListenOptions extends CaptureOptions {
  readonly span?: string
}

/** Listens in a sensor for what arrives from a span. */
export async function listen(
  lab: Lab,
  sensor: Docker.Container,
  { span = 'span0', ...options }: ListenOptions = {}
): Promise<Capture> {
  const { name } = await findTap(lab, sensor, span)
  return lab.capture(sensor, name, { direction: 'in', ...options })
}

/** The same from outside, where it is not on trial whether the sensor itself can listen. */
export async function listenBeside(
  lab: Lab,
  sensor: Docker.Container,
  { span = 'span0', ...options }: ListenOptions = {}
): Promise<Capture> {
  const { name } = await findTap(lab, sensor, span)
  return lab.captureBeside(sensor, name, { direction: 'in', ...options })
}

/** Ends a capture that has heard these frames, byte for byte, each once and in their order, and no other. */
export async function expectFrames(capture: Capture, expected: Readonly<Record<string, Buffer>>): Promise<void> {
  const names = new Map(Object.entries(expected).map(([name, frame]) => [frame.toString('hex'), name]))
  const { frames, dropped } = await capture.stop({ count: Object.keys(expected).length })
  const heard = frames.map((frame) => names.get(frame.toString('hex')) ?? frame.toString('hex'))
  expect(heard).toEqual(Object.keys(expected))
  expect(dropped).toBe(0)
}

/** The same in any order, as where emulated processors share the packets of a tunnel. */
export async function expectFramesInAnyOrder(
  capture: Capture,
  expected: Readonly<Record<string, Buffer>>
): Promise<void> {
  const names = new Map(Object.entries(expected).map(([name, frame]) => [frame.toString('hex'), name]))
  const { frames, dropped } = await capture.stop({ count: names.size })
  const heard = frames.map((frame) => names.get(frame.toString('hex')) ?? frame.toString('hex'))
  expect(heard.sort()).toEqual([...names.values()].sort())
  expect(dropped).toBe(0)
}

let sent = 0

/** A frame that no other is like. */
function freshFrame(size = 100): Buffer {
  return ether(NOBODY, STRANGER, filler(size, sent++))
}

/** What the switch sends at one of its ports arrives at the sensors, once each. */
export async function expectHeard(
  lab: Lab,
  sensors: readonly Docker.Container[],
  { from = 'sw0', span = 'span0' }: { readonly from?: string; readonly span?: string } = {}
): Promise<void> {
  const frame = freshFrame()
  const captures = await Promise.all(
    sensors.map(async (sensor) =>
      lab.captureBeside(sensor, (await findTap(lab, sensor, span)).name, { expression: `ether src ${STRANGER}` })
    )
  )
  await lab.send([frame], from)
  const heard = await Promise.all(captures.map((capture) => capture.stop({ count: 1 })))
  expect(heard.map(({ frames }) => frames)).toEqual(sensors.map(() => [frame]))
}

/** Sooner or later, what the switch sends arrives at a sensor: its interface, and all on the way, may be made anew meanwhile. */
export async function expectArriving(lab: Lab, sensor: Docker.Container, span = 'span0'): Promise<void> {
  await until(`frames of ${span} arrive`, () => isArriving(lab, sensor, span).catch(() => false))
}

/** Whether a frame that the switch sends now arrives. Rejects where there is no way for it. */
async function isArriving(lab: Lab, sensor: Docker.Container, span: string): Promise<boolean> {
  const frame = freshFrame()
  const { name } = await findTap(lab, sensor, span)
  const capture = await lab.captureBeside(sensor, name, { expression: `ether src ${STRANGER}` })
  await lab.send([frame])
  const { frames } = await capture.stop({ count: 1, seconds: 1 })
  return frames.some((heard) => heard.equals(frame))
}
