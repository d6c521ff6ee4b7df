/** Who gets frames of a span by mirrors of its own, and whether its bridge gets any: as the file says, and as the host is. */
import { expect } from 'vitest'
import type { FilterRow, PortRow } from '../rows.ts'
import { type FileSpec, hooksOf, outputLinks, receiversOf } from './specs.ts'
import { type Name, outputCards, outputLink } from './tunnels.ts'
import type { World } from './world.ts'

interface LinkRow {
  readonly ifname: string
  readonly master?: string
  readonly flags: readonly string[]
}

/** Each source of a name has one mirror for each that takes a part of its frames now, and one for all others of the span. */
export async function expectFed(world: World, name: Name, spec: FileSpec): Promise<void> {
  const links: LinkRow[] = JSON.parse(await world.lab.run(['ip', '-j', 'link']))
  const ports: PortRow[] = JSON.parse(await world.lab.run(['bridge', '-j', '-d', 'link', 'show']))
  for (const [index, { number, sources }] of spec.spans.entries()) {
    const span = `${name}${number}`
    const fed = receiversOf(spec, index).filter(({ output, gets }) => output !== 'interface' || gets !== 'all')
    const able = fed.map(({ output }) => outputLink(name, output)).filter((link) => hasCarrier(links, link))
    const targets = [...(hasListener(links, name, spec, index) ? [span] : []), ...able].sort()
    for (const source of sources) {
      for (const hook of hooksOf(spec, source)) {
        const rows: FilterRow[] = JSON.parse(await world.filtersOf(source.card, hook))
        const live = rows
          .filter(({ pref, chain }) => pref === 8 && chain === 0)
          .flatMap(({ options }) => options?.actions?.flatMap(({ to_dev }) => to_dev ?? []) ?? [])
        const own = live.filter(
          (target) => target === span || fed.some(({ output }) => outputLink(name, output) === target)
        )
        expect(own.sort(), `${source.card} ${hook} → ${span}`).toEqual(targets)
      }
    }
    const port = ports.find(({ ifname }) => ifname === outputCards[name])
    if (port === undefined || !links.some(({ ifname, master }) => ifname === port.ifname && master === span)) continue
    const isFed = fed.some(({ output }) => output === 'interface')
    expect(port, 'a port that mirrors feed gets nothing of the bridge').toMatchObject({ flood: !isFed })
    if (isFed) expect(port).toMatchObject({ state: 'disabled' })
  }
}

const hasCarrier = (links: readonly LinkRow[], link: string) =>
  links.some(({ ifname, flags }) => ifname === link && flags.includes('LOWER_UP'))

/** Whether somebody gets what the bridge hands to its ports. */
function hasListener(links: readonly LinkRow[], name: Name, spec: FileSpec, index: number): boolean {
  const all = receiversOf(spec, index)
  const span = `${name}${spec.spans[index]?.number}`
  if (all.length === 0 || all.some(({ output, gets }) => output === 'interface' && gets === 'all')) return true
  const others = links.filter(({ ifname, master }) => master === span && !outputLinks(name, spec).includes(ifname))
  return others.length > 0
}
