import type { OutputOf, OutputSpec } from '../../spec/items/output-item.ts'
import type { HostOutputKind } from './host-output-kind.ts'
import { interfaceOutput } from './interface.ts'
import { tunnelOutput } from './tunnel-output.ts'

/** The kinds of output. */
const kinds: { readonly [Kind in OutputSpec['kind']]: HostOutputKind<OutputOf<Kind>> } = {
  interface: interfaceOutput,
  vxlan: tunnelOutput,
  gretap: tunnelOutput,
  erspan: tunnelOutput
}

/** The kind of an output. */
export function outputKindOf<Kind extends OutputSpec['kind']>({
  kind
}: OutputOf<Kind>): HostOutputKind<OutputOf<Kind>> {
  return kinds[kind]
}
