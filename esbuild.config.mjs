// Bundles spanplan, with all that it depends on, into one file; and the programs of the test folder.
import { existsSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
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

const shared = { bundle: true, platform: 'node', target: 'node20', logLevel: 'warning', metafile: true }
const bundles = [
  { entry: 'src/cli/main.ts', outfile: 'dist/spanplan.cjs', format: 'cjs' },
  { entry: 'test/e2e/demo.ts', outfile: 'dist/demo.cjs', format: 'cjs' },
  { entry: 'test/bench/bench.ts', outfile: 'dist/bench.cjs', format: 'cjs' }
]
const [product] = await Promise.all(
  bundles
    .filter(({ entry }) => existsSync(entry))
    .map(({ entry, outfile, format }) =>
      build({
        ...shared,
        entryPoints: [entry],
        outfile,
        format,
        define: { SPANPLAN_VERSION: JSON.stringify(version) },
        plugins: [leaveOut]
      })
    )
)

/** The licences of what is in the bundle ask to be passed on with it. */
const packages = new Set()
for (const file of Object.keys(product.metafile.inputs)) {
  const inside = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)
  if (inside) packages.add(inside[0])
}
const texts = []
for (const folder of [...packages].sort()) {
  const { name, version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
  const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry))
  texts.push(`${name} ${version} (${license})\n\n${file ? await readFile(join(folder, file), 'utf8') : ''}`)
}
await writeFile(join(dirname('dist/spanplan.cjs'), 'LICENSES.txt'), texts.join(`\n${'-'.repeat(80)}\n\n`))
