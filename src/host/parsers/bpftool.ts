import * as z from 'zod'
import type { TcHook } from '../../spec/spec.ts'
import type { Argv } from '../exec.ts'
import type { AttachedProgram } from '../snapshot.ts'

/** The command for {@link parseAttached}: one process for all links. */
export const attachedCommand: Argv = ['bpftool', '-j', 'net', 'show']

const xdpOutput = z.object({
  ifindex: z.number(),
  id: z.number().optional(),
  /** The programs of an interface that has one in several modes. */
  multi_attachments: z.array(z.object({ id: z.number() })).default([])
})

/** Entries of other kinds are filters, which tc shows too, or are on no interface. A program of classic BPF has no id. */
const tcOutput = z.object({
  ifindex: z.number(),
  kind: z.string(),
  name: z.string().default(''),
  prog_id: z.number().optional()
})

const netOutput = z.array(z.object({ xdp: z.array(xdpOutput).default([]), tc: z.array(tcOutput).default([]) }))

const tcxHooks: Readonly<Record<string, TcHook>> = { 'tcx/ingress': 'ingress', 'tcx/egress': 'egress' }

/** Parses the programs that get a device's frames before any filter. */
export function parseAttached(document: unknown): AttachedProgram[] {
  return netOutput.parse(document).flatMap(({ xdp, tc }) => [
    ...xdp.flatMap(({ ifindex, multi_attachments, ...single }) =>
      [single, ...multi_attachments].flatMap(({ id }): AttachedProgram[] =>
        id === undefined ? [] : [{ link: ifindex, tcHook: 'ingress', layer: 'xdp', name: '', id }]
      )
    ),
    ...tc.flatMap(({ ifindex, kind, name, prog_id }): AttachedProgram[] => {
      const tcHook = tcxHooks[kind]
      if (tcHook === undefined || prog_id === undefined) return []
      return [{ link: ifindex, tcHook, layer: 'tcx', name, id: prog_id }]
    })
  ])
}
