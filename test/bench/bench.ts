/**
 * `npm run bench [-- PART] [--json]`: what spanplan takes, as ratios to something that everybody knows, measured side by side in one
 * run: a number of milliseconds says more about the machine than about the program. A missed aim is shown, and is no failure.
 */
import { parseArgs } from 'node:util'
import { benchDatapath } from './datapath.ts'
import { benchFleet } from './fleet.ts'
import { isMet, renderTable, type Table } from './measure.ts'
import { benchPauses } from './pauses.ts'
import { benchRecovery } from './recovery.ts'
import { benchScale } from './scale.ts'
import { benchStart } from './start.ts'
import { benchStorms } from './storms.ts'

/** Those of `usual`, if none is named. */
const parts: Readonly<Record<string, () => AsyncIterable<Table>>> = {
  start: benchStart,
  scale: benchScale,
  recovery: benchRecovery,
  storms: benchStorms,
  datapath: benchDatapath,
  pauses: benchPauses,
  fleet: benchFleet
}

/** The fleet needs what the long tests need, and storms are a part of recovery. */
const usual = Object.keys(parts).filter((name) => !['fleet', 'storms'].includes(name))

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: 'boolean' } } })
  const names = positionals.length === 0 ? usual : positionals
  const unknown = names.find((name) => !Object.hasOwn(parts, name))
  if (unknown !== undefined) throw new Error(`there is no part ${unknown}, but ${Object.keys(parts).join(', ')}`)
  const tables: Table[] = []
  for (const name of names) {
    for await (const table of parts[name]?.() ?? []) {
      tables.push(table)
      if (!values.json) console.log(`${renderTable(table)}\n`)
    }
  }
  const rated = tables.map((table) => ({ ...table, rows: table.rows.map((row) => ({ ...row, met: isMet(row) })) }))
  if (values.json) console.log(JSON.stringify(rated, null, 2))
}

main().catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
