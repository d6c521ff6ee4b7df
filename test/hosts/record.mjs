// record.mjs HOST PREFIX: puts what vitest has written to PREFIX.json, and test/hosts/inside to PREFIX.versions, into results.json.
import { readFile, writeFile } from 'node:fs/promises'
import { relative } from 'node:path'

const file = 'test/hosts/results.json'
const [host, prefix] = process.argv.slice(2)

const readRows = async (path) =>
  (await readFile(path, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => line.split('\t'))

/** The number of tests that ran and that passed, by the area that tests.tsv has their file in. */
async function countTests() {
  const areas = new Map((await readRows('test/hosts/tests.tsv')).map(([area, path]) => [path, area]))
  const counts = Object.fromEntries([...areas.values()].map((area) => [area, { ran: 0, passed: 0 }]))
  const { testResults } = JSON.parse(await readFile(`${prefix}.json`, 'utf8'))
  for (const { name, status, assertionResults } of testResults) {
    const area = areas.get(relative(process.cwd(), name))
    const passed = assertionResults.filter((test) => test.status === 'passed').length
    counts[area].ran += assertionResults.length
    counts[area].passed += passed
    // A file that fails as a whole has no tests, or has passed them all.
    if (status !== 'passed' && passed === assertionResults.length) counts[area].ran += 1
  }
  return counts
}

const results = JSON.parse(await readFile(file, 'utf8').catch(() => '{}'))
const hosts = (await readRows('test/hosts/hosts.tsv')).map(([name]) => name)
results[host] = {
  day: new Date().toISOString().slice(0, 10),
  versions: Object.fromEntries(await readRows(`${prefix}.versions`)),
  tests: await countTests()
}
const sorted = hosts.flatMap((name) => (results[name] ? [[name, results[name]]] : []))
await writeFile(file, `${JSON.stringify(Object.fromEntries(sorted), null, 2)}\n`)
