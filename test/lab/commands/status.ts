import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Lab, SpanplanOptions } from '../lab.ts'
import { until } from '../spans.ts'
import { wrapPrograms } from './wrapped-programs.ts'

let turns = 0

/**
 * Does something between the two samples of a status, which `run` starts with these options: after the first one, it
 * waits until it may look again.
 */
export async function betweenSamples<T>(
  lab: Lab,
  run: (options: SpanplanOptions) => Promise<T>,
  doing: () => Promise<unknown>
): Promise<T> {
  const go = join(lab.files, `go-${turns++}`)
  // A sample is read by ip and tc; who comes after them belongs to the next look.
  const wait = `[ $(sed -n '/^$ ip -s -s /,$p' "\${0%/*}/calls" | grep -c '^$ ') -lt 3 ] ||
until [ -e ${go} ]; do sleep 0.02; done`
  const { options, calls } = await wrapPrograms(lab, { ip: wait, tc: wait, bridge: wait, ethtool: wait })
  const running = run(options)
  await until('the first sample is taken', async () => {
    const lines = (await calls()).filter((line) => line.startsWith('$ '))
    const first = lines.findIndex((line) => line.startsWith('$ ip -s -s '))
    return first >= 0 && lines.length - first >= 3
  })
  await doing().finally(() => writeFile(go, ''))
  return running
}
