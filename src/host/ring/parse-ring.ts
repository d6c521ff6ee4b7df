import type { RingSize } from '../snapshot.ts'

/** The line of the receive ring in what `ethtool -g` prints. If its size cannot be set, ethtool prints `n/a` or 0. */
const receiveLine = /^RX:\s+(\d+)$/m

/** Parses `ethtool -g`; null: there is no receive ring whose size can be set. */
export function parseRing(text: string): RingSize | null {
  const [most, now] = text
    .split(/^Current hardware settings:$/m)
    .map((part) => Number(receiveLine.exec(part)?.[1] ?? 0))
  return most === undefined || now === undefined || most === 0 || now === 0 ? null : { now, most }
}

/** Parses `ethtool -i`: the name of the driver; null: there is none. */
export function parseDriver(text: string): string | null {
  return /^driver: (.+)$/m.exec(text)?.[1] ?? null
}
