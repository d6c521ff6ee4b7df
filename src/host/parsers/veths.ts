import * as z from 'zod'

/** The host's end of a veth pair whose other end is in another network namespace. */
export interface Veth {
  /** The index on the host, and the index of the other end in the other namespace. */
  readonly host: number
  readonly inside: number
  /** The kernel's number for the other namespace. It is valid in this namespace alone. */
  readonly namespace: number
  readonly master: string | null
  /** The host's end has an address. Docker's ports have none. */
  readonly hasAddress: boolean
}

/** The veth pairs into each container's network namespace, by the namespace's file. Other namespaces are not known. */
export type VethsBySandbox = ReadonlyMap<string, readonly Veth[]>

const vethOutput = z.object({
  ifindex: z.number(),
  link_index: z.number(),
  link_netnsid: z.number(),
  master: z.string().optional(),
  linkinfo: z.object({ info_kind: z.literal('veth') }),
  addr_info: z.array(z.object({ protocol: z.string().optional() }))
})

const namesOutput = z.array(z.object({ nsid: z.number(), name: z.string().optional() }))

/**
 * Parses `ip -json -details addr show type veth` and `ip -json netns list-id`. A namespace has a number since the first veth pair
 * into it, and keeps the number.
 */
export function parseVeths(folder: string, links: unknown, names: unknown): VethsBySandbox {
  const veths = z
    .array(z.unknown())
    .parse(links)
    .flatMap((link): Veth[] => {
      const read = vethOutput.safeParse(link)
      if (!read.success) return []
      const { ifindex, link_index, link_netnsid, master = null, addr_info } = read.data
      const hasAddress = addr_info.some(({ protocol }) => protocol !== 'kernel_ll')
      return [{ host: ifindex, inside: link_index, namespace: link_netnsid, master, hasAddress }]
    })
  return new Map(
    namesOutput
      .parse(names)
      .flatMap(({ nsid, name }) =>
        name === undefined ? [] : [[`${folder}/${name}`, veths.filter(({ namespace }) => namespace === nsid)]]
      )
  )
}
