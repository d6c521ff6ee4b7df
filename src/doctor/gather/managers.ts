import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { systemCode } from '../../errors.ts'
import { readText } from '../../host/files/open-file.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { readManager } from '../../host/read-manager.ts'
import type { Link } from '../../host/snapshot.ts'
import type { PlanView } from '../../plan/plan-view.ts'
import { linksOf } from '../../resources/desired-state.ts'
import { fedLinks } from '../../resources/feeds/feeds.ts'
import type { Known } from '../known.ts'
import type { ManagerReading } from '../readings.ts'

/** NetworkManager's folders of connections (NetworkManager.conf(5)). */
const connectionFolders = [
  '/etc/NetworkManager/system-connections',
  '/run/NetworkManager/system-connections',
  '/usr/lib/NetworkManager/system-connections'
]

/** Reads who manages the interfaces that are mirrored, and the bridges of the spans with their ports. */
export function readManagers({ desired, host }: PlanView): Known<readonly ManagerReading[]> {
  const managed = desired.spans.flatMap(({ bridge, mirrors }) => [...linksOf(mirrors), ...bridgeAndPorts(host, bridge)])
  const links = [...new Map(managed.map((link) => [link.index, link])).values()]
  // What is in /run is about the network namespace that sysfs shows.
  const isOurs = links.every(({ name, index }) => Number(readText(`/sys/class/net/${name}/ifindex`)) === index)
  if (!isOurs) return { unknown: 'who manages the interfaces is not known: /sys shows another network namespace' }
  return {
    known: links.map((link) => {
      const manager = readManager(link)
      return { name: link.name, manager, tcConnection: manager === 'NetworkManager' ? findTc(link) : { known: null } }
    })
  }
}

/** The bridge of a span, with its ports, and the links of tunnels that its frames leave by; none: there is no bridge of that name. */
export function bridgeAndPorts(host: HostIndex, name: string): readonly Link[] {
  const bridge = host.linkOf(name)
  return bridge?.bridge ? [bridge, ...host.portsOf(name), ...fedLinks(host, name)] : []
}

/** Finds the connection of a link in NetworkManager's files, of which most are root's alone. */
function findTc({ index }: Link): Known<string | null> {
  const state = readText(`/run/NetworkManager/devices/${index}`) ?? ''
  const uuid = /^connection-uuid=([0-9a-f-]{36})$/m.exec(state)?.[1]
  if (uuid === undefined) return { known: null }
  let isHidden = false
  for (const path of connectionFolders.flatMap(listFolder)) {
    const text = readText(path)
    if (text === null) isHidden = true
    // A section [tc] with a line, of a keyfile (nm-settings-keyfile(5)).
    else if (text.includes(`uuid=${uuid}\n`)) return { known: /^\[tc\]\s*\n\s*[^[\s#]/m.test(text) ? uuid : null }
  }
  return isHidden ? { unknown: "only root can read NetworkManager's connections" } : { known: null }
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder).map((name) => join(folder, name))
  } catch (error) {
    // The folder itself stands in for the files that cannot be listed.
    return systemCode(error) === 'EACCES' ? [folder] : []
  }
}
