/** A packet socket that gets every frame (ETH_P_ALL): the kernel hands frames to it before any filter of tc. */
export interface PacketListener {
  /** The interface that it is bound to; null: it hears all. */
  readonly device: string | null
  /** Empty: the reader may not see whose it is. */
  readonly processes: readonly { readonly name: string; readonly pid: number }[]
}

/**
 * A process as ss prints it. It may call itself what it likes, in at most 15 bytes (TASK_COMM_LEN): the longest name that fits is
 * the whole one, and no name can pass for two processes.
 */
const processes = /\("([^\n]{0,15})",pid=(\d+),fd=\d+\)/g

/** Parses `ss --packet --processes --numeric --oneline --no-header`; `*` as the protocol is every frame. */
export function parsePacketListeners(text: string): PacketListener[] {
  return text.split('\n').flatMap((line): PacketListener[] => {
    const [, device, rest = ''] = /^p_\S+ +\d+ +\d+ +\*:(\S+) +\*(.*)$/.exec(line) ?? []
    if (device === undefined) return []
    const found = [...rest.matchAll(processes)].map(([, name = '', pid]) => ({ name, pid: Number(pid) }))
    return [{ device: device === '*' ? null : device, processes: found }]
  })
}
