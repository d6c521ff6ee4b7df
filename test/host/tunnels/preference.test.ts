import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Link } from '../../../src/host/snapshot.ts'
import { tunnelKindOf } from '../../../src/host/tunnels/registry.ts'
import { plainTunnel, type TunnelSpec } from '../../../src/spec/sources/tunnel-spec.ts'
import { converged } from '../../lab/fixtures/converged.ts'

const here = ['192.0.2.1', '192.0.2.2'] as const
const senders = ['198.51.100.1', '198.51.100.2'] as const
const devices = ['ens192', 'ens224'] as const
const identifier = fc.constantFrom(null, 7)
const protocol = fc.constantFrom('gretap', 'erspan')
const orAny = (values: readonly string[]) => fc.constantFrom(null, ...values)

type Ends = Pick<TunnelSpec, 'local' | 'remote' | 'identifier' | 'interface'> & { readonly external: boolean }

const packets = here.flatMap((to) =>
  senders.flatMap((from) => devices.flatMap((on) => [null, 7].map((key) => ({ to, from, on, key }))))
)

/** Which of the links gets a packet, as ip_tunnel_lookup() in Linux's net/ipv4/ip_tunnel.c finds it. null: none. */
function lookUp(links: readonly Ends[], { to, from, on, key }: (typeof packets)[number]): Ends | null {
  const places = links.flatMap((link) => {
    const { local, remote, identifier, interface: bound, external } = link
    if (external) return [{ link, place: 9 }]
    const isFor = identifier === key && (local ?? to) === to && (remote ?? from) === from
    if (!isFor || (local === null && remote === null && key === null)) return []
    return [{ link, place: (bound === on ? 0 : 4) + (remote === null ? 2 : 0) + (local === null ? 1 : 0) }]
  })
  const least = Math.min(...places.map(({ place }) => place))
  return places.find(({ place }) => place === least)?.link ?? null
}

test('where nothing is refused and nothing is warned of, nobody loses a packet; where it is warned of, one sender', () => {
  const own = fc.record({ local: fc.constantFrom(...here), remote: orAny(senders), identifier })
  const foreign = fc.record({
    ...{ local: orAny(here), remote: orAny(senders), identifier, interface: orAny(devices) },
    external: fc.boolean()
  })
  const [first] = converged.links
  if (first === undefined) throw new Error('there are links')
  fc.assert(
    fc.property(own, foreign, protocol, fc.boolean(), (mine, theirs, protocol, up) => {
      const tunnel: TunnelSpec = { protocol, ...plainTunnel, ...mine }
      const external = theirs.external ? { ...plainTunnel, external: true } : theirs
      const end = { protocol, ...plainTunnel, ...external, options: [] }
      const other: Link = { ...first, name: 'theirs', up, tunnel: end }
      const kind = tunnelKindOf(tunnel)
      const obstacle = kind.findObstacle?.(tunnel, [other], 'in')
      const overlaps = kind.findOverlaps?.(tunnel, [other]) ?? []
      if (!up) expect([obstacle, ...overlaps]).toEqual([undefined])
      if (!up || obstacle !== undefined) return
      const both = [{ ...tunnel, external: false }, end]
      const lost = packets.flatMap((packet) => {
        const found = lookUp(both, packet)
        return both.filter((one) => one !== found && lookUp([one], packet) === one).map((one) => ({ one, packet }))
      })
      if (overlaps.length === 0) expect(lost).toEqual([])
      else if (end.remote !== null) {
        expect(lost.every(({ one, packet }) => one !== end && packet.from === end.remote)).toBe(true)
      } else expect(lost.every(({ one }) => one === end)).toBe(true)
    }),
    { numRuns: 2000, seed: 47 }
  )
})
