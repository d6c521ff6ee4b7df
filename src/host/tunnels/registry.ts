import { keysOf } from '../../keys.ts'
import type { TunnelProtocol, TunnelSpec } from '../../spec/sources/tunnel-spec.ts'
import type { TunnelEnd } from '../snapshot.ts'
import { erspanTunnel, gretapTunnel } from './gre.ts'
import type { TunnelKind } from './tunnel-kind.ts'
import { vxlanTunnel } from './vxlan.ts'

const kinds: Readonly<Record<TunnelProtocol, TunnelKind>> = {
  vxlan: vxlanTunnel,
  gretap: gretapTunnel,
  erspan: erspanTunnel
}

/** All that is known of the tunnels of a tunnel's protocol. */
export function tunnelKindOf({ protocol }: Pick<TunnelSpec, 'protocol'>): TunnelKind {
  return kinds[protocol]
}

/** Reads the end of a tunnel from what ip prints of a link: its kind, and its `info_data`. undefined: the link is none that is understood. */
export function readTunnelEnd(linkKind: string | null, data: unknown): TunnelEnd | undefined {
  const protocol = keysOf(kinds).find((one) => one === linkKind)
  const end = protocol && kinds[protocol].output.safeParse(data).data
  return end && { protocol, ...end }
}
