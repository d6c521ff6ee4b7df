import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Where the kernel shows the interfaces of this network namespace: to read the names there takes no program. */
const folder = '/sys/class/net'

/** Names that no shell and no terminal takes for anything else. The kernel lets a name have nearly any character. */
const plainName = /^\w[\w.+-]*$/

/** Whether a name can be offered as it is, in any shell. */
export function isPlainName(name: string): boolean {
  return plainName.test(name)
}

/** The names of the interfaces that are there; of those with plain names. */
export function listInterfaces(): readonly string[] {
  try {
    return readdirSync(folder).filter(isPlainName).sort()
  } catch {
    return []
  }
}

/** The names of the spans that are live, of any owner, as far as the marks of their bridges tell. */
export function listLiveSpans(): readonly string[] {
  return listInterfaces().filter((name) => existsSync(join(folder, name, 'bridge')) && isMarked(name))
}

function isMarked(name: string): boolean {
  try {
    return readFileSync(join(folder, name, 'ifalias'), 'utf8').startsWith('spanplan:')
  } catch {
    return false
  }
}
