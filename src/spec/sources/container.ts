import { quote } from '../../printable.ts'
import {
  type ContainerSelector,
  readSelector,
  type SelectorData,
  selectorKeys,
  writeSelector
} from '../values/container-selector.ts'
import { directionKeys } from '../values/direction.ts'
import type { SourceSyntax } from './source-syntax.ts'

/** Every interface of a container, or of all containers that are selected. */
export type ContainerSource = ContainerSelector & { readonly kind: 'container' }

export const containerSource = {
  end: 'container',
  keys: {
    container: selectorKeys.container.describe(
      'The name of a container: each of its interfaces is copied. Directions are as the container sees them'
    ),
    label: selectorKeys.label.describe('KEY=VALUE: the same for every running container with this label'),
    compose: selectorKeys.compose.describe(
      'PROJECT/SERVICE: the same for every running container of this Compose service'
    )
  },
  load(data) {
    const selector = readSelector(data)
    return selector && { ...selector, kind: 'container' }
  },
  print(source) {
    const { kind, value } = writeSelector(source)
    return { [kind]: value }
  },
  summary(source) {
    const { kind, value } = writeSelector(source)
    return {
      title: `the ${kind} ${quote(value)}`,
      identity: `${kind} ${value}`,
      device: null,
      defaultDirections: directionKeys.both
    }
  }
} satisfies SourceSyntax<SelectorData, ContainerSource>
