import type { SensorData } from '../schema/sensor.ts'
import type { ContainerChoice } from '../spec.ts'

/** A choice in the file's words: its key there, and what is written under it. */
export interface WrittenChoice {
  readonly kind: 'container' | 'label' | 'compose'
  readonly value: string
}

/** How a choice is written in the file. */
export function writeChoice(choice: ContainerChoice): WrittenChoice {
  if ('container' in choice) return { kind: 'container', value: choice.container }
  if ('label' in choice) return { kind: 'label', value: `${choice.label.key}=${choice.label.value}` }
  return { kind: 'compose', value: `${choice.compose.project}/${choice.compose.service}` }
}

/** Reads what the schema has checked: one of the keys is there, and is well formed. */
export function readChoice({ container, label, compose }: Exclude<SensorData, string>): ContainerChoice {
  if (label !== undefined) {
    const [key, value] = splitAt(label, '=')
    return { label: { key, value } }
  }
  if (compose !== undefined) {
    const [project, service] = splitAt(compose, '/')
    return { compose: { project, service } }
  }
  return { container: container ?? '' }
}

/** Before and after the first of these characters. */
function splitAt(text: string, border: string): [string, string] {
  const at = text.indexOf(border)
  return [text.slice(0, at), text.slice(at + 1)]
}
