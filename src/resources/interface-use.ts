import type { Filter, Link, Route, Snapshot } from '../host/snapshot.ts'
import { readCookie, readMark } from './marks.ts'

/** The routes that use a link. */
export function routesOf(host: Pick<Snapshot, 'routes'>, link: Link): readonly Route[] {
  return host.routes.filter(({ device }) => device === link.name)
}

/** The links that are built on a link, as VLANs and macvlans are: without it, they carry nothing. */
export function uppersOf(host: Pick<Snapshot, 'links'>, link: Link): readonly Link[] {
  return host.links.filter(({ lower }) => lower === link.index)
}

/** Whether somebody uses a link. Setting it down would cut them off, and lose its addresses and routes for good. */
export function isInUse(host: Pick<Snapshot, 'links' | 'routes'>, link: Link): boolean {
  return (
    link.master !== null ||
    link.addresses.some(({ automatic }) => !automatic) ||
    routesOf(host, link).length > 0 ||
    uppersOf(host, link).length > 0
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
