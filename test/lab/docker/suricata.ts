/** A real Suricata in a lab, which raises an alert for each {@link probe}, or as its own rule says. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type Docker from 'dockerode'
import { ipv4Udp, type Payload } from '../frames/frames.ts'
import type { Lab } from '../lab.ts'
import { findTap, until } from '../spans.ts'
import { importSuricataImage, SURICATA_IMAGE } from './sensor-images.ts'

const alertPort = 4000
const probeRule = `alert udp any any -> any ${alertPort} (msg:"probe"; content:"probe"; sid:1;)`

/** Starts a container with Suricata's image on no network, in which Suricata does not run yet. */
export async function startIds(lab: Lab, name = 'ids', rule = probeRule): Promise<Docker.Container> {
  await importSuricataImage(lab.docker, join(lab.files, 'image'))
  return startOneMore(lab, name, rule)
}

/** The same for several. */
export async function startAllIds(lab: Lab, names: readonly string[], rule: string): Promise<Docker.Container[]> {
  await importSuricataImage(lab.docker, join(lab.files, 'image'))
  return Promise.all(names.map((name) => startOneMore(lab, name, rule)))
}

async function startOneMore(lab: Lab, name: string, rule: string): Promise<Docker.Container> {
  const folder = join(lab.files, name)
  await mkdir(folder)
  await writeFile(join(folder, 'all.rules'), `${rule}\n`)
  const ids = await lab.docker.createContainer({
    name,
    Image: SURICATA_IMAGE,
    Cmd: ['/bin/sleep', 'infinity'],
    StopSignal: 'SIGKILL',
    HostConfig: { NetworkMode: 'none', Binds: [`${folder}:/ids`] }
  })
  await ids.start()
  return ids
}

/** A packet for which Suricata raises an alert. */
export function probe(source: string, destination: string, index: number): Payload {
  return ipv4Udp({
    source,
    sourcePort: 1024 + index,
    destination,
    destinationPort: alertPort,
    data: Buffer.from(`probe ${index}`)
  })
}

/** What Suricata says of a packet in its log. */
export interface SuricataEvent {
  readonly src_ip: string
  readonly src_port: number
  readonly dest_ip: string
  readonly dest_port: number
}

export interface Suricata {
  /** The alerts so far: all, or those of one rule. */
  readAlerts(sid?: number): Promise<readonly SuricataEvent[]>
  /** How many they are: much quicker. */
  countAlerts(sid?: number): Promise<number>
  /** What it calls anomalies so far. */
  readAnomalies(): Promise<readonly SuricataEvent[]>
  /** What it has counted, by names with dots as in its documentation. Its threads tell it every few seconds. */
  readCounters(): Promise<ReadonlyMap<string, number>>
  stop(): Promise<void>
}

interface SuricataOptions {
  /** What replaces parts of the configuration of Debian's package: YAML. */
  readonly settings?: string
}

/**
 * Starts Suricata on the interface by which a span is handed to the container.
 *
 * @param name of the folder of its logs
 */
export async function startSuricata(
  lab: Lab,
  ids: Docker.Container,
  name: string,
  { settings = '' }: SuricataOptions = {}
): Promise<Suricata> {
  const tap = await findTap(lab, ids)
  const { Name } = await ids.inspect()
  const folder = join(lab.files, Name.slice(1), name)
  await mkdir(folder)
  const header = '%YAML 1.1\n---\ninclude: /etc/suricata/suricata.yaml\n'
  await writeFile(join(folder, 'suricata.yaml'), `${header}${settings}`)
  const logs = `/ids/${name}`
  const run = `exec /usr/bin/suricata -c ${logs}/suricata.yaml -S /ids/all.rules -l ${logs} --af-packet=${tap.name} -k none >${logs}/out 2>&1`
  const exec = await ids.exec({ Cmd: ['/bin/sh', '-c', run] })
  await exec.start({ Detach: true })
  const read = async (file: string) => await readFile(join(folder, file), 'utf8').catch(() => '')
  const runs = async () => /engine started/i.test(`${await read('out')}${await read('suricata.log')}`)
  await until('Suricata runs', runs)
  const readLines = async (part: string) => {
    const lines = (await read('eve.json')).split('\n').slice(0, -1)
    return lines.filter((line) => line.includes(part))
  }
  const readEvents = async (part: string) => (await readLines(part)).map((line) => JSON.parse(line))
  const alert = (sid?: number) => (sid === undefined ? '"event_type":"alert"' : `"signature_id":${sid},`)
  return {
    readAlerts: (sid) => readEvents(alert(sid)),
    countAlerts: async (sid) => (await readLines(alert(sid))).length,
    readAnomalies: () => readEvents('"event_type":"anomaly"'),
    async readCounters() {
      const last = (await readLines('"event_type":"stats"')).at(-1)
      return new Map(last === undefined ? [] : flatten(JSON.parse(last).stats, ''))
    },
    async stop() {
      const { Pid } = await exec.inspect()
      process.kill(Pid, 'SIGKILL')
    }
  }
}

function flatten(counters: object, prefix: string): [string, number][] {
  return Object.entries(counters).flatMap(([name, value]): [string, number][] => {
    if (typeof value === 'number') return [[`${prefix}${name}`, value]]
    return typeof value === 'object' && value !== null ? flatten(value, `${prefix}${name}.`) : []
  })
}
