import { statfsSync } from 'node:fs'
import { messageOf } from '../../errors.ts'
import { type Argv, run } from '../exec.ts'
import { hasCapability } from '../process/process-rights.ts'
import type { Silence } from '../snapshot.ts'
import { attachSeal } from './seal-program.ts'

/** BPF_FS_MAGIC in linux/magic.h. */
const bpfMagic = 0xcafe4a11

const bpfFolder = '/sys/fs/bpf'

/** What ip says of the last word of {@link checkCommand}, once it has loaded the program. */
const loaded = /garbage/

/** Loads the program and attaches it to nothing: ip comes to a word that is none before it asks the kernel to attach anything. */
const checkCommand: Argv = [...attachSeal('lo'), 'check']

/** Whether ip can load the program, which is the same as long as this process runs. */
let loading: Promise<Silence> | null = null

/** Reads whether the host can have the program. Who mounts the BPF file system, as the warning says, need not start a watch again. */
export async function readSilence(): Promise<Silence> {
  try {
    // The kernel tells nobody else whose program an interface has.
    if (!hasCapability('CAP_SYS_ADMIN')) return { state: 'unread', reason: 'it needs CAP_SYS_ADMIN' }
    // ip would mount it.
    if (statfsSync(bpfFolder).type !== bpfMagic)
      return unusable(`no BPF file system is mounted at ${bpfFolder}, as this process sees it`)
    loading ??= load()
    return await loading
  } catch (error) {
    loading = null
    return unusable(messageOf(error))
  }
}

/** @throws SpanplanError if ip cannot be run, or hangs. */
async function load(): Promise<Silence> {
  const { stderr } = await run(checkCommand)
  if (loaded.test(stderr)) return { state: 'usable' }
  const lines = stderr.split('\n').filter((line) => line.trim() !== '')
  return unusable(`ip cannot load it: ${lines.at(-1) ?? 'it does not say why'}`)
}

function unusable(reason: string): Silence {
  return { state: 'unusable', reason }
}
