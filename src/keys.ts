/** The keys of a table whose type says all that it has. Object.keys alone forgets that. */
export function keysOf<Table extends object>(table: Table): (keyof Table & string)[] {
  return Object.keys(table) as (keyof Table & string)[]
}

/** The table of all these keys, each with what belongs to it. Object.fromEntries alone forgets which keys they are. */
export function tableOf<Key extends string, Value>(entries: readonly (readonly [Key, Value])[]): Record<Key, Value> {
  return Object.fromEntries(entries) as Record<Key, Value>
}
