import * as z from 'zod'
import type { ItemId, Origin } from '../../errors.ts'
import { filterKey } from './filter-key.ts'
import { itemKeys, type ValuesOf } from './item-key.ts'

/** A balance that a sensor or an output is a member of. */
export interface BalanceRef {
  readonly id: ItemId
  /** Its place among the members, from 0. */
  readonly member: number
}

/** What the hash of a frame may be made of: addresses, these and ports, or the addresses in a tunnel. */
export const flowHashes = ['addresses', 'ports', 'inner'] as const
export type FlowHash = (typeof flowHashes)[number]

/** The keys of a balance beside its members. */
export const balanceKeys = {
  /** What of a frame says to which member it goes. */
  hash: itemKeys<unknown>()({
    key: 'hash',
    schema: z.enum(flowHashes, { error: 'must be addresses, ports or inner' }).optional().meta({
      description:
        'Beside balance: what of a frame says which member gets it. addresses: all between two hosts goes to one member. ports: each conversation of TCP, UDP and SCTP by itself, and fragments, which have no ports, by the addresses alone, so perhaps to another member. inner: the addresses inside VXLAN and GRE',
      default: 'addresses'
    }),
    read: (hash) => hash ?? 'addresses',
    print: (hash) => hash
  }),
  /** null: every frame. */
  filter: filterKey(
    'Which frames the sensor, or the members of the balance together, get',
    'for every frame of the span'
  )
}

/** Sensors and outputs that share the frames of a span: each flow goes to one of them. They refer to it by its id. */
export type BalanceSpec = ValuesOf<typeof balanceKeys> & {
  /** With its number among those of the span, from 1. */
  readonly id: ItemId
  /** The place of its item in `sensors`, from 0. */
  readonly index: number
  readonly origin: Origin
}
