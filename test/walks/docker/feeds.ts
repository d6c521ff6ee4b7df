/** Who gets frames of a span by mirrors of its own, and whether its bridge gets any: as the file says, and as Docker is. */
import { expect } from 'vitest'
import type { FilterRow, PortRow } from '../rows.ts'
import { type Name, networkName, outputOf, receiversOf, type Selector, type SpanSpec, spanName } from './specs.ts'
import type { LiveContainer, World } from './world.ts'

/** Whether an item of `sensors` is about a container. */
export const chooses = (sensor: Selector, container: LiveContainer) =>
  'label' in sensor ? container.running && container.role === sensor.label : container.name === sensor.container

/** The source has one mirror for each that takes a part of its frames now, and one for all others of the span. */
export async function expectFed(world: World, name: Name, spec: SpanSpec): Promise<void> {
  const span = spanName(name, spec)
  const { output, sensors } = receiversOf(name, spec)
  const network = networkName(name, spec)
  const connected = (await world.containers()).filter(
    ({ running, endpoints }) => running && endpoints.has(network ?? '')
  )
  const live = await Promise.all(
    connected.map(async (container) => {
      const port = (await world.portsOf(container)).find(({ bridge }) => bridge === span)
      const gets = sensors.find((sensor) => chooses(sensor, container))?.gets ?? 'all'
      return { port, isFed: gets !== 'all', isAble: !container.paused && port?.carrier === true }
    })
  )
  const way = outputOf(span)
  const fed = [
    ...live.flatMap(({ port, isFed, isAble }) => (port && isFed ? [{ name: port.name, isAble }] : [])),
    ...(output === null || output === 'all' ? [] : [{ name: way, isAble: true }])
  ]
  const ports = (await world.links()).filter(({ master }) => master === span).map(({ ifname }) => ifname)
  const isListed = sensors.some((one) => one.gets === 'all') || output === 'all'
  const others = ports.filter((port) => port !== way && !fed.some((one) => one.name === port))
  const hasListener = isListed || (sensors.length === 0 && (output === null || network !== null)) || others.length > 0
  const targets = [...(hasListener ? [span] : []), ...fed.flatMap((one) => (one.isAble ? one.name : []))].sort()
  for (const hook of ['ingress', 'egress'] as const) {
    const rows: FilterRow[] = JSON.parse(await world.lab.run(['tc', '-j', 'filter', 'show', 'dev', spec.source, hook]))
    const copied = rows
      .filter(({ pref, chain }) => pref === 8 && chain === 0)
      .flatMap(({ options }) => options?.actions?.flatMap(({ to_dev }) => to_dev ?? []) ?? [])
    const own = copied.filter((target) => target === span || target === way || ports.includes(target))
    expect(own.sort(), `${spec.source} ${hook} → ${span}`).toEqual(targets)
  }
  const rows: PortRow[] = JSON.parse(await world.lab.run(['bridge', '-j', '-d', 'link', 'show']))
  for (const { ifname, flood, state } of rows.filter((row) => ports.includes(row.ifname))) {
    const isFed = fed.some((one) => one.name === ifname)
    expect({ ifname, flood }).toEqual({ ifname, flood: !isFed })
    if (isFed) expect({ ifname, state }).toEqual({ ifname, state: 'disabled' })
  }
}
