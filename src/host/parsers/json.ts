/**
 * What iproute2 and ethtool print as JSON is not quite that where a name or an alias is unusual: they leave control
 * characters as they are (lib/json_writer.c), and ethtool writes `\'` for an apostrophe. tc prints each match of a u32 filter
 * under the same key (tc/f_u32.c): they become one list. Nothing printed is an empty list.
 */
export function parseToolJson(text: string): unknown {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  const valid = text.replace(/\\[\s\S]|[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, (found) => {
    if (found === "\\'") return "'"
    return found.length === 2 ? found : JSON.stringify(found).slice(1, -1)
  })
  const whole = valid.replace(/(?<!\\)"match":(\{[^{}]*\}(?:,"match":\{[^{}]*\})*)/g, (_, matches: string) => {
    return `"match":[${matches.replaceAll(',"match":', ',')}]`
  })
  return whole.trim() === '' ? [] : JSON.parse(whole)
}
