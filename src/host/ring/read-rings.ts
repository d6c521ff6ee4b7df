import { run } from '../exec.ts'
import type { Ring } from '../snapshot.ts'
import { parseDriver, parseRing } from './parse-ring.ts'

/** What ethtool prints of one interface; empty: its driver cannot tell. As text: ethtool prints no driver as JSON (6.14). */
async function readText(flag: '-g' | '-i', device: string): Promise<string> {
  const { status, stdout } = await run(['ethtool', flag, device])
  return status === 0 ? stdout : ''
}

/**
 * Reads the receive rings of these interfaces, by two processes for each: asked for all with a `*`, ethtool asks every driver.
 *
 * @throws SpanplanError PROGRAM_MISSING, PROGRAM_HANGS.
 */
export async function readRings(devices: readonly string[]): Promise<ReadonlyMap<string, Ring>> {
  const read = async (device: string) => {
    const [ring, driver] = await Promise.all([readText('-g', device), readText('-i', device)])
    return [device, { size: parseRing(ring), driver: parseDriver(driver) }] as const
  }
  // No source can have the name that means all interfaces.
  return new Map(await Promise.all(devices.filter((device) => device !== '*').map(read)))
}
