/**
 * What tests rest on of a network namespace. A new one inherits IPv4's settings from the machine's own namespace, and
 * IPv6's too where net.core.devconf_inherit_init_net says so (sysctl/net.rst, ip-sysctl.rst in the kernel's documents):
 * a lab sets them to the kernel's defaults, so that the machine's do not matter.
 */
const ipv4 = {
  // First: a change of it resets others.
  forwarding: 0,
  rp_filter: 0,
  accept_local: 0,
  arp_accept: 0,
  arp_announce: 0,
  arp_filter: 0,
  arp_ignore: 0,
  arp_notify: 0,
  ignore_routes_with_linkdown: 0,
  promote_secondaries: 0,
  proxy_arp: 0,
  proxy_arp_pvlan: 0,
  route_localnet: 0
}

const ipv6 = {
  forwarding: 0,
  disable_ipv6: 0,
  accept_ra: 1,
  autoconf: 1,
  addr_gen_mode: 0,
  ignore_routes_with_linkdown: 0,
  keep_addr_on_down: 0,
  ndisc_notify: 0,
  use_tempaddr: 0,
  // An address is there at once: no other host could have it, and finding that out takes a second.
  accept_dad: 0
}

/** What of all bridges, where the kernel has br_netfilter: frames between ports would pass iptables, which drops broken ones. */
const bridges = {
  'net.bridge.bridge-nf-call-arptables': 0,
  'net.bridge.bridge-nf-call-ip6tables': 0,
  'net.bridge.bridge-nf-call-iptables': 0,
  'net.bridge.bridge-nf-filter-vlan-tagged': 0
}

/** Of what is there, and of what will be. */
const inherited = (family: 'ipv4' | 'ipv6', settings: Readonly<Record<string, number>>) =>
  ['all', 'default'].flatMap((scope) =>
    Object.entries(settings).map(([name, value]) => [`net.${family}.conf.${scope}.${name}`, value] as const)
  )

const settings: readonly (readonly [name: string, value: number])[] = [
  ...inherited('ipv4', ipv4),
  ['net.ipv4.conf.lo.rp_filter', 0],
  ...inherited('ipv6', ipv6),
  ...Object.entries(bridges)
]

/** Sets them in the namespace that it runs in; a kernel may lack some. */
export const setSysctls = [
  ...(['sysctl', '-e', '-q', '-w'] as const),
  ...settings.map(([name, value]) => `${name}=${value}`)
] as const

/** The same of a container, in Docker's words: for the interfaces that it gets once it runs. */
export const containerSysctls: Readonly<Record<string, string>> = Object.fromEntries(
  inherited('ipv4', { rp_filter: 0, arp_announce: 0, arp_filter: 0, arp_ignore: 0 }).map(([name, value]) => [
    name,
    String(value)
  ])
)

/**
 * What dockerd does when it starts, or, from 28 on, when it makes its first network. On most hosts that is docker0 at the start, which
 * labs lack. The kernel then switches LRO off on all interfaces, such as bonds.
 */
export const forwardIpv4 = ['sysctl', '-q', '-w', 'net.ipv4.ip_forward=1'] as const
