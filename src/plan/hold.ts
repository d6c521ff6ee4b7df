import { diagnostic } from '../errors.ts'
import type { Resource, Wait } from '../resources/kind.ts'

/**
 * The wait for a person: what would be done disconnects sensors that run, and nobody has asked for that.
 *
 * @param resource as the file wants it.
 * @param sensors the names of the containers.
 * @param differs what is different from the file.
 * @param note what it means until then; empty: nothing.
 */
export function waitForPerson(
  { kind, spans, origin }: Pick<Resource, 'kind' | 'spans' | 'origin'>,
  { address, title }: { readonly address: string; readonly title: string },
  sensors: readonly string[],
  differs: string,
  note = ''
): Wait {
  const reason = `waits for spanplan apply, because that disconnects ${listNames(sensors)} for a moment`
  const message = [`${reason}${differs === '' ? '' : ` (${differs})`}`, note].filter((part) => part !== '').join('; ')
  const held = diagnostic('RECREATE_DEFERRED', message, 'run: spanplan apply', origin)
  return { kind, span: spans[0] ?? '', title, diagnostic: { ...held, address } }
}

/** Of many names, only the first are of use. */
const listed = 5

/** Some names in words, in their order. */
export function listNames(names: readonly string[]): string {
  const sorted = [...new Set(names)].sort()
  const [last = '', ...before] = sorted.slice(0, listed).reverse()
  const more = sorted.length - listed
  if (more > 0) return `${sorted.slice(0, listed).join(', ')} and ${more} more`
  return before.length === 0 ? last : `${before.reverse().join(', ')} and ${last}`
}
