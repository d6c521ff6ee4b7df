import type { z } from 'zod'

/** One key of a mapping in the file: what the file may say there, what the spec has for it, and how that is printed. */
interface ItemKey<Key extends string, Data, Value, Context> {
  /** As the file has it. */
  readonly key: Key
  /** With the description of the key; optional, or with its default. */
  readonly schema: z.ZodType<Data>
  /** Reads what the schema has accepted. */
  readonly read: (data: Data, context: Context) => Value
  /** undefined: the key is left out. */
  readonly print: (value: Value) => unknown
}

/** Makes the keys of one kind of mapping. `Context` is what it takes to read them beside their values. */
export const itemKeys =
  <Context>() =>
  <Key extends string, Data, Value>(key: ItemKey<Key, Data, Value, Context>) =>
    key

/** A key for which the spec has what the file says. */
export const plainKey = <Key extends string, Data>(key: Key, schema: z.ZodType<Data>) =>
  itemKeys<unknown>()({ key, schema, read: (data) => data, print: (data) => data })

/** The same, with null where the file does not have the key. */
export const optionalKey = <Key extends string, Data>(key: Key, schema: z.ZodType<Data>) =>
  itemKeys<unknown>()({
    key,
    schema: schema.optional(),
    read: (data) => data ?? null,
    print: (data) => data ?? undefined
  })

/** The keys of one kind of mapping, by the field that the spec has for each. */
type Keys<Context> = Readonly<
  Record<
    string,
    Pick<ItemKey<string, unknown, unknown, Context>, 'key' | 'schema'> & {
      read(data: never, context: Context): unknown
      print(value: never): unknown
    }
  >
>

/** What the spec has for these keys. */
export type ValuesOf<Table extends Keys<never>> = { readonly [Field in keyof Table]: ReturnType<Table[Field]['read']> }

/** The schemas of these keys, for a schema of their mapping. */
export function shapeOf<Table extends Keys<never>>(
  table: Table
): { [Field in keyof Table as Table[Field]['key']]: Table[Field]['schema'] } {
  const shape = Object.fromEntries(Object.values(table).map(({ key, schema }) => [key, schema]))
  // A cast: the names of the entries are those of the table.
  return shape as ReturnType<typeof shapeOf<Table>>
}

/** Reads a mapping that the schema has accepted. */
export function readKeys<Context, Table extends Keys<Context>>(
  table: Table,
  data: Readonly<Record<string, unknown>>,
  context: Context
): ValuesOf<Table> {
  // Casts: the schema of each key has accepted what the key reads.
  const values = Object.entries(table).map(([field, { key, read }]) => [field, read(data[key] as never, context)])
  return Object.fromEntries(values) as ValuesOf<Table>
}

/** What the file says for these values. */
export function printKeys<Table extends Keys<never>>(table: Table, values: ValuesOf<Table>): Record<string, unknown> {
  // A cast: each key prints what it has read.
  const printed = Object.entries(table).map(([field, { key, print }]) => [key, print(values[field] as never)])
  return Object.fromEntries(printed.filter(([, value]) => value !== undefined))
}
