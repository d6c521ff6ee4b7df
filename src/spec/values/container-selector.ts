import { hasControls } from '../../printable.ts'
import { dockerPattern, dockerRules, longestDockerName, text } from '../schema/rules.ts'

/** Which containers are meant: the one of a name, or all that have a label or belong to a Compose service. */
export type ContainerSelector =
  | { readonly container: string }
  | { readonly label: { readonly key: string; readonly value: string } }
  | { readonly compose: { readonly project: string; readonly service: string } }

/** A project's name in lower case, and a service's, as Compose takes them (compose-spec.json). */
const composePattern = /^[a-z0-9][a-z0-9_-]*\/[a-zA-Z0-9._-]+$/

const containerMeta = { pattern: dockerPattern.source, maxLength: longestDockerName }

/** The name of a container that a selector is no alternative to. */
export const containerName = text("a container's name", dockerRules).meta(containerMeta)

/** The schemas of the keys that select containers: an item has exactly one of the keys. */
export const selectorKeys = {
  container: text("a container's name", [
    {
      broken: (value) => /^[^=]+=/.test(value),
      message: "must be a container's name",
      hint: 'to choose containers by a label, write "label: KEY=VALUE"'
    },
    {
      broken: (value) => composePattern.test(value),
      message: "must be a container's name",
      hint: 'to choose the containers of a Compose service, write "compose: PROJECT/SERVICE"'
    },
    ...dockerRules
  ]).meta(containerMeta),
  label: text('KEY=VALUE, such as role=ids', [
    { broken: (value) => !/^[^=]+=/.test(value), message: 'must be KEY=VALUE, such as role=ids' },
    { broken: (value) => hasControls(value), message: 'must have no control characters' }
  ]).meta({ pattern: '^[^=]+=', examples: ['role=ids'] }),
  compose: text('PROJECT/SERVICE, such as shop/ids', [
    { broken: (value) => !composePattern.test(value), message: 'must be PROJECT/SERVICE, such as shop/ids' }
  ]).meta({ pattern: composePattern.source, examples: ['shop/ids'] })
}

/** What an item of the file says under these keys. */
export type SelectorData = { readonly [Key in keyof typeof selectorKeys]?: string | undefined }

/** Reads what the schema has checked; undefined: the item has none of the keys. */
export function readSelector({ container, label, compose }: SelectorData): ContainerSelector | undefined {
  if (label !== undefined) {
    const [key, value] = splitAt(label, '=')
    return { label: { key, value } }
  }
  if (compose !== undefined) {
    const [project, service] = splitAt(compose, '/')
    return { compose: { project, service } }
  }
  return container === undefined ? undefined : { container }
}

/** Before and after the first of these characters. */
function splitAt(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator)
  return [text.slice(0, at), text.slice(at + 1)]
}

/** How the file writes a selector: its key, and the text under the key. */
export function writeSelector(selector: ContainerSelector): { kind: keyof typeof selectorKeys; value: string } {
  if ('container' in selector) return { kind: 'container', value: selector.container }
  if ('label' in selector) return { kind: 'label', value: `${selector.label.key}=${selector.label.value}` }
  return { kind: 'compose', value: `${selector.compose.project}/${selector.compose.service}` }
}
