/**
 * Whether a version is that one or a later one: numbers with dots between. `localeCompare` can tell too, but loads the rules of
 * sorting for it: 10 ms of each start.
 */
export function isAtLeast(version: string, least: string): boolean {
  const parts = version.split('.')
  for (const [index, part] of least.split('.').entries()) {
    const difference = Number.parseInt(parts[index] ?? '0', 10) - Number.parseInt(part, 10)
    if (difference !== 0) return difference > 0
  }
  return true
}
