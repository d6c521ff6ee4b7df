import type { ContainerSelector } from '../../spec/values/container-selector.ts'
import type { ListedContainer } from '../parsers/docker.ts'
import type { Container, DockerNetwork } from '../snapshot.ts'
import { composeLabel } from './docker-names.ts'

/**
 * The containers that are on one of the networks or match one of the selectors. A container whose entry could not be parsed is
 * kept: it may be one of them.
 */
export function selectContainers(
  listed: readonly ListedContainer[],
  networks: readonly DockerNetwork[],
  selectors: readonly ContainerSelector[]
): ListedContainer[] {
  const networkNames = new Set(networks.map((network) => network.name))
  const names = new Set(selectors.flatMap((selector) => ('container' in selector ? [selector.container] : [])))
  const others = selectors.filter((selector) => !('container' in selector))
  return listed.filter(
    ({ name, details }) =>
      details === null ||
      details.names.some((one) => names.has(one)) ||
      details.networks.some((network) => networkNames.has(network)) ||
      others.some((selector) => matchesContainer(selector, { name, labels: details.labels }))
  )
}

/** Whether a selector matches a container. A container of `docker compose run` does not belong to the service. */
export function matchesContainer(
  selector: ContainerSelector,
  { name, labels }: Pick<Container, 'name' | 'labels'>
): boolean {
  if ('container' in selector) return name === selector.container
  if ('label' in selector) return labels[selector.label.key] === selector.label.value
  return (
    labels[composeLabel.project] === selector.compose.project &&
    labels[composeLabel.service] === selector.compose.service &&
    labels[composeLabel.oneoff]?.toLowerCase() !== 'true'
  )
}

/** Whether a container has no network namespace of its own, but the host's or another container's: Docker connects it to none. */
export function sharesNetwork(networkMode: string): boolean {
  return networkMode === 'host' || networkMode.startsWith('container:')
}

/** Of the labels of all containers, each set once: those by which these selectors select. Undefined: they select by none. */
export function selectLabels(
  listed: readonly ListedContainer[],
  selectors: readonly ContainerSelector[]
): readonly Readonly<Record<string, string>>[] | undefined {
  const keys = new Set(
    selectors.flatMap((selector) => {
      if ('container' in selector) return []
      return 'label' in selector ? [selector.label.key] : [composeLabel.project, composeLabel.service]
    })
  )
  if (keys.size === 0) return undefined
  const sets = new Map<string, Record<string, string>>()
  for (const { details } of listed) {
    const pairs = Object.entries(details?.labels ?? {}).filter(([key]) => keys.has(key))
    if (pairs.length > 0) sets.set(JSON.stringify(pairs), Object.fromEntries(pairs))
  }
  return [...sets.values()]
}
