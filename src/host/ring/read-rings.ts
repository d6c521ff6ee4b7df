import { run } from '../exec.ts'
import type { Ring } from '../snapshot.ts'
import { parseDriver, parseRing } from './parse-ring.ts'

/** The text that ethtool prints of one interface; empty: the driver does not support it. As JSON, ethtool 6.14 prints no driver. */
async function readText(flag: '-g' | '-i', device: string): Promise<string> {
  const { status, stdout } = await run(['ethtool', flag, device])
  return status === 0 ? stdout : ''
}

/**
 * Reads the receive rings of these interfaces, with two processes for each interface. With `*`, ethtool would ask every driver.
 *
 * @throws SpanplanError PROGRAM_MISSING, PROGRAM_HANGS.
 */
export async function readRings(devices: readonly string[]): Promise<ReadonlyMap<string, Ring>> {
  const read = async (device: string) => {
    const [ring, driver] = await Promise.all([readText('-g', device), readText('-i', device)])
    return [device, { size: parseRing(ring), driver: parseDriver(driver) }] as const
  }
  // ethtool takes this name for all interfaces.
  return new Map(await Promise.all(devices.filter((device) => device !== '*').map(read)))
}
