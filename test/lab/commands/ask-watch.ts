/** What a watch in a lab answers on its socket. */
import { statSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { WatchState } from '../../../src/status/watch-state.ts'
import type { Lab } from '../lab.ts'
import { hostNamespace } from '../sweep.ts'

/** A file of the lab's run directory. */
export function runFile(lab: Lab, kind: string): string {
  return join(lab.files, `../run/net-${statSync(hostNamespace(lab.name)).ino}.${kind}`)
}

/** The answer of the watch of this name. */
export async function askWatch(lab: Lab, name: string, request: string) {
  const socket = connect({ path: runFile(lab, `${name}.watch`), allowHalfOpen: true })
  socket.write(`${request}\n`)
  return JSON.parse(await text(socket))
}

/** How many runs a watch has made, of one trigger or of all. */
export function countRuns({ runs }: WatchState, trigger?: string): number {
  return runs.reduce((sum, run) => sum + (trigger === undefined || run.trigger === trigger ? run.count : 0), 0)
}
