/** Spans in a repository: who wants a change commits it, a clone is pulled in a loop, and the watch reads the clone. */
import { join } from 'node:path'
import type Docker from 'dockerode'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { expectLive, startWatch, type Watch } from '../lab/commands/watch.ts'
import { createLab, type Lab, type SpanplanOptions } from '../lab/lab.ts'
import { expectArriving } from '../lab/spans.ts'

let lab: Lab
let sensor: Docker.Container
let watch: Watch
let options: SpanplanOptions

/** A bare repository, a clone at somebody's desk, and the one that the watch reads. */
const setUp = `
git init -q --bare -b main spans.git
git clone -q spans.git desk 2>/dev/null
cd desk
git config user.name Somebody
git config user.email somebody@example.org
git commit -q --allow-empty -m 'Begin'
git push -q origin HEAD:main
cd ..`

beforeAll(async () => {
  lab = await createLab({ docker: true })
  sensor = await lab.startSensor('suricata')
  await sh(setUp)
  await commit('Mirror the core switch', `printf %s '${spanOf('span0')}' >core.yaml`)
  await sh('git clone -q spans.git clone')
  lab.start(['sh', '-c', `while :; do git -C ${join(lab.files, 'clone')} pull -q --ff-only; sleep 0.2; done`])
  options = { env: { SPANPLAN_FILE: join(lab.files, 'clone') } }
  watch = await startWatch(lab, ['--interval', '1h'], options)
})
afterAll(async () => {
  await watch?.stop()
  await lab?.close()
})

const spanOf = (span: string, more = '') =>
  `{version: 1, spans: {${span}: {sources: [{interface: ens192${more}}], network: ${span}, sensors: [suricata]}}}`

const sh = (script: string) => lab.run(['sh', '-ec', `cd ${lab.files}\n${script}`])

/** Somebody changes the files, commits and pushes. */
const commit = (message: string, script: string) =>
  sh(`cd desk\n${script}\ngit add -A\ngit commit -q -m '${message}'\ngit push -q origin HEAD:main`)

const expectSpans = (...spans: readonly string[]) => expectLive({ lab, sensor, watch, options }, spans)

test('what is committed holds; what is broken is told, and changes nothing; what is removed goes', async () => {
  await expectSpans('span0')

  await commit('Add a second span', `printf %s '${spanOf('span1')}' >lab.yaml`)
  await expectSpans('span0', 'span1')

  await commit('Leave out SSH', `printf %s '${spanOf('span0', ', filter: not port 22')}' >core.yaml`)
  await watch.expectTold(/ file +span0 +~ mirror ens192 ingress → span0 .*not port 22/)
  await expectSpans('span0', 'span1')

  const { length } = watch.told
  await commit('Break it', `printf %s '${spanOf('span1', ', direction: inwards')}' >lab.yaml`)
  await watch.expectTold(/ the file is invalid; the last valid one stays in force:\n.*lab\.yaml:1:\d+: error: /, length)
  await lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress'])
  await watch.expectTold(/ span1 +\+ mirror ens192 ingress → span1 .*repaired/, length)
  await expectArriving(lab, sensor, 'span1')

  await commit('Mend it, with what it was to be', `printf %s '${spanOf('span1', ', direction: ingress')}' >lab.yaml`)
  await expectSpans('span0', 'span1')

  await commit('The lab is closed', 'git rm -q lab.yaml')
  await expectSpans('span0')

  await commit('By mistake', "printf 'version: 1\\nspans: {}\\n' >core.yaml")
  await watch.expectTold(/ the file no longer has spans/)
  await expectArriving(lab, sensor, 'span0')

  await commit('Take it back', 'git revert --no-commit HEAD')
  await expectSpans('span0')
  // For git, a file that changes is one that goes and comes.
  expect(watch.told).not.toContain('- bridge span0')
})
