import { diagnosticOf } from '../../errors.ts'
import { type Argv, run } from '../../host/exec.ts'
import type { ProgramReading } from '../readings.ts'
import { programTime } from './doctor-limits.ts'

/** How each program says its version. */
const questions: Readonly<Record<string, Argv>> = {
  ip: ['ip', '-Version'],
  tc: ['tc', '-Version'],
  bridge: ['bridge', '-Version'],
  ethtool: ['ethtool', '--version'],
  tcpdump: ['tcpdump', '--version'],
  nft: ['nft', '--version'],
  bpftool: ['bpftool', 'version'],
  sysctl: ['sysctl', '--version'],
  flock: ['flock', '--version'],
  setpriv: ['setpriv', '--version'],
  unshare: ['unshare', '--version'],
  nsenter: ['nsenter', '--version']
}

/** Runs each program, for its version: one that does not start is as good as missing. */
export async function readPrograms(): Promise<Map<string, ProgramReading>> {
  const readings = Object.entries(questions).map(async ([name, argv]): Promise<readonly [string, ProgramReading]> => {
    try {
      const { stdout, stderr } = await run(argv, '', { milliseconds: programTime })
      return [name, { version: /\d+(?:\.\d+)+/.exec(stdout || stderr)?.[0] ?? '' }]
    } catch (error) {
      return [name, { missing: diagnosticOf(error).message }]
    }
  })
  return new Map(await Promise.all(readings))
}
