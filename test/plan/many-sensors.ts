import { fileURLToPath } from 'node:url'
import { bridgeMac, mirrorHandle, sealHandle } from '../../src/resources/marks.ts'
import type { CapturedHost } from '../lab/fixtures/host-file.ts'
import { readSnapshot } from '../lab/fixtures/plan-case.ts'

/** A span with a network, two sensors and two mirrors, in sync. */
const one = readSnapshot(fileURLToPath(new URL('../fixtures/plan/converged/', import.meta.url)), 'host.json')

/** The lines of a file whose spans have an interface, a network and a sensor each. */
export const spanOfSensor = (n: number): string =>
  `  many${n}: {sources: [{interface: if${n}, filter: not port 22}], network: net${n}, sensors: [zeek${n}]}\n`

/** A host in sync with so many of these spans. Without bridges, it is as it is after somebody has deleted all of these. */
export function hostOfSensors(spans: number, { bridges }: { readonly bridges: boolean }): CapturedHost {
  const { docker } = one
  if (docker.state !== 'read') throw new Error('Docker was not read')
  const numbers = Array.from({ length: spans }, (_, n) => n + 1)
  return {
    ...one,
    links: numbers.flatMap((n) =>
      one.links.flatMap((link) => {
        const name = nameOf(link.name, n)
        if (name === null || (link.name === 'span0' && !bridges)) return []
        const port = bridges ? { master: link.master && `many${n}` } : { master: null, port: null }
        const mac = link.name === 'span0' ? bridgeMac('default', `many${n}`) : link.mac
        const alias = link.alias?.replace(/:2\./, `:${indexOf(2, n).toString(36)}.`) ?? null
        const [index, peer] = [indexOf(link.index, n), link.peer && indexOf(link.peer, n)]
        return [{ ...link, ...port, name, mac, permanentMac: mac, alias, index, peer }]
      })
    ),
    qdiscs: numbers.flatMap((n) =>
      one.qdiscs.flatMap((qdisc) => {
        const device = nameOf(qdisc.device, n)
        return device === null || (qdisc.device === 'span0' && !bridges) ? [] : [{ ...qdisc, device }]
      })
    ),
    filters: numbers.flatMap((n) =>
      one.filters.flatMap((filter) => {
        const device = nameOf(filter.device, n)
        if (device === null || (filter.device === 'span0' && !bridges)) return []
        if (filter.mirror === null) return [{ ...filter, device, handle: sealHandle(device) }]
        const mirror = { ...filter.mirror, target: bridges ? `many${n}` : '*' }
        const handle = mirrorHandle({ owner: 'default', name: `many${n}`, device, tcHook: filter.tcHook })
        return [{ ...filter, device, handle, mirror, copies: [mirror] }]
      })
    ),
    docker: {
      ...docker,
      names: numbers.map((n) => `zeek${n}`),
      networks: numbers.flatMap((n) =>
        docker.networks
          .filter(({ name }) => name === 'span')
          .map(({ id, options, labels, ...network }) => ({
            ...network,
            name: `net${n}`,
            id: idOf(id, n),
            pools: network.pools.map((pool) => ({ ...pool, subnet: `10.${n >> 8}.${n & 255}.0/26` })),
            options: { ...options, 'com.docker.network.bridge.name': `many${n}` },
            labels: { ...labels, 'spanplan.span': `many${n}` }
          }))
      ),
      containers: numbers.flatMap((n) =>
        docker.containers
          .filter(({ name }) => name === 'zeek')
          .map(({ id, ...container }) => ({
            ...container,
            id: idOf(id, n),
            name: `zeek${n}`,
            endpoints: container.endpoints.map((endpoint) => ({
              ...endpoint,
              network: `net${n}`,
              networkId: idOf(endpoint.networkId, n),
              port:
                typeof endpoint.port === 'string'
                  ? endpoint.port
                  : { inside: indexOf(endpoint.port.inside, n), host: indexOf(endpoint.port.host, n) }
            }))
          }))
      )
    }
  }
}

/** What a link of the model is called in the span of this number; null: it is left out. */
function nameOf(name: string, n: number): string | null {
  const names: Readonly<Record<string, string>> = { ens192: `if${n}`, span0: `many${n}`, [sensorsVeth]: `veth${n}` }
  return names[name] ?? null
}

/** Zeek's. */
const sensorsVeth = one.links.find(({ name, index }) => name.startsWith('veth') && index === 8)?.name ?? ''

const indexOf = (index: number, n: number) => n * 100 + index

const idOf = (id: string, n: number) => `${String(n).padStart(6, '0')}${id.slice(6)}`
