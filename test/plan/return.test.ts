/** Whatever others do to a host while an apply goes on, taking the apply back leaves it to them. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Container, Snapshot } from '../../src/host/snapshot.ts'
import { renderChange } from '../../src/plan/output/plan-text.ts'
import { planRollback, planTarget } from '../../src/plan/plan-view.ts'
import { type CapturedHost, readingOf } from '../lab/fixtures/host-file.ts'
import { casesFolder, readSnapshot, readTarget } from '../lab/fixtures/plan-case.ts'

type Change = (host: CapturedHost) => CapturedHost

/** What a rollback would do, if the host of a case became this one while the apply of its file went on. */
function planReturn(name: string, become: Change, { from = (host) => host, adopt = false }: Options = {}): string[] {
  const path = join(casesFolder, name)
  const host = from(readSnapshot(path, 'host.json'))
  const target = readTarget(path, host.links)
  const first = planTarget({ ...target, adopt }, readingOf(host))
  return planRollback(first, readingOf(become(host)).host).plan.changes.map(renderChange)
}

interface Options {
  /** What the host is like when the apply begins, if not as the case says. */
  readonly from?: Change
  readonly adopt?: boolean
}

const changeLink =
  (name: string, change: object): Change =>
  (host) => ({ ...host, links: host.links.map((link) => (link.name === name ? { ...link, ...change } : link)) })

const changeContainer =
  (name: string, change: (container: Container) => readonly Container[]): Change =>
  (host) => {
    if (host.docker.state !== 'read') return host
    const containers = host.docker.containers.flatMap((one) => (one.name === name ? change(one) : [one]))
    return { ...host, docker: { ...host.docker, containers } }
  }

const disconnect = (name: string) => changeContainer(name, (container) => [{ ...container, endpoints: [] }])

/** As if others had connected it: without our mark. */
const disown = (name: string) =>
  changeContainer(name, (container) => [
    { ...container, endpoints: container.endpoints.map((endpoint) => ({ ...endpoint, driverOptions: {} })) }
  ])

describe('a card', () => {
  test('gets back what its span has charge of', () => {
    expect(planReturn('converged', changeLink('ens192', { promiscuous: false }))).toEqual([
      '~ interface ens192 (promiscuous: off → on)'
    ])
  })

  test.each([{ arp: false }, { ipv6: false }, { offloads: { gro: { active: true, fixed: false } } }])(
    'keeps what no span has charge of: %o',
    (change) => {
      expect(planReturn('converged', changeLink('ens192', change))).toEqual([])
    }
  )
})

test("a port that is no container's keeps what others set, and is sealed as it was", () => {
  const attach = changeLink('ens224', {
    foreignPeer: false,
    master: 'span0',
    port: { isolated: true, learning: false, flooding: true }
  })
  const open = {
    foreignPeer: false,
    master: 'span0',
    port: { isolated: false, learning: false, flooding: true },
    up: false,
    mtu: 1400
  }
  expect(planReturn('converged', changeLink('ens224', open), { from: attach })).toEqual([
    '~ port ens224 → span0 (isolated: off → on)'
  ])
})

describe('a container', () => {
  const replaced = 'network-replaced-keeps-others'

  test('of ours that others have disconnected is connected again', () => {
    expect(planReturn('converged', disconnect('zeek'))).toEqual([expect.stringContaining('+ sensor zeek → span')])
  })

  test('of others that they have disconnected stays so', () => {
    expect(planReturn('converged', disconnect('zeek'), { from: disown('zeek') })).toEqual([])
  })

  test('of others that the apply had to disconnect is connected again', () => {
    expect(planReturn(replaced, disconnect('arkime'))).toEqual([expect.stringContaining('+ sensor arkime → span')])
  })

  test('that others have connected meanwhile stays, also when the network is made anew', () => {
    const replace: Change = (host) => {
      if (host.docker.state !== 'read') return host
      const networks = host.docker.networks.map((one) =>
        one.name === 'span' ? { ...one, pools: one.pools.map((pool) => ({ ...pool, subnet: '10.9.0.0/24' })) } : one
      )
      const [known] = host.docker.containers.filter(({ name }) => name === 'arkime')
      const containers = [...host.docker.containers, ...(known ? [{ ...known, name: 'stranger' }] : [])]
      return { ...host, docker: { ...host.docker, networks, containers } }
    }
    const changes = planReturn(replaced, replace)
    expect(changes).toContainEqual(expect.stringContaining('-/+ network span'))
    expect(changes).toContainEqual(expect.stringContaining('-/+ sensor stranger → span'))
  })

  test('that has gone is not connected', () => {
    expect(
      planReturn(
        replaced,
        changeContainer('arkime', () => [])
      )
    ).toEqual([])
    expect(
      planReturn(
        'converged',
        changeContainer('zeek', () => [])
      )
    ).toEqual([])
  })
})

test("an adopted card's old qdisc does not come back where others have put a filter on the new one", () => {
  const back = (filters: (old: Snapshot['filters']) => Snapshot['filters']) =>
    planReturn(
      'foreign-mirrors-of-a-script',
      (host) => ({
        ...host,
        qdiscs: host.qdiscs.map((qdisc) => (qdisc.kind === 'ingress' ? { ...qdisc, kind: 'clsact' } : qdisc)),
        filters: filters(host.filters)
      }),
      { adopt: true }
    ).filter((line) => line.includes('qdisc ens192'))
  expect(back(() => [])).toEqual(['~ qdisc ens192 (qdisc: clsact → ingress)'])
  expect(back((old) => old.map((one) => ({ ...one, copies: [], others: true, mirror: null })))).toEqual([])
})
