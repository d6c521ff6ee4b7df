import * as z from 'zod'
import { label } from './docker-names.ts'

const noteOutput = z.object({
  network: z.string(),
  container: z.string(),
  options: z.record(z.string(), z.string()).readonly(),
  aliases: z.array(z.string()).readonly(),
  address: z.string().nullable(),
  /** The network's subnet, which contains the address. */
  subnet: z.string().nullable()
})

/** How a container was connected to a network, noted while it is disconnected for a moment. */
export type EndpointNote = Readonly<z.infer<typeof noteOutput>>

/** What it takes to connect a container to a network. */
export type Connection = Omit<EndpointNote, 'subnet'>

/** The label that holds a note. */
export function writeNote(note: EndpointNote): Readonly<Record<string, string>> {
  const { network, container, options, aliases, address, subnet } = note
  return { [label.note]: JSON.stringify({ network, container, options, aliases, address, subnet }) }
}

/** Reads the note that {@link writeNote} wrote; null: the network has no such label. */
export function parseNote(labels: Readonly<Record<string, string>>): EndpointNote | null {
  try {
    return noteOutput.parse(JSON.parse(labels[label.note] ?? ''))
  } catch {
    return null
  }
}
