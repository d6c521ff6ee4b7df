/** A real Suricata in a lab, which raises an alert for each {@link probe}. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type Docker from 'dockerode'
import { ipv4Udp, type Payload } from '../frames/frames.ts'
import type { Lab } from '../lab.ts'
import { findTap, until } from '../spans.ts'
import { importSuricataImage, SURICATA_IMAGE } from './sensor-images.ts'

const alertPort = 4000

/** Starts a container with Suricata's image on no network, in which Suricata does not run yet. */
export async function startIds(lab: Lab, name = 'ids'): Promise<Docker.Container> {
  await importSuricataImage(lab.docker, join(lab.files, 'image'))
  const folder = join(lab.files, 'ids')
  await mkdir(folder)
  const rule = `alert udp any any -> any ${alertPort} (msg:"probe"; content:"probe"; sid:1;)\n`
  await writeFile(join(folder, 'all.rules'), rule)
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

/** An alert: from which address and port the packet came. */
export interface Alert {
  readonly src_ip: string
  readonly src_port: number
}

export interface Suricata {
  /** The alerts so far. */
  readAlerts(): Promise<readonly Alert[]>
  stop(): Promise<void>
}

/**
 * Starts Suricata on the interface by which a span is handed to the container.
 *
 * @param name of the folder of its logs
 */
export async function startSuricata(lab: Lab, ids: Docker.Container, name: string): Promise<Suricata> {
  const tap = await findTap(lab, ids)
  const logs = `/ids/${name}`
  const run = `mkdir -p ${logs} && exec /usr/bin/suricata -c /etc/suricata/suricata.yaml -S /ids/all.rules -l ${logs} --af-packet=${tap.name} -k none >${logs}/out 2>&1`
  const exec = await ids.exec({ Cmd: ['/bin/sh', '-c', run] })
  await exec.start({ Detach: true })
  const read = async (command: string) => (await lab.exec(ids, ['/bin/sh', '-c', command])).stdout
  await until('Suricata runs', async () => /engine started/i.test(await read(`cat ${logs}/out ${logs}/suricata.log`)))
  return {
    async readAlerts() {
      const lines = await read(`grep '"event_type":"alert"' ${logs}/eve.json`)
      return lines
        .split('\n')
        .filter((line) => line !== '')
        .map((line): Alert => JSON.parse(line))
    },
    async stop() {
      const { Pid } = await exec.inspect()
      process.kill(Pid, 'SIGKILL')
    }
  }
}
