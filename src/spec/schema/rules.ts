import { Buffer } from 'node:buffer'
import * as z from 'zod'
import { hasControls } from '../../printable.ts'

// Compiling each schema with `new Function` takes longer than checking a file with it.
z.config({ jitless: true })

/** A rule for a text: whether it is broken, and the message then. `code` and `hint` go into the diagnostic. */
export interface Rule {
  readonly broken: (text: string) => boolean
  readonly message: string
  readonly code?: string
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

/** The schema of a mapping. An unknown key is an error. */
export function mapping<Shape extends z.ZodRawShape>(shape: Shape) {
  const known = Object.keys(shape).join(', ')
  return z.strictObject(shape, {
    error: ({ code }) => (code === 'unrecognized_keys' ? known : 'must be a mapping (key: value)')
  })
}

/** The check that a mapping has exactly one of these keys. `none` and `several` are hints. */
export function checkOneKey(
  keys: readonly string[],
  { message, none, several }: { readonly message: string; readonly none?: string; readonly several?: string }
): z.core.CheckFn<Readonly<Record<string, unknown>>> {
  return ({ value, issues }) => {
    const given = keys.filter((key) => value[key] !== undefined)
    if (given.length === 1) return
    const hint = given.length === 0 ? none : several
    issues.push({ code: 'custom', input: value, message, params: { code: 'VALUE_INVALID', hint } })
  }
}

/** A rule's test: the text is one of these. */
export const oneOf = (values: readonly string[]) => (value: string) => values.includes(value)

/** Whether a file in a folder is one of the spec's files. */
export const isSpecFile = (name: string) => /\.ya?ml$/.test(name) && !name.startsWith('.')

/** The length in UTF-8. */
export const countBytes = (value: string) => Buffer.byteLength(value)

/** Rules for a link's name. `all` and `default` mean every link in /proc/sys/net/ipv4/conf, and `-` begins an option. */
export const linkRules: readonly Rule[] = [
  { broken: (value) => value === '', message: 'must not be empty', code: 'NAME_INVALID' },
  { broken: (value) => value.startsWith('-'), message: 'must not begin with "-"', code: 'NAME_INVALID' },
  { broken: oneOf(['.', '..']), message: 'must not be "." or ".."', code: 'NAME_INVALID' },
  {
    broken: oneOf(['all', 'default']),
    message: 'must not be "all" or "default": the kernel means every link by it',
    code: 'NAME_INVALID'
  }
]

/** The characters of a link's name: dev_valid_name() in net/core/dev.c. */
export const linkCharacters: readonly Rule[] = [
  {
    broken: (value) => /[/:\s]/.test(value) || hasControls(value),
    message: 'must have no "/", no ":" and no spaces',
    code: 'NAME_INVALID'
  }
]

/** Bytes. IFNAMSIZ in linux/if.h is 16, with the terminating zero. */
export const longestLinkName = 15
/** Bytes. ALTIFNAMSIZ in linux/if.h is 128, with the terminating zero. */
const longestAltname = 127

/** The name of an interface of the host, or one of its altnames. */
export const interfaceName = text('the name of a network interface', [
  ...linkRules,
  ...linkCharacters,
  {
    broken: (value) => countBytes(value) > longestAltname,
    message: `is too long: a name has at most ${longestAltname} bytes`,
    code: 'NAME_TOO_LONG'
  }
]).meta({
  pattern: `^(?!-)(?!(?:all|default|\\.{1,2})$)[^/:\\s]{1,${longestAltname}}$`
})

/** Docker's pattern for names (daemon/names/names.go of moby). */
export const dockerPattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/
/** Characters. */
export const longestDockerName = 255

/** Rules for the name of a Docker container or network. */
export const dockerRules: readonly Rule[] = [
  {
    broken: (value) => !dockerPattern.test(value),
    message: 'must begin with a letter or digit, and have only A-Z a-z 0-9 _ . -',
    code: 'NAME_INVALID'
  },
  {
    broken: (value) => value.length > longestDockerName,
    message: `is too long: a name has at most ${longestDockerName} characters`,
    code: 'NAME_TOO_LONG'
  }
]
