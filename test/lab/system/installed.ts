/** A lab's host on which spanplan is installed: with /etc, /run and /usr/local of its own, for what reads or writes there. */
import { cp, mkdir, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Lab } from '../lab.ts'
import { privateRoot, projectRoot } from '../programs.ts'

/** What `npm pack` takes along that spanplan runs with. */
const installed = ['bin', 'dist', 'package.json']

/** Folders that are seen as they are on that host, and not together with what the machine has there. */
const own = ['etc/network', 'etc/spanplan', 'etc/systemd', 'run']

/** Also what test/setup has unpacked is where it belongs: systemd finds parts of its own nowhere else. */
const script = `set -e
mount -t overlay overlay -o "lowerdir=$0/etc:/etc" /etc
mount -t overlay overlay -o "lowerdir=$0/usr:/usr:${join(privateRoot, 'usr')}" /usr
for folder in ${own.join(' ')}; do mount --bind "$0/$folder" "/$folder"; done
exec "$@"`

export interface Installed {
  /** Put before a command, it runs there. */
  readonly inside: readonly [string, ...string[]]
  /** Where a file of that host lies for the test. */
  path(name: string): string
  /** Puts a file there, or takes it from examples. */
  put(name: string, example: string): Promise<void>
}

/** Installs it as `npm install -g` does. */
export async function install(lab: Lab): Promise<Installed> {
  const root = join(lab.files, 'host')
  const path = (name: string) => join(root, name)
  const library = 'usr/local/lib/node_modules/spanplan'
  for (const folder of [...own, 'usr/local/bin', library]) await mkdir(path(folder), { recursive: true })
  // An overlay does not see what is mounted in the folders below, as test/run does there.
  await cp('/usr/local/sbin', path('usr/local/sbin'), { recursive: true })
  for (const name of installed) await cp(join(projectRoot, name), path(join(library, name)), { recursive: true })
  await symlink('../lib/node_modules/spanplan/bin/spanplan.js', path('usr/local/bin/spanplan'))
  return {
    // What Docker mounts later is seen there too.
    inside: ['unshare', '--mount', '--propagation', 'slave', '--', 'sh', '-c', script, root],
    path,
    put: async (name, example) => {
      await mkdir(dirname(path(name)), { recursive: true })
      await cp(join(projectRoot, 'examples', example), path(name))
    }
  }
}
