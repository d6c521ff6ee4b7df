import { parseToolJson } from '../../src/host/parsers/tool-json.ts'

/** The rows that iproute2 prints as JSON; control characters in names and aliases make it none. */
export function parseRows<Row>(text: string): Row[] {
  // The caller says what the tool prints.
  return parseToolJson(text) as Row[]
}
