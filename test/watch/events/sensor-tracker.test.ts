import { expect, test } from 'vitest'
import type { SensorCause, SensorHealth } from '../../../src/status/sensor-health.ts'
import { openSensorRecorder } from '../../../src/watch/events/sensor-tracker.ts'

const start = Date.parse('2026-01-01T00:00:00.000Z')

/** How the sensor is in one look after the other, each at a second, and since which second; what is told of it. */
function record(...looks: readonly (readonly [second: number, cause: SensorCause | null, since?: number])[]) {
  const told: string[] = []
  const update = openSensorRecorder((...events) => {
    for (const event of events) if ('sensor' in event) told.push(`${event.type} ${event.sensor.cause}`)
  })
  return looks.map(([second, cause, since = 0]) => {
    const state = cause === null ? 'healthy' : 'unhealthy'
    const sensor: SensorHealth = {
      span: 'span0',
      sensor: 'zeek',
      listed: true,
      state,
      cause,
      diagnostic: null,
      since: new Date(start + since * 1000).toISOString()
    }
    update([sensor], { isPlanned: () => true, isAwaited: () => false, now: start + second * 1000 })
    return told.splice(0)
  })
}

test('of a sensor that is stopped, one thing is told: that it does not run', () => {
  expect(
    record([0, null], [1, 'no_listener', 1], [9, 'interface_gone', 9], [10, 'stopped', 10], [20, 'stopped', 10])
  ).toEqual([...[[], [], [], []], ['sensor_unhealthy stopped']])
})

test('nothing is told of a sensor that restarts, also where the look at it is older than its start', () => {
  expect(record([0, null], [3, 'stopped', 0], [4, null])).toEqual([[], [], []])
})

test('a sensor that runs on and does not listen is told once that has lasted, and so is that it listens again', () => {
  expect(record([0, 'no_listener'], [5, 'no_listener'], [10, 'no_listener'], [20, 'no_listener'], [30, null])).toEqual([
    ...[[], []],
    ['sensor_unhealthy no_listener'],
    [],
    ['sensor_healthy no_listener']
  ])
})

test('what was wrong is not over while it is not clear how the sensor is', () => {
  expect(record([10, 'stopped'], [15, 'no_listener', 15], [16, null])).toEqual([
    ['sensor_unhealthy stopped'],
    [],
    ['sensor_healthy stopped']
  ])
})
