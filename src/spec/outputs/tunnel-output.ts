import { quote } from '../../printable.ts'
import { optionalKey, plainKey } from '../items/item-key.ts'
import { address, type TunnelProtocol, type TunnelSpec } from '../sources/tunnel-spec.ts'
import type { OutputSummary } from './output-syntax.ts'

/** A tunnel to another host. */
export interface TunnelOutput<Protocol extends TunnelProtocol> {
  readonly kind: Protocol
  readonly tunnel: SentTunnel
}

/** A tunnel with a host at its other end. */
export type SentTunnel = TunnelSpec & { readonly remote: string }

/**
 * The keys that say between which hosts it is sent.
 *
 * @param kind of addresses, with its article.
 */
export const sentEnds = (kind: string, isRight: (address: string) => boolean) => ({
  remote: plainKey(
    'remote',
    address(`${kind} of another host, such as 10.0.3.9`, isRight).describe('The address of the host that gets it')
  ),
  local: optionalKey(
    'local',
    address(`${kind} of this host, such as 10.0.3.7`, isRight).describe(
      'The address of this host that it is sent from. Default: as the route to the remote host says'
    )
  )
})

/** @param name of the tunnel, which no other output has. */
export function summarizeSent(name: string, apart: string): OutputSummary {
  return { title: quote(name), identity: name, device: null, apart, isDedicated: false }
}
