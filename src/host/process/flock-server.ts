import { constants as fileConstants } from 'node:fs'
import { constants } from 'node:os'
import { type Argv, start } from '../exec.ts'
import { killGrace } from './run-limits.ts'

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fileConstants
const { EWOULDBLOCK, ENOENT } = constants.errno

/** Milliseconds for an answer. The first takes 10, as perl has to start; a later one takes 0.02. */
const answerTime = 500

/** What it does, and answers a line with 0 or the error's number: flock(2) of the file that it has inherited, or of one that it opens. */
const script = `
$| = 1;
open my $file, '+<&=', 3 or exit 1;
while (my $request = <STDIN>) {
  my $done = $request eq "test\\n" ? sysopen(my $other, $ARGV[0], $ARGV[1]) && flock($other, 5)
    : flock($file, $request eq "take\\n" ? 6 : 8);
  print $done ? 0 : $! + 0, "\\n";
}
`

/** A program that calls flock(2), and is kept. */
export type FlockServer = Awaited<ReturnType<typeof startFlockServer>>

/**
 * Starts a program that calls flock(2): Node cannot, and to start flock(1) takes milliseconds. The program inherits the open file, to which
 * the lock belongs (flock(2)): so the lock stays with this process when the program ends, and the program ends when this process ends,
 * also when this process is killed.
 *
 * Each request gives `null` where the program cannot answer: it does not start, has ended, or was ended since it took too long. One
 * request at a time.
 *
 * @param file the descriptor of the open file.
 * @param otherPath a file whose lock is only asked about.
 * @throws SpanplanError PROGRAM_MISSING.
 */
export async function startFlockServer(file: number, otherPath: string) {
  const perl: Argv = ['perl', '-T', '-e', script, otherPath, String(O_RDONLY | O_NOFOLLOW | O_NONBLOCK)]
  const program = await start(['setpriv', '--pdeathsig', 'KILL', '--no-new-privs', '--', ...perl], file)
  let isOver = false
  let settle: (answer: string | null) => void = () => undefined
  const finish = () => {
    isOver = true
    settle(null)
  }
  const kill = () => {
    if (!isOver) program.abandon()
    isOver = true
  }
  void program.status.then(finish, finish)
  program.stdin?.on('error', kill)
  program.stdout?.on('data', (line) => settle(String(line)))
  // What it says besides is nobody's.
  program.stderr?.resume()
  // It keeps this process from nothing.
  program.hold(false)
  const ask = async (request: 'take' | 'give' | 'test'): Promise<number | null> => {
    if (isOver) return null
    const timers: NodeJS.Timeout[] = []
    const answer = await new Promise<string | null>((resolve) => {
      settle = resolve
      program.stdin?.write(`${request}\n`)
      // Once it has ended, only this process has the open file.
      timers.push(setTimeout(kill, answerTime), setTimeout(resolve, answerTime + killGrace, null))
    })
    for (const timer of timers) clearTimeout(timer)
    return answer === null || isOver ? null : Number(answer)
  }
  return {
    /** Takes the lock of the open file, if nobody has it. */
    take: async (): Promise<boolean | null> => isDone(await ask('take'), EWOULDBLOCK),
    /** Gives the lock of the open file back. */
    give: async (): Promise<true | null> => isDone(await ask('give')) || null,
    /** Whether somebody has the lock of the other file. */
    isOtherHeld: async (): Promise<boolean | null> => {
      const answer = await ask('test')
      return answer === ENOENT ? false : not(isDone(answer, EWOULDBLOCK))
    },
    end: kill
  }
}

/** Whether a request was granted; null: it has failed with another error than this one. */
function isDone(answer: number | null, refusal = Number.NaN): boolean | null {
  if (answer === 0) return true
  return answer === refusal ? false : null
}

function not(value: boolean | null): boolean | null {
  return value === null ? null : !value
}
