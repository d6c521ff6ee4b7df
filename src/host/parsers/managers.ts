import type { Manager } from '../snapshot.ts'

/** The file in which a network manager keeps the state of a link. */
export interface ManagerFile {
  readonly manager: Manager
  readonly path: string
  /** Whether the text says that the tool manages the link. */
  readonly claims: (text: string) => boolean
}

/** The file of each network manager for a link. */
export function managerFiles({ name, index }: { readonly name: string; readonly index: number }): ManagerFile[] {
  return [
    // Empty if the interface is down (ifupdown's main.c).
    { manager: 'ifupdown', path: `/run/network/ifstate.${name}`, claims: (text) => text.trim() !== '' },
    { manager: 'systemd-networkd', path: `/run/systemd/netif/links/${index}`, claims: isNetworkd },
    { manager: 'NetworkManager', path: `/run/NetworkManager/devices/${index}`, claims: isNetworkManager }
  ]
}

/** The states in which a `.network` file applies to the link (systemd's networkd-link.c): not `unmanaged`, `pending`, `linger`. */
function isNetworkd(text: string): boolean {
  return /^ADMIN_STATE=(configuring|configured|failed)$/m.test(text)
}

/** NetworkManager also says `managed` of links that others made; for virtual links, `nm-owned` tells these apart (nm-config.c). */
function isNetworkManager(text: string): boolean {
  return /^managed=true$/m.test(text) && !/^nm-owned=false$/m.test(text)
}
