import { writeProgram } from './object.ts'
import { sealName, sealSection } from './seal-program.ts'

/** XDP_DROP in linux/bpf.h. */
export const drop = 1

/** The object file of the program, for the build. */
export const sealObject = writeProgram(sealSection, sealName, drop)
