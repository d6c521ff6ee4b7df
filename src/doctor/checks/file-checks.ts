import { shellLine } from '../../host/quote-command.ts'
import { printable } from '../../printable.ts'
import { hasFilters } from '../../spec/filter/filters-of.ts'
import { counted } from '../../text-lines.ts'
import { type Check, ok, orOk, problem, unknown, warning } from '../finding.ts'
import type { DoctorReadings } from '../readings.ts'
import { sentenceOf } from '../wording.ts'

export const file: Check = (readings) => {
  const { file } = readings
  if (file.state === 'missing') return [unknown(sentenceOf(file.diagnostic))]
  if (file.state === 'invalid') return file.faults.map((fault) => problem(sentenceOf(fault.diagnostic), fault.command))
  const { files, spans } = file.target.spec
  const count = counted(spans.length, 'span')
  // What reads the host also compiles them.
  const unchecked = spans.some(hasFilters) && 'unknown' in readings.host ? ['its filters were not checked'] : []
  return [ok([`${files.map(printable).join(', ')}: ${count}`, ...unchecked, trustNote(readings)].join('; '))]
}

function trustNote({ isRoot, fileArguments }: DoctorReadings): string {
  if (!isRoot) return 'only root checks who may write to it'
  if (fileArguments.includes('--insecure-file')) return 'who may write to it was not checked'
  return 'only users whom root trusts can write to it'
}

export const runDirectory: Check = (readings) => {
  const { runDirectory, leftFiles } = readings
  if (runDirectory !== null) return [problem(sentenceOf(runDirectory.diagnostic), runDirectory.command)]
  const left = [...leftFiles, ...findDeadSockets(readings)]
  const message = `a process that was killed has left ${left.join(', ')}`
  return orOk(
    left.length === 0 ? [] : [warning(message, shellLine(['rm', '-f', '--', ...left]))],
    'only this user and root may write to it'
  )
}

/** The sockets of watches that were killed; not that of the file's name, whose watch is missed. */
function findDeadSockets({ file, watches }: DoctorReadings): string[] {
  if (file.state !== 'valid') return []
  const { name: own } = file.target.spec
  return watches.flatMap(({ name, silent, socket }) =>
    name !== own && silent?.is === 'killed' && socket !== null ? [socket] : []
  )
}
