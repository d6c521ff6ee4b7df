import * as z from 'zod'
import type { ContainerSelector } from '../spec/values/container-selector.ts'
import { composeLabel, strings } from './parsers/docker.ts'
import type { Container, DockerNetwork } from './snapshot.ts'

const containerListOutput = z.object({
  Id: z.string(),
  Names: z.array(z.string()).nullish(),
  Labels: strings,
  NetworkSettings: z
    .object({ Networks: z.record(z.string(), z.looseObject({ NetworkID: z.string().default('') })).nullish() })
    .nullish()
})

/** A container in Docker's list. */
export interface ListedContainer {
  readonly id: string
  readonly name: string
}

/**
 * Those in Docker's list of containers that are on one of the networks or are chosen; and each whose entry is not understood,
 * which may be one of them.
 */
export function containersInScope(
  document: unknown,
  networks: readonly DockerNetwork[],
  choices: readonly ContainerSelector[]
): ListedContainer[] {
  const networkNames = new Set(networks.map((network) => network.name))
  const names = new Set(choices.flatMap((choice) => ('container' in choice ? [choice.container] : [])))
  const others = choices.filter((choice) => !('container' in choice))
  return z
    .array(z.looseObject({ Id: z.string() }))
    .parse(document)
    .flatMap((entry): ListedContainer[] => {
      const { data } = containerListOutput.safeParse(entry)
      if (data === undefined) return [{ id: entry.Id, name: entry.Id.slice(0, 12) }]
      const { Id, Names, Labels, NetworkSettings } = data
      const known = (Names ?? []).map((name) => name.replace(/^\//, ''))
      const [name = Id.slice(0, 12)] = known
      const isConcerned =
        known.some((one) => names.has(one)) ||
        others.some((choice) => matchesContainer(choice, { name, labels: Labels })) ||
        Object.keys(NetworkSettings?.Networks ?? {}).some((network) => networkNames.has(network))
      return isConcerned ? [{ id: Id, name }] : []
    })
}

/** Whether a container is one of those that are meant. What `docker compose run` starts is none of its service's. */
export function matchesContainer(
  choice: ContainerSelector,
  { name, labels }: Pick<Container, 'name' | 'labels'>
): boolean {
  if ('container' in choice) return name === choice.container
  if ('label' in choice) return labels[choice.label.key] === choice.label.value
  return (
    labels[composeLabel.project] === choice.compose.project &&
    labels[composeLabel.service] === choice.compose.service &&
    labels[composeLabel.oneoff]?.toLowerCase() !== 'true'
  )
}
