import { causes } from '../counters/causes.ts'
import type { FlowHistory, ToldHop, ToldLoss, ToldSilence } from '../history/flow-history.ts'

/** The version of the document. Within a major version, fields are only added. */
const formatVersion = '1.0'

/** What the watch of a name tells: what it has counted, and what it has done and found. */
export interface WatchHistory {
  readonly name: string
  readonly flows: FlowHistory
  readonly events: readonly { readonly span: string | null; readonly document: object }[]
}

/** What happened in a time, as a program reads it. `since` and `created` are ISO 8601 times. */
export function historyDocument(
  watches: readonly WatchHistory[],
  isShown: (span: string) => boolean,
  { since, created }: { readonly since: string; readonly created: string }
) {
  return {
    format_version: formatVersion,
    spanplan_version: SPANPLAN_VERSION,
    created,
    since,
    watches: watches.map(({ name, flows, events }) => ({
      name,
      began: isoOrNull(flows.began),
      counted: isoOrNull(flows.counted),
      dropped: isoOrNull(flows.dropped),
      periods: flows.periods.map(({ begin, end }) => ({ from: iso(begin), to: iso(end) })),
      spans: spansOf(flows, events)
        .filter(isShown)
        .map((span) => ({
          name: span,
          silences: flows.silences.filter((one) => one.span === span).map(silenceDocument),
          losses: flows.losses.filter((one) => one.span === span).map(lossDocument),
          hops: flows.hops.filter((one) => one.span === span).map(hopDocument),
          events: events.flatMap((one) => (one.span === span ? [one.document] : []))
        })),
      events: events.flatMap(({ span, document }) => (span === null ? [document] : []))
    }))
  }
}

/** The spans of a history: those that are counted now come first. */
export function spansOf(
  { spans, hops, silences, losses }: Pick<FlowHistory, 'spans' | 'hops' | 'silences' | 'losses'>,
  events: readonly { readonly span: string | null }[]
): string[] {
  const named = [...hops, ...silences, ...losses, ...events].flatMap(({ span }) => span ?? [])
  return [...new Set([...spans, ...named])]
}

const iso = (time: number) => new Date(time).toISOString()
const isoOrNull = (time: number | null) => (time === null ? null : iso(time))

function silenceDocument({ source, title, from, to, arrived, before }: ToldSilence) {
  return {
    source,
    title,
    from: iso(from),
    to: isoOrNull(to),
    arrived_frames: arrived,
    frames_per_second_before: before
  }
}

function lossDocument({ kind, title, cause, from, to, frames, of }: ToldLoss) {
  const { text, counted } = causes[cause]
  return { kind, title, cause, from: iso(from), to: iso(to), frames, of, counted_by: counted, message: text }
}

function hopDocument({ kind, title, device, countsCopies, frames, bytes }: ToldHop) {
  return {
    kind,
    title,
    device,
    counts_copies: countsCopies,
    frames_per_second: frames,
    bytes_per_second: bytes
  }
}
