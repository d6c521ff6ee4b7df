import { readText } from './files/open-file.ts'
import type { Link, Manager } from './snapshot.ts'

/** A tool's file about a link, and whether its text says that the tool manages the link. */
interface ManagerFile {
  readonly manager: Manager
  readonly path: string
  readonly claims: (text: string) => boolean
}

function managerFiles({ name, index }: Pick<Link, 'name' | 'index'>): ManagerFile[] {
  return [
    // Empty if the interface is down (ifupdown's main.c).
    { manager: 'ifupdown', path: `/run/network/ifstate.${name}`, claims: (text) => text.trim() !== '' },
    // In these states, a `.network` file applies to the link (systemd's networkd-link.c).
    {
      manager: 'systemd-networkd',
      path: `/run/systemd/netif/links/${index}`,
      claims: (text) => /^ADMIN_STATE=(configuring|configured|failed)$/m.test(text)
    },
    // It also says `managed` of links that others made; for virtual links, `nm-owned` tells these apart (nm-config.c).
    {
      manager: 'NetworkManager',
      path: `/run/NetworkManager/devices/${index}`,
      claims: (text) => /^managed=true$/m.test(text) && !/^nm-owned=false$/m.test(text)
    }
  ]
}

/** Finds the tool that manages a link. The files in /run are about the network namespace that sysfs shows, and no other. */
export function readManager(link: Pick<Link, 'name' | 'index'>): Manager | null {
  if (Number(readText(`/sys/class/net/${link.name}/ifindex`)) !== link.index) return null
  return managerFiles(link).find(({ path, claims }) => claims(readText(path) ?? ''))?.manager ?? null
}
