/**
 * Parses the JSON of iproute2 and ethtool, which is not always valid: control characters in names and aliases are not escaped
 * (lib/json_writer.c), and ethtool writes `\'` for an apostrophe. tc prints each match of a u32 filter under the same key
 * (tc/f_u32.c): the matches become one list. No output is an empty list.
 */
export function parseToolJson(text: string): unknown {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to escape.
  const valid = text.replace(/\\[\s\S]|[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, (found) => {
    if (found === "\\'") return "'"
    return found.length === 2 ? found : JSON.stringify(found).slice(1, -1)
  })
  const merged = valid.replace(/(?<!\\)"match":(\{[^{}]*\}(?:,"match":\{[^{}]*\})*)/g, (_, matches: string) => {
    return `"match":[${matches.replaceAll(',"match":', ',')}]`
  })
  return merged.trim() === '' ? [] : JSON.parse(merged)
}
