import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { appendFile, copyFile, cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type Docker from 'dockerode'
import { execa } from 'execa'
import { findBusybox, findProgram, privateEnvironment, privateRoot } from '../programs.ts'

/** The image that every sensor of a lab runs: busybox, and tcpdump with its libraries. */
export const SENSOR_IMAGE = 'spanplan-sensor'

/** One with Suricata too, as Debian's package has it. */
export const SURICATA_IMAGE = 'spanplan-suricata'

/**
 * A sensor with no right but NET_RAW, which is all that spanplan asks for. tcpdump 4.99.3 also wants to set its groups, to those of
 * root that it has already, and ends where it may not.
 */
export function rawOnly(): Docker.HostConfig {
  const { stdout = '', stderr = '' } = spawnSync(findProgram('tcpdump'), ['--version'], { encoding: 'utf8' })
  const setsGroups = /^tcpdump version 4\.(?:\d\.|\d\d\.|99\.[0-3]\b)/m.test(`${stdout}\n${stderr}`)
  return { CapDrop: ['ALL'], CapAdd: ['NET_RAW', ...(setsGroups ? ['SETGID'] : [])] }
}

/** Makes the sensor image from the programs of this machine: no registry is asked. */
export async function importSensorImage(docker: Docker, scratch: string): Promise<void> {
  await layOutImage(scratch)
  await importImage(docker, scratch, SENSOR_IMAGE)
}

/** Makes the image with Suricata. It counts every second instead of every eighth, so that nobody has to wait. */
export async function importSuricataImage(docker: Docker, scratch: string): Promise<void> {
  await layOutImage(scratch)
  await addProgram(scratch, 'suricata')
  // To whom Debian's tcpdump changes.
  await appendFile(join(scratch, 'etc/passwd'), 'tcpdump:x:100:100::/nonexistent:/bin/false\n')
  for (const name of ['var/log/suricata', 'var/lib/suricata', 'run'])
    await mkdir(join(scratch, name), { recursive: true })
  await symlink('/run', join(scratch, 'var/run'))
  await mkdir(join(scratch, 'usr/share/misc'), { recursive: true })
  // Of libmagic-mgc, on which Debian's package depends.
  await copyFile(unpackedOrOwn('/usr/lib/file/magic.mgc'), join(scratch, 'usr/share/misc/magic.mgc'))
  const settings = join(scratch, 'etc/suricata')
  await cp(unpackedOrOwn('/etc/suricata'), settings, { recursive: true })
  const text = await readFile(join(settings, 'suricata.yaml'), 'utf8')
  await writeFile(join(settings, 'suricata.yaml'), text.replace(/^( +interval:) 8$/m, '$1 1'))
  await importImage(docker, scratch, SURICATA_IMAGE)
}

/** Where test/setup has unpacked a package's file; where the package is this machine's own, the file itself. */
function unpackedOrOwn(path: string): string {
  const unpacked = join(privateRoot, path)
  return existsSync(unpacked) ? unpacked : path
}

async function importImage(docker: Docker, folder: string, repo: string): Promise<void> {
  const tar = execa(findProgram('tar'), ['-C', folder, '-c', '.'], { buffer: false })
  const [progress] = await Promise.all([docker.importImage(tar.stdout, { repo, tag: 'latest' }), tar])
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
  await addProgram(folder, 'tcpdump')
}

/** Copies a program to where the image has it, with its libraries. */
async function addProgram(folder: string, name: string): Promise<void> {
  const program = findProgram(name)
  await copyFile(program, join(folder, 'usr/bin', name))
  const env = program.startsWith(privateRoot) ? privateEnvironment('') : {}
  const { stdout: libraries } = await execa(findProgram('ldd'), [program], { env })
  const paths = [...libraries.matchAll(/(?:^\t|=> )(\/\S+)/gm)].flatMap(([, path]) => path ?? [])
  const isUnpacked = (path: string) => path.startsWith(privateRoot)
  const copy = (from: string, files: readonly string[]) =>
    execa(findProgram('cp'), ['--dereference', '--parents', ...files, folder], { cwd: from })
  await copy(
    '/',
    paths.filter((path) => !isUnpacked(path))
  )
  const unpacked = paths.filter(isUnpacked).map((path) => relative(privateRoot, path))
  if (unpacked.length > 0) await copy(privateRoot, unpacked)
}
