import { readText } from './files/open-file.ts'
import type { Link, Manager } from './snapshot.ts'

/** Finds the tool that manages a link. The files in /run are about the network namespace that sysfs shows, and no other. */
export function readManager({ name, index }: Pick<Link, 'name' | 'index'>): Manager | null {
  if (Number(readText(`/sys/class/net/${name}/ifindex`)) !== index) return null
  // Empty if the interface is down (ifupdown's main.c).
  if (readText(`/run/network/ifstate.${name}`)?.trim()) return 'ifupdown'
  // In these states, a `.network` file applies to the link (systemd's networkd-link.c).
  const networkd = readText(`/run/systemd/netif/links/${index}`) ?? ''
  if (/^ADMIN_STATE=(configuring|configured|failed)$/m.test(networkd)) return 'systemd-networkd'
  // It also says `managed` of links that others made; for virtual links, `nm-owned` tells these apart (nm-config.c).
  const device = readText(`/run/NetworkManager/devices/${index}`) ?? ''
  return /^managed=true$/m.test(device) && !/^nm-owned=false$/m.test(device) ? 'NetworkManager' : null
}
