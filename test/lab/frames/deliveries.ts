/** What comes to a host, and what it hands to its ports: of all interfaces at once, also of those that come later. */
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import type { Lab } from '../lab.ts'
import { findProgram, labEnvironment } from '../programs.ts'
import { until } from '../spans.ts'
import { hostNamespace } from '../sweep.ts'

/** A packet at an interface of the host. */
export interface Delivery {
  /** The index of the interface. */
  readonly index: number
  readonly isOutgoing: boolean
  readonly packet: Buffer
}

const pcapHeader = 24
const recordHeader = 16
/** LINKTYPE_LINUX_SLL2: the index is at 4, the type at 10 (4: outgoing), the packet at 20. */
const linkType = 276

/** Listens on all interfaces of the host, until the function that it gives is called. */
export async function listenEverywhere(lab: Lab, expression: string): Promise<() => Promise<Delivery[]>> {
  const file = join(lab.files, 'everywhere.pcap')
  const argv = ['tcpdump', '-i', 'any', '-n', '-Z', 'root', '-B', '131072', '-s', '200', '-U', '-w', file, expression]
  const listening = execa(findProgram('nsenter'), [`--net=${hostNamespace(lab.name)}`, ...argv], {
    env: labEnvironment(lab.name),
    extendEnv: false
  })
  let said = ''
  listening.stderr.on('data', (chunk) => {
    said += chunk
  })
  listening.catch(() => undefined)
  await until('tcpdump listens', async () => said.includes('listening on'))
  return async () => {
    // The kernel hands frames over up to a second late.
    for (let size = -1; ; ) {
      await new Promise((resolve) => setTimeout(resolve, 2000))
      const now = (await readFile(file)).length
      if (now === size) break
      size = now
    }
    listening.kill('SIGINT')
    await listening.catch(() => undefined)
    if (!said.includes('\n0 packets dropped by kernel')) throw new Error(`tcpdump lost packets:\n${said}`)
    const found = readDeliveries(await readFile(file))
    await rm(file)
    return found
  }
}

function readDeliveries(file: Buffer): Delivery[] {
  if (file.readUInt32LE(20) !== linkType) throw new Error('not a capture of all interfaces')
  const found: Delivery[] = []
  for (let at = pcapHeader; at + recordHeader <= file.length; ) {
    const length = file.readUInt32LE(at + 8)
    const record = file.subarray(at + recordHeader, at + recordHeader + length)
    found.push({ index: record.readUInt32BE(4), isOutgoing: record[10] === 4, packet: record.subarray(20) })
    at += recordHeader + length
  }
  return found
}
