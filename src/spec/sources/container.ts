import { quote } from '../../printable.ts'
import {
  type ContainerSelector,
  readSelector,
  type SelectorData,
  selectorKeys,
  writeSelector
} from '../values/container-selector.ts'
import type { SourceKind } from './kind.ts'

/** Every interface of a container, or of all containers that are selected. */
export type ContainerSource = ContainerSelector & { readonly kind: 'container' }

export const containerSource = {
  keys: {
    container: selectorKeys.container
      .describe(
        'The container whose interfaces are copied from, by its name; both directions are as the container sees them'
      )
      .optional(),
    label: selectorKeys.label.describe('The same of each running container with this label').optional(),
    compose: selectorKeys.compose.describe('The same of each running container of this Compose service').optional()
  },
  load(data) {
    const selector = readSelector(data)
    return selector && { ...selector, kind: 'container' }
  },
  print(source) {
    const { kind, value } = writeSelector(source)
    return { [kind]: value }
  },
  describe(source) {
    const { kind, value } = writeSelector(source)
    return {
      title: `the ${kind} ${quote(value)}`,
      identity: `${kind} ${value}`,
      device: null,
      defaultDirection: 'both'
    }
  }
} satisfies SourceKind<SelectorData, ContainerSource>
