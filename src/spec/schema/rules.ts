import { Buffer } from 'node:buffer'
import * as z from 'zod'
import type { Code } from '../../codes/explained-codes.ts'
import { hasControls } from '../../printable.ts'

// Compiling each schema with `new Function` takes longer than checking a file with it.
z.config({ jitless: true })

/** A rule for a text: whether it is broken, and the message then. `code` and `hint` go into the diagnostic. */
export interface Rule {
  readonly broken: (text: string) => boolean
  readonly message: string
  readonly code?: Code
  readonly hint?: string
}

/** The schema of a text that keeps all rules; the first rule that is broken is reported. `expected` describes the text. */
export function text(expected: string, rules: readonly Rule[]) {
  return z.string({ error: `must be ${expected}` }).check((payload) => {
    const rule = rules.find(({ broken }) => broken(payload.value))
    if (!rule) return
    const { message, code, hint } = rule
    payload.issues.push({ code: 'custom', input: payload.value, message, params: { code, hint } })
  })
}

/** The schema of a choice. */
export const flag = () => z.boolean({ error: 'must be true or false' })

/** The schema of a mapping. An unknown key is an error. */
export function mapping<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, { error: 'must be a mapping (key: value)' })
}

/** What {@link mappingWithOne} says: in the JSON Schema, and with another number of the keys. */
interface OneKeyTexts {
  readonly description?: string
  /** Missing: it names the keys. */
  readonly message?: string
  /** A hint, with none of the keys. */
  readonly none?: string
  /** A hint, with several of the keys. */
  readonly several?: string
}

/** The schema of a mapping that has exactly one of some keys, and may have options. */
export function mappingWithOne<Keys extends z.ZodRawShape, Options extends z.ZodRawShape>(
  keys: Keys,
  options: Options,
  { description, message, none, several }: OneKeyTexts
) {
  const names = Object.keys(keys)
  const problem = message ?? `must have one of these keys: ${names.join(', ')}`
  const check: z.core.CheckFn<Readonly<Record<string, unknown>>> = ({ value, issues }) => {
    const given = names.filter((name) => value[name] !== undefined)
    if (given.length === 1) return
    const hint = given.length === 0 ? none : several
    issues.push({ code: 'custom', input: value, message: problem, params: { hint } })
  }
  return mapping(keys)
    .partial()
    .extend(options)
    .check(check)
    .meta({ description, oneOf: names.map((name) => ({ required: [name] })) })
}

/** A rule for a text of several lines. */
export const noControls: Rule = {
  broken: (value) => hasControls(value, '\n\t'),
  message: 'must have no control characters'
}

/** A rule for a name. */
export const nameRule = (message: string, broken: Rule['broken']): Rule => ({ broken, message, code: 'NAME_INVALID' })

/** The rule that a name is not too long. `most` says how long a name may be. */
export function lengthRule(limit: number, most: string, measure = (value: string) => value.length): Rule {
  return { broken: (value) => measure(value) > limit, message: `is too long: ${most}`, code: 'NAME_TOO_LONG' }
}

/** A rule's test: the text is one of these. */
export const oneOf = (values: readonly string[]) => (value: string) => values.includes(value)

/** Whether a file in a folder is one of the spec's files. */
export const isSpecFile = (name: string) => /\.ya?ml$/.test(name) && !name.startsWith('.')

/** The length in UTF-8. */
export const countBytes = (value: string) => Buffer.byteLength(value)

/** Rules for a link's name. `all` and `default` mean every link in /proc/sys/net/ipv4/conf, and `-` begins an option. */
export const linkRules: readonly Rule[] = [
  nameRule('must not be empty', (value) => value === ''),
  nameRule('must not begin with "-"', (value) => value.startsWith('-')),
  nameRule('must not be "." or ".."', oneOf(['.', '..'])),
  nameRule('must not be "all" or "default": the kernel means every link by it', oneOf(['all', 'default']))
]

/** Rules for the name of a span, which is that of its bridge by default, and for that of a bridge. */
export const spanRules: readonly Rule[] = [
  ...linkRules,
  nameRule('must have only A-Z a-z 0-9 _ . -', (value) => !/^[A-Za-z0-9_.-]+$/.test(value))
]

/** The characters of a link's name: dev_valid_name() in net/core/dev.c. */
export const linkCharacters = nameRule(
  'must have no "/", no ":" and no spaces',
  (value) => /[/:\s]/.test(value) || hasControls(value)
)

/** Bytes. IFNAMSIZ in linux/if.h is 16, with the terminating zero. */
export const longestLinkName = 15
/** Bytes. ALTIFNAMSIZ in linux/if.h is 128, with the terminating zero. */
const longestAltname = 127

/** What people write for more than one interface, or for an interface that spanplan cannot copy from. */
const interfaceMistakes: readonly Rule[] = [
  {
    broken: (value) => /[*?]/.test(value),
    message: 'must be the name of one interface',
    code: 'NAME_INVALID',
    hint: 'write an item for each interface; "ip -br link" lists them'
  },
  {
    broken: (value) => /^[\w.-]+(?:[,\s]+[\w.-]+)+$/.test(value),
    message: 'must be one word',
    code: 'NAME_INVALID',
    hint: 'for several interfaces, write an item for each: "- interface: eth1"'
  },
  {
    broken: oneOf(['lo', 'any']),
    message: 'must be an Ethernet interface',
    code: 'NAME_INVALID',
    hint: 'name the interface that the switch is connected to; "ip -br link" lists them'
  }
]

/** The name of an interface of the host, or one of its altnames. */
export const interfaceName = text('the name of a network interface', [
  ...interfaceMistakes,
  ...linkRules,
  linkCharacters,
  lengthRule(longestAltname, `a name has at most ${longestAltname} bytes`, countBytes)
]).meta({
  pattern: `^(?!-)(?!(?:all|any|default|lo|\\.{1,2})$)[^/:\\s*?]{1,${longestAltname}}$`
})

/** Docker's pattern for names (daemon/names/names.go of moby). */
export const dockerPattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/
/** Characters. */
export const longestDockerName = 255

/** Rules for the name of a Docker container or network. */
export const dockerRules: readonly Rule[] = [
  nameRule('must begin with a letter or digit, and have only A-Z a-z 0-9 _ . -', (value) => !dockerPattern.test(value)),
  lengthRule(longestDockerName, `a name has at most ${longestDockerName} characters`)
]
