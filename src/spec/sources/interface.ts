import { quote } from '../../printable.ts'
import { writeMatch } from '../interfaces.ts'
import { interfaceName } from '../schema/rules.ts'
import { directionKeys } from '../values/direction.ts'
import type { SourceSyntax } from './source-syntax.ts'

/** An interface of the host. */
export interface InterfaceSource {
  readonly kind: 'interface'
  /** A key of `interfaces`, or an interface's name. */
  readonly interface: string
}

export const interfaceSource = {
  end: 'interface',
  keys: {
    interface: interfaceName.describe(
      'The interface to copy from: a key of interfaces, or a name on the host (an altname too)'
    )
  },
  load: (data) => (data.interface === undefined ? undefined : { kind: 'interface', interface: data.interface }),
  print: (source) => ({ interface: source.interface }),
  summary(source, findInterface) {
    const found = findInterface(source.interface)
    const match = found?.match ?? { name: source.interface }
    return {
      title: quote(source.interface),
      identity: writeMatch(match),
      device: 'name' in match ? match.name : null,
      defaultDirections: found?.dedicated ? directionKeys.ingress : directionKeys.both
    }
  }
} satisfies SourceSyntax<{ interface?: string | undefined }, InterfaceSource>
