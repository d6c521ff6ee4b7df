// record.mjs HOST PREFIX: puts what vitest has written to PREFIX.json, and test/hosts/inside to PREFIX.versions, into results.json: of
// each file that has run, how many tests ran and how many passed. What it says of other files of today's list stays.
import { readFile, writeFile } from 'node:fs/promises'
import { relative } from 'node:path'

const file = 'test/hosts/results.json'
const [host, prefix] = process.argv.slice(2)

const readRows = async (path) =>
  (await readFile(path, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => line.split('\t'))

async function countTests() {
  const { testResults } = JSON.parse(await readFile(`${prefix}.json`, 'utf8'))
  return testResults.map(({ name, status, assertionResults }) => {
    const passed = assertionResults.filter((test) => test.status === 'passed').length
    // A file that fails as a whole has no tests, or has passed them all.
    const isWhole = status !== 'passed' && passed === assertionResults.length
    return [relative(process.cwd(), name), { ran: assertionResults.length + (isWhole ? 1 : 0), passed }]
  })
}

const results = JSON.parse(await readFile(file, 'utf8').catch(() => '{}'))
const hosts = (await readRows('test/hosts/hosts.tsv')).map(([name]) => name)
const files = (await readRows('test/hosts/tests.tsv')).map(([, path]) => path)
const counts = { ...results[host]?.tests, ...Object.fromEntries(await countTests()) }
results[host] = {
  day: new Date().toISOString().slice(0, 10),
  versions: Object.fromEntries(await readRows(`${prefix}.versions`)),
  tests: Object.fromEntries(files.flatMap((path) => (counts[path] ? [[path, counts[path]]] : [])))
}
const sorted = hosts.flatMap((name) => (results[name] ? [[name, results[name]]] : []))
await writeFile(file, `${JSON.stringify(Object.fromEntries(sorted), null, 2)}\n`)
