import type { OutputSpec } from '../../spec/items/output-item.ts'
import type { HostOutputKind } from './host-output-kind.ts'
import { interfaceOutput } from './interface.ts'

type OutputOf<Kind extends OutputSpec['kind']> = Extract<OutputSpec, { readonly kind: Kind }>

/** The kinds of output. */
const kinds: { readonly [Kind in OutputSpec['kind']]: HostOutputKind<OutputOf<Kind>> } = { interface: interfaceOutput }

/** The kind of an output. */
export function outputKindOf<Kind extends OutputSpec['kind']>({
  kind
}: OutputOf<Kind>): HostOutputKind<OutputOf<Kind>> {
  return kinds[kind]
}
