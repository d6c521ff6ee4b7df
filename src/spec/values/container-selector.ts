import type { SensorData } from '../schema/sensor.ts'
import type { ContainerSelector } from '../spec.ts'

/** A choice in the file's words: its key there, and what is written under it. */
export interface WrittenSelector {
  readonly kind: 'container' | 'label' | 'compose'
  readonly value: string
}

/** How a choice is written in the file. */
export function writeSelector(choice: ContainerSelector): WrittenSelector {
  if ('container' in choice) return { kind: 'container', value: choice.container }
  if ('label' in choice) return { kind: 'label', value: `${choice.label.key}=${choice.label.value}` }
  return { kind: 'compose', value: `${choice.compose.project}/${choice.compose.service}` }
}

/** Reads what the schema has checked: one of the keys is there, and is well formed. */
export function readSelector({ container, label, compose }: Exclude<SensorData, string>): ContainerSelector {
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
