import { quote } from '../../printable.ts'
import { networkName } from '../items/network-item.ts'
import { directionKeys } from '../values/direction.ts'
import type { SourceSyntax } from './source-syntax.ts'

/** A Docker network: each frame on it once. */
export interface NetworkSource {
  readonly kind: 'network'
  /** The name of the Docker network. */
  readonly network: string
}

export const networkSource = {
  end: 'network',
  keys: {
    network: networkName
      .describe(
        'The name of a Docker network: each frame on it is copied once. Egress is what its containers send, also to each other; ingress is what the host sends to them'
      )
      .optional()
  },
  load: (data) => (data.network === undefined ? undefined : { kind: 'network', network: data.network }),
  print: (source) => ({ network: source.network }),
  summary: (source) => ({
    title: `the network ${quote(source.network)}`,
    identity: `network ${source.network}`,
    device: null,
    defaultDirections: directionKeys.both
  })
} satisfies SourceSyntax<{ network?: string | undefined }, NetworkSource>
