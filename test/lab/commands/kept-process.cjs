/**
 * Runs the program again and again in one process: whoever runs it some thousand times does not wait for Node to start.
 * Each line of stdin is the arguments of one run, each line of stdout what came of it.
 */
const childProcess = require('node:child_process')
const { readFileSync, writeSync } = require('node:fs')
const { join } = require('node:path')
const { createInterface } = require('node:readline')
const { Script } = require('node:vm')

const program = join(process.cwd(), 'bin/spanplan.js')
/** Read by V8 once: required anew, they would be for each run. */
const scripts = new Map()

/** Runs a bundle, and those that it requires, as if for the first time. */
function runBundle(name) {
  const filename = join(process.cwd(), 'dist', name)
  if (!scripts.has(name)) scripts.set(name, new Script(readFileSync(filename, 'latin1'), { filename }))
  const module = { exports: {} }
  const requireBundle = (path) => (path.startsWith('./') ? runBundle(path) : require(path))
  scripts.get(name).runInThisContext()(module.exports, requireBundle, module, filename, process.cwd())
  return module.exports
}

let outcome = null

for (const name of ['stdout', 'stderr']) {
  process[name].write = (text) => {
    outcome[name] += text
    return true
  }
}

const { spawn } = childProcess
childProcess.spawn = (file, words, ...rest) => {
  outcome.calls.push([file, ...words].join(' '))
  return spawn(file, words, ...rest)
}

createInterface({ input: process.stdin }).on('line', (line) => {
  // Waiting for the next line keeps nobody from being at an end.
  process.stdin.unref()
  outcome = { stdout: '', stderr: '', calls: [] }
  process.exitCode = undefined
  process.stdout.removeAllListeners('error')
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.removeAllListeners(signal)
  process.argv = [process.execPath, program, ...JSON.parse(line)]
  runBundle('./spanplan.cjs')
})

/** A run that ends does not end this process. */
process.exit = () => undefined

/** A program has ended once it has nothing left to wait for. */
process.on('beforeExit', () => {
  if (outcome === null) return
  writeSync(1, `${JSON.stringify({ ...outcome, exitCode: process.exitCode ?? 0 })}\n`)
  outcome = null
  process.stdin.ref()
})
