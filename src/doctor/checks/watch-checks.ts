import { join } from 'node:path'
import { shellLine } from '../../host/quote-command.ts'
import { localTime } from '../../local-time.ts'
import { type Check, type Finding, ok, orOk, problem, unknown, warning, whenKnown } from '../finding.ts'
import { type UnitReading, unitNames } from '../gather/systemd.ts'
import type { DoctorReadings, WatchReading } from '../readings.ts'
import { sentenceOf, spanplanLine } from '../wording.ts'

export const watch: Check = (readings) => {
  const { file, watches, otherFiles } = readings
  // The file had another name when its watch was started.
  const renamed = watches.filter(({ state }) => state?.file.diagnostics.some(({ code }) => code === 'NAME_CHANGED'))
  const own = file.state === 'valid' ? watches.filter(({ name }) => name === file.target.spec.name) : watches
  const running = own.filter(({ state }) => state !== null)
  const judged = running.length === 0 && renamed.length > 0 ? renamed : own
  const findings = judged.flatMap((one) => judgeWatch(one, readings))
  // Of files that are lost, the watch's own finding says so.
  if (otherFiles?.isLost === false) findings.push(warning(sentenceOf(otherFiles.diagnostic)))
  return findings.length > 0 ? findings : [ok('no watch has been started')]
}

function judgeWatch({ name, state, silent }: WatchReading, readings: DoctorReadings): readonly Finding[] {
  const unit = unitOf(readings, unitNames.watch)
  const restart =
    unit?.loadState === 'loaded' ? `systemctl restart ${unitNames.watch}` : spanplanLine(readings, 'watch')
  if (state !== null) {
    const since = `the watch of ${name} has been running since ${localTime(state.since)}`
    const invalid = state.file.valid ? [] : state.file.diagnostics
    return orOk(
      [
        ...invalid.map((one) => problem(`the watch still follows the last valid file: ${sentenceOf(one)}`)),
        ...(state.dryRun ? [warning(`${since}, and only reports drift (--dry-run)`)] : []),
        ...state.failedMonitors.map(({ diagnostic }) => warning(sentenceOf(diagnostic)))
      ],
      since
    )
  }
  switch (silent?.is) {
    case 'hidden':
      return [unknown(`only root can see whether the watch of ${name} is running`)]
    case 'killed':
      return [problem(`the watch of ${name} was killed`, restart)]
    case 'hanging': {
      const { pid } = silent
      // systemd ends no process of somebody else, and a watch that is stopped takes no other signal.
      const end = unit?.mainPid === pid ? [] : [shellLine(['kill', '-KILL', String(pid)])]
      return [problem(`the watch of ${name} (pid ${pid}) does not answer`, [...end, restart].join(' && '))]
    }
  }
  if (unitOf(readings, unitNames.apply)?.fileState === 'enabled') {
    return [ok(`no watch of ${name} runs: ${unitNames.apply} applies at boot`)]
  }
  return [warning(`no watch of ${name} is running: nothing repairs what others change`, restart)]
}

function unitOf({ units }: DoctorReadings, id: string): UnitReading | undefined {
  return 'known' in units ? units.known.find((unit) => unit.id === id) : undefined
}

export const units: Check = (readings) =>
  whenKnown(readings.units, (all) => {
    const installed = all.filter(({ loadState }) => loadState !== 'not-found')
    if (installed.length === 0) return [warning('no unit of systemd starts spanplan at boot', installUnit(readings))]
    // Debian's package has them all, and nobody wants more than one.
    const used = installed.filter(
      ({ fileState, activeState }) => fileState !== 'disabled' || activeState !== 'inactive'
    )
    return (used.length > 0 ? used : installed.slice(0, 1)).flatMap(judgeUnit)
  })

function installUnit({ unitFolder }: DoctorReadings): string {
  const copy = shellLine(['cp', join(unitFolder, unitNames.watch), '/etc/systemd/system/'])
  return `${copy} && systemctl daemon-reload && systemctl enable --now ${unitNames.watch}`
}

function judgeUnit(unit: UnitReading): readonly Finding[] {
  const { id, loadState, activeState, fileState, result, exitStatus, needsReload } = unit
  const systemctl = (...words: readonly string[]) => shellLine(['systemctl', ...words, id])
  if (loadState === 'masked') return [problem(`${id} is masked: it cannot be started`, systemctl('unmask'))]
  return orOk(
    [
      ...(needsReload ? [warning(`${id} has changed since systemd read it`, 'systemctl daemon-reload')] : []),
      ...(activeState === 'failed'
        ? [problem(`${id} has failed: ${result}, exit status ${exitStatus}`, systemctl('restart'))]
        : []),
      ...(fileState === 'disabled' ? [warning(`${id} is not started at boot`, systemctl('enable'))] : []),
      // The other ends when it has applied.
      ...(activeState === 'inactive' && id === unitNames.watch
        ? [problem(`${id} is installed, but is not running`, systemctl('start'))]
        : [])
    ],
    `${id} is ${activeState}, and ${fileState}`
  )
}
