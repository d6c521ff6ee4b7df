/** A lab's host that is a small Debian of its own, from test/debian, and spanplan's package, made for it. */
import { mkdir, readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Installed } from './installed.ts'
import { labFolder, privateRoot, projectRoot } from './lab/programs.ts'
import type { Lab } from './lab.ts'

/**
 * What is written goes into a folder of the lab. The lab's own folder is where it is on the machine. An overlay that does not wait
 * for the disk is not mounted twice with the same folder to work in.
 */
const enter = `set -e
rm -rf "$0/work"
mkdir "$0/work"
mount -t tmpfs tmpfs /mnt
mkdir /mnt/root
mount -t overlay -o "lowerdir=$1,upperdir=$0/root,workdir=$0/work,volatile" overlay /mnt/root
for folder in dev proc sys; do mount --rbind "/$folder" "/mnt/root/$folder"; done
mkdir -p "/mnt/root$2"
mount --rbind "$2" "/mnt/root$2"
mount --bind "$0/root/run" /mnt/root/run
cd /mnt/root
pivot_root . mnt
umount --lazy /mnt
shift 2
exec "$@"`

export type Debian = Pick<Installed, 'inside' | 'path'>

/** Makes it, of test/debian's folder, or of others that test/setup has made; nothing runs in it yet. */
export async function makeDebian(lab: Lab, layers: readonly string[] = ['debian']): Promise<Debian> {
  const folder = join(lab.files, 'debian')
  const path = (name: string) => join(folder, 'root', name)
  await mkdir(path('run'), { recursive: true })
  const lower = layers.map((name) => resolve(privateRoot, '..', name)).join(':')
  const script = ['sh', '-c', enter, folder, lower, labFolder(lab.name)] as const
  return { inside: ['unshare', '--mount', '--propagation', 'slave', '--', ...script], path }
}

/** What `npm run deb` reads. */
const sources = [
  ...['README.md', 'CHANGELOG.md', 'LICENSE', 'package.json', 'ansible', 'bin', 'debian', 'dist', 'docs', 'examples'],
  ...['man', 'schemas']
]

/** Debian's tools are where they belong, and not together with the machine's. */
const build = `set -e
for folder in usr etc; do mount -t overlay overlay -o "lowerdir=$0/$folder:/$folder" "/$folder"; done
out=$1
shift
mkdir -p "$out/one/spanplan"
cp -a "$@" "$out/one/spanplan"
cd "$out/one/spanplan"
umask 022
TZ=UTC LC_ALL=C debian/rules binary >&2
`

/** Two builds that have nothing in common but the files. */
const buildTwice = `${build}
debian/rules clean >&2
mkdir -p "$out/two/another-folder"
cp -a . "$out/two/another-folder"
cd "$out/two"
find . -exec touch -d 2001-02-03 {} +
chmod -R go-rwx .
chown -R nobody .
cd "$out/two/another-folder"
umask 077
setpriv --reuid=nobody --regid=nogroup --clear-groups env -u HOME TZ=XST-13 LC_ALL=C.UTF-8 OUTPUT=.. \
  faketime '2031-05-06 07:08:09' debian/rules binary >&2
cd "$out"
cmp one/*.deb two/*.deb
chmod go+r one/*.deb
cd /tmp
setpriv --reuid=nobody --regid=nogroup --clear-groups lintian --display-info --pedantic --tag-display-limit 0 "$out"/one/*.deb`

/** Builds the package twice, in a folder of that Debian's /tmp, and has lintian check it; gives its name, and what lintian says. */
export async function buildPackage(
  lab: Lab,
  out: string
): Promise<{ readonly name: string; readonly lintian: string }> {
  const { name, output } = await runBuild(lab, out, buildTwice)
  return { name, lintian: output }
}

/** Builds the package once, as {@link buildPackage} does, and gives its path. */
export async function buildPackageOnce(lab: Lab, out: string): Promise<string> {
  const { name } = await runBuild(lab, out, build)
  return join(out, 'one', name)
}

async function runBuild(lab: Lab, out: string, script: string) {
  const from = sources.map((name) => join(projectRoot, name))
  const output = await lab.run(['unshare', '--mount', 'sh', '-c', script, privateRoot, out, ...from])
  const [name = ''] = (await readdir(join(out, 'one'))).filter((one) => one.endsWith('.deb'))
  return { name, output }
}
