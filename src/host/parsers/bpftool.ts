import * as z from 'zod'
import type { Argv } from '../exec.ts'
import type { AttachedProgram, TcHook } from '../snapshot.ts'
import { isSealProgram } from '../xdp/seal-program.ts'
import { list, parseRecords } from './records.ts'

/** The types of programs that get a device's frames: bpf_prog_type in linux/bpf.h, as bpftool-prog(8) names them. */
const networkTypes: ReadonlySet<string> = new Set(['xdp', 'sched_cls'])

const programOutput = z.object({ type: z.string(), name: z.string().default(''), tag: z.string().default('') })

/** Whether the kernel has a program that some device may have, besides spanplan's own, which ip shows. */
export function hasNetworkPrograms(document: unknown): boolean {
  return parseRecords(programOutput, document).some(
    ({ type, name, tag }) => networkTypes.has(type) && !(type === 'xdp' && isSealProgram({ name, tag, isNative: true }))
  )
}

/** The command for {@link parseAttached}, which reads {@link attachedLines}. */
export const attachedCommand: Argv = ['bpftool', '-j', 'batch', 'file', '-']

/** A line for each device: one process asks for all, and of others' devices, which may be thousands, nothing. */
export function attachedLines(devices: readonly string[]): string {
  // What follows this sign would be a comment.
  const speakable = devices.filter((device) => !device.includes('#'))
  return speakable.map((device) => `net show dev ${device}\n`).join('')
}

const xdpOutput = z.object({
  ifindex: z.number(),
  id: z.number().optional(),
  /** The programs of an interface that has one in several modes. */
  multi_attachments: list.default([])
})

/** Entries of other kinds are filters, which tc shows too, or are on no interface. A program of classic BPF has no id. */
const tcOutput = z.object({
  ifindex: z.number(),
  kind: z.string(),
  name: z.string().default(''),
  prog_id: z.number().optional()
})

const records = list.catch([])

const netOutput = z.object({ xdp: records, tc: records })

/** A device that has gone has an error for its output. */
const batchOutput = z.object({ output: records })

const idOutput = z.object({ id: z.number() })

const tcxHooks: Readonly<Record<string, TcHook>> = { 'tcx/ingress': 'ingress', 'tcx/egress': 'egress' }

/** Parses the programs that get the devices' frames before any filter. */
export function parseAttached(document: unknown): AttachedProgram[] {
  const devices = parseRecords(batchOutput, document).flatMap(({ output }) => parseRecords(netOutput, output))
  return devices.flatMap(({ xdp, tc }) => [
    ...parseRecords(xdpOutput, xdp).flatMap(({ ifindex, multi_attachments, ...single }) =>
      [single, ...parseRecords(idOutput, multi_attachments)].flatMap(({ id }): AttachedProgram[] =>
        id === undefined ? [] : [{ link: ifindex, tcHook: 'ingress', layer: 'xdp', name: '', id }]
      )
    ),
    ...parseRecords(tcOutput, tc).flatMap(({ ifindex, kind, name, prog_id }): AttachedProgram[] => {
      const tcHook = tcxHooks[kind]
      if (tcHook === undefined || prog_id === undefined) return []
      return [{ link: ifindex, tcHook, layer: 'tcx', name, id: prog_id }]
    })
  ])
}
