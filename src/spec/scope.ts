/** What a command may change: the resources of one owner, or of all owners, and of which spans. */
export interface Scope {
  /** The owner's name; null: every owner. */
  readonly name: string | null
  /** The names that the owner had before: what bears their marks is the owner's, too. Missing: none. */
  readonly formerly?: readonly string[]
  readonly spans: SpanSelector
}

/** Whose spans a file has. */
export interface Owner {
  readonly name: string
  readonly formerly: readonly string[]
}

/** The scope of the spans of an owner. */
export function scopeOf({ name, formerly }: Owner, spans: SpanSelector): Scope {
  return { name, formerly, spans }
}

/** All names of an owner, whose marks count as the owner's: the one that marks get comes first. */
export function namesOf({ name, formerly }: Owner): readonly string[] {
  return [name, ...formerly]
}

/** Whether what bears the mark of a name is the owner's, whichever spans are selected. */
export function matchesName({ name, formerly = [] }: Omit<Scope, 'spans'>, marked: string): boolean {
  return name === null || marked === name || formerly.includes(marked)
}

/** Spans by name: only these, or all but these. */
export type SpanSelector = { readonly only: ReadonlySet<string> } | { readonly except: ReadonlySet<string> }

/** Selects every span. */
export const everySpan: SpanSelector = { except: new Set() }

/** Selects no span. */
export const noSpan: SpanSelector = { only: new Set() }

/** Whether a span is selected. null is a span whose name is not known: only an `except` selector matches it. */
export function matchesSpan(selector: SpanSelector, span: string | null): boolean {
  return 'only' in selector ? span !== null && selector.only.has(span) : span === null || !selector.except.has(span)
}

/** The same selector without the spans of these names. */
export function exceptSpans(selector: SpanSelector, names: readonly string[]): SpanSelector {
  return 'only' in selector
    ? { only: new Set([...selector.only].filter((name) => !names.includes(name))) }
    : { except: new Set([...selector.except, ...names]) }
}

/** The names of an `only` selector; none for an `except` selector. */
export function namedSpans(selector: SpanSelector): readonly string[] {
  return 'only' in selector ? [...selector.only] : []
}

/** Whether a word is meant as a file, and not as the name of a span. */
export function isFileName(word: string): boolean {
  return word === '-' || word.includes('/') || /\.ya?ml$/.test(word)
}
