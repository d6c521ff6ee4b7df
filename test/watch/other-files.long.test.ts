/** A person's apply beside a watch: what is said where the watch keeps the spans as other files say, and whose word counts. */
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { spanplan, until } from '../lab/spans.ts'

let lab: Lab

beforeAll(async () => {
  lab = await createLab({ cables: [{ card: 'ens192' }, { card: 'ens224' }] })
})
afterAll(() => lab?.close())
afterEach(async () => {
  await spanplan(lab, ['destroy', '--all', '--yes', '--defer-docker'])
  for (const name of ['spans.yaml', 'other.yaml', 'link.yaml', 'folder'])
    await rm(join(lab.files, name), { recursive: true, force: true })
})

const write = (name: string, text: string) => writeFile(join(lab.files, name), `version: 1\n${text}`)

const span0 = 'sources: [{interface: ens192, direction: ingress}]'
const span1 = 'sources: [{interface: ens224, direction: ingress}]'

/** What a command says on stderr, in one line. */
async function hear(...args: string[]): Promise<string> {
  const { stderr } = await lab.spanplan(args)
  return stderr.replace(/\s+/g, ' ')
}

async function mirrorsOf(card: string): Promise<string> {
  return lab.run(['tc', 'filter', 'show', 'dev', card, 'ingress'])
}

const showStatus = async (...args: string[]) => {
  const { stdout, stderr, exitCode } = await lab.spanplan(['status', '--for', '10ms', ...args])
  return { stdout: stdout.replace(/\s+/g, ' '), stderr: stderr.replace(/\s+/g, ' '), exitCode }
}

test('another file: plan and apply warn, and neither status nor doctor advises what does not last', async () => {
  await write('spans.yaml', `spans: {span0: {${span0}}}`)
  await write('other.yaml', `spans: {span0: {${span0.replace('ens192', 'ens224')}}, span1: {${span1}}}`)
  await using watch = await startWatch(lab)
  const kept = join(lab.files, 'spans.yaml')
  const warning = `the watch of the name default (pid ${watch.pid}) keeps the spans as ${kept} says: it undoes what an apply of other files changes in span0 and span1`
  const remedy = `put this file into the place of its file: spanplan apply -f other.yaml --install ${kept}; or end the watch first: systemctl stop spanplan.service`
  for (const command of [['plan'], ['apply', '--yes']]) {
    const said = await hear(...command, '-f', 'other.yaml')
    expect(said).toContain(warning)
    expect(said).toContain(remedy)
  }
  const { stdout: planned } = await spanplan(lab, ['plan', '--json', '-f', 'other.yaml'])
  expect(JSON.parse(planned).warnings.map(({ code }: { code: string }) => code)).toContain('WATCH_OTHER_FILES')
  await until('the watch has undone the apply', async () => (await mirrorsOf('ens192')).includes('mirred'))
  await watch.settle()
  const status = await showStatus('-f', 'other.yaml')
  expect(status).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(warning) })
  expect(status.stdout).toContain(`An apply would not last: the watch keeps ${kept}`)
  expect(status.stdout).not.toContain('spanplan apply')
  const { stdout: found } = await lab.spanplan(['doctor', '-f', 'other.yaml'])
  expect(found.replace(/\s+/g, ' ')).toContain(warning)
  expect(found).not.toMatch(/\$ .*spanplan apply/)
  expect(await hear('plan', '-f', 'other.yaml', '--span', 'span1')).toMatch(/ changes in span1 write the change into/)
  // What it says of a span that is left alone does not matter.
  await write('other.yaml', `spans: {span0: {${span0}, description: the same}}`)
  expect(await hear('plan', '-f', 'other.yaml')).not.toContain('keeps the spans')
  // What takes the place of the watch's file lasts.
  await write('other.yaml', `spans: {span1: {${span1}}}`)
  expect(await hear('apply', '--yes', '-f', 'other.yaml', '--install', kept)).not.toContain('keeps the spans')
  await watch.settle()
  expect(await mirrorsOf('ens224')).toContain('mirred')
  expect(await mirrorsOf('ens192')).not.toContain('mirred')
})

test('the same file by another path, also in a folder, and a watch that changes nothing: no warning', async () => {
  await mkdir(join(lab.files, 'folder'))
  await write('folder/a.yaml', `spans: {span0: {${span0}}}`)
  await symlink('folder', join(lab.files, 'link.yaml'))
  {
    await using watch = await startWatch(lab, ['-f', 'folder'])
    for (const path of [join(lab.files, 'link.yaml'), './folder/a.yaml', 'link.yaml/a.yaml']) {
      await write('folder/a.yaml', `spans: {span0: {${span0}, sealed: ${path.startsWith('.')}}}`)
      expect(await hear('apply', '--yes', '-f', path)).not.toContain('keeps the spans')
    }
    await watch.settle()
    await write('folder/b.yaml', `spans: {span1: {${span1}}}`)
    expect(await hear('plan', '-f', 'folder/a.yaml', '-f', 'folder/b.yaml')).not.toContain('keeps the spans')
    await until('span1 is there', async () => (await mirrorsOf('ens224')).includes('mirred'))
    // A part of the folder is not the folder.
    expect(await hear('plan', '-f', 'folder/a.yaml')).toContain('changes in span1')
    expect(await hear('plan', '-f', 'folder/a.yaml', '--no-prune')).not.toContain('keeps the spans')
  }
  await write('other.yaml', 'spans: {}')
  {
    await using _ = await startWatch(lab, ['-f', 'folder', '--dry-run'])
    expect(await hear('plan', '-f', 'other.yaml')).not.toContain('keeps the spans')
  }
})

test('its own file, which it refuses: an apply does not last either', async () => {
  await write('spans.yaml', `spans: {span0: {${span0}}}`)
  await using watch = await startWatch(lab)
  await write('spans.yaml', 'spans: {}')
  await watch.expectTold(/the file no longer has spans/)
  expect(await hear('apply', '--yes', '--allow-empty')).toMatch(
    /keeps the spans as \S+ said before \(now: .*\): it undoes what an apply changes in span0/
  )
  await until('the watch has undone the apply', async () => (await mirrorsOf('ens192')).includes('mirred'))
})

test('its file has another name now: status says so, by either name', async () => {
  await write('spans.yaml', `spans: {span0: {${span0}}}`)
  await using watch = await startWatch(lab)
  await write('other.yaml', `spans: {span0: {${span0}}}`)
  // Both say the same: all is as the file says, and a change in it would not be seen.
  expect(await showStatus('-f', 'other.yaml')).toMatchObject({
    exitCode: 0,
    stderr: expect.stringMatching(/keeps the spans as \S+spans\.yaml says: it does not read these files/)
  })
  await rename(join(lab.files, 'spans.yaml'), join(lab.files, 'other.yaml'))
  await watch.expectTold(/cannot be read/)
  const { stdout, exitCode } = await showStatus('-f', 'other.yaml')
  expect(stdout).toMatch(
    /^host: NOT HEALTHY, the watch .* said before \(now: .*spans\.yaml cannot be read: it does not/
  )
  expect(exitCode).toBe(2)
  const { stdout: document } = await lab.spanplan(['status', '--json', '--for', '10ms', '-f', 'other.yaml'])
  expect(JSON.parse(document)).toMatchObject({ unhealthy: [{ code: 'WATCH_OTHER_FILES' }], warnings: [] })
})

test('an apply after a hook has said that an interface goes down: the newest word counts', async () => {
  await write('spans.yaml', `spans: {span0: {${span0}}}`)
  await using watch = await startWatch(lab)
  const hook = (phase: string) =>
    spanplan(lab, ['hook', '--strict', '-f', 'spans.yaml', '--interface', 'ens192', '--phase', phase])
  await hook('down')
  await until('the mirror is gone', async () => !(await mirrorsOf('ens192')).includes('mirred'))
  expect((await showStatus()).stdout).toContain('If it is to stay up: spanplan apply')
  await spanplan(lab, ['apply', '--yes', '--lock-timeout', '60s'])
  const runs = await watch.runs('hangup')
  watch.signal('SIGHUP')
  await until('the watch has looked again', async () => (await watch.runs('hangup')) > runs)
  expect(await mirrorsOf('ens192')).toContain('mirred')
  // So does that of a hook.
  await hook('down')
  await until('the mirror is gone', async () => !(await mirrorsOf('ens192')).includes('mirred'))
  await hook('up')
  await until('the mirror is back', async () => (await mirrorsOf('ens192')).includes('mirred'))
})

test('a destroy without a file names what does without one', async () => {
  for (const args of [[], ['-f', 'gone.yaml']]) {
    const { stderr } = await spanplan(lab, ['destroy', ...args], 65)
    expect(stderr).toMatch(/without a file, remove the spans of one name with --name, or of every name with --all\n$/)
  }
})

test('a file without spans: plan, status and apply advise the same', async () => {
  await write('spans.yaml', `spans: {span0: {${span0}}}`)
  await spanplan(lab, ['apply'])
  await write('spans.yaml', 'spans: {}')
  const advice = 'if you want that, apply it with --allow-empty, or: spanplan destroy --name default'
  expect(await hear('plan')).toContain(advice)
  expect(await hear('apply', '--yes')).toContain(advice)
  expect((await showStatus()).stdout).toContain(advice)
})
