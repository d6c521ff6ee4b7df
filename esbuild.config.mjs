// Bundles spanplan, with all that it depends on, into two files; and the programs of the test folder.
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'

const { version } = JSON.parse(await readFile('package.json', 'utf8'))

/** dockerode's ssh and buildkit sides, which a local Docker does not need: 300 ms of start-up. */
const unneeded = ['ssh2', '@grpc/grpc-js', '@grpc/proto-loader', 'protobufjs']
const leaveOut = {
  name: 'leave-out',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: new RegExp(`^(${unneeded.join('|')})(/|$)`) }, ({ path }) => ({ path, namespace: 'leave-out' }))
    onLoad({ filter: /.*/, namespace: 'leave-out' }, () => ({ contents: 'module.exports = {}', loader: 'js' }))
  }
}

/** Only plans with a Docker network need it, and Node would parse it each time: 10 ms. */
const apart = {
  name: 'apart',
  setup({ onResolve }) {
    onResolve({ filter: /^dockerode$/ }, () => ({ path: './dockerode.cjs', external: true }))
  }
}

const shared = {
  ...{ bundle: true, platform: 'node', format: 'cjs', target: 'node20', logLevel: 'warning' },
  ...{ metafile: true, write: false },
  // Without comments and indentation, which Node reads each time: 4 ms. Names and short lines stay, for bug reports.
  ...{ minifyWhitespace: true, lineLimit: 120 }
}
const bundles = [
  // Also what is apart is required: as an import, Node would first search it for exports.
  { entry: 'src/cli/main.ts', outfile: 'dist/spanplan.cjs', plugins: [apart], supported: { 'dynamic-import': false } },
  { entry: 'node_modules/dockerode/lib/docker.js', outfile: 'dist/dockerode.cjs', plugins: [leaveOut] },
  { entry: 'test/e2e/demo.ts', outfile: 'dist/demo.cjs', plugins: [leaveOut] },
  { entry: 'test/bench/bench.ts', outfile: 'dist/bench.cjs', plugins: [leaveOut] }
]

/** Replaced as a whole: who starts spanplan just then finds the one before, and not half of this one. */
async function put(path, contents) {
  await mkdir(dirname(path), { recursive: true })
  const aside = `${path}.${process.pid}.new`
  await writeFile(aside, contents)
  await rename(aside, path)
}

const [product, docker] = await Promise.all(
  bundles
    .filter(({ entry }) => existsSync(entry))
    .map(async ({ entry, ...options }) => {
      const define = { SPANPLAN_VERSION: JSON.stringify(version) }
      const result = await build({ ...shared, ...options, define, entryPoints: [entry] })
      for (const { path, contents } of result.outputFiles) await put(path, contents)
      return result
    })
)

/** The licences of what is in the bundles ask to be passed on with them. */
const packages = new Set()
for (const file of [product, docker].flatMap(({ metafile }) => Object.keys(metafile.inputs))) {
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
