import { randomBytes } from 'node:crypto'

/** What the subnets of this process's new networks are chosen by: random, so that nobody can tell them in advance. */
export const subnetSeed = randomBytes(16).toString('hex')
