import { CommanderError } from '@commander-js/extra-typings'
import { Exit } from '../errors.ts'
import { program } from './commands-and-flags.ts'

/** The word by which a unit calls spanplan to hold a window. It is no command: nobody types it. */
const windowWord = 'window'

/** The word by which a shell asks for names, to complete a word with. It is no command either. */
const completeWord = '__complete'

/** Starts a command. What only help and wrong words need is in a bundle of its own, and is read before that is printed. */
async function start(): Promise<void> {
  const words = process.argv.slice(2)
  const [word, id = ''] = words
  if (word === windowWord) {
    const { runCommand } = await import('./run-command.ts')
    return runCommand('window', { id })
  }
  if (word === completeWord) {
    const { runCommand } = await import('./run-command.ts')
    return runCommand('complete', { kind: id, words: words.slice(2) })
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

start().catch(async (error: unknown) => {
  if (!(error instanceof CommanderError)) throw error
  // commander has printed the help.
  if (error.exitCode === 0) {
    process.exitCode = Exit.done
    return
  }
  const { refuse } = await import('./help/help.ts')
  process.exitCode = refuse(program, error, process.argv.slice(2))
})
