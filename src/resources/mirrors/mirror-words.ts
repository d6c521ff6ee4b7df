import { everyFrame } from '../../host/tc-conventions.ts'
import { writeRate } from '../../spec/values/rate.ts'
import type { CopyPoint, FeedId } from '../desired-state.ts'
import { joinPrograms } from '../programs/join-programs.ts'
import { readSample, writeSample } from '../programs/sample-program.ts'
import { bucketCount, readShare, type Share, writeShare } from '../programs/share-program.ts'
import { writeMirrorTitle } from '../sources/host-source-kind.ts'
import type { Mirror } from './mirror-resource.ts'

/** The frames that a mirror copies, and the part of them that it takes, in words. */
export function programClause({ point, program, part }: Mirror): string {
  const share = part?.share ?? readShare(program)
  const sample = point.sample ?? readSample(program)
  // A program that is a sample, a share or both, and nothing else, has no filter.
  const isAll =
    program === joinPrograms([...(sample ? [writeSample(sample)] : []), ...(share ? [writeShare(share)] : [])])
  const { expression } = part ?? point.selection
  const isFiltered = part !== null && expression !== null && point.selection.expression === null
  const source = writeFrames({ selection: { ...point.selection, everyFrame: isAll || isFiltered }, program })
  const clauses = [
    source,
    part?.expression ?? null,
    sample && `${sample.take} of ${sample.of} ${sample.kind}${sample.kind === 'frames' ? ', at random' : ''}`,
    share && writeShareClause(share)
  ]
  return clauses.filter((clause) => clause !== null).join('; ') || 'every frame'
}

/** What divides flows, after that word. */
const hashWords: Readonly<Record<Share['hash'], string>> = {
  addresses: '',
  ports: ' by ports',
  inner: ' by inner addresses'
}

function writeShareClause({ hash, buckets, rest }: Share): string {
  const flows = `${buckets.size} of ${bucketCount} buckets of flows${hashWords[hash]}`
  return rest ? `${flows}, and what is not IP` : flows
}

/** The frames that are copied, in words; null: every frame. */
export function writeFrames({ selection, program }: Pick<CopyPoint, 'selection' | 'program'>): string | null {
  const { expression, words = expression, everyFrame: isEvery } = selection
  return isEvery || program === everyFrame ? null : (words ?? `a program of length ${(program ?? '').split(',')[0]}`)
}

/** The most that a mirror copies, in words. */
export function writeLimit(limit: Mirror['limit']): string {
  if (limit === 'unknown') return 'another policer'
  return limit === null ? 'none' : writeRate(limit)
}

const receivers: Readonly<Record<FeedId['kind'], string>> = {
  tunnel: 'a tunnel',
  sensor: 'a port',
  output: 'an interface'
}

/** The link that a mirror leads to; if it is gone, what kind of link it was. */
export function nameTarget({ target, feed, spans }: Mirror): string {
  if (target !== '*') return target
  if (spans.length === 0 || feed?.name === '') return 'an interface that is gone'
  return `${feed === null ? 'a bridge' : receivers[feed.kind]} that is gone`
}

/** The source and the receiver of a mirror. */
export function nameMirror(mirror: Mirror): string {
  const { point, spans, feed } = mirror
  return writeMirrorTitle(point, (feed === null ? spans[0] : feed.name) || nameTarget(mirror))
}
