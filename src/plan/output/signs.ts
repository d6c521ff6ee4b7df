import type { Tone } from '../../printable.ts'

/** The signs before the rows of a plan, what such a row says will happen, and the word for what has happened. */
export const signs = {
  create: { sign: '+', means: 'is created', done: 'created' },
  update: { sign: '~', means: 'is changed in place', done: 'changed' },
  replace: { sign: '-/+', means: 'is removed and created again', done: 'recreated' },
  remove: { sign: '-', means: 'is removed', done: 'removed' },
  adopt: { sign: '=', means: 'is foreign, and is taken over (--adopt)', done: 'adopted' },
  wait: { sign: '...', means: 'waits for something that is not there yet' }
} as const satisfies Readonly<Record<Exclude<Tone, 'title'>, { sign: string; means: string; done?: string }>>
