/** A program that answers commands as iproute2 does with -force, and does what no real one does. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Argv } from '../lab.ts'

export interface FakeProgram {
  readonly folder: string
  readonly argv: Argv
  /** The processes that were started from it, in that order. */
  pids(): number[]
}

/** Its commands are those of its `case`; what is none of them fails, with the number of its line. */
const script = `#!/bin/bash
cd "\${0%/*}"
echo $$ >>pids
[ ! -e at-start ] || . ./at-start
line=0
while IFS= read -r words || [ "$words" ]; do
  line=$((line + 1))
  case $words in
  '' | '#'*) ;;
  say\\ *) printf '["%s"]\\n' "\${words#say }" ;;
  pid) printf '[%s]\\n' $$ ;;
  slow) sleep 3; printf '[%s]\\n' $$ ;;
  long\\ *) printf '["'; head -c "\${words#long }" /dev/zero | tr '\\0' x; printf '"]\\n' ;;
  endless) exec yes ;;
  once\\ *) if [ ! -e once ]; then : >once; eval "\${words#once }"; else echo '["again"]'; fi ;;
  *) printf 'Object "%s" is unknown, try "fake help".\\nCommand failed -:%s\\n' "$words" $line >&2; status=1 ;;
  esac
done
exit \${status-0}
`

/** Makes one, in a folder of its own. */
export function makeFakeProgram(): FakeProgram {
  const folder = mkdtempSync(join(tmpdir(), 'fake-program-'))
  const file = join(folder, 'fake')
  writeFileSync(file, script, { mode: 0o755 })
  return {
    folder,
    argv: [file],
    pids: () => readFileSync(join(folder, 'pids'), 'utf8').trim().split('\n').map(Number)
  }
}
