import type { Manager } from '../snapshot.ts'

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

/** The states in which a `.network` file has the link (systemd's networkd-link.c): not `unmanaged`, `pending` or `linger`. */
function isNetworkd(text: string): boolean {
  return /^ADMIN_STATE=(configuring|configured|failed)$/m.test(text)
}

/** It writes that it manages also what others made, and tells that apart for links that are no cards (nm-config.c). */
function isNetworkManager(text: string): boolean {
  return /^managed=true$/m.test(text) && !/^nm-owned=false$/m.test(text)
}
