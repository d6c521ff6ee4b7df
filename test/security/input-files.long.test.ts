/** What is read as a file of spans, and as a saved plan: pipes, links, sockets and devices, whoever has laid them. */
import { constants } from 'node:fs'
import { chmod, chown, mkdir, mkdtemp, open, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { createLab, type Lab, type SpanplanOptions } from '../lab/lab.ts'
import { spanplan, until } from '../lab/spans.ts'

const user = 65534
const text = 'version: 1\nspans: {span0: {sources: [{interface: ens192}]}}\n'

let lab: Lab
/** Of root's alone, with a file of spans that is called otherwise. */
let folder: string

beforeAll(async () => {
  lab = await createLab()
})
afterAll(() => lab?.close())
beforeEach(async () => {
  folder = await mkdtemp(join(lab.files, 'inputs-'))
  await chmod(folder, 0o755)
  await writeFile(join(folder, 'other'), text)
})

const makePipe = (name: string) => lab.run(['mkfifo', '-m', '644', join(folder, name)])
const handOver = (name = '') => chown(join(folder, name), user, user)
const asUser = ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups']
const reading = ['--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search']

/** Whoever hangs is ended, and fails. */
const patiently = ['timeout', '--signal=KILL', '120']

/** Whoever may open it for writing without waiting has met the one that reads. */
async function isRead(path: string): Promise<boolean> {
  const file = await open(path, constants.O_WRONLY | constants.O_NONBLOCK).catch(() => null)
  await file?.close()
  return file !== null
}

async function expectInsecure(args: readonly string[], options: SpanplanOptions = {}): Promise<void> {
  const { stdout, stderr } = await spanplan(lab, args, 65, { cwd: folder, through: patiently, ...options })
  expect(stdout).toBe('')
  expect(stderr).toContain(' can be written by other users than root')
}

describe('what is found, and nobody has named', () => {
  const laid: Readonly<Record<string, () => Promise<unknown>>> = {
    'a pipe': () => makePipe('spans.yaml'),
    'a link to a pipe': async () => {
      await makePipe('pipe')
      await symlink('pipe', join(folder, 'spans.yaml'))
    },
    'a link to a file': () => symlink('other', join(folder, 'spans.yaml')),
    'a link that leads nowhere': () => symlink('none', join(folder, 'spans.yaml')),
    'a link to stdin': () => symlink('/dev/stdin', join(folder, 'spans.yaml')),
    'a folder': () => mkdir(join(folder, 'spans.yaml'))
  }

  test.each(Object.entries(laid))('is not read where it is %s', async (_, lay) => {
    await lay()
    const options = { cwd: folder, input: text }
    for (const who of [[], asUser.concat(reading)]) {
      const { stdout, stderr } = await spanplan(lab, ['plan'], 65, { ...options, through: [...patiently, ...who] })
      expect(stdout).toBe('')
      expect(stderr).toMatch(/^error: spans\.yaml cannot be read: it is .*name it with -f/)
    }
  })

  test("is refused in another user's folder, though the file is root's", async () => {
    await writeFile(join(folder, 'spans.yaml'), text)
    await handOver()
    await expectInsecure(['plan'])
    await spanplan(lab, ['plan', '-f', 'spans.yaml'], 0, { cwd: folder })
    await spanplan(lab, ['plan'], 0, { cwd: folder, env: { SUDO_UID: String(user) } })
    await spanplan(lab, ['plan'], 0, { cwd: folder, through: [...asUser, ...reading] })
  })

  test("is refused in a folder that all may write to, unless that is sticky and the file is root's", async () => {
    await writeFile(join(folder, 'spans.yaml'), text)
    await chmod(folder, 0o777)
    await expectInsecure(['plan'])
    await chmod(folder, 0o1777)
    await spanplan(lab, ['plan'], 0, { cwd: folder })
    await handOver('spans.yaml')
    await expectInsecure(['plan'])
  })
})

describe('a pipe that is named', () => {
  test('is read to its end, however it is written', async () => {
    await makePipe('pipe')
    const path = join(folder, 'pipe')
    const read = spanplan(lab, ['validate', '-f', path, '--json'], 0, { through: patiently })
    await until('it is read', () => isRead(path))
    const script = 'exec >"$2"; printf %.20s "$1"; sleep 0.2; printf %s "$1" | tail -c +21'
    await lab.run(['sh', '-c', script, 'sh', text, path])
    expect(JSON.parse((await read).stdout)).toMatchObject({ valid: true, spans: ['span0'] })
  })

  test.each([
    ['-', 'stdin is a socket', []],
    ['/dev/stdin', 'stdin is a socket', []],
    ['-', 'stdin is a pipe', ['sh', '-c', 'cat | "$@"', 'sh']],
    ['/dev/fd/7', 'another descriptor is a pipe', ['bash', '-c', 'exec 7< <(cat); exec "$@"', 'bash']],
    ['-', "stdin is a pipe of root's, and who reads it is not", ['sh', '-c', 'cat | "$@"', 'sh', ...asUser, ...reading]]
  ] as const)('may be %s, where %s', async (path, _, through) => {
    const { stdout } = await spanplan(lab, ['validate', '-f', path, '--json'], 0, { input: text, through })
    expect(JSON.parse(stdout)).toMatchObject({ valid: true, files: [path === '-' ? '/dev/stdin' : path] })
  })

  test('is read once, by what reads its files again, too', async () => {
    const options = { input: text, env: { SPANPLAN_FILE: '/dev/stdin' } }
    await spanplan(lab, ['apply'], 0, options)
    const { stdout } = await spanplan(lab, ['status', '--for', '10ms'], 0, options)
    expect(stdout).toMatch(/^span0: healthy, /)
    await spanplan(lab, ['destroy', '--yes'], 0, options)
  })

  test('to which nobody writes lets signals through', async () => {
    await makePipe('pipe')
    for (const command of ['plan', 'apply', 'watch', 'hook']) {
      const args = [command, '-f', join(folder, 'pipe')]
      const process = lab.startSpanplan(args, { env: { IFACE: 'ens192', PHASE: 'post-up' }, through: patiently })
      await until(`${command} reads`, () => isRead(join(folder, 'pipe')))
      process.kill('SIGTERM')
      const { signal, exitCode } = await process
      expect([signal, exitCode]).toEqual(['SIGTERM', undefined])
    }
  })

  test('without an end is not read to the end', async () => {
    const through = ['sh', '-c', 'yes | "$@"', 'sh', ...patiently]
    const { stderr } = await spanplan(lab, ['validate', '-f', '-'], 65, { through })
    expect(stderr).toContain('/dev/stdin')
  })

  test("of another user's is refused, as a file is, before anything is read", async () => {
    await makePipe('pipe')
    await handOver('pipe')
    await expectInsecure(['plan', '-f', 'pipe'])
    await expectInsecure(['apply', 'pipe'])
  })
})

describe('what else is named', () => {
  test('a socket is an error', async () => {
    const path = join(folder, 'socket')
    const server = createServer().listen(path)
    const { stderr } = await spanplan(lab, ['plan', '-f', path], 65)
    expect(stderr).toContain('cannot be read: it is a socket')
    server.close()
  })

  test('a link into a folder that others may write to, or that others have laid in one', async () => {
    const open = join(folder, 'open')
    await mkdir(open)
    await writeFile(join(open, 'spans.yaml'), text)
    await symlink('open/spans.yaml', join(folder, 'link.yaml'))
    await spanplan(lab, ['plan', '-f', 'link.yaml'], 0, { cwd: folder })
    await chmod(open, 0o777)
    await expectInsecure(['plan', '-f', 'link.yaml'])
    await expectInsecure(['plan', '-f', folder])
    await chmod(open, 0o1777)
    await spanplan(lab, ['plan', '-f', folder])
    await symlink('spans.yaml', join(open, 'link.yaml'))
    await spanplan(lab, ['plan', '-f', 'open/link.yaml'], 0, { cwd: folder })
    await lab.run(['chown', '-h', String(user), join(open, 'link.yaml')])
    await expectInsecure(['plan', '-f', 'open/link.yaml'])
  })

  test('links that lead in a circle', async () => {
    await symlink('b', join(folder, 'a'))
    await symlink('a', join(folder, 'b'))
    const { stderr } = await spanplan(lab, ['plan', '-f', 'a'], 65, { cwd: folder })
    expect(stderr).toBe('error: a cannot be read: too many symbolic links\n')
  })

  test('a device is not opened', async () => {
    await symlink('/dev/zero', join(folder, 'zero'))
    for (const path of ['/dev/zero', join(folder, 'zero')]) {
      const { stderr } = await spanplan(lab, ['plan', '-f', path], 65, { through: patiently })
      expect(stderr).toBe(`error: ${path} cannot be read: it is a device\n`)
    }
  })

  test('a link out of its folder, to what is no file of spans: nothing of that is printed', async () => {
    const secret = join(folder, 'secret')
    await writeFile(secret, 'root:$y$hunter2:20000::::::\n')
    await mkdir(join(folder, 'in'))
    const link = join(folder, 'in/spans.yaml')
    await symlink('../secret', link)
    for (const command of ['validate', 'plan', 'watch']) {
      const { stdout, stderr } = await spanplan(lab, [command, '-f', link], 65, { through: patiently })
      expect(stdout + stderr).toBe(
        `error: ${link} is a symbolic link out of its folder, and leads to what is no valid file of spans\n` +
          `  see what is wrong there: spanplan validate -f ${secret}\n`
      )
    }
    await writeFile(secret, text)
    await spanplan(lab, ['validate', '-f', link])
  })

  test.each(['a pipe', 'a link to a pipe'])('%s in a folder of files is an error', async (what) => {
    await writeFile(join(folder, 'a.yaml'), text)
    await makePipe(what === 'a pipe' ? 'b.yaml' : 'pipe')
    if (what !== 'a pipe') await symlink('pipe', join(folder, 'b.yaml'))
    for (const command of ['plan', 'watch']) {
      const { stderr } = await spanplan(lab, [command, '-f', folder], 65, { through: patiently })
      expect(stderr).toBe(`error: ${folder}/b.yaml cannot be read: it is not a regular file\n`)
    }
  })

  test("a link to another user's file in a folder of root's is as little trusted as that", async () => {
    await handOver('other')
    await symlink('other', join(folder, 'b.yaml'))
    await expectInsecure(['plan', '-f', folder])
  })

  test('a folder as Kubernetes lays it out is trusted if all of it is', async () => {
    const script = 'mkdir ..1; mv other ..1/spans.yaml; ln -s ..1 ..data; ln -s ..data/spans.yaml spans.yaml'
    await lab.run(['sh', '-ec', `cd ${folder}; ${script}`])
    await spanplan(lab, ['plan', '-f', folder])
    await chmod(join(folder, '..1'), 0o777)
    await expectInsecure(['plan', '-f', folder])
  })

  test('a folder that may be gone through, and not be listed', async () => {
    await writeFile(join(folder, 'spans.yaml'), text)
    await chmod(folder, 0o711)
    await spanplan(lab, ['validate', '-f', 'spans.yaml'], 0, { cwd: folder })
  })
})

describe('links in a folder that somebody else fills, as a repository', () => {
  const secretText = 'root:$y$hunter2:20000::::::\n'
  const refusal = 'it is a symbolic link that leads out of the folder: name the file itself with -f'
  let clone: string
  let secret: string
  beforeEach(async () => {
    clone = join(folder, 'clone')
    secret = join(folder, 'secret')
    await mkdir(clone)
    await writeFile(secret, secretText)
    await writeFile(join(clone, 'a.yaml'), text)
  })

  const laid: Readonly<Record<string, () => Promise<unknown>>> = {
    'by a path from here': () => symlink('../secret', join(clone, 'b.yaml')),
    'by its whole path': () => symlink(secret, join(clone, 'b.yaml')),
    'to a device': () => symlink('/dev/zero', join(clone, 'b.yaml')),
    'through a link to a folder': async () => {
      await symlink('..', join(clone, 'up'))
      await symlink('up/secret', join(clone, 'b.yaml'))
    },
    'through a folder and back': async () => {
      await mkdir(join(clone, 'down'))
      await symlink('down/../../secret', join(clone, 'b.yaml'))
    },
    'through /proc': () => symlink('/proc/self/cwd/secret', join(clone, 'b.yaml'))
  }

  test.each(Object.entries(laid))('are not followed out of it: %s', async (_, lay) => {
    await lay()
    for (const command of ['validate', 'plan', 'watch']) {
      const { stdout, stderr } = await spanplan(lab, [command, '-f', clone], 65, { cwd: folder, through: patiently })
      expect(stdout + stderr).toBe(`error: ${clone}/b.yaml cannot be read: ${refusal}\n`)
    }
  })

  test('are followed within it', async () => {
    await mkdir(join(clone, 'down'))
    await writeFile(join(clone, 'down/real'), text.replaceAll('span0', 'span1'))
    await symlink('down', join(clone, 'also'))
    await symlink(join(clone, 'also/../also/real'), join(clone, 'b.yaml'))
    const { stdout } = await spanplan(lab, ['validate', '-f', clone, '--json'])
    expect(JSON.parse(stdout).spans).toEqual(['span0', 'span1'])
  })

  test('do not lead a watch out of it, which goes on with the last good file', async () => {
    await using watch = await startWatch(lab, ['-f', clone, '--interval', '1h'])
    await symlink('../secret', join(clone, 'b.yaml'))
    await watch.expectTold(
      / the last valid one stays in force:\n.*b\.yaml cannot be read: it is a symbolic link that leads out/
    )
    expect(watch.told).not.toContain('hunter2')
  })
})

test('a folder of more files than there are spans.yaml anywhere is refused', async () => {
  const files = (count: number, bytes: Buffer) =>
    Promise.all(Array.from({ length: count }, (_, index) => writeFile(join(folder, `${index}.yaml`), bytes)))
  await files(101, Buffer.from(text))
  const { stdout } = await spanplan(lab, ['validate', '-f', folder, '--json'], 65)
  expect(JSON.parse(stdout)).toMatchObject({ errors: [{ code: 'FOLDER_TOO_LARGE' }] })
  await lab.run(['sh', '-ec', `rm ${folder}/*.yaml`])
  await files(11, Buffer.alloc(1024 * 1024, '#'))
  const { stderr } = await spanplan(lab, ['validate', '-f', folder], 65)
  expect(stderr).toContain(`error: ${folder} has files of more than 10 MiB together\n`)
})

test('a watch goes on with the last good file where a pipe takes its place', async () => {
  const path = join(folder, 'spans.yaml')
  await writeFile(path, text)
  await using watch = await startWatch(lab, ['-f', path])
  await lab.run(['sh', '-ec', `mkfifo ${path}.new; mv ${path}.new ${path}`])
  await watch.expectTold(
    / the file is invalid; the last valid one stays in force:\n.*spans\.yaml cannot be read: it is not a regular file/
  )
  watch.signal('SIGHUP')
  await until('it looks again', async () => (await watch.runs('hangup')) > 0)
})
