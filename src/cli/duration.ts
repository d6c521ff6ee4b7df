import { InvalidArgumentError } from '@commander-js/extra-typings'

/** Milliseconds; in the order in which they may stand. */
const units = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const

const number = '(\\d+(?:\\.\\d+)?)'
/** Milliseconds: what a timer of Node's takes, some 24 days. With more, it would end at once. */
const longest = 2 ** 31 - 1

/** `m` that is not the beginning of `ms`. */
const pattern = new RegExp(`^(?=.)(?:${number}h)?(?:${number}m(?!s))?(?:${number}s)?(?:${number}ms)?$`)

/**
 * A duration as `500ms`, `30s`, `2m` or `1h30m`, in milliseconds. Without a unit it might be anything.
 *
 * @throws InvalidArgumentError, which commander words with the flag's name.
 */
export function parseDuration(text: string): number {
  const parts = pattern.exec(text)?.slice(1)
  if (parts === undefined) throw new InvalidArgumentError('A duration has a unit, as in 500ms, 30s, 5m or 1h30m.')
  const duration = Object.values(units).reduce((sum, unit, index) => sum + Number(parts[index] ?? 0) * unit, 0)
  if (duration > longest) throw new InvalidArgumentError('A duration is 24 days at most.')
  return duration
}
