/** The pauses of the run directory, and its records of interfaces that go down. */
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { uptime } from 'node:os'
import { describe, expect, test } from 'vitest'
import { namespaceId, runFile } from '../../src/run-dir/folder.ts'
import { startGoingDown, stillGoingDown } from '../../src/run-dir/going-down.ts'
import { forgetGoingDown } from '../../src/run-dir/hook-records.ts'
import { readOwnPauses, writePauses } from '../../src/run-dir/pauses.ts'
import { useOwnRunFolder } from '../lab/fixtures/own-run-dir.ts'

useOwnRunFolder()

const up = { index: 7, up: true }
const down = { index: 7, up: false }

describe('a record of an interface that goes down', () => {
  test('holds while the interface is still up', () => {
    expect(stillGoingDown([startGoingDown(up)], [up])).toHaveLength(1)
  })

  test('holds while the interface is down, and not once it is up again', () => {
    const seen = stillGoingDown([startGoingDown(up)], [down])
    expect(seen).toMatchObject([{ index: 7, settled: true }])
    expect(stillGoingDown(seen, [up])).toEqual([])
    expect(stillGoingDown([startGoingDown(down)], [up])).toEqual([])
  })

  test('does not hold once the interface is gone, or another one has come', () => {
    expect(stillGoingDown([startGoingDown(down)], [])).toEqual([])
    expect(stillGoingDown([startGoingDown(down)], [{ index: 8, up: false }])).toEqual([])
  })

  test('does not hold where the interface is up a minute after the hook; where it is down, it does', () => {
    const old = { ...startGoingDown(up), since: uptime() - 61 }
    writePauses({ pauses: [], goingDown: [old] })
    const { goingDown } = readOwnPauses(Date.now())
    expect(stillGoingDown(goingDown, [up])).toEqual([])
    expect(stillGoingDown(goingDown, [down])).toHaveLength(1)
    writePauses({ pauses: [], goingDown: [{ ...old, since: uptime() }] })
    expect(stillGoingDown(readOwnPauses(Date.now()).goingDown, [up])).toHaveLength(1)
  })
})

test('an apply ends what hooks have recorded of its interfaces, and of no others', () => {
  const pauses = [{ span: 'span0', until: new Date(Date.now() + 60_000).toISOString() }]
  writePauses({ pauses, goingDown: [startGoingDown(up), startGoingDown({ index: 8, up: true })] })
  forgetGoingDown(Date.now(), new Set([7, 9]))
  expect(readOwnPauses(Date.now())).toMatchObject({ pauses, goingDown: [{ index: 8 }] })
})

test('every user may read the pauses, and those of another network namespace are ignored', () => {
  const pauses = [{ span: 'span0', until: new Date(Date.now() + 60_000).toISOString() }]
  writePauses({ pauses, goingDown: [] })
  const text = readFileSync(runFile('pauses'), 'utf8')
  expect(statSync(runFile('pauses')).mode & 0o777).toBe(0o644)
  expect(JSON.parse(text)).toEqual({ namespace: namespaceId(), pauses, goingDown: [] })
  expect(readOwnPauses(Date.now()).pauses).toEqual(pauses)
  expect(readOwnPauses(Date.now() + 60_001).pauses).toEqual([])
  const [boot, socket] = namespaceId().split('/')
  for (const other of [`${boot}/${Number(socket) + 1}`, `00000000-0000-4000-8000-000000000000/${socket}`, '']) {
    writeFileSync(runFile('pauses'), text.replace(namespaceId(), other))
    expect(readOwnPauses(Date.now()).pauses).toEqual([])
  }
})
