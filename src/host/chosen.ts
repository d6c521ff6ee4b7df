import * as z from 'zod'
import type { ContainerChoice } from '../spec/spec.ts'
import { composeLabel, strings } from './docker.ts'
import type { Container, DockerNetwork } from './host.ts'

const containerListOutput = z.object({
  Id: z.string(),
  Names: z.array(z.string()).nullish(),
  Labels: strings,
  NetworkSettings: z
    .object({ Networks: z.record(z.string(), z.looseObject({ NetworkID: z.string().default('') })).nullish() })
    .nullish()
})

/** The ids, in Docker's list of containers, of those that are on one of the networks or are chosen. */
export function concernedContainers(
  document: unknown,
  networks: readonly DockerNetwork[],
  choices: readonly ContainerChoice[]
): string[] {
  const networkNames = new Set(networks.map((network) => network.name))
  const names = new Set(choices.flatMap((choice) => ('container' in choice ? [choice.container] : [])))
  const others = choices.filter((choice) => !('container' in choice))
  return z
    .array(containerListOutput)
    .parse(document)
    .filter(({ Names, Labels, NetworkSettings }) => {
      const known = (Names ?? []).map((name) => name.replace(/^\//, ''))
      return (
        known.some((name) => names.has(name)) ||
        others.some((choice) => isChosen(choice, { name: known[0] ?? '', labels: Labels })) ||
        Object.keys(NetworkSettings?.Networks ?? {}).some((network) => networkNames.has(network))
      )
    })
    .map(({ Id }) => Id)
}

/** Whether a container is one of those that are meant. What `docker compose run` starts is none of its service's. */
export function isChosen(choice: ContainerChoice, { name, labels }: Pick<Container, 'name' | 'labels'>): boolean {
  if ('container' in choice) return name === choice.container
  if ('label' in choice) return labels[choice.label.key] === choice.label.value
  return (
    labels[composeLabel.project] === choice.compose.project &&
    labels[composeLabel.service] === choice.compose.service &&
    labels[composeLabel.oneoff]?.toLowerCase() !== 'true'
  )
}
