import { quote } from '../../printable.ts'
import { writeMatch } from '../interfaces.ts'
import { interfaceName } from '../schema/rules.ts'
import type { OutputSyntax } from './output-syntax.ts'

/** An interface of the host, with a tool at the other end of its cable. */
export interface InterfaceOutput {
  readonly kind: 'interface'
  /** A key of `interfaces`, or an interface's name. */
  readonly interface: string
}

export const interfaceOutput = {
  keys: {
    interface: interfaceName
      .describe(
        'The interface that the frames of the span leave by: a key of interfaces, or a name on the host (an altname too). It becomes a port of the bridge, and what comes in on it is dropped'
      )
      .optional()
  },
  load: (data) => (data.interface === undefined ? undefined : { kind: 'interface', interface: data.interface }),
  print: (output) => ({ interface: output.interface }),
  summary(output, findInterface) {
    const found = findInterface(output.interface)
    const match = found?.match ?? { name: output.interface }
    return {
      title: quote(output.interface),
      identity: writeMatch(match),
      device: 'name' in match ? match.name : null,
      apart: 'interface',
      isDedicated: found?.dedicated ?? false
    }
  }
} satisfies OutputSyntax<{ interface?: string | undefined }, InterfaceOutput>
