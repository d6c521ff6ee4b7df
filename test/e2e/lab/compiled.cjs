/**
 * Preloaded, gives V8 what it once made of the bundles, as Node 22's compile cache would: reading them takes it 50 ms each
 * time otherwise. With `SPANPLAN_COMPILE`, what a run has needed of them is kept; test/setup does so.
 */
const { readFileSync, statSync, writeFileSync } = require('node:fs')
const { Module, createRequire } = require('node:module')
const { dirname, join } = require('node:path')
const { Script } = require('node:vm')

const bundles = join(__dirname, '../../../dist')

/** The bundle's function, to be called as Node calls a module's; each call is a run of its own. */
function compile(bundle, source) {
  const cachedData = readKept(bundle)
  const script = new Script(Module.wrap(source), { filename: bundle, ...(cachedData && { cachedData }) })
  if (process.env.SPANPLAN_COMPILE) process.once('exit', () => keep(bundle, script.createCachedData()))
  return script.runInThisContext()
}

/** Nothing for a bundle that was built since: V8 itself compares no more than its length. */
function readKept(bundle) {
  try {
    const kept = readFileSync(keptOf(bundle))
    const stamp = stampOf(bundle)
    return kept.subarray(0, stamp.length).equals(stamp) ? kept.subarray(stamp.length) : undefined
  } catch {
    return undefined
  }
}

function keep(bundle, data) {
  writeFileSync(keptOf(bundle), Buffer.concat([stampOf(bundle), data]))
}

const keptOf = (bundle) => `${bundle}.compiled`

function stampOf(bundle) {
  const { mtimeNs, size } = statSync(bundle, { bigint: true })
  return Buffer.from(`${mtimeNs} ${size}\n`)
}

const { _compile } = Module.prototype
Module.prototype._compile = function (source, file) {
  if (dirname(file) !== bundles) return _compile.call(this, source, file)
  compile(file, source).call(this.exports, this.exports, createRequire(file), this, file, bundles)
}

module.exports = { compile }
