/** A program that does not end. */
import { expect, test } from 'vitest'
import { wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { createLab } from '../lab/lab.ts'
import { expectConverged, expectRefusal, expectRestored, spanplan, writeSpans } from '../lab/spans.ts'

test('a step that hangs is ended by its time limit, and what was done before is taken back', async () => {
  await using lab = await createLab()
  const first = await lab.snapshotText()
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
  const { options } = await wrapPrograms(lab, { tc: 'case "$input" in *mirred*) exec sleep 600 ;; esac' })
  const stderr = await expectRefusal(lab, ['apply'], 5, options)
  expect(stderr).toContain('tc -batch - did not end within 30 s, and was stopped')
  expect(stderr).toContain('Everything was rolled back: the host is as it was before.')
  await spanplan(lab, ['apply'])
  await expectConverged(lab)
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, first)
})

test('a filter that tcpdump does not finish is told of as one that is too large', async () => {
  await using lab = await createLab()
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192, filter: udp}]}}')
  const { options } = await wrapPrograms(lab, { tcpdump: 'exec sleep 600' })
  const { stderr } = await spanplan(lab, ['plan'], 65, options)
  expect(stderr).toContain('error: span span0: tcpdump did not finish compiling the filter within 30 s')
  expect(stderr).toContain('use wider networks')
  expect(stderr).not.toContain('dmesg')
})
