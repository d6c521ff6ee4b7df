/** The keys of a table whose type says all that it has. Object.keys alone forgets that. */
export function keysOf<Table extends object>(table: Table): (keyof Table & string)[] {
  return Object.keys(table) as (keyof Table & string)[]
}
