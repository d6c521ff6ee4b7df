import * as z from 'zod'
import type { Origin } from '../../errors.ts'
import type { FindInterface } from '../interfaces.ts'
import { flag, lengthRule, longestLinkName, mapping, noControls, spanRules, text } from '../schema/rules.ts'
import type { NamedSpan } from '../span-names.ts'
import { findTree, findValuePlace, type Tree } from '../yaml/tree.ts'
import { itemKeys, optionalKey, plainKey, printKeys, readKeys, shapeOf, type ValuesOf } from './item-key.ts'
import { type NetworkSpec, network, printNetwork, readNetwork } from './network-item.ts'
import { output, printOutputItem, readOutput } from './output-item.ts'
import { hasContainers, printSensors, readSensors, type SensorList, sensors } from './sensor-list.ts'
import { printSourceItem, readSource, source } from './source-item.ts'

/** Bytes. IPv4 needs the one (RFC 791); a bridge's MTU in the kernel goes up to the other. */
const smallestMtu = 68
const largestMtu = 65535
const mtuError = { error: `must be auto or a number from ${smallestMtu} to ${largestMtu}` }

const bridgeName = text('the name of a bridge', [
  ...spanRules,
  lengthRule(longestLinkName, `the name of a bridge has at most ${longestLinkName} characters`)
]).meta({
  description: `The name of its bridge on the host: 1 to ${longestLinkName} of A-Z a-z 0-9 _ . -. Default: the name of the span. It stays when a span is renamed`,
  pattern: `^(?!-)(?!(?:all|default|\\.{1,2})$)[A-Za-z0-9_.-]{1,${longestLinkName}}$`
})

/** A span as the file has it: its name and the place of that, its bridge, and the tree of what it says. */
interface SpanContext {
  readonly name: string
  readonly origin: Origin
  readonly tree: Tree
  readonly bridge: string
  readonly hasSensors: boolean
  readonly findInterface: FindInterface
}

const key = itemKeys<SpanContext>()

const keys = {
  description: key({
    key: 'description',
    schema: text('text', [noControls]).optional().describe('What the span is for. The plan shows it'),
    read: (words) => words?.trim() || null,
    print: (words) => words ?? undefined
  }),
  bridge: optionalKey('bridge', bridgeName),
  sources: key({
    key: 'sources',
    schema: z
      .array(source, { error: 'must be a list of one source or more' })
      .min(1, { error: 'must be a list of one source or more' })
      .describe(
        'Where traffic is copied from: one source or more, each with one of interface, container, label, compose, network, vxlan, gretap and erspan'
      ),
    read: (items, { tree, findInterface }) =>
      items.flatMap((item, index) => readSource(item, findTree(tree, ['sources', index]) ?? tree, findInterface)),
    print: (items) => items.map(printSourceItem)
  }),
  /** null: no Docker network. */
  network: key({
    key: 'network',
    schema: network.optional(),
    read: (data, { bridge, origin, tree, hasSensors }): NetworkSpec | null => {
      if (data !== undefined) return readNetwork(data, findValuePlace(tree, ['network']))
      return hasSensors ? { name: bridge, subnet: null, origin } : null
    },
    print: (found) => (found ? printNetwork(found) : undefined)
  }),
  sensors: key({
    key: 'sensors',
    schema: sensors,
    read: (items, { tree, findInterface }) => readSensors(items, tree, findInterface),
    print: printSensors
  }),
  outputs: key({
    key: 'outputs',
    schema: z
      .array(output, { error: 'must be a list of outputs' })
      .default([])
      .describe(
        'Further places that get the frames of the span, each with interface, a tool on a cable, or vxlan, gretap or erspan, another host'
      ),
    read: (items, { tree, findInterface }) =>
      items.flatMap((item, index) => readOutput(item, findTree(tree, ['outputs', index]) ?? tree, findInterface)),
    print: (items) => (items.length === 0 ? undefined : items.map(printOutputItem))
  }),
  /** Bytes, or `auto`: that of the largest source. */
  mtu: plainKey(
    'mtu',
    z
      .union([z.literal('auto'), z.int(mtuError).min(smallestMtu, mtuError).max(largestMtu, mtuError)], mtuError)
      .default('auto')
      .describe(
        'The largest frame, in bytes. auto: that of the largest source; it never becomes smaller while sensors run'
      )
  ),
  wire: plainKey(
    'wire',
    flag().default(true).describe('Frames are as on the wire: segmented, with checksums filled in')
  ),
  sealed: plainKey(
    'sealed',
    flag()
      .default(true)
      .describe(
        'Sensors receive, and can never send: not to the host, not to each other. What is mirrored reaches their packet sockets alone'
      )
  )
}

/** One span, with its defaults filled in. */
export type SpanSpec = Omit<ValuesOf<typeof keys>, 'bridge' | keyof SensorList> &
  /** Each sensor and output, whether it is a member of a balance or not: of outputs, members come first. */
  SensorList &
  NamedSpan & { readonly origin: Origin }

/** An entry of `spans`. */
export const span = mapping(shapeOf(keys)).describe(
  'A bridge, the mirrors that feed it, and the Docker network that hands out what they copy'
)

export function readSpan(data: z.output<typeof span>, context: Omit<SpanContext, 'bridge' | 'hasSensors'>): SpanSpec {
  const { name, origin } = context
  const bridge = data.bridge ?? name
  const hasSensors = data.sensors.some(hasContainers)
  const { sensors: list, outputs, ...values } = readKeys(keys, data, { ...context, bridge, hasSensors })
  return { name, origin, ...values, bridge, ...list, outputs: [...list.outputs, ...outputs] }
}

/** As the file has it, with its defaults. */
export const printSpan = (item: SpanSpec) =>
  printKeys(keys, {
    ...item,
    bridge: item.bridge === item.name ? null : item.bridge,
    sensors: item,
    outputs: item.outputs.filter(({ balance }) => balance === null)
  })
