import { isDeepStrictEqual } from 'node:util'
import { parseOffloads } from '../../host/parsers/ip.ts'
import { keysOf } from '../../keys.ts'

/** The first line of what `ethtool --monitor` prints of an interface. */
const headLine = /^(Features|Ring parameters) for .*:$/

/**
 * Makes what tells whether a line of `ethtool --monitor` is a change of an offload, or of a ring, that matters to a plan. It is shown each
 * line. A bridge tells all its features again with each port: what was read already is no change.
 *
 * @param lastRead gives the offloads that were read last, by link.
 */
export function openOffloadFilter(
  lastRead: () => ReturnType<typeof parseOffloads> | undefined
): (line: string) => boolean {
  let head = ''
  return (line) => {
    const found = headLine.exec(line)
    if (found !== null || line === '') {
      head = found === null ? '' : line
      return found?.[1] === 'Ring parameters'
    }
    const [link] = parseOffloads(`${head}\n${line}`)
    if (link === undefined) return false
    const [name, offloads] = link
    const before = lastRead()
    // Of a link that was not there, another monitor tells, and all is read again.
    const known = before === undefined ? {} : before.get(name)
    return known !== undefined && keysOf(offloads).some((key) => !isDeepStrictEqual(known[key], offloads[key]))
  }
}
