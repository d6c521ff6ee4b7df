import { capitalize } from '../../text-lines.ts'

/** A part of a JSON Schema. */
type Schema = Readonly<Record<string, unknown>>

/** A key of spans.yaml: where it stands, as `spans.NAME.sources[].filter`, and what the schema says of it, as sentences. */
type Field = readonly [path: string, text: string]

const isSchema = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const schemasIn = (value: unknown): readonly Schema[] => (Array.isArray(value) ? value.filter(isSchema) : [])

/** What the entries of a mapping are called, by the path of the mapping. */
const entryNames: Readonly<Record<string, string>> = { interfaces: 'KEY', spans: 'NAME' }

/** Mappings whose keys stand under another path, too. */
const repeated = /^spans\.NAME\.sensors\[\]\.balance\[\]\.(?:vxlan|gretap|erspan|stats)$/

/** All keys of spans.yaml, in their order, as its JSON Schema has them. */
export function listFields(schema: object): readonly Field[] {
  return fieldsBelow({ ...schema }, '')
}

function fieldsBelow(parent: Schema, path: string): Field[] {
  const required = Array.isArray(parent.required) ? parent.required : []
  const own = Object.entries(isSchema(parent.properties) ? parent.properties : {}).flatMap(([key, value]) => {
    const below = path === '' ? key : `${path}.${key}`
    if (!isSchema(value)) return []
    const field = makeField(below, value, required.includes(key))
    return repeated.test(below) ? [field] : [field, ...fieldsBelow(value, below)]
  })
  const entry = `${path}.${entryNames[path]}`
  const entries = isSchema(parent.additionalProperties)
    ? [makeField(entry, parent.additionalProperties, false), ...fieldsBelow(parent.additionalProperties, entry)]
    : []
  const items = isSchema(parent.items) ? fieldsBelow(parent.items, `${path}[]`) : []
  const branches = schemasIn(parent.anyOf).flatMap((branch) => fieldsBelow(branch, path))
  return [...own, ...entries, ...items, ...branches]
}

function makeField(path: string, field: Schema, isRequired: boolean): Field {
  const { default: value, examples, description } = field
  // A default that depends on other keys is in the description.
  const hasDefault = value !== undefined && !(isSchema(value) && Object.keys(value).length === 0)
  const byDefault = hasDefault ? `; default: ${Array.isArray(value) ? '[]' : value}` : ''
  const shown = Array.isArray(examples) && examples.length > 0 ? ` For example: ${examples.join('; ')}.` : ''
  const obligation = isRequired ? '; required' : byDefault
  const told = typeof description === 'string' ? ` ${description.replace(/\.?$/, '.')}` : ''
  return [path, `${capitalize(typeOf(field))}${obligation}.${told}${shown}`]
}

/** What values it takes, in words. */
function typeOf(field: Schema): string {
  if (field.const !== undefined) return `the ${field.type === 'string' ? 'word' : 'number'} ${field.const}`
  if (Array.isArray(field.enum)) return `one of ${field.enum.join(', ')}`
  const branches = schemasIn(field.anyOf)
  if (branches.length > 0) return branches.map(typeOf).join(' or ')
  if (field.type === 'boolean') return 'true or false'
  if (field.type === 'integer') return `a number from ${field.minimum} to ${field.maximum}`
  if (field.type === 'array') return 'a list'
  return field.type === 'object' ? 'a mapping' : 'a text'
}
