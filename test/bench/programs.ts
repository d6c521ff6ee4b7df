/** How the bench runs programs on a lab's host. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import type { Lab } from '../lab/lab.ts'
import { findProgram, labEnvironment, projectRoot } from '../lab/programs.ts'
import { hostNamespace } from '../lab/sweep.ts'

/** The command line of spanplan. */
export function spanplan(...args: string[]): string[] {
  return [process.execPath, join(projectRoot, 'bin/spanplan.js'), ...args]
}

interface Timed {
  readonly milliseconds: number
  readonly stdout: string
}

export interface Runner {
  /** Runs a command, and gives the milliseconds that it took. */
  time(argv: readonly string[], input?: string): number
  /** Runs a command, and gives what it printed. */
  read(argv: readonly string[], input?: string): string
}

/** Programs of a lab's host, in a clean environment: variables that make Node.js read more at its start would double every figure. */
export function openRunner(lab: Lab, docker: 'docker' | 'no docker'): Runner {
  const socket = `unix://${join(lab.files, 'no-docker.sock')}`
  const env = { ...labEnvironment(lab.name), DOCKER_HOST: docker === 'docker' ? lab.dockerHost : socket }
  const run = (argv: readonly string[], input = ''): Timed => {
    const words = [`--net=${hostNamespace(lab.name)}`, '--', ...argv]
    const begin = performance.now()
    const { status, stdout, stderr } = spawnSync(findProgram('nsenter'), words, {
      env,
      input,
      encoding: 'utf8',
      maxBuffer: 256 * 1024 * 1024,
      cwd: lab.files
    })
    const milliseconds = performance.now() - begin
    if (status !== 0) throw new Error(`${argv.join(' ')} exited with ${status}: ${stderr.slice(0, 2000)}`)
    return { milliseconds, stdout }
  }
  return {
    time: (argv, input) => run(argv, input).milliseconds,
    read: (argv, input) => run(argv, input).stdout
  }
}
