import { BlockList, isIP, isIPv6 } from 'node:net'
import { hostname } from 'node:os'

const familyOf = (address: string) => (isIPv6(address) ? 'ipv6' : 'ipv4')

const loopback = makeList(['127.0.0.0/8', '::1'])

/** Whether only this host can reach an address. */
export const isLoopback = (address: string): boolean => loopback(address)

/**
 * Whether a request's Host header names this server: by its address, by this host's own name, or by a name of the loopback
 * interface. A web page of somebody else's can have its own name lead here (DNS rebinding), and a browser then gives it the
 * answer; so a request by any other name gets none.
 *
 * @param header none: HTTP/1.0, which no browser speaks.
 * @param addresses at which the server listens, and to which the client has connected.
 */
export function isOwnHost(header: string | undefined, addresses: readonly string[]): boolean {
  if (header === undefined) return true
  const [, bracketed, plain = ''] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(header) ?? []
  const name = (bracketed ?? plain).toLowerCase().replace(/\.$/, '')
  if (isIP(name) !== 0) return isLoopback(name) || makeList(addresses.map(withoutZone))(withoutZone(name))
  return bracketed === undefined && name !== '' && ['localhost', hostname().toLowerCase()].includes(name)
}

/** A client writes no zone: only this host knows its interfaces. */
const withoutZone = (address: string) => address.replace(/%.*$/, '')

/** However an address is written, also an IPv4 address as one of IPv6. */
function makeList(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', prefix] = network.split('/')
    if (prefix === undefined) list.addAddress(address, familyOf(address))
    else list.addSubnet(address, Number(prefix), familyOf(address))
  }
  return (address) => list.check(address, familyOf(address))
}
