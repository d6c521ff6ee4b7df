import type { Filter, Program, Snapshot } from '../host/host.ts'
import { deleteFilter, everyFrame, mirrorPref, writeMirror } from '../host/tc.ts'
import type { Hook } from '../spec/spec.ts'
import { mirrorHandle, writeCookie } from './mark.ts'
import type { Kind, Resource, Step, Transition } from './resource.ts'
import { cardMark, notice, type Wanted } from './wanted.ts'

/** One tc filter: copies what passes one hook of one device into one span. */
export interface Mirror extends Resource {
  readonly kind: 'mirror'
  readonly device: string
  readonly hook: Hook
  readonly handle: number
  /** The bridge that gets the copies; `*` once it has gone, also when one of its name has come back. */
  readonly target: string
  readonly program: Program
  /** The program in the user's words; null for every frame, or where only the program is known. */
  readonly expression: string | null
  /** What becomes of the frame itself: `continue` hands it to the next filter. */
  readonly control: string
  readonly cookie: string
}

/** How mirrors are wanted, found, and made what they should be. */
export const mirror: Kind<Mirror> = {
  kind: 'mirror',
  rank: { create: 30, remove: 81 },
  fields: {
    target: { label: 'target', words: nameTarget },
    program: {
      label: 'filter',
      words: (program, { expression }) =>
        expression ?? (program === everyFrame ? 'every frame' : `a program of length ${program.split(',')[0]}`)
    },
    control: { label: 'afterwards', words: String },
    cookie: { label: 'mark', words: (cookie) => (cookie === '' ? 'none' : cookie) }
  },
  desire: (wanted, host) =>
    wanted.spans.flatMap((span) =>
      span.mirrors.flatMap(({ link, hook, expression, program, origin }) => {
        const handle = mirrorHandle(wanted.owner, span.name, link.name, hook)
        const id = idOf(link.name, hook, handle)
        // Without the right to compile it, the program that is there is left as it is; there is none to make a new one of.
        const known = program ?? host.filters.find((filter) => filterId(filter) === id)?.program
        const card = wanted.cards.find((candidate) => candidate.link.index === link.index)
        if (known === undefined || known === null || card === undefined) return []
        return [
          {
            ...({ kind: 'mirror', id, spans: [span.name], owner: 'ours', device: link.name, hook, handle } as const),
            origin,
            target: span.name,
            program: known,
            expression,
            control: 'continue',
            cookie: writeCookie(wanted.owner, cardMark(card))
          }
        ]
      })
    ),
  observe: (wanted, host) => [
    ...wanted.mirrors
      .filter((live) => live.inScope)
      .map(({ filter, span }): Mirror => ({ ...describe(filter), spans: span === null ? [] : [span], owner: 'ours' })),
    ...standingInTheWay(wanted, host)
  ],
  recall: (mirrors, _, { host }) => mirrors.filter(({ device }) => host.links.some(({ name }) => name === device)),
  steps: mirrorSteps,
  title: ({ device, hook, target, spans }) => `${device} ${hook} → ${spans[0] ?? nameTarget(target)}`,
  summary: ({ expression }) => expression ?? 'every frame',
  address: ({ device, hook, spans, handle }) => [device, hook, ...(spans.length === 0 ? [handle.toString(16)] : [])],
  conflict: (live) =>
    notice(
      'FILTER_FOREIGN',
      `${live.device} ${live.hook} has a filter at preference ${mirrorPref} that spanplan did not make`,
      `see it with: tc filter show dev ${live.device} ${live.hook}; move it to another preference`
    )
}

function nameTarget(target: string): string {
  return target === '*' ? 'a bridge that is gone' : target
}

function describe(filter: Filter): Mirror {
  const { device, hook } = filter
  return {
    kind: 'mirror',
    id: filterId(filter),
    spans: [],
    owner: 'foreign',
    device,
    hook,
    handle: filter.handle ?? 0,
    target: filter.mirror?.target ?? '',
    program: filter.program ?? '',
    expression: null,
    control: filter.mirror?.control ?? '',
    cookie: filter.mirror?.cookie ?? ''
  }
}

/** Filters of others at the preference, and on a hook, that a wanted mirror takes; each as if it were that mirror. */
function standingInTheWay(wanted: Wanted, host: Snapshot): Mirror[] {
  const marked = new Set(wanted.mirrors.map((live) => filterId(live.filter)))
  const foreign = new Map(
    host.filters
      .filter((filter) => filter.chain === 0 && filter.pref === mirrorPref && !marked.has(filterId(filter)))
      .map((filter) => [`${filter.device} ${filter.hook}`, filter])
  )
  return wanted.spans.flatMap((span) =>
    span.mirrors.flatMap(({ link, hook }) => {
      const filter = foreign.get(`${link.name} ${hook}`)
      const id = idOf(link.name, hook, mirrorHandle(wanted.owner, span.name, link.name, hook))
      return filter ? [{ ...describe(filter), id, spans: [span.name] }] : []
    })
  )
}

function mirrorSteps(transition: Transition<Mirror>): Step[] {
  const { action } = transition
  switch (action) {
    case 'create':
    case 'update': {
      const { after } = transition
      return [
        {
          summary: `${action === 'create' ? 'add' : 'mend'} the mirror ${name(after)}`,
          argv: ['tc', ...writeMirror(after)]
        }
      ]
    }
    case 'remove': {
      const { before } = transition
      const words = deleteFilter(before.device, before.hook, mirrorPref, before.handle)
      return [{ summary: `remove the mirror ${name(before)}`, argv: ['tc', ...words] }]
    }
  }
}

function name(resource: Mirror): string {
  return mirror.title(resource)
}

function filterId(filter: Filter): string {
  return idOf(filter.device, filter.hook, filter.handle ?? 0)
}

function idOf(device: string, hook: Hook, handle: number): string {
  return `${device} ${hook} ${handle.toString(16)}`
}
