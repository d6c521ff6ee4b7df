import type { ExitCode } from '../../errors.ts'

/** What each exit status means, in every command. */
export const exitStatuses: Readonly<Record<ExitCode, string>> = {
  0: 'done, or nothing to do; what only waits is nothing to do',
  1: 'an error; nothing was changed',
  2: 'with --detailed-exitcode, there are or were changes; in status, something is not healthy; in probe, a port did not get every frame, or a span is not live; in doctor, there is a problem; in graph, the file is invalid, and what is live is drawn',
  3: 'the saved plan no longer fits the host or the file; the message says what has changed',
  4: 'failed or interrupted, and not rolled back or verified completely; or all was done but what a sensor or a source made impossible; the message says what is left',
  5: 'failed, or not confirmed in time, and rolled back completely',
  6: 'with --wait and --detailed-exitcode: done, but sensors were still missing when the time was up',
  64: 'wrong usage of the command line',
  65: 'the file, the filter or the saved plan is invalid, or there is no file',
  70: 'a bug in spanplan; the message says what to report',
  75: 'another spanplan is running, or a watch of this name runs already; try again',
  77: 'a right is missing; the message says which',
  130: 'interrupted by SIGINT (^C); what had been done was rolled back, but for what apply --wait had applied before it waited',
  143: 'ended by SIGTERM; what had been done was rolled back'
}
