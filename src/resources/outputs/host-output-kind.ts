import { type Diagnostic, diagnostic } from '../../errors.ts'
import type { LinkIndex } from '../../host/host-index.ts'
import type { Datagram } from '../../host/nftables/passage.ts'
import type { IpLink, Remote } from '../../host/snapshot.ts'
import type { TunnelModule } from '../../host/tunnels/tunnel-kind.ts'
import type { OutputSpec } from '../../spec/items/output-item.ts'
import type { SpanSpec } from '../../spec/items/span-item.ts'
import type { Spec } from '../../spec/spec.ts'
import type { DesiredOutput, DesiredTunnel } from '../desired-state.ts'
import { type Wait, waitFor } from '../kind.ts'
import type { Context, Resolved } from '../sources/host-source-kind.ts'

/** The result of resolving an output. */
export interface ResolvedOutput extends Resolved<DesiredOutput> {
  /** The names of the links that wait: what is live on these stays as it is. */
  readonly untouched?: readonly string[]
  /** The tunnels that the frames leave by, whose links this plan makes or keeps. */
  readonly tunnels?: readonly DesiredTunnel[]
}

/** One kind of output, on the host. */
export interface HostOutputKind<Output> {
  /** The names, altnames or permanent MAC addresses of the devices that the frames leave by, as far as the files tell. */
  devices(output: Output, spec: Spec): readonly string[]
  /** The modules of the kernel that it needs. */
  modules(output: Output): readonly TunnelModule[]
  /** The hosts that the frames are sent to, by address. */
  remotes(output: Output): readonly Remote[]
  /** What this host sends to these, which its firewall has to let out. */
  datagrams(output: Output): readonly Datagram[]
  /** Whether the output is the interface of this name. */
  isDevice(output: Output, name: string, spec: Spec, host: LinkIndex<IpLink>): boolean
  resolve(output: Output, span: SpanSpec, context: Context): ResolvedOutput
}

/** A wait for an output, by the name that it has on the host or in the file. */
export function waitForOutput(
  span: string,
  name: string,
  { id: item, origin }: Pick<OutputSpec, 'id' | 'origin'>,
  found: Diagnostic
): Wait {
  const subject = { span, kind: 'output', id: [name], item }
  return waitFor(subject, writeOutputTitle(name, span), { ...found, origin: found.origin ?? origin })
}

/** Why no frame leaves by a link. */
export function explainLost(device: string, reason: string, help: string): Diagnostic {
  return diagnostic('OUTPUT_FAILED', `the frames of the span do not leave by ${device}: ${reason}`, help)
}

/** The name of an output in a plan. */
export function writeOutputTitle(name: string, span: string): string {
  return `${name} → ${span}`
}
