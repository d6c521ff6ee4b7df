import { isIP, isIPv4, isIPv6 } from 'node:net'
import { InvalidArgumentError } from '@commander-js/extra-typings'
import type { ListenAddress } from '../../watch/serve/http-listener.ts'

/**
 * Parses an address and a port, as `127.0.0.1:9477` or `[::1]:9477`. A host name is refused, because it would have to be
 * looked up; so is a port alone, because it would be open to the whole network.
 *
 * @throws InvalidArgumentError, to which commander adds the option's name.
 */
export function parseListenAddress(text: string): ListenAddress {
  const [, bracketed, bare, digits] = /^(?:\[(.*)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? []
  const [host, port] = [bracketed ?? bare ?? '', Number(digits)]
  if (digits === undefined) throw new InvalidArgumentError(example)
  if (host === '') throw new InvalidArgumentError(`The address is missing: ${example}`)
  if (isIP(host) === 0) throw new InvalidArgumentError(`${host} is no address: ${example}`)
  if (bracketed === undefined ? !isIPv4(host) : !isIPv6(host)) throw new InvalidArgumentError(example)
  if (port < 1 || port > 65_535) throw new InvalidArgumentError('A port is a number from 1 to 65535.')
  return { host, port }
}

const example = 'It is an address and a port, as in 127.0.0.1:9477 or [::1]:9477.'
