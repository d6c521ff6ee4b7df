import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { watchFiles } from '../../../src/watch/triggers/file-events.ts'

let folder: string
let files: ReturnType<typeof watchFiles>
let wakes: number

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spanplan-files-'))
  wakes = 0
  files = watchFiles(() => {
    wakes += 1
  })
})
afterEach(() => {
  files.close()
  rmSync(folder, { recursive: true })
})

const sh = (script: string) => execFileSync('sh', ['-ec', script], { cwd: folder })
const follow = (...names: string[]) => files.follow(names.map((name) => join(folder, name)))

/** Long enough for the kernel's events. */
const settle = () => sleep(100)

/** Each script leads to a wake, also after those before. */
async function expectWakes(...scripts: readonly string[]): Promise<void> {
  for (const script of scripts) {
    await settle()
    const before = wakes
    sh(script)
    await vi.waitFor(() => expect(wakes, script).toBeGreaterThan(before), { timeout: 60_000 })
  }
}

async function expectSilence(...scripts: readonly string[]): Promise<void> {
  await settle()
  const before = wakes
  for (const script of scripts) sh(script)
  await settle()
  expect(wakes).toBe(before)
}

const swap = (target: string, link: string) => `ln -s ${target} new && mv -T new ${link}`

describe('a file', () => {
  beforeEach(() => sh('mkdir -p etc/net && echo 1 >etc/net/spans.yaml'))

  test('that is written, renamed over, removed and made again', async () => {
    follow('etc/net/spans.yaml')
    await expectWakes(
      'echo 2 >>etc/net/spans.yaml',
      'echo 3 >etc/net/.spans.yaml.swp && mv etc/net/.spans.yaml.swp etc/net/spans.yaml',
      'echo 4 >>etc/net/spans.yaml',
      'rm etc/net/spans.yaml',
      'echo 5 >etc/net/spans.yaml',
      'chmod 600 etc/net/spans.yaml',
      'mv etc/net/spans.yaml etc/net/spans.yaml~',
      'mv etc/net/spans.yaml~ etc/net/spans.yaml'
    )
  })

  test('that another one replaces, of the same size and time', async () => {
    follow('etc/net/spans.yaml')
    await expectWakes('echo 2 >new && touch -r etc/net/spans.yaml new && mv new etc/net/spans.yaml')
  })

  test('whose folder, or one further up, is removed and recreated', async () => {
    follow('etc/net/spans.yaml')
    const make = 'mkdir -p etc/net && echo 1 >etc/net/spans.yaml'
    const write = 'echo 2 >>etc/net/spans.yaml'
    await expectWakes('rm -r etc/net', make, write, 'rm -r etc', make, write)
    await expectWakes(`rm -r etc && ${make}`, write, `mv etc old && ${make}`, write, 'rm -r etc && mv old etc', write)
  })

  test('that does not exist yet, nor do its folders', async () => {
    follow('srv/net/spans.yaml')
    await expectSilence('mkdir srv.d', 'echo 1 >spans.yaml')
    await expectWakes('mkdir srv', 'mkdir srv/net', 'echo 1 >srv/net/spans.yaml', 'echo 2 >>srv/net/spans.yaml')
  })

  test('that is only read, while other files change', async () => {
    follow('etc/net/spans.yaml')
    await expectSilence(
      'cat etc/net/spans.yaml',
      'echo 1 >etc/net/other.yaml',
      'mkdir etc/net/more && echo 1 >etc/net/more/spans.yaml',
      'rm -r etc/net/more etc/net/other.yaml',
      'touch etc/other other'
    )
  })
})

describe('a link', () => {
  test('to a ConfigMap that Kubernetes replaces', async () => {
    const update = (name: string, text: string) =>
      `mkdir ..${name} && echo ${text} >..${name}/spans.yaml && ${swap(`..${name}`, '..data')}`
    sh(`${update('2024', 'a')} && ln -s ..data/spans.yaml spans.yaml`)
    follow('spans.yaml')
    await expectWakes(
      `${update('2025', 'b')} && rm -r ..2024`,
      `${update('2026', 'b')} && rm -r ..2025`,
      'echo c >..2026/spans.yaml'
    )
    await expectSilence('mkdir ..2027', 'echo d >..2027/spans.yaml', 'rm -r ..2027')
  })

  test('the same, to a folder that is watched', async () => {
    sh('mkdir etc etc/..1 && echo a >etc/..1/a.yaml && ln -s ..1 etc/..data && ln -s ..data/a.yaml etc/a.yaml')
    follow('etc')
    await expectWakes(
      `mkdir etc/..2 && echo b >etc/..2/a.yaml && ${swap('..2', 'etc/..data')} && rm -r etc/..1`,
      'echo c >etc/..2/a.yaml'
    )
  })

  test('to a folder, then to another folder, to nothing, in a circle, and back', async () => {
    sh(
      'mkdir -p releases/1 releases/2 && echo 1 | tee releases/1/a.yaml >releases/2/a.yaml && ln -s releases/1 current'
    )
    follow('current')
    await expectWakes(
      swap('releases/2', 'current'),
      'echo 2 >releases/2/a.yaml',
      swap('releases/3', 'current'),
      'mkdir releases/3',
      'echo 3 >releases/3/b.yaml',
      swap('current', 'current'),
      swap('./releases/../releases/1', 'current'),
      `echo 4 >releases/1/a.yaml`
    )
    await expectSilence('echo 5 >releases/2/a.yaml', 'rm -r releases/2')
  })
})

describe('a folder', () => {
  beforeEach(() => sh('mkdir etc && echo 1 >etc/a.yaml'))

  test('whose files are created, changed and removed', async () => {
    follow('etc')
    await expectWakes('echo 1 >etc/b.yml', 'echo 2 >etc/b.yml', 'mv etc/b.yml etc/c.yml', 'rm etc/c.yml etc/a.yaml')
    await expectWakes('rmdir etc', 'mkdir etc', 'echo 1 >etc/a.yaml')
  })

  test('with files that are no spec files', async () => {
    follow('etc')
    await expectSilence('echo 1 >etc/README', 'echo 1 >etc/.a.yaml.swp', 'mkdir etc/more', 'rm etc/README')
  })

  test('with a link in it that leads back to it', async () => {
    sh('ln -s . etc/etc.yaml')
    follow('etc')
    await expectWakes('rm etc/etc.yaml', 'echo 2 >etc/a.yaml')
  })
})

test('of a clone that git pulls and checks out', async () => {
  const git = 'git -c user.name=a -c user.email=a@b -c init.defaultBranch=main'
  sh(`mkdir clone && cd clone && ${git} init -q && echo 1 >spans.yaml && ${git} add . && ${git} commit -qm 1`)
  sh(`cd clone && ${git} checkout -qb other && echo 2 >spans.yaml && ${git} commit -qam 2`)
  follow('clone/spans.yaml')
  await expectWakes(`cd clone && ${git} checkout -q main`, `cd clone && ${git} merge -q other`)
  await expectSilence(`cd clone && ${git} checkout -q other`, `cd clone && ${git} gc -q`)
})

test('with other paths, those are watched from then on; a change of a path that stays wakes', async () => {
  sh('echo 1 | tee a.yaml b.yaml >c.yaml')
  follow('a.yaml', 'b.yaml')
  sh('echo 2 >b.yaml')
  follow('b.yaml', 'c.yaml')
  expect(wakes).toBe(1)
  await expectWakes('echo 3 >b.yaml', 'echo 3 >c.yaml')
  await expectSilence('echo 3 >a.yaml')
})

test('after close() nothing wakes', async () => {
  sh('echo 1 >a.yaml')
  follow('a.yaml')
  files.close()
  await expectSilence('echo 2 >a.yaml')
})
