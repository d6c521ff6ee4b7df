/**
 * Parses the JSON of iproute2 and ethtool, which is not always valid: control characters in names and aliases are not escaped
 * (lib/json_writer.c), and ethtool writes `\'` for an apostrophe. tc prints each match of a u32 filter under the same key
 * (tc/f_u32.c): the matches become one list; that of iproute2 5.15 prints a u32 filter as text. Ubuntu's ip prints the fan map of a
 * vxlan or a tunnel as text, also where there is none: it is left out. No output is an empty list. Of some things, tc prints a part
 * as text (hfsc in tc/q_hfsc.c, matches of basic in tc/f_basic.c): only that record is broken then, and has the fields before that
 * text. tc prints both controls of a policer under the same key (tc/m_police.c): the first, for frames over the rate, becomes
 * `exceed_action`.
 *
 * @throws SyntaxError if there are no records.
 */
export function parseToolJson(text: string): unknown {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to escape.
  const valid = text.replace(/\\[\s\S]|[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, (found) => {
    if (found === "\\'") return "'"
    return found.length === 2 ? found : JSON.stringify(found).slice(1, -1)
  })
  const written = valid
    .replace(fanMap, '')
    .replace(/(?<!\\)"options":\{(fh [^"{}]*)(["}])/g, (found, words: string, end: string) => {
      const fields = readU32(words)
      return fields === null ? found : `"options":{${fields}${end === '}' ? end : `,${end}`}`
    })
  const merged = written.replace(/(?<!\\)"match":(\{[^{}]*\}(?:,"match":\{[^{}]*\})*)/g, (_, matches: string) => {
    return `"match":[${matches.replaceAll(',"match":', ',')}]`
  })
  const named = merged.replace(policerControls, '"exceed_action":$1,"control_action":')
  if (named.trim() === '') return []
  try {
    return JSON.parse(named)
  } catch (error) {
    const records = splitRecords(named.trim())
    if (records === null) throw error
    return records
  }
}

/** The two controls of a policer. In a name or an alias, the quotes would be escaped. */
const policerControls = /(?<!\\)"control_action":(\{"type":"[\w ]+"\}),"control_action":(?=\{)/g

/** The fan map of Ubuntu's ip, after the fields before it. In a name or an alias, the quotes would be escaped. */
const fanMap = /fan-map (?<="info_data":\{(?:"\w+":(?:"[^"\\]*"|[\w.]+),?)*fan-map )(?:[\d./:]+ )*/g

/** A hash table of u32, as iproute2 5.15 prints it. */
const u32Table = /^fh ([0-9a-f]+:) ht divisor (\d+) $/

/** A filter of u32, up to its matches, and one match. Any other word may change the meaning of the filter: it stays text. */
const u32Filter =
  /^fh ([0-9a-f:]+) order (\d+) key ht ([0-9a-f]+) bkt ([0-9a-f]+) (?:terminal flowid \?\?\? |flowid ([0-9a-f]*:[0-9a-f]*) )?((?:(?:skip|not_in|in)_[hs]w )*)((?:\n {2}match [0-9a-f]{8}\/[0-9a-f]{8} at (?:nexthdr\+)?-?\d+ ?)+)$/
const u32Match = /match (\w+)\/(\w+) at (nexthdr\+)?(-?\d+)/g

/** Writes what iproute2 5.15 prints of a table or filter of u32 as the fields that later versions print; null: it is neither. */
function readU32(text: string): string | null {
  const [, table, divisor] = u32Table.exec(text) ?? []
  if (table !== undefined) return `"fh":"${table}","ht_divisor":${divisor}`
  const [, handle, order, hashTable, bucket, flow, flags = '', matches = ''] = u32Filter.exec(text) ?? []
  if (handle === undefined) return null
  return [
    `"fh":"${handle}","order":${order},"key_ht":"${hashTable}","bkt":"${bucket}"`,
    ...(flow === undefined ? [] : [`"flowid":"${flow}"`]),
    ...flags.split(' ').flatMap((flag) => (flag === '' ? [] : [`"${flag}":true`])),
    ...[...matches.matchAll(u32Match)].map(
      ([, value, mask, base = '', offset]) =>
        `"match":{"value":"${value}","mask":"${mask}","offmask":"${base}","off":${offset}}`
    )
  ].join()
}

/** A key that a broken record has, and no record of a tool's. */
const brokenKey = '\0broken'

/** Whether the text of a record was no JSON. */
export function isBroken(record: unknown): boolean {
  return typeof record === 'object' && record !== null && brokenKey in record
}

/** The most objects in a record that begin as the record does, as the members of a group of next hops do. */
const mostInside = 16

/**
 * Parses the records of a list one by one; null: the text is no list of records. Each begins with the same key, whatever the text in
 * another may be: it may have one quote, or one bracket.
 */
function splitRecords(text: string): unknown[] | null {
  const [, start, key] = /^\[\s*(\{("\w+":))/.exec(text) ?? []
  if (start === undefined || key === undefined || !text.endsWith('}]')) return null
  const pieces = text.slice(text.indexOf(start) + 1, -2).split(`},{${key}`)
  const texts = pieces.map((piece, index) => (index === 0 ? `{${piece}}` : `{${key}${piece}}`))
  const records: unknown[] = []
  for (let at = 0; at < texts.length; ) {
    const ends = Array.from({ length: Math.min(mostInside, texts.length - at) }, (_, more) => at + 1 + more)
    const join = (end: number) => texts.slice(at, end).join()
    const end = ends.find((one) => parseOrNull(join(one)) !== null)
    records.push(end === undefined ? readFields(join(at + 1)) : parseOrNull(join(end)))
    at = end ?? at + 1
  }
  return records
}

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** What a broken record has before the first list, object or text. */
function readFields(text: string): unknown {
  const fields = /^\{((?:"(?:[^"\\]|\\.)*":(?:"(?:[^"\\]|\\.)*"|[\w.+-]+),)*)/.exec(text)?.[1] ?? ''
  return parseOrNull(`{${fields}${JSON.stringify(brokenKey)}:true}`) ?? { [brokenKey]: true }
}
