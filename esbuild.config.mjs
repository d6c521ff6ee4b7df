// Bundles spanplan, with all that it depends on, and what starts it; and the programs of the test folder.
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'

const { version } = JSON.parse(await readFile('package.json', 'utf8'))

/** What spanplan does not use of a package, by the package: it would take longer to start than the rest. */
const unneeded = [
  // dockerode's ssh and buildkit sides: 300 ms.
  {
    importer: /node_modules\/(dockerode|docker-modem)\//,
    path: /^(ssh2|@grpc\/grpc-js|@grpc\/proto-loader|protobufjs)(\/|$)/
  },
  // commander's commands that are programs of their own: 3 ms.
  { importer: /node_modules\/commander\//, path: /^node:child_process$/ }
]
const leaveOut = {
  name: 'leave-out',
  setup({ onResolve, onLoad }) {
    for (const { importer, path } of unneeded) {
      onResolve({ filter: path }, (from) =>
        importer.test(from.importer) ? { path: from.path, namespace: 'leave-out' } : undefined
      )
    }
    onLoad({ filter: /.*/, namespace: 'leave-out' }, () => ({ contents: 'module.exports = {}', loader: 'js' }))
  }
}

/** What not each start needs, and Node would read each time: the commands 20 ms, dockerode 10, help 1. */
const apart = {
  name: 'apart',
  setup({ onResolve }) {
    onResolve({ filter: /^\.\/run-command\.ts$/ }, () => ({ path: './commands.cjs', external: true }))
    onResolve({ filter: /^\.\/help\/help\.ts$/ }, () => ({ path: './help.cjs', external: true }))
    onResolve({ filter: /^dockerode$/ }, () => ({ path: './dockerode.cjs', external: true }))
  }
}

const shared = {
  ...{ bundle: true, platform: 'node', format: 'cjs', target: 'node20', logLevel: 'warning' },
  ...{ metafile: true, write: false },
  // Without comments and indentation, which Node reads each time: 4 ms. Names and short lines stay, for bug reports.
  ...{ minifyWhitespace: true, lineLimit: 120 }
}
/** The product. What is imported later is required: as an import, Node would first search it for exports. */
const parts = [
  { entry: 'src/cli/spanplan.ts', outfile: 'dist/spanplan.cjs' },
  { entry: 'src/cli/help/help.ts', outfile: 'dist/help.cjs' },
  { entry: 'src/cli/run-command.ts', outfile: 'dist/commands.cjs' },
  { entry: 'node_modules/dockerode/lib/docker.js', outfile: 'dist/dockerode.cjs' }
].map((part) => ({ ...part, plugins: [apart, leaveOut], supported: { 'dynamic-import': false } }))

const programs = [
  { entry: 'src/cli/launch.ts', outfile: 'dist/launch.cjs' },
  { entry: 'src/reference/generate.ts', outfile: 'dist/reference.cjs', plugins: [apart, leaveOut] },
  { entry: 'test/demo/demo.ts', outfile: 'dist/demo.cjs', plugins: [leaveOut] },
  { entry: 'test/bench/bench.ts', outfile: 'dist/bench.cjs', plugins: [leaveOut] }
]

async function bundle({ entry, ...options }, form = (code) => code) {
  const define = { SPANPLAN_VERSION: JSON.stringify(version) }
  const { outputFiles, metafile } = await build({ ...shared, ...options, define, entryPoints: [entry] })
  for (const { path, text } of outputFiles) await put(path, form(text))
  return metafile
}

/** A bundle as launch.ts runs it: a function, after a line that names exactly this code. */
function asFunction(code) {
  const text = `(function (exports, require, module, __filename, __dirname) {${code}})`
  return `/* sha256 ${createHash('sha256').update(text).digest('hex')} */\n${text}\n`
}

/** Replaced as a whole: who starts spanplan just then finds the one before, and not half of this one. */
async function put(path, contents) {
  await mkdir(dirname(path), { recursive: true })
  const aside = `${path}.${process.pid}.new`
  await writeFile(aside, contents)
  await rename(aside, path)
}

const metafiles = await Promise.all([
  ...parts.map((part) => bundle(part, asFunction)),
  ...programs.filter(({ entry }) => existsSync(entry)).map((program) => bundle(program))
])

/** The XDP program that drops what comes from a port, in the file that ip loads. */
async function writeSeal() {
  const entryPoints = ['src/host/xdp/seal-object.ts']
  const [code] = (await build({ ...shared, entryPoints, outdir: 'dist' })).outputFiles
  const module = { exports: {} }
  new Function('module', 'require', '__dirname', code.text)(module, createRequire(import.meta.url), 'dist')
  await put('dist/seal.o', module.exports.sealObject)
}
await writeSeal()

/** The licences of what is in the product ask to be passed on with them. */
const packages = new Set()
for (const file of metafiles.slice(0, parts.length).flatMap(({ inputs }) => Object.keys(inputs))) {
  const inside = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)
  if (inside) packages.add(inside[0])
}
const texts = []
for (const folder of [...packages].sort()) {
  const { name, version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
  const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry))
  texts.push(`${name} ${version} (${license})\n\n${file ? await readFile(join(folder, file), 'utf8') : ''}`)
}
await put('dist/LICENSES.txt', texts.join(`\n${'-'.repeat(80)}\n\n`))
