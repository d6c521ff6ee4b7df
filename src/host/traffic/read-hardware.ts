import { nullIfForeseen } from '../../errors.ts'
import { mapConcurrently, run } from '../exec.ts'
import { parseDriver } from '../ring/parse-ring.ts'

/** What drives an interface, and how fast it is connected. */
export interface Hardware {
  /** null: it has none, or ethtool cannot tell. */
  readonly driver: string | null
  /** Bits per second; null: it is not connected, or does not say. */
  readonly speed: number | null
}

/** Parses `ethtool NAME`: bits per second; null: it says none. */
export function parseSpeed(text: string): number | null {
  const megabits = /^\s*Speed: (\d+)Mb\/s$/m.exec(text)?.[1]
  return megabits === undefined ? null : Number(megabits) * 1e6
}

/** Reads what drives these interfaces, by two processes for each. Where ethtool cannot be asked, nothing is known. */
export function readHardware(names: readonly string[]): Promise<ReadonlyMap<string, Hardware>> {
  return mapConcurrently(names, async (name): Promise<Hardware> => {
    // ethtool would take such a name for an option, or for all interfaces.
    if (/^-|^\*$/.test(name)) return { driver: null, speed: null }
    const ask = async (...argv: string[]) => (await run(['ethtool', ...argv]).catch(nullIfForeseen))?.stdout ?? ''
    return { driver: parseDriver(await ask('-i', name)), speed: parseSpeed(await ask(name)) }
  })
}
