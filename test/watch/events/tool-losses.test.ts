/** What tools say that they lose is told when it begins, and when it is over. */
import { expect, test } from 'vitest'
import type { ToolReading } from '../../../src/host/tool-stats/read-tools.ts'
import type { FramePath } from '../../../src/status/counters/frame-path.ts'
import { spanOfEvent } from '../../../src/watch/events/event.ts'
import { openToolRecorder } from '../../../src/watch/events/tool-losses.ts'
import { path, sampleOf } from '../../status/counters/samples.ts'

const stats = { kind: 'eve', path: '/logs/eve.json' } as const
const withTool: FramePath = {
  ...path,
  ports: path.ports.map((port) => ({ ...port, sensor: port.sensor && { ...port.sensor, stats } })).slice(0, 1)
}

/** Packets that were dropped in all at each look, of 1,000 that came since the one before; or the look itself. */
function record(...looks: readonly (number | null | readonly FramePath[])[]) {
  const told: string[] = []
  const add = openToolRecorder((...events) => {
    for (const event of events) told.push(`${event.type} ${spanOfEvent(event)}`)
  })
  let before: ReturnType<typeof sampleWith> | null = null
  return looks.map((look, index) => {
    const now = sampleWith(index, typeof look === 'number' ? look : null)
    add(Array.isArray(look) ? look : [withTool], before ?? now, now)
    before = now
    return told.splice(0).join()
  })
}

function sampleWith(minute: number, dropped: number | null) {
  const at = minute * 60_000
  const latest = { at, seconds: 1000 + minute * 60, received: 1000 * (minute + 1), dropped: dropped ?? 0, gaps: 0 }
  const reading: ToolReading = {
    stats,
    readAt: at,
    told: dropped === null ? { problem: 'it does not exist' } : { latest, before: null }
  }
  return { ...sampleOf({ at: minute * 60 }), tools: [reading] }
}

test('once when it begins, and once when it is over, as a warning about the span', () => {
  expect(record(0, 0, 50, 90, 90, 90)).toEqual(['', '', 'warning span0', '', 'warning_over span0', ''])
})

test('while nobody knows, it is not over', () => {
  expect(record(0, 50, null, [], 90, 90)).toEqual(['', 'warning span0', '', '', '', 'warning_over span0'])
})

test('of a tool that is asked no longer, nothing is told', () => {
  expect(record(0, 50, [path], 90, 190)).toEqual(['', 'warning span0', '', '', 'warning span0'])
})
