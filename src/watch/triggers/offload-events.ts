import { parseOffloads } from '../../host/parsers/ip.ts'

/** The first line of what `ethtool --monitor` prints of an interface. */
const headLine = /^(Features|Ring parameters) for .*:$/

/** Offloads of so many interfaces are known at most: those of containers come and go. */
const mostKnown = 10_000

/**
 * Makes what tells whether a line of `ethtool --monitor` is a change of an offload, or of a ring, that matters to a plan. A bridge
 * tells all its features again with each port.
 */
export function openOffloadFilter(): (line: string) => boolean {
  const known = new Map<string, string>()
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
    return Object.entries(offloads).some(([offload, value]) => {
      const key = `${name} ${offload}`
      const text = JSON.stringify(value)
      const isSame = known.get(key) === text
      if (known.size > mostKnown) known.clear()
      known.set(key, text)
      return !isSame
    })
  }
}
