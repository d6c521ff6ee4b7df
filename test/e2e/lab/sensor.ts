import { copyFile, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type Docker from 'dockerode'
import { execa } from 'execa'
import { findBusybox, findProgram } from './programs.ts'

/** The image that every sensor of a lab runs: busybox, and tcpdump with its libraries. */
export const SENSOR_IMAGE = 'spanplan-sensor'

/** Makes the sensor image from the programs of this machine: no registry is asked. */
export async function importSensorImage(docker: Docker, scratch: string): Promise<void> {
  await layOutImage(scratch)
  const tar = execa(findProgram('tar'), ['-C', scratch, '-c', '.'], { buffer: false })
  const [progress] = await Promise.all([docker.importImage(tar.stdout, { repo: SENSOR_IMAGE, tag: 'latest' }), tar])
  await new Promise<void>((resolve, reject) => {
    docker.modem.followProgress(progress, (error) => (error ? reject(error) : resolve()))
  })
}

async function layOutImage(folder: string): Promise<void> {
  for (const name of ['bin', 'usr/bin', 'etc', 'tmp', 'root']) await mkdir(join(folder, name), { recursive: true })
  await writeFile(join(folder, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n')
  await copyFile(findBusybox(), join(folder, 'bin/busybox'))
  const { stdout: applets } = await execa(findBusybox(), ['--list'])
  const links = applets.split('\n').filter((applet) => applet !== 'busybox')
  await Promise.all(links.map((applet) => symlink('busybox', join(folder, 'bin', applet))))
  const tcpdump = findProgram('tcpdump')
  await copyFile(tcpdump, join(folder, 'usr/bin/tcpdump'))
  const { stdout: libraries } = await execa(findProgram('ldd'), [tcpdump])
  const paths = [...libraries.matchAll(/(?:^\t|=> )(\/\S+)/gm)].flatMap(([, path]) => path ?? [])
  await execa(findProgram('cp'), ['--dereference', '--parents', ...paths, folder])
}
