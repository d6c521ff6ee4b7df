/** However the files of a watch change: what they say holds, without anyone's hand. */
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import type Docker from 'dockerode'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { expectLive, startWatch, type Watch } from '../lab/commands/watch.ts'
import { createLab, type Lab, type SpanplanOptions } from '../lab/lab.ts'
import { expectArriving, spanplan } from '../lab/spans.ts'

let lab: Lab
let sensor: Docker.Container
/** Where the files of one test are. */
let folder: string
/** Which of them spanplan reads. */
let options: SpanplanOptions

beforeAll(async () => {
  lab = await createLab({ docker: true })
  sensor = await lab.startSensor('suricata')
})
afterAll(() => lab?.close())

beforeEach(async () => {
  folder = await mkdtemp(join(lab.files, 'etc-'))
})
afterEach(() => spanplan(lab, ['destroy', '--all', '--yes']))

/** The file of a span with a sensor. */
const fileOf = (span: string) =>
  `{version: 1, spans: {${span}: {sources: [{interface: ens192}], network: ${span}, sensors: [suricata]}}}`

/** Runs lines of a shell in the folder; FILE0 and FILE1 are such files of span0 and span1. */
function sh(script: string): Promise<string> {
  const files = [0, 1].map((n) => `FILE${n}='${fileOf(`span${n}`)}'`).join('\n')
  return lab.run(['sh', '-ec', `cd ${folder}\n${files}\n${script}`])
}

function watchFile(name: string): Promise<Watch> {
  options = { env: { SPANPLAN_FILE: join(folder, name) } }
  return startWatch(lab, [], options)
}

const expectSpans = (watch: Watch, ...spans: readonly string[]) => expectLive({ lab, sensor, watch, options }, spans)

test('a file that is written, and renamed over as an editor does', async () => {
  await sh('echo "$FILE0" >spans.yaml')
  await using watch = await watchFile('spans.yaml')
  await expectSpans(watch, 'span0')
  await sh('echo "$FILE1" >spans.yaml')
  await expectSpans(watch, 'span1')
  await sh('echo "$FILE0" >.spans.yaml.swp; mv .spans.yaml.swp spans.yaml')
  await expectSpans(watch, 'span0')
  expect(watch.told).not.toContain('stays in force')
})

test('a file that is written in pieces is not called broken', async () => {
  await sh('echo "$FILE0" >spans.yaml')
  await using watch = await watchFile('spans.yaml')
  await sh(`
    exec >spans.yaml
    printf '%.20s' "$FILE1"
    sleep 0.02
    printf '%s\\n' "$FILE1" | cut -c 21-`)
  await expectSpans(watch, 'span1')
  expect(watch.told).not.toContain('stays in force')
})

test('a file that goes, and comes again', async () => {
  await sh('echo "$FILE0" >spans.yaml')
  await using watch = await watchFile('spans.yaml')
  await sh('rm spans.yaml')
  await watch.expectTold(/ file +the file is invalid; the last valid one stays in force/)
  await expectArriving(lab, sensor)
  await sh('echo "$FILE1" >spans.yaml')
  await expectSpans(watch, 'span1')
})

test('a ConfigMap of Kubernetes, of which a file is named', async () => {
  await sh('mkdir ..1; echo "$FILE0" >..1/spans.yaml; ln -s ..1 ..data; ln -s ..data/spans.yaml spans.yaml')
  await using watch = await watchFile('spans.yaml')
  await sh('mkdir ..2; echo "$FILE1" >..2/spans.yaml; ln -s ..2 ..data_tmp; mv -T ..data_tmp ..data; rm -r ..1')
  await expectSpans(watch, 'span1')
})

test('a folder whose files come and go', async () => {
  await sh('echo "$FILE0" >0.yaml')
  await using watch = await watchFile('.')
  await expectSpans(watch, 'span0')
  await sh('echo "$FILE1" >1.yml')
  await expectSpans(watch, 'span0', 'span1')
  await sh('rm 0.yaml')
  await expectSpans(watch, 'span1')
  await sh('mv 1.yml 1.yml.off; echo "$FILE0" >0.yaml')
  await expectSpans(watch, 'span0')
})

test('a link to a folder, that leads to another one', async () => {
  await sh('mkdir a b; echo "$FILE0" >a/spans.yaml; echo "$FILE1" >b/spans.yaml; ln -s a current')
  await using watch = await watchFile('current')
  await expectSpans(watch, 'span0')
  await sh('ln -s b new; mv -T new current')
  await expectSpans(watch, 'span1')
})
