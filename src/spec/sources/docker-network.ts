import { quote } from '../../printable.ts'
import { dockerPattern, dockerRules, longestDockerName, oneOf, type Rule, text } from '../schema/rules.ts'
import { directionKeys } from '../values/direction.ts'
import type { SourceSyntax } from './source-syntax.ts'

/** A Docker network: each frame on it once. */
export interface NetworkSource {
  readonly kind: 'network'
  /** The name of the Docker network. */
  readonly network: string
}

/** What Docker calls a network, and has no bridge. */
const rules: readonly Rule[] = [
  {
    broken: oneOf(['host', 'none']),
    message: 'must be a network with a bridge',
    code: 'NAME_INVALID',
    hint: 'to copy what the host sends and receives, name its interfaces: "- interface: eth1"'
  },
  {
    broken: oneOf(['default']),
    message: 'must be the name of a Docker network',
    code: 'NAME_INVALID',
    hint: 'Docker\'s own is "bridge"; that of a Compose project has the name of the project, such as "shop_default"'
  }
]

export const networkSource = {
  end: 'network',
  keys: {
    network: text('the name of a Docker network', [...rules, ...dockerRules])
      .meta({ pattern: `^(?!(?:host|none|default)$)${dockerPattern.source.slice(1)}`, maxLength: longestDockerName })
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
