import type { HostIndex } from '../host/host-index.ts'
import type { Filter, Link } from '../host/snapshot.ts'
import { readCookie, readMark } from './marks.ts'

/** Whether somebody uses a link. Setting it down would cut them off, and lose its addresses and routes for good. */
export function isInUse(host: HostIndex, link: Link): boolean {
  return (
    link.master !== null ||
    link.addresses.some(({ automatic }) => !automatic) ||
    host.routesOf(link).length > 0 ||
    host.uppersOf(link).length > 0
  )
}

/**
 * The names of the links whose routes matter: those that may be set down, for their marks say that they were down before
 * the first span, and the bridges of spans that may go.
 *
 * @param stays whether the span of that name is wanted.
 */
export function routedLinks(
  links: readonly Link[],
  filters: readonly Filter[],
  stays: (span: string) => boolean
): readonly string[] {
  const aliases = links.flatMap((link) => {
    const mark = readMark(link)
    return mark === null ? [] : [{ name: link.name, mark }]
  })
  const wasDown = ({ name, index }: Link) =>
    [
      ...aliases.flatMap(({ mark }) => mark.interfaces.get(index) ?? []),
      ...filters.flatMap(({ device, mirror }) => (device === name && readCookie(mirror?.cookie ?? null)?.source) || [])
    ].some(({ before, managed }) => managed.has('up') && !before.has('up'))
  const going = new Set(aliases.flatMap(({ name }) => (stays(name) ? [] : [name])))
  return links.filter((link) => going.has(link.name) || wasDown(link)).map(({ name }) => name)
}
