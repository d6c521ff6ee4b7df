import { lstatSync, readdirSync, readlinkSync } from 'node:fs'
import { basename, dirname, isAbsolute, join, sep } from 'node:path'
import { type FSWatcher, watch } from 'chokidar'
import { isSpecFile } from '../../spec/schema/rules.ts'

/** A watch of the files of spans. */
export interface FileWatch {
  /** From now on these, and no others: files, folders, links to either, whether they exist or not. */
  follow(paths: readonly string[]): void
  close(): void
}

/** What leads to the paths: by folder, the names in it that count, and the folders whose files are put together. */
interface Ways {
  readonly names: Map<string, Set<string>>
  readonly specFolders: Set<string>
}

/** Symbolic links on the way to one file, as in path_resolution(7). */
const mostLinks = 40

/**
 * Wakes when a file comes, goes or is another one, in whatever way: written, renamed over, behind a link that is swapped, in a
 * folder that is made anew. What leaves all as it is wakes nobody.
 *
 * Every folder on the way is watched for the one name in it that counts, and after each event the way is walked again: a
 * watch stays with the folder that it was put on, also when another one has taken its place.
 */
export function watchFiles(wake: () => void): FileWatch {
  const watchers = new Map<string, FSWatcher>()
  let ways: Ways = { names: new Map(), specFolders: new Set() }
  /** What was found, by path. */
  let known: ReadonlyMap<string, string> = new Map()

  const look = (paths: readonly string[]) => {
    ways = { names: new Map(), specFolders: new Set() }
    const found = new Map(paths.map((path) => [path, describe(path, ways)]))
    for (const folder of ways.names.keys()) if (!watchers.has(folder)) begin(folder)
    for (const folder of [...watchers.keys()]) if (!ways.names.has(folder)) end(folder)
    const isChanged = paths.some((path) => known.has(path) && known.get(path) !== found.get(path))
    known = found
    if (isChanged) wake()
  }
  const begin = (folder: string) => {
    const watcher = watch(folder, {
      ...{ depth: 0, followSymlinks: false, ignoreInitial: true, ignorePermissionErrors: true },
      ignored: (path) => path !== folder && !counts(folder, basename(path))
    })
    watchers.set(folder, watcher)
    // The kernel's own events: what they say of a folder that is made anew, the others keep to themselves.
    watcher.on('raw', (_, name) => heed(folder, name))
    // What changed before it was watched is seen only by looking once more.
    watcher.on('ready', () => look([...known.keys()]))
    // Where the kernel has no watch to give any more, the files are read again at every interval.
    watcher.on('error', () => undefined)
  }
  const end = (folder: string) => {
    void watchers.get(folder)?.close()
    watchers.delete(folder)
  }
  const counts = (folder: string, name: string) =>
    ways.names.get(folder)?.has(name) || (ways.specFolders.has(folder) && isSpecFile(name))
  const heed = (folder: string, name: string) => {
    if (name && !counts(folder, name)) return
    const gone = join(folder, name)
    for (const other of [...watchers.keys()]) if (`${other}${sep}`.startsWith(`${gone}${sep}`)) end(other)
    look([...known.keys()])
  }
  return {
    follow: look,
    close: () => {
      for (const folder of [...watchers.keys()]) end(folder)
    }
  }
}

/** What a path leads to: the same text as long as nothing changes. */
function describe(path: string, ways: Ways): string {
  const { end, steps } = walk(path, process.cwd(), ways)
  if (end === null) return steps.join('\n')
  const files = listSpecFiles(end)
  if (files === null) return steps.join('\n')
  noteFolder(ways, end)
  ways.specFolders.add(end)
  // Each of them may be a link that leads elsewhere.
  return [...steps, ...files.flatMap((file) => walk(file, end, ways).steps)].join('\n')
}

function listSpecFiles(folder: string): string[] | null {
  try {
    return readdirSync(folder).filter(isSpecFile).sort()
  } catch {
    // It is no folder.
    return null
  }
}

/** Goes the way as the kernel does, and notes what counts on it. `end` is where it leads to; null if that is missing. */
function walk(path: string, from: string, ways: Ways): { readonly end: string | null; readonly steps: string[] } {
  const steps: string[] = []
  const names = partsOf(path)
  let at = startOf(path, from)
  let links = 0
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    if (name === '..') {
      at = dirname(at)
      continue
    }
    noteFolder(ways, at).add(name)
    const next = join(at, name)
    const found = lookAt(next)
    steps.push(`${next} ${found?.text}`)
    if (found === null) return { end: null, steps }
    if (found.link === null) {
      at = next
    } else {
      links += 1
      if (links > mostLinks) return { end: null, steps }
      names.unshift(...partsOf(found.link))
      at = startOf(found.link, at)
    }
  }
  return { end: at, steps }
}

const partsOf = (path: string) => path.split(sep).filter((name) => name !== '' && name !== '.')
const startOf = (path: string, from: string) => (isAbsolute(path) ? sep : from)

function noteFolder({ names }: Ways, folder: string): Set<string> {
  const noted = names.get(folder) ?? new Set<string>()
  names.set(folder, noted)
  return noted
}

/** A folder is the same whatever comes and goes in it. */
function lookAt(path: string): { readonly text: string; readonly link: string | null } | null {
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
