import type { Tone } from '../../printable.ts'

/** The signs before the rows of a plan, and what a row with such a sign says will happen. */
export const signs = {
  create: { sign: '+', means: 'is created' },
  update: { sign: '~', means: 'is changed in place' },
  replace: { sign: '-/+', means: 'is removed and created again' },
  remove: { sign: '-', means: 'is removed' },
  adopt: { sign: '=', means: 'is foreign, and is taken over (--adopt)' },
  wait: { sign: '...', means: 'waits for something that is not there yet' }
} as const satisfies Readonly<Record<Exclude<Tone, 'title'>, { readonly sign: string; readonly means: string }>>
