import type { Manager } from './host.ts'

/** What a tool of network configuration leaves in a file about one link. */
export interface ManagerFile {
  readonly manager: Manager
  readonly path: string
  /** Whether what stands in it says that the link is the tool's. */
  readonly claims: (text: string) => boolean
}

/** The files that would tell of a link, each the tool's own. */
export function managerFiles({ name, index }: { readonly name: string; readonly index: number }): ManagerFile[] {
  return [
    // Empty once it is down (ifupdown's main.c).
    { manager: 'ifupdown', path: `/run/network/ifstate.${name}`, claims: (text) => text.trim() !== '' },
    { manager: 'systemd-networkd', path: `/run/systemd/netif/links/${index}`, claims: isNetworkd },
    { manager: 'NetworkManager', path: `/run/NetworkManager/devices/${index}`, claims: isNetworkManager }
  ]
}

/** The states in which networkd has a `.network` file for the link (systemd's networkd-link.h); `unmanaged` and `pending` are none. */
const claimed = ['configuring', 'configured', 'failed']

function isNetworkd(text: string): boolean {
  return claimed.includes(readValue(text, 'ADMIN_STATE') ?? '')
}

/** It writes that it manages also what others made, and tells that apart for links that are no cards (nm-config.c). */
function isNetworkManager(text: string): boolean {
  return readValue(text, 'managed') === 'true' && readValue(text, 'nm-owned') !== 'false'
}

function readValue(text: string, key: string): string | undefined {
  const line = text.split('\n').find((one) => one.startsWith(`${key}=`))
  return line?.slice(key.length + 1).trim()
}
