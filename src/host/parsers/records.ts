import * as z from 'zod'
import { isBroken } from './tool-json.ts'

/** A list, each record of which is parsed by itself. */
export const list = z.array(z.unknown())

/** A mapping of strings; Docker and Podman print an empty one as null. */
export const strings = z
  .record(z.string(), z.string())
  .nullish()
  .transform((record) => record ?? {})

/**
 * Parses each record of a list by itself. A record that is not understood is somebody else's, and left out.
 *
 * @throws ZodError if the document is no list: then nothing of it is understood.
 */
export function parseRecords<Record>(schema: z.ZodType<Record>, document: unknown): Record[] {
  return list.parse(document).flatMap((record) => {
    const parsed = isBroken(record) ? null : schema.safeParse(record)
    return parsed?.success ? [parsed.data] : []
  })
}
