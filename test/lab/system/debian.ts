/** A lab's host that is a small Debian of its own, from test/setup.d/debian, and spanplan's package, made for it. */
import { mkdir, readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Lab } from '../lab.ts'
import { labFolder, privateRoot, projectRoot } from '../programs.ts'
import type { Installed } from './installed.ts'

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

/** Makes it, of a folder that test/setup has made, or of several; nothing runs in it yet. */
export async function makeDebian(lab: Lab, layers: readonly string[] = ['debian']): Promise<Debian> {
  const folder = join(lab.files, layers.join('-on-'))
  const path = (name: string) => join(folder, 'root', name)
  await mkdir(path('run'), { recursive: true })
  const lower = layers.map((name) => resolve(privateRoot, '..', name)).join(':')
  const script = ['sh', '-c', enter, folder, lower, labFolder(lab.name)] as const
  return { inside: ['unshare', '--mount', '--propagation', 'slave', '--', ...script], path }
}

/** What `npm run deb` reads. */
const sources = [
  ...['README.md', 'CHANGELOG.md', 'SECURITY.md', 'LICENSE', 'package.json', 'ansible', 'bin', 'debian', 'dist'],
  ...['docs', 'examples', 'man', 'schemas']
]

/** Debian's tools are where they belong, and not together with the machine's. To pack Node.js well would take minutes. */
const build = `set -e
for folder in usr etc; do mount -t overlay overlay -o "lowerdir=$0/$folder:/$folder" "/$folder"; done
out=$1
from=$2
shift 2
mkdir -p "$out/one/spanplan"
cd "$out/one/spanplan"
copy() { tar -c -C "$from" "$@" | tar -x; }
copy --exclude=node_modules --exclude=dist/release "$@"
export DPKG_DEB_COMPRESSOR_TYPE=gzip DPKG_DEB_COMPRESSOR_LEVEL=1 XZ_DEFAULTS=-0
umask 022
TZ=UTC LC_ALL=C debian/rules binary >&2
`

/** Two builds that have nothing in common but the files. */
const buildTwice = `${build}
debian/rules clean >&2
copy --exclude=include --exclude=share debian/node/node_modules
debian/with-node ../*_all.deb >&2
debian/release ../release ../*.deb ../*.tar.xz >&2
mkdir -p "$out/two/another-folder"
cp -a . "$out/two/another-folder"
cd "$out/two"
find . -exec touch -d 2001-02-03 {} +
chmod -R go-rwx .
chown -R nobody .
cd "$out/two/another-folder"
umask 077
setpriv --reuid=nobody --regid=nogroup --clear-groups env -u HOME TZ=XST-13 LC_ALL=C.UTF-8 OUTPUT=.. \
  faketime '2031-05-06 07:08:09' sh -c 'debian/rules binary && debian/with-node ../*_all.deb amd64 && debian/release ../release ../*.deb ../*.tar.xz' >&2
cd "$out/two"
for file in *.*; do cmp "../one/$file" "$file"; done
cd release
sha256sum --check --strict --quiet --ignore-missing "$out/one/release/SHA256SUMS" >&2
for file in spanplan-*.tgz notes.md; do cmp "$out/one/release/$file" "$file"; done`

/** What lintian says of the one for every architecture, and of one that has a Node.js of its own. */
const lint = `for folder in usr etc; do mount -t overlay overlay -o "lowerdir=$0/$folder:/$folder" "/$folder"; done
cd /tmp
chmod go+r "$1"/one/*.deb
exec setpriv --reuid=nobody --regid=nogroup --clear-groups \\
  lintian --display-info --pedantic --tag-display-limit 0 "$1"/one/*_all.deb "$1"/one/*_amd64.deb`

/** Builds the packages twice, in a folder of that Debian's /tmp; gives their names. */
export async function buildPackages(lab: Lab, out: string): Promise<readonly string[]> {
  return runBuild(lab, out, buildTwice)
}

/** Gives what lintian says of them. */
export function lintPackages(lab: Lab, out: string): Promise<string> {
  return lab.run(['unshare', '--mount', 'sh', '-c', lint, privateRoot, out])
}

/** Builds the package for every architecture once, as {@link buildPackages} does, and gives its path. */
export async function buildPackageOnce(lab: Lab, out: string): Promise<string> {
  const names = await runBuild(lab, out, build)
  return join(out, 'one', ...names)
}

async function runBuild(lab: Lab, out: string, script: string): Promise<readonly string[]> {
  await lab.run(['unshare', '--mount', 'sh', '-c', script, privateRoot, out, projectRoot, ...sources])
  return (await readdir(join(out, 'one'))).filter((name) => name.includes('.')).sort()
}
