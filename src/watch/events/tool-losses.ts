import type { Diagnostic } from '../../errors.ts'
import type { Sample } from '../../host/read-counters.ts'
import { makeFlowReport } from '../../status/counters/flow-report.ts'
import { type FramePath, readToolsOf } from '../../status/counters/frame-path.ts'
import type { ToolReport } from '../../status/counters/tool-report.ts'
import { findToolDrops, toolsOf } from '../../status/tool-words.ts'
import type { EmitEvent } from './event.ts'
import { trackTransitions } from './transition-tracker.ts'

/**
 * Follows what tools say that they lose: it is a warning when it begins, and over when they say that they lose next to nothing again.
 *
 * @param signal ends it.
 * @returns what takes a sample of the frame paths: about one in a minute. Reading what tools say may take seconds, which nobody waits for.
 */
export function followToolLosses(emit: EmitEvent, signal: AbortSignal) {
  const record = openToolRecorder(emit)
  let before: Sample | null = null
  let isReading = false
  return async (paths: readonly FramePath[], sample: Sample): Promise<void> => {
    if (isReading) return
    isReading = true
    const tools = await readToolsOf(paths).catch(() => null)
    isReading = false
    if (tools === null || signal.aborted) return
    const now = { ...sample, tools }
    record(paths, before ?? now, now)
    before = now
  }
}

/** Makes what emits an event when a tool says from now on that it loses, and when it does so no longer. */
export function openToolRecorder(emit: EmitEvent) {
  const losing = trackTransitions<Diagnostic>(({ subject }) => JSON.stringify(subject))
  return (paths: readonly FramePath[], first: Sample, later: Sample): void => {
    const reports = paths.map((path) => makeFlowReport(path, first, later))
    const findTool = ({ subject }: Diagnostic) =>
      reports
        .filter(({ span }) => span === subject?.span)
        .flatMap(toolsOf)
        .find(({ sensor }) => sensor === subject?.id[0])?.tool
    const isSilent = (tool: ToolReport) => 'problem' in tool || tool.growth === null
    // Of a tool that says nothing, and of a span that is paused, nobody knows whether it is over.
    const isUnknown = (one: Diagnostic) => {
      const tool = findTool(one)
      return tool === undefined ? !reports.some(({ span }) => span === one.subject?.span) : isSilent(tool)
    }
    const { started, ended } = losing.update(reports.flatMap(findToolDrops), isUnknown)
    for (const diagnostic of started) emit({ type: 'warning', diagnostic })
    // A tool that is asked no longer has not stopped losing.
    for (const diagnostic of ended) {
      if (findTool(diagnostic) !== undefined) emit({ type: 'warning_over', diagnostic })
    }
  }
}
