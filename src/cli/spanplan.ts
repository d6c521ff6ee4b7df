import { CommanderError } from '@commander-js/extra-typings'
import { Exit } from '../errors.ts'
import { program } from './commands-and-flags.ts'

/** The word by which a unit calls spanplan to hold a window. It is no command: nobody types it. */
const windowWord = 'window'

/** Starts a command. What only help prints is in a bundle of its own, and is read before that help is printed. */
async function start(): Promise<void> {
  const words = process.argv.slice(2)
  const [word, id = ''] = words
  if (word === windowWord) {
    const { runCommand } = await import('./run-command.ts')
    return runCommand('window', { id })
  }
  const asksForHelp = words.length === 0 || words.some((word) => /^(?:help|--help|-\w*h\w*)$/.test(word))
  if (asksForHelp) {
    const { addHelp, firstSteps } = await import('./help/help.ts')
    addHelp(program)
    if (words.length === 0) {
      process.stderr.write(firstSteps)
      process.exitCode = Exit.usage
      return
    }
  }
  await program.parseAsync()
}

/** A reader of stdout that has gone (`spanplan apply | head`) is no error: what is written after that is dropped. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') process.stderr.write(`error: stdout cannot be written to: ${error.message}\n`)
})

/** A terminal that has gone is no error either. */
process.stderr.on('error', () => undefined)

start().catch((error: unknown) => {
  // commander has printed the error, or the help.
  if (!(error instanceof CommanderError)) throw error
  process.exitCode = error.exitCode === 0 ? Exit.done : Exit.usage
})
