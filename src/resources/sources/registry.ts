import type { HostIndex } from '../../host/host-index.ts'
import type { HookPlace } from '../../host/snapshot.ts'
import type { SourceOf, SourceSpec } from '../../spec/items/source-item.ts'
import { containerSource } from './container.ts'
import { networkSource } from './docker-network.ts'
import { directionAt, type HostSourceKind, hostHooks, type MirrorSource } from './host-source-kind.ts'
import { interfaceSource } from './interface.ts'
import { tunnelSource } from './tunnel-source.ts'

/** The kinds of source. */
const kinds: { readonly [Kind in SourceSpec['kind']]: HostSourceKind<SourceOf<Kind>> } = {
  container: containerSource,
  interface: interfaceSource,
  network: networkSource,
  vxlan: tunnelSource,
  gretap: tunnelSource,
  erspan: tunnelSource
}

/** The kind of a source. */
export function hostKindOf<Kind extends SourceSpec['kind']>({ kind }: SourceOf<Kind>): HostSourceKind<SourceOf<Kind>> {
  return kinds[kind]
}

/** Which source a live mirror is of: where no kind knows the device, it is an interface by itself. */
export function identifySource(place: HookPlace, host: HostIndex): MirrorSource {
  const found = Object.values(kinds).map((kind) => kind.identify(place, host))
  return (
    found.find((one) => one !== null) ?? {
      source: [place.device],
      serves: null,
      direction: directionAt(hostHooks, place.tcHook)
    }
  )
}
