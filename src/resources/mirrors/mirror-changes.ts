import type { Program } from '../../host/snapshot.ts'
import { everyFrame } from '../../host/tc-conventions.ts'
import { programOf } from '../feeds/feeds.ts'
import type { Change } from '../kind.ts'
import { readSample } from '../programs/sample-program.ts'
import { type Buckets, bucketCount, readShare, replaceShare, type Share } from '../programs/share-program.ts'
import type { Mirror } from './mirror-resource.ts'
import { deletion, makeSteps } from './mirror-steps.ts'

/** Puts the changes of mirrors in the order in which no frame is lost, and has them say what differs. */
export function finalizeMirrors(changes: readonly Change<Mirror>[]): readonly Change<Mirror>[] {
  const explained = changes.map((change) =>
    change.action === 'update' ? explainMoved(explainRecompiled(change)) : change
  )
  return widenFirst(removeBesideMoved(explained))
}

/**
 * Orders the changes so that no frame is lost while buckets move: a bucket is added to its new mirror before the old mirror loses it. In
 * between, both copy it. New mirrors are made first.
 */
function widenFirst(changes: readonly Change<Mirror>[]): readonly Change<Mirror>[] {
  const early = changes.map((change) => (change.action === 'update' && isGain(change) ? prepareGain(change) : change))
  const losing = early.flatMap((change) => {
    if (change.action !== 'update') return []
    const [was, is] = [readShare(change.before.program), readShare(change.after.program)]
    if (is === null) return []
    // With another hash, a flow may be in any bucket: until all mirrors have it, each takes all. A mirror without a share had all already.
    const both = was?.hash === is.hash ? joinShares(was, is) : { ...is, buckets: allBuckets, rest: true }
    if (was === null) return [{ change, widening: [] }]
    if (both.buckets.size === is.buckets.size && both.rest === is.rest) return []
    const isGaining = was.hash !== is.hash || both.buckets.size > was.buckets.size || both.rest !== was.rest
    const wide = { ...change.after, program: replaceShare(change.after.program, both) }
    return [{ change, widening: isGaining ? makeSteps(wide, 'widen') : [] }]
  })
  const [first] = losing
  if (first === undefined) return early
  const others = early.filter((change) => !losing.some((one) => one.change === change))
  const widening = losing.flatMap((one) => one.widening)
  const widened = { ...first.change, before: { ...first.change.before, widening } }
  return [...others, widened, ...losing.slice(1).map(({ change }) => change)]
}

type Update = Extract<Change<Mirror>, { readonly before: Mirror; readonly after: Mirror }>

/** Whether an update only adds to what a live mirror takes. */
function isGain({ before, after }: Update): boolean {
  const [was, is] = [readShare(before.program), readShare(after.program)]
  if (was === null || is === null || before.target !== after.target || was.hash !== is.hash) return false
  return joinShares(was, is).buckets.size === is.buckets.size && (is.rest || !was.rest)
}

/** Makes the update early: a receiver gets the buckets before the one that had them is disconnected. */
function prepareGain({ before, after, ...change }: Update): Update {
  return { ...change, before: { ...before, widening: makeSteps(after, 'repair') }, after }
}

const allBuckets: Buckets = new Set(Array.from({ length: bucketCount }, (_, bucket) => bucket))

function joinShares(one: Share, other: Share): Share {
  return { ...other, buckets: new Set([...one.buckets, ...other.buckets]), rest: one.rest || other.rest }
}

/** Says that two programs have the same tests in another order, as of two versions of libpcap: nobody has changed that mirror. */
function explainRecompiled(change: Update): Update {
  const { before, after } = change
  const isRecompiled = before.program !== after.program && listTests(before.program) === listTests(after.program)
  if (!isRecompiled) return change
  const selection = { ...before.point.selection, words: 'the same tests in another order' }
  return { ...change, before: { ...before, point: { ...before.point, selection } } }
}

/**
 * If only the share and the sample differ, the live mirror has the same filters as the desired one, so the plan can name them. One that has
 * neither may have the same filters, too.
 */
function explainMoved(change: Update): Update {
  const { before, after } = change
  if (before.program === after.program) return change
  const [was, is] = [readShare(before.program), readShare(after.program)]
  const isMoved = was !== null && is !== null && replaceShare(before.program, is) === after.program
  const sample = isMoved ? after.point.sample : readSample(before.program)
  const { expression, program } = after.part ?? { expression: null, program: everyFrame }
  const part = { expression, program, share: was, balance: null }
  if (!isMoved && programOf({ point: { ...after.point, sample }, feed: { part } }) !== before.program) return change
  return {
    ...change,
    before: { ...before, point: { ...before.point, selection: after.point.selection, sample }, part }
  }
}

/** The instructions of a program, as `code jt jf k`, in one order and without their jumps. */
function listTests(program: Program): string {
  const tests = program.split(',').slice(1)
  return tests
    .map((test) => test.replace(/ \d+ \d+ /, ' '))
    .sort()
    .join()
}

/**
 * The kernel cannot change the protocol of a preference that has filters. So all mirrors of a hook with another protocol are removed
 * before the first of them is written.
 */
function removeBesideMoved(changes: readonly Change<Mirror>[]): readonly Change<Mirror>[] {
  const moves = changes.flatMap((change) =>
    change.action === 'update' && change.before.protocol !== change.after.protocol ? [change] : []
  )
  const isBeside = ({ point: one }: Mirror, { point: other }: Mirror) =>
    one.device.name === other.device.name && one.tcHook === other.tcHook
  return changes.map((change) => {
    const [first] = moves.filter(({ before }) => change.action === 'update' && isBeside(before, change.before))
    if (change !== first) return change
    const removal = moves.filter(({ before }) => isBeside(before, first.before)).map(({ before }) => deletion(before))
    return { ...first, before: { ...first.before, removal: [...first.before.removal, ...removal] } }
  })
}
