import { lstatSync, readdirSync, readlinkSync } from 'node:fs'
import { basename, dirname, isAbsolute, join, sep } from 'node:path'
import { type FSWatcher, watch } from 'chokidar'
import { isSpecFile } from '../../spec/schema/rules.ts'

/** What the watched paths depend on. */
interface Dependencies {
  /** Each name that leads to a path, with its folder. */
  readonly paths: Set<string>
  /** The folders of which each spec file counts. */
  readonly specFolders: Set<string>
}

/** Symbolic links that are followed for one path, as in path_resolution(7). */
const mostLinks = 40

/**
 * Wakes when a file is created, removed or changed, in whatever way: written, renamed over, behind a link that is replaced, in
 * a folder that is recreated. Events that change nothing wake nobody.
 *
 * Every folder on the path is watched for the one name in it that counts, and after each event the path is resolved again:
 * the kernel's watch stays with its folder, also when another folder has taken its place.
 */
export function watchFiles(wake: () => void) {
  const watchers = new Map<string, FSWatcher>()
  let dependencies: Dependencies = { paths: new Set(), specFolders: new Set() }
  /** The last description, by path. */
  let known: ReadonlyMap<string, string> = new Map()

  const follow = (paths: readonly string[]) => {
    dependencies = { paths: new Set(), specFolders: new Set() }
    const current = new Map(paths.map((path) => [path, pathState(path, dependencies)]))
    const folders = new Set([...[...dependencies.paths].map((path) => dirname(path)), ...dependencies.specFolders])
    for (const folder of folders) if (!watchers.has(folder)) begin(folder)
    for (const folder of [...watchers.keys()]) if (!folders.has(folder)) end(folder)
    const isChanged = paths.some((path) => known.has(path) && known.get(path) !== current.get(path))
    known = current
    if (isChanged) wake()
  }
  const begin = (folder: string) => {
    const watcher = watch(folder, {
      depth: 0,
      followSymlinks: false,
      ignoreInitial: true,
      ignorePermissionErrors: true,
      ignored: (path) => path !== folder && !counts(folder, basename(path))
    })
    watchers.set(folder, watcher)
    // The kernel's own events: chokidar's others do not tell of a folder that is recreated.
    watcher.on('raw', (_, name) => onEvent(folder, name))
    // What changed before the folder was watched has no event.
    watcher.on('ready', () => follow([...known.keys()]))
    // Where the kernel's watches are used up, the files are read again at every interval.
    watcher.on('error', () => undefined)
  }
  const end = (folder: string) => {
    void watchers.get(folder)?.close()
    watchers.delete(folder)
  }
  const counts = (folder: string, name: string) =>
    dependencies.paths.has(join(folder, name)) || (dependencies.specFolders.has(folder) && isSpecFile(name))
  const onEvent = (folder: string, name: string) => {
    if (name && !counts(folder, name)) return
    const changed = join(folder, name)
    for (const other of [...watchers.keys()]) if (`${other}${sep}`.startsWith(`${changed}${sep}`)) end(other)
    follow([...known.keys()])
  }
  return {
    /** From now on, these paths are watched, and no others: files, folders and links to them, whether they exist or not. */
    follow,
    close: (): void => {
      for (const folder of [...watchers.keys()]) end(folder)
    }
  }
}

/** What a path leads to, as a text that stays the same as long as nothing changes. */
function pathState(path: string, dependencies: Dependencies): string {
  const { end, steps } = resolvePath(path, process.cwd(), dependencies)
  if (end === null) return steps.join('\n')
  // Each file may be a link, which is followed within the folder.
  const files = listSpecFiles(end, dependencies).flatMap((file) => resolvePath(file, end, dependencies, end).steps)
  return [...steps, ...files].join('\n')
}

function listSpecFiles(folder: string, { specFolders }: Dependencies): string[] {
  try {
    const files = readdirSync(folder).filter(isSpecFile).sort()
    specFolders.add(folder)
    return files
  } catch {
    // The path is no folder.
    return []
  }
}

/**
 * Resolves a path as the kernel does, and adds what counts on it. `end` is where the path leads to; null: that is missing, or it is
 * not in the folder `within`: whoever lays links there has nothing else looked at.
 */
function resolvePath(
  path: string,
  from: string,
  dependencies: Dependencies,
  within: string = sep
): { readonly end: string | null; readonly steps: string[] } {
  const steps: string[] = []
  const names = partsOf(path)
  let at = startOf(path, from)
  let links = 0
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    if (name === '..') {
      at = dirname(at)
      continue
    }
    const next = join(at, name)
    if (!isIn(next, within) && !isIn(within, next)) return { end: null, steps }
    dependencies.paths.add(next)
    const entry = readEntry(next)
    steps.push(`${next} ${entry?.text}`)
    if (entry === null) return { end: null, steps }
    if (entry.link === null) {
      at = next
    } else {
      links += 1
      if (links > mostLinks) return { end: null, steps }
      names.unshift(...partsOf(entry.link))
      at = startOf(entry.link, at)
    }
  }
  return { end: at, steps }
}

const isIn = (path: string, folder: string) => join(path, sep).startsWith(join(folder, sep))
const partsOf = (path: string) => path.split(sep).filter((name) => name !== '' && name !== '.')
const startOf = (path: string, from: string) => (isAbsolute(path) ? sep : from)

/** The text of a folder does not depend on the files in it. */
function readEntry(path: string): { readonly text: string; readonly link: string | null } | null {
  try {
    const stats = lstatSync(path, { bigint: true })
    const link = stats.isSymbolicLink() ? readlinkSync(path) : null
    const { mode, uid, gid, dev, ino, size, mtimeNs, ctimeNs } = stats
    const facts = stats.isDirectory() ? [mode, uid, gid] : [dev, ino, size, mtimeNs, ctimeNs]
    return { text: facts.join(' '), link }
  } catch {
    return null
  }
}
