import { chmod, chown, mkdir, mkdtemp, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createLab, type Lab } from '../lab/lab.ts'
import { spanplan } from '../lab/spans.ts'

const user = 65534
const text = 'version: 1\nspans: {span0: {sources: [{interface: ens192}]}}\n'

let lab: Lab
let folder: string
let file: string

beforeAll(async () => {
  lab = await createLab()
})
afterAll(() => lab?.close())

beforeEach(async () => {
  folder = join(await mkdtemp(join(lab.files, 'safe-')), 'spans')
  file = join(folder, 'spans.yaml')
  await mkdir(folder)
  await writeFile(file, text)
  await chmod(folder, 0o755)
  await chmod(file, 0o644)
})

const plan = (path: string, exit = 0, env = {}) => spanplan(lab, ['plan', '-f', path], exit, { env })

interface Flaw {
  /** Added to the mode. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly cure: string
  /** With this from sudo, it is none. */
  readonly sudo: Readonly<Record<string, string>>
}

const flaws: Readonly<Record<string, Flaw>> = {
  'all may write': { mode: 0o002, uid: 0, gid: 0, cure: 'chmod go-w', sudo: {} },
  'its group may write': { mode: 0o020, uid: 0, gid: user, cure: 'chmod go-w', sudo: {} },
  'another user owns': { mode: 0, uid: user, gid: 0, cure: 'chown root', sudo: { SUDO_UID: String(user) } }
}

async function spoil(path: string, safe: number, { mode, uid, gid }: Flaw): Promise<void> {
  await chown(path, uid, gid)
  await chmod(path, safe | mode)
}

describe.each(Object.entries(flaws))('what %s', (_, flaw) => {
  test('is refused as a file', async () => {
    await spoil(file, 0o644, flaw)
    for (const path of [file, folder]) {
      const { stdout, stderr } = await plan(path, 65)
      expect(stdout).toBe('')
      expect(stderr).toContain(`error: ${file} can be written by other users than root`)
      expect(stderr).toMatch(new RegExp(`^ {2}${flaw.cure} ${file}; .*--insecure-file$`, 'm'))
    }
    await spanplan(lab, ['plan', '-f', file, '--insecure-file'])
    await spanplan(lab, ['validate', '-f', file])
  })

  test('is refused as a folder of files', async () => {
    await spoil(folder, 0o755, flaw)
    const { stderr } = await plan(folder, 65)
    expect(stderr).toContain(`error: ${folder} can be written by other users than root`)
    expect(stderr).toContain(`  ${flaw.cure} ${folder};`)
  })

  test('is trusted where that is who became root by sudo', async () => {
    await spoil(file, 0o644, flaw)
    await spoil(folder, 0o755, flaw)
    const exit = flaw.mode === 0 ? 0 : 65
    for (const path of [file, folder]) await plan(path, exit, flaw.sudo)
  })
})

describe('what a group may write, of the user who called sudo', () => {
  /** alice is the user who called sudo; the group with her name is as useradd makes it. */
  const passwd = ['root:x:0:0::/root:/bin/sh', `alice:x:${user}:61001::/:/bin/sh`]
  const group = ['root:x:0:', 'alice:x:61001:', 'users:x:100:alice']
  const trusted = { SUDO_UID: String(user), SUDO_GID: '61001' }

  async function planAs(rows: { readonly passwd: readonly string[]; readonly group: readonly string[] }, exit: number) {
    const paths = await Promise.all(
      Object.entries(rows).map(async ([name, lines]) => {
        const path = join(lab.files, name)
        await writeFile(path, lines.map((line) => `${line}\n`).join(''))
        return path
      })
    )
    const script = 'mount --bind "$1" /etc/passwd && mount --bind "$2" /etc/group && shift 2 && exec "$@"'
    const through = ['unshare', '--mount', 'sh', '-c', script, 'sh', ...paths]
    return spanplan(lab, ['plan', '-f', folder], exit, { env: trusted, through })
  }

  beforeEach(async () => {
    await chown(file, user, 61_001)
    await chmod(file, 0o664)
    await chown(folder, user, 61_001)
    await chmod(folder, 0o775)
  })

  test('is trusted where the group is that user’s alone', async () => {
    await planAs({ passwd, group }, 0)
    await planAs({ passwd, group: [...group.slice(0, 1), 'alice:x:61001:alice,root'] }, 0)
  })

  test('is refused where the group has, or may have, other members', async () => {
    const rows = {
      'a member besides': { passwd, group: ['alice:x:61001:alice,mallory'] },
      'a user whose primary group it is': { passwd: [...passwd, 'mallory:x:61002:61001::/:/bin/sh'], group },
      'a name of its own': { passwd, group: ['staff:x:61001:'] },
      'a second name': { passwd, group: [...group, 'staff:x:61001:mallory'] },
      'no name here': { passwd, group: [] },
      'a user who is not known here': { passwd: passwd.slice(0, 1), group }
    }
    for (const one of Object.values(rows)) {
      const { stderr } = await planAs(one, 65)
      expect(stderr).toContain(`error: ${file} can be written by other users than root`)
    }
    // All of whom are in that group: with sudo, its number is the user's, where it is the primary one.
    for (const path of [file, folder]) await chown(path, 0, 100)
    await planAs({ passwd: [passwd[0] ?? '', `alice:x:${user}:100::/:/bin/sh`], group }, 65)
  })
})

describe('an access control list that lets another user write', () => {
  const setfacl = (...args: readonly string[]) => lab.run(['setfacl', ...args])

  test('is seen on a file and on its folder, and what is advised ends it', async () => {
    await setfacl('-m', 'u:61002:rw', file)
    const refusal = await plan(file, 65)
    expect(refusal.stderr).toContain(`error: ${file} can be written by other users than root`)
    await chmod(file, 0o644)
    await plan(file)
    await setfacl('-m', 'g:61002:rwx', folder)
    for (const path of [file, folder]) expect((await plan(path, 65)).stderr).toContain(`chmod go-w ${folder};`)
    await chmod(folder, 0o755)
    await plan(folder)
  })

  test('of a group is no harm without the right to write', async () => {
    await setfacl('-m', 'u:61002:r', file)
    await plan(file)
    await chmod(file, 0o664)
    await plan(file, 65)
  })

  test('of new files does not reach what root installs', async () => {
    await setfacl('-d', '-m', 'u:61002:rwx', folder)
    const place = join(folder, 'installed.yaml')
    await spanplan(lab, ['apply', '-f', file, '--yes', '--install', place])
    expect(await lab.run(['getfacl', '-cp', place])).toMatch(/^user:61002:rwx\s+#effective:r--$/m)
    await plan(place)
    await spanplan(lab, ['destroy', '--all', '--yes'])
    await setfacl('-m', 'u:61002:rwx', folder)
    const elsewhere = join(lab.files, 'elsewhere.yaml')
    await writeFile(elsewhere, text)
    const { stderr } = await spanplan(lab, ['apply', '-f', elsewhere, '--yes', '--install', place], 65)
    expect(stderr).toContain('can be written by other users than root')
  })
})

test('a group of root’s without other members is trusted, as long as there is no access control list', async () => {
  await chmod(file, 0o664)
  await plan(file)
})

test('all are told at once, each once', async () => {
  const other = join(folder, 'other.yaml')
  await writeFile(other, 'version: 1\nspans: {}\n')
  for (const path of [file, other, folder]) await chmod(path, 0o777)
  const { stderr } = await spanplan(lab, ['apply', '-f', folder, '-f', file], 65)
  expect(stderr.match(/^error: /gm)).toHaveLength(3)
  const { stdout } = await spanplan(lab, ['plan', '-f', folder, '--json'], 65)
  expect(JSON.parse(stdout)).toMatchObject({ exit: 65, errors: Array(3).fill({ code: 'FILE_INSECURE' }) })
})

describe('the folder around a file', () => {
  test('is refused where others may put another file in its place', async () => {
    await chmod(folder, 0o777)
    const { stderr } = await plan(file, 65)
    expect(stderr).toContain(`error: ${folder} can be written by other users`)
    expect(stderr).toContain('its mode 0777')
  })

  test('may be sticky, as /tmp is', async () => {
    await chmod(folder, 0o1777)
    await plan(file)
  })

  test("may be another user's", async () => {
    await chown(folder, user, user)
    await plan(file)
  })
})

test('a link is as safe as what it leads to', async () => {
  await chmod(file, 0o666)
  const name = join(lab.files, 'link.yaml')
  await symlink(file, name)
  await plan(name, 65)
})

test.each(['exec "$@" <', 'cat spans.yaml | exec "$@" #'])(
  'what comes from stdin is not looked at: %s',
  async (script) => {
    await chmod(file, 0o666)
    const through = ['sh', '-c', `${script} spans.yaml`, 'sh']
    await spanplan(lab, ['plan', '-f', '/dev/stdin'], 0, { through, cwd: folder })
  }
)

test('who is not root may do what he likes', async () => {
  await chmod(file, 0o666)
  const through = ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups']
  const reading = ['--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search']
  await spanplan(lab, ['plan', '-f', file], 0, { through: [...through, ...reading] })
})
