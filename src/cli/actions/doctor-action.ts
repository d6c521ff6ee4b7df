import { dirname, join } from 'node:path'
import { runChecks } from '../../doctor/all-checks.ts'
import { gatherReadings } from '../../doctor/gather/gather-readings.ts'
import { doctorDocument, renderFindings } from '../../doctor/output.ts'
import type { DoctorRequest, FileReading } from '../../doctor/readings.ts'
import { Exit, type ExitCode, nullIfForeseen, SpanplanError } from '../../errors.ts'
import { DistrustError } from '../../host/files/trust.ts'
import { printableJson } from '../../printable.ts'
import { readPauses } from '../../run-dir/pauses.ts'
import { namesOf } from '../../spec/scope.ts'
import { serviceFolder } from '../input/hook-event.ts'
import { loadSpecTarget } from '../input/load-target.ts'
import { type FileSelection, loadFiles } from '../input/spec-files.ts'
import { during } from '../output/activity.ts'
import { choosePaint, lineWidth } from '../output/colours.ts'
import type { Session } from '../session.ts'

/** `spanplan doctor`: checks what spanplan needs of this host, and what stands in its way. It changes nothing. */
export async function doctorCommand(session: Session, options: FileSelection): Promise<ExitCode> {
  const reading = readRequest(session, options).then(gatherReadings)
  const facts = await during(session, 'Checking the host', reading)
  const findings = runChecks(facts)
  const document = doctorDocument(findings, new Date().toISOString())
  if (session.json) process.stdout.write(`${printableJson(document)}\n`)
  else {
    const paint = choosePaint(session.color, process.stdout)
    process.stdout.write(renderFindings(findings, paint, lineWidth(process.stdout)))
  }
  return findings.some(({ result }) => result === 'problem') ? Exit.unhealthy : Exit.done
}

async function readRequest(session: Session, options: FileSelection): Promise<DoctorRequest> {
  // The files may be missing or broken.
  const service = await loadFiles({ ...options, file: [serviceFolder] }).catch(nullIfForeseen)
  return {
    file: await readFile(session, options),
    fileArguments: [
      ...options.file.flatMap((path) => ['-f', path]),
      ...(options.insecureFile ? ['--insecure-file'] : [])
    ],
    otherNames: service === null ? [] : namesOf(service),
    // The bundles are in the folder dist.
    unitFolder: join(dirname(__dirname), 'examples/systemd')
  }
}

/** Finds what a watch would follow: what is missing is waited for, and what the file does not have is removed. */
async function readFile(session: Session, options: FileSelection): Promise<FileReading> {
  try {
    const rest = { span: [], prune: true, adopt: false, recreate: false, deferDocker: false }
    const target = await loadSpecTarget(session, { ...options, ...rest })
    return { state: 'valid', target: { ...target, patient: true, goingDown: readPauses(Date.now()).goingDown } }
  } catch (error) {
    if (!(error instanceof SpanplanError)) throw error
    const [first] = error.diagnostics
    if (first?.code === 'FILE_MISSING') return { state: 'missing', diagnostic: first }
    const faults =
      error instanceof DistrustError
        ? error.faults
        : error.diagnostics.map((diagnostic) => ({ diagnostic, command: null }))
    return { state: 'invalid', faults }
  }
}
