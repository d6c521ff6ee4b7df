/** Which events of a daemon are news: the outcomes of health checks are told again and again. */
import { expect, test } from 'vitest'
import { openHealthFilter } from '../../../src/watch/triggers/health-events.ts'

const event = (ID: string, Action: string, more: object = {}) =>
  JSON.stringify({ Type: 'container', Action, Actor: { ID, Attributes: { name: 'health_status: healthy' } }, ...more })

test("Docker's are: it tells a change", () => {
  const isNews = openHealthFilter()
  const told = ['unhealthy', 'healthy', 'unhealthy'].map((health) => isNews(event('a', `health_status: ${health}`)))
  expect(told).toEqual([true, true, true])
})

test("Podman's are where they change: it tells each check", () => {
  const isNews = openHealthFilter()
  const check = (ID: string, HealthStatus: string) => isNews(event(ID, 'health_status', { HealthStatus }))
  expect([check('a', 'starting'), check('a', 'starting'), check('a', 'healthy'), check('a', 'healthy')]).toEqual([
    ...[true, false, true, false]
  ])
  expect([check('b', 'healthy'), check('b', 'healthy'), check('a', 'healthy')]).toEqual([true, false, false])
})

test('what is told again after a restart is: a container that starts has no event of its own for that', () => {
  const isNews = openHealthFilter()
  const actions = ['health_status: healthy', 'die', 'start', 'health_status: healthy', 'health_status: healthy']
  expect(actions.map((action) => isNews(event('a', action)))).toEqual([true, true, true, true, false])
  expect(isNews(event('b', 'health_status: healthy'))).toBe(true)
  isNews(event('b', 'start'))
  expect(isNews(event('a', 'health_status: healthy'))).toBe(false)
})

test('whatever else there is, each time', () => {
  const isNews = openHealthFilter()
  for (const line of [event('a', 'start'), event('a', 'die'), '{}', '', '7', 'null', '{"Act', '{"Action":7}']) {
    expect([isNews(line), isNews(line)], line).toEqual([true, true])
  }
})

test('what it remembers has an end', () => {
  const isNews = openHealthFilter()
  for (let index = 0; index < 20_001; index++) isNews(event(String(index), 'health_status: healthy'))
  expect(isNews(event('20000', 'health_status: healthy'))).toBe(false)
  expect(isNews(event('0', 'health_status: healthy'))).toBe(true)
})
