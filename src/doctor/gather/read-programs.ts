import { diagnosticOf } from '../../errors.ts'
import { run } from '../../host/exec.ts'
import type { ProgramReading } from '../readings.ts'
import { programTime } from './doctor-limits.ts'

/** What spanplan calls, but for what every Debian has. */
const programs = [
  ...['ip', 'tc', 'bridge', 'ethtool', 'tcpdump', 'nft', 'bpftool'],
  ...['sysctl', 'flock', 'setpriv', 'unshare', 'nsenter']
]

/** How a program is asked for its version, where that is not `--version`. */
const questions: Readonly<Record<string, string>> = {
  ip: '-Version',
  tc: '-Version',
  bridge: '-Version',
  bpftool: 'version'
}

/** Runs each program, for its version: one that does not start is as good as missing. */
export async function readPrograms(): Promise<Map<string, ProgramReading>> {
  const readings = programs.map(async (name): Promise<readonly [string, ProgramReading]> => {
    try {
      const { stdout, stderr } = await run([name, questions[name] ?? '--version'], '', { milliseconds: programTime })
      return [name, { version: /\d+(?:\.\d+)+/.exec(stdout || stderr)?.[0] ?? '' }]
    } catch (error) {
      return [name, { missing: diagnosticOf(error).message }]
    }
  })
  return new Map(await Promise.all(readings))
}
