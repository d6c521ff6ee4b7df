import type { CommandUnknownOpts, Option } from '@commander-js/extra-typings'

/** Where an option is one of several commands, the first of these that has it is meant. */
const likely = ['apply', 'plan', 'status', 'capture', 'pause', 'watch']

/** The commands that have an option, the likeliest first. */
export function haveOption({ commands }: CommandUnknownOpts, { long }: Option): readonly string[] {
  const names = commands.filter(({ options }) => options.some((one) => one.long === long)).map((one) => one.name())
  return [...likely.filter((name) => names.includes(name)), ...names.filter((name) => !likely.includes(name))]
}

/** An option, and how it has its value. */
export interface KnownOption {
  readonly option: Option
  /** The value that is in the same word. */
  readonly value: string | undefined
  /** The next word is its value. */
  readonly isOpen: boolean
}

/** The option that a word is, as commander reads it. */
export function findOption(options: readonly Option[], word: string): KnownOption | undefined {
  const [, long, , longValue] = /^(--[^=]+)(=(.*))?$/s.exec(word) ?? []
  const byLong = long === undefined ? undefined : options.find((one) => one.long === long)
  if (byLong) return { option: byLong, value: longValue, isOpen: byLong.required && longValue === undefined }
  const [, short, rest = ''] = /^(-[A-Za-z])(.*)$/s.exec(word) ?? []
  const byShort = short === undefined ? undefined : options.find((one) => one.short === short)
  if (byShort === undefined || (rest !== '' && !byShort.required)) return undefined
  return { option: byShort, value: rest === '' ? undefined : rest, isOpen: byShort.required && rest === '' }
}

/** The name of an option without its dashes, and its value. */
export function splitOption(word: string): { readonly name: string; readonly value: string | undefined } {
  const [, name = '', , value] = /^-*([^=]*)(=(.*))?$/s.exec(word) ?? []
  return { name, value }
}
