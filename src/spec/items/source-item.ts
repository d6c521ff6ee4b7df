import * as z from 'zod'
import type { ItemId, Origin } from '../../errors.ts'
import type { FindInterface } from '../interfaces.ts'
import { mappingWithOne } from '../schema/rules.ts'
import { loadSource, printSource, type SourceByKind, sourceKeys, sourceSummary } from '../sources/registry.ts'
import { containerName } from '../values/container-selector.ts'
import { type Direction, directionKeys, writeDirections } from '../values/direction.ts'
import { readDuration, writeDuration } from '../values/duration.ts'
import { parsePrefix } from '../values/ip-address.ts'
import type { Tree } from '../yaml/tree.ts'
import { filterKey } from './filter-key.ts'
import { itemKeys, printKeys, readKeys, shapeOf, type ValuesOf } from './item-key.ts'
import { shareKeys } from './share-keys.ts'

const durationPattern = ['h', 'm', 's', 'ms'].map((unit) => `(?:[0-9]+(?:\\.[0-9]+)?${unit})?`).join('')

const maxIdle = z
  .string({ error: 'must be a duration with a unit, such as 30s, 5m or 1h30m' })
  .meta({
    description:
      'The source is unhealthy after so long without a frame: a duration such as 30s, 5m or 1h30m. Default: never',
    examples: ['5m'],
    pattern: `^(?=.)${durationPattern}$`
  })
  .transform((value, { issues }) => {
    const duration = readDuration(value)
    if (typeof duration === 'number' && duration >= 1) return duration
    const problem = typeof duration === 'number' ? 'be more than 0' : duration.problem
    issues.push({ code: 'custom', input: value, message: `must ${problem}` })
    return z.NEVER
  })

interface SourceContext {
  readonly tree: Tree
  readonly defaultDirections: readonly Direction[]
}

const key = itemKeys<SourceContext>()

const listOfNames = "must be a list of containers' names, one or more"

/** A rule each, which nft takes in one argument of 128 KiB at most (MAX_ARG_STRLEN of execve(2)): with more than some 320, it takes none. */
const mostPrefixes = 256
const listOfPrefixes = `must be a list of prefixes such as 10.0.0.0/8, one to ${mostPrefixes}`

const prefix = z.string({ error: 'must be a prefix such as 10.0.0.0/8' }).transform((value, { issues }) => {
  const result = parsePrefix(value)
  if ('prefix' in result) return result.prefix
  issues.push({ code: 'custom', input: value, message: result.problem })
  return z.NEVER
})

/** The options of a source, of whatever kind. */
const options = {
  /** At least one. */
  directions: key({
    key: 'direction',
    schema: z
      .enum(['ingress', 'egress', 'both'], { error: 'must be ingress, egress or both' })
      .optional()
      .describe('Which frames are copied: received, sent, or both. Default: both; ingress for a dedicated interface'),
    read: (direction, { defaultDirections }) => (direction ? directionKeys[direction] : defaultDirections),
    print: writeDirections
  }),
  /** null: every frame. */
  filter: filterKey('Which frames are copied', 'to copy everything'),
  /** The names of containers that the source's label or service selects, and that are left out. */
  except: key({
    key: 'except',
    schema: z
      .array(containerName, { error: listOfNames })
      .min(1, { error: listOfNames })
      .optional()
      .describe('The names of containers that are not copied, beside label or compose'),
    read: (names) => names ?? [],
    print: (names) => (names.length === 0 ? undefined : names)
  }),
  /** The prefixes and addresses of those who may send into the source's tunnel; none: anybody may. */
  from: key({
    key: 'from',
    schema: z
      .array(prefix, { error: listOfPrefixes })
      .min(1, { error: listOfPrefixes })
      .max(mostPrefixes, { error: listOfPrefixes })
      .optional()
      .describe(
        'Who may send into the tunnel, beside vxlan, gretap or erspan: prefixes or addresses. Default: anybody'
      ),
    // In whichever order they are written, they are the same.
    read: (prefixes) => [...new Set(prefixes)].sort(),
    print: (prefixes) => (prefixes.length === 0 ? undefined : prefixes)
  }),
  ...shareKeys,
  /** Milliseconds without any frame after which the source is unhealthy; null: never. */
  maxIdle: key({
    key: 'max_idle',
    schema: maxIdle.optional(),
    read: (duration) => duration ?? null,
    print: (duration) => (duration === null ? undefined : writeDuration(duration))
  })
}

/** What a span copies from, with its defaults filled in. */
export type SourceSpec = SourceByKind & ValuesOf<typeof options> & { readonly id: ItemId; readonly origin: Origin }

/** What a span copies from, of one kind. */
export type SourceOf<Kind extends SourceSpec['kind']> = Extract<SourceSpec, { readonly kind: Kind }>

/** An item of `sources`. */
export const source = mappingWithOne(sourceKeys, shapeOf(options), {
  description: 'Where traffic is copied from',
  none: 'say what is copied, for example "- interface: eth1"',
  several: 'write an item for each'
})

/** @param tree of the item. */
export function readSource(data: z.output<typeof source>, tree: Tree, findInterface: FindInterface): SourceSpec[] {
  const kind = loadSource(data)
  if (kind === undefined) return []
  const { identity, defaultDirections } = sourceSummary(kind, findInterface)
  const values = readKeys(options, data, { tree, defaultDirections })
  return [{ ...kind, ...values, id: ['source', identity, ...values.directions].join(' '), origin: tree.at }]
}

/** As the file has it, with its defaults. */
export const printSourceItem = (item: SourceSpec) => ({ ...printSource(item), ...printKeys(options, item) })
