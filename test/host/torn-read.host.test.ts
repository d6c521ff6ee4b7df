/** What comes or goes while the host is read. */
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { findProgram } from '../lab/programs.ts'
import { expectConverged, spanplan, writeSpans } from '../lab/spans.ts'

let lab: Lab

beforeAll(async () => {
  lab = await createLab()
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
  await spanplan(lab, ['apply'])
})
afterAll(() => lab?.close())

/** Spanplan meets a tc which does this once, before the first filters are read. */
async function beforeFilters(tcArguments: string) {
  const done = join(lab.files, `done-${tcArguments.replaceAll(' ', '-')}`)
  const script = `case "$*" in
*-json*-batch*) [ -e '${done}' ] || { : >'${done}'; ${findProgram('tc')} ${tcArguments} </dev/null >&2; } ;;
esac`
  return (await wrapPrograms(lab, { tc: script })).options
}

test('a qdisc that goes after the qdiscs are read and before its filters are is made again, with its filters', async () => {
  const options = await beforeFilters('qdisc del dev ens192 clsact')
  const { stdout } = await spanplan(lab, ['apply', '--yes'], 0, options)
  expect(stdout).toMatch(/\+ +qdisc +ens192/)
  await expectConverged(lab)
})

test('one that comes then is seen, with the filters that are on it', async () => {
  await lab.run(['tc', 'qdisc', 'del', 'dev', 'ens192', 'clsact'])
  const options = await beforeFilters('qdisc add dev ens192 clsact')
  const { stdout } = await spanplan(lab, ['apply', '--yes'], 0, options)
  expect(stdout).not.toMatch(/qdisc/)
  expect(stdout).toMatch(/\+ +mirror +ens192/)
  await expectConverged(lab)
})
