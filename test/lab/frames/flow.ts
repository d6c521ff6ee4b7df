/** Numbered datagrams from one end of a cable to the other, and which of them did not arrive. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Lab, Side } from '../lab.ts'

const PORT = 6000

/** Ten datagrams every five milliseconds, until its standard input ends; says how many. */
const sender = `
const [host, port] = process.argv.slice(1)
const socket = require('node:dgram').createSocket('udp4')
let count = 0
const send = () => {
  for (let burst = 0; burst < 10; burst++) {
    const data = Buffer.alloc(64)
    data.writeUInt32BE(count++)
    socket.send(data)
  }
}
socket.connect(Number(port), host, () => {
  const timer = setInterval(send, 5)
  process.stdin.resume().once('end', () => {
    clearInterval(timer)
    socket.close(() => console.log(count))
  })
  console.error('begun')
})
`

/**
 * Collects the numbers until its standard input ends; says how many different ones, how many the socket had no room for,
 * and the longest time between two, in milliseconds.
 */
const receiver = `
const { readFileSync } = require('node:fs')
const overruns = () => {
  const [names, values] = readFileSync('/proc/net/snmp', 'utf8').split('\\n').filter((line) => line.startsWith('Udp:'))
  return Number(values.split(' ')[names.split(' ').indexOf('RcvbufErrors')])
}
const before = overruns()
const numbers = new Set()
let [last, pause] = [Infinity, 0]
const socket = require('node:dgram').createSocket('udp4')
socket.on('message', (data) => {
  numbers.add(data.readUInt32BE())
  const now = performance.now()
  pause = Math.max(pause, now - last)
  last = now
})
socket.bind(Number(process.argv[1]), () => console.error('begun'))
process.stdin.resume().once('end', () => {
  socket.close(() => console.log(JSON.stringify({ arrived: numbers.size, overruns: overruns() - before, pause })))
})
`

export interface FlowEnd {
  readonly sent: number
  /** How many of them did not come to the socket. */
  readonly lost: number
  /** The longest time between two that did, in milliseconds. */
  readonly pause: number
}

interface Flow {
  end(): Promise<FlowEnd>
}

/** Sends numbered datagrams from one side to an address of the other. */
export async function startFlow(lab: Lab, from: Side, address: string): Promise<Flow> {
  const to = from === 'host' ? 'switch' : 'host'
  const listening = await start(lab, to, receiver, [String(PORT)])
  const sending = await start(lab, from, sender, [address, String(PORT)])
  return {
    async end() {
      const sent = Number(await sending())
      // What is under way arrives within microseconds; what is in the socket's queue is read when the receiver gets its turn.
      await sleep(500)
      const { arrived, overruns, pause } = JSON.parse(await listening())
      return { sent, lost: sent - arrived - overruns, pause }
    }
  }
}

/** Starts a script, and resolves once it says so to a function that ends it and gives what it printed. */
async function start(lab: Lab, on: Side, script: string, args: readonly string[]): Promise<() => Promise<string>> {
  const subprocess = lab.start([process.execPath, '-e', script, ...args], { on })
  await new Promise<void>((resolve, reject) => {
    subprocess.stderr?.once('data', () => resolve())
    subprocess.catch(reject)
  })
  return async () => {
    subprocess.stdin?.end()
    return (await subprocess).stdout
  }
}

/** The numbers in captured frames of a flow. */
export function numbersOf(frames: readonly Buffer[]): number[] {
  // Behind the headers of Ethernet, of IPv4 without options, and of UDP.
  return frames.map((frame) => frame.readUInt32BE(14 + 20 + 8))
}

/** In pcap-filter(7)'s words. */
export const flowExpression = `udp and dst port ${PORT}`
