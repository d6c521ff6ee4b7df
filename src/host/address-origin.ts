import * as z from 'zod'

/** An entry of `addr_info`, as `ip -json address` prints it, as far as the entry tells who has set the address. */
export const originOutput = z.object({
  local: z.string().optional(),
  protocol: z.string().optional(),
  noprefixroute: z.boolean().optional(),
  'stable-privacy': z.boolean().optional()
})

/** What {@link originOutput} parses. */
export type AddressOrigin = z.infer<typeof originOutput>

/** The lower half is an EUI-64: RFC 4291, appendix A. Of which MAC address is not asked: a bridge keeps the address when its own changes. */
const eui64 = /^fe80::(?:[0-9a-f]{1,4}:)?[0-9a-f]{0,2}ff:fe[0-9a-f]{2}:[0-9a-f]{1,4}$/

/**
 * Finds whether the kernel itself has set an address, as it sets a link-local address of each interface with IPv6. The addresses are
 * all that one call of `ip` has printed. The kernel says the origin since 5.18; iproute2 6.1 does not print it. Where none of the
 * addresses has an origin, those that look as the kernel makes them are taken for the kernel's: an EUI-64, or one with the flag
 * `stable-privacy`. NetworkManager's own have `noprefixroute`.
 */
export function judgeOrigins(addresses: readonly AddressOrigin[]): (address: AddressOrigin) => boolean {
  if (addresses.some(({ protocol }) => protocol !== undefined)) return ({ protocol }) => protocol === 'kernel_ll'
  return ({ local = '', noprefixroute, 'stable-privacy': isPrivate }) =>
    noprefixroute !== true && local.startsWith('fe80:') && (isPrivate === true || eui64.test(local))
}
