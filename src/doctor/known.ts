/** A reading, or why it could not be read. */
export type Known<T> = { readonly known: T } | { readonly unknown: string }
