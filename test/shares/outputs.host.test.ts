/** Outputs that share a span join and leave under a stream of numbered frames: none is lost. */
import { mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { type Delivery, listenEverywhere } from '../lab/frames/deliveries.ts'
import { ether, ipv4Udp } from '../lab/frames/frames.ts'
import { createLab, type Lab, type SpanplanOptions } from '../lab/lab.ts'
import { findProgram, labEnvironment } from '../lab/programs.ts'
import { restoreAfterEach, runnersOf } from '../lab/restored.ts'
import { expectConverged, spanplan, writeSpans } from '../lab/spans.ts'

let lab: Lab

const { onHost } = runnersOf(() => lab)

beforeAll(async () => {
  lab = await createLab({
    cables: [
      { card: 'ens192', mtu: 1500 },
      { card: 'ens224', mtu: 1500 }
    ],
    docker: true
  })
  await Promise.all([1, 2].map((number) => lab.startListener(`suri-${number}`)))
})
afterAll(() => lab?.close())

restoreAfterEach(() => lab)

/** More than are sent: no number comes twice. */
const frames = Array.from({ length: 60_000 }, (_, number) => {
  const data = Buffer.alloc(8)
  data.writeUInt32BE(number)
  const packet = ipv4Udp({ source: `10.1.0.${number % 100}`, destination: '192.0.2.1', destinationPort: 53, data })
  return ether('02:00:00:00:0b:02', '02:00:00:00:0b:01', packet)
})

const numberOf = ({ packet }: Delivery) => packet.readUInt32BE(28)

const write = (sensors: string, outputs = '') =>
  writeSpans(
    lab,
    `spans: {span0: {sources: [{interface: ens192, direction: ingress}], network: span, sensors: [${sensors}], outputs: [${outputs}]}}`
  )

const alone = '{balance: [suri-1, suri-2]}'
const joined = '{balance: [suri-1, suri-2, {interface: ens224}]}'

/** The frames that nobody got while this was done, of how many, and how many left by the output. */
async function findLost(act: () => Promise<void>) {
  const index: number = JSON.parse(await onHost('ip -json link show dev ens224'))[0].ifindex
  const stop = await listenEverywhere(lab, 'udp dst port 53')
  const stopSending = await lab.stream(frames, 1000)
  await sleep(300)
  await act().finally(async () => {
    await sleep(300)
    await stopSending()
  })
  const deliveries = await stop()
  const out = deliveries.filter(({ isOutgoing }) => isOutgoing)
  const delivered = new Set(out.map(numberOf))
  const received = deliveries.filter(({ isOutgoing }) => !isOutgoing).map(numberOf)
  return {
    lost: received.filter((number) => !delivered.has(number)),
    received: received.length,
    left: out.filter((one) => one.index === index).length
  }
}

test('no frame is lost while an output joins whose interface resets itself for its MTU, nor while it leaves', async () => {
  await write(alone)
  await spanplan(lab, ['apply', '--yes'])
  await onHost('ip link set dev ens224 mtu 1400 up')
  const { options } = await wrapPrograms(lab, {
    ip: `case "$input" in *'dev ens224 mtu'*)
  run link set dev ens224 down
  printf '%s\\n' "$input" | run "$@" || exit
  sleep 0.5
  run link set dev ens224 up
  exit ;;
esac`
  })
  const { lost, received, left } = await findLost(async () => {
    await write(joined)
    expect((await lab.spanplan(['apply', '--yes'], options)).exitCode).toBe(0)
    await expectConverged(lab)
    await sleep(300)
    await write(alone)
    expect((await lab.spanplan(['apply', '--yes'], options)).exitCode).toBe(0)
  })
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await onHost('ip link set dev ens224 mtu 1500')
  expect(lost).toEqual([])
  expect(left).toBeGreaterThan(0)
  expect(received).toBeGreaterThan(left)
})

test('no frame is lost while an output goes from all frames to a share, and back', async () => {
  await write(alone, '{interface: ens224}')
  await spanplan(lab, ['apply', '--yes'])
  const { lost } = await findLost(async () => {
    await write(joined)
    await spanplan(lab, ['apply', '--yes'])
    await write(alone, '{interface: ens224}')
    await spanplan(lab, ['apply', '--yes'])
  })
  expect(lost).toEqual([])
})

/** For longer than the kernel may take to tell the bridge of a carrier. */
async function expectStaysDisabled(): Promise<void> {
  for (let look = 0; look < 15; look++) {
    expect(await onHost('bridge link show dev ens224')).toContain('state disabled')
    await sleep(100)
  }
}

test.each([
  { kernel: 'that tells of a carrier at once where it is asked', script: 'cat' },
  { kernel: 'that tells once a second', script: "sed -u 's/^link show dev .*/link show type nlmon/'" }
])('an output that was down for a moment is closed by the next apply, on a kernel $kernel', async ({ script }) => {
  await write(joined)
  await spanplan(lab, ['apply', '--yes'])
  const options = await wrapIp(`${script} | ${findProgram('ip')} "$@"`)
  for (let round = 0; round < 3; round++) {
    await onHost('ip link set dev ens224 down')
    await onHost('ip link set dev ens224 up')
    await spanplan(lab, ['apply', '--yes'], 0, options)
    await expectStaysDisabled()
  }
  await expectConverged(lab)
})

/** Options for a spanplan whose batches for `ip` go through this script. */
async function wrapIp(script: string): Promise<SpanplanOptions> {
  const folder = await mkdtemp(join(lab.files, 'bin-'))
  const wrapper = `#!/bin/sh\ncase "$*" in *-batch*) ;; *) exec ${findProgram('ip')} "$@" ;; esac\n${script}\n`
  await writeFile(join(folder, 'ip'), wrapper, { mode: 0o755 })
  return { env: { PATH: `${folder}:${labEnvironment(lab.name).PATH}` } }
}

test('of an interface that was down, the plan shows what is on the host afterwards', async () => {
  await write(alone)
  await spanplan(lab, ['apply', '--yes'])
  await onHost('ip link set dev ens224 down')
  await write('{balance: [{interface: ens224}, suri-1, suri-2]}')
  const { stdout } = await spanplan(lab, ['plan'])
  expect(stdout).toContain('1 of 3 shares by mirrors, once it is attached')
  expect(stdout).toContain('Plan: 1 to create, 0 to change, 0 to replace, 0 to remove.')
  // The kernel tells of carriers once a second: of one that comes right after another, as much later. What is quick ends before.
  const ip = findProgram('ip')
  const options = await wrapIp(`case "$*" in -batch*) ;; *) exec ${ip} "$@" ;; esac
input=$(cat)
case "$input" in *'dev ens224 up'*) ${ip} link set dev ens224 up; sleep 0.05; ${ip} link set dev ens224 down ;; esac
printf '%s\\n' "$input" | exec ${ip} "$@"`)
  await spanplan(lab, ['apply', '--yes'], 0, options)
  await expectStaysDisabled()
  await expectConverged(lab)
  expect((await spanplan(lab, ['status'])).stdout.match(/share 3[34] %/g)).toHaveLength(3)
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await onHost('ip link set dev ens224 up')
})
