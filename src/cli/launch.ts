/** Runs the bundles. V8 takes what it compiled at an earlier start from a cache: compiling takes longer than most commands. */
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Script } from 'node:vm'
import { type CodeCache, openCodeCache } from './code-cache.ts'
import { explainOldNode } from './supported-node.ts'

const { version, arch, execArgv, argv } = process

/** The bundle that reads the command line, and requires the others. */
const commandLine = 'spanplan.cjs'

/** A bundle, and what tells it from any other: its SHA-256, which the build puts before it, and the file that it is in. */
function readBundle(path: string) {
  const file = openSync(path, 'r')
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = fstatSync(file, { bigint: true })
    // The build writes nothing but ASCII.
    const source = readFileSync(file, 'latin1')
    const [digest = ''] = source.split('\n', 1)
    return { source, identity: [digest, ...[dev, ino, size, mtimeNs, ctimeNs].map(String)] }
  } finally {
    closeSync(file)
  }
}

/** The bundles that are read whatever the first word is, also where it is no command: nobody can fill a disk with words. */
const wordless: readonly string[] = [commandLine, 'help.cjs']

/** The file name of a bundle's cache. Each command has one of its own, because it runs a tenth of the functions. */
function cacheName(bundle: string): string {
  if (wordless.includes(bundle)) return bundle
  // The command line has been read by now: this word is a command.
  const [, , word = ''] = argv
  return `${/^[a-z_]+$/.test(word) ? word : 'other'}-${bundle}`
}

/** Runs a bundle as Node runs a CommonJS module. The build has put the function around it. */
function runBundle(name: string): unknown {
  const filename = join(__dirname, name)
  const { source, identity } = readBundle(filename)
  const cache = openCodeCache(cacheName(name), [...identity, version, arch, ...execArgv])
  const cachedData = cache.read()
  const script = new Script(source, { filename, ...(cachedData && { cachedData }) })
  if (!cachedData || script.cachedDataRejected) writeAtEnd(script, cache)
  const module = { exports: {} }
  script.runInThisContext()(module.exports, requireBundle, module, filename, __dirname)
  return module.exports
}

/** At the end, when what has run is compiled. V8 refuses code that was compiled with other flags; a watch changes them. */
function writeAtEnd(script: Script, cache: CodeCache): void {
  // Loading it takes 1.5 ms, and most starts do not need it.
  const { cachedDataVersionTag }: typeof import('node:v8') = require('node:v8')
  const tag = cachedDataVersionTag()
  process.on('exit', () => {
    if (cachedDataVersionTag() === tag) cache.write(script.createCachedData())
  })
}

/** The bundles that have run. */
const modules = new Map<string, unknown>()

/** `require`, for bundles: they require each other, and modules of Node. */
function requireBundle(name: string): unknown {
  if (!name.startsWith('./')) return require(name)
  if (!modules.has(name)) modules.set(name, runBundle(name.slice(2)))
  return modules.get(name)
}

const old = explainOldNode(process.versions.node)
if (old === null) {
  requireBundle(`./${commandLine}`)
} else {
  process.stderr.write(old)
  process.exitCode = 1
}
