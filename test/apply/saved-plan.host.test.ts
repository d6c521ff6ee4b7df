/** Plans that are looked at now and applied later, on the real kernel. */
import { chmod, chown, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { digestSaved } from '../../src/plan/output/saved-plan.ts'
import { failAt, wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, expectRefusal, expectRestored, spanplan, writeSpans } from '../lab/spans.ts'

let lab: Lab
/** Before the first apply. */
let first: string
/** The saved plan. */
let file: string

const ip = (...argv: string[]) => lab.run(['ip', ...argv])
const tc = (...argv: string[]) => lab.run(['tc', ...argv])
const mirror = ['dev', 'ens192', 'ingress', 'pref', '8']

const one = 'spans: {span0: {sources: [{interface: ens192, filter: not port 22}]}}'
const two = 'spans: {span0: {sources: [{interface: ens192}]}, span1: {sources: [{interface: ens224}]}}'

beforeAll(async () => {
  lab = await createLab({ cables: [{ card: 'ens192' }, { card: 'ens224' }] })
  file = join(lab.files, 'plan.json')
  first = await lab.snapshotText()
})
afterAll(() => lab?.close())
afterEach(() => tc('qdisc', 'del', 'dev', 'ens192', 'clsact').catch(() => undefined))

beforeEach(async () => {
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await expectRestored(lab, first)
  await writeSpans(lab, one)
})

const save = (...args: string[]) => spanplan(lab, ['plan', '--out', 'plan.json', ...args])
const readPlan = async () => JSON.parse(await readFile(file, 'utf8'))

/** Applying the saved plan is refused, for these reasons and no other, and nothing is changed. */
async function expectStale(...reasons: (string | RegExp)[]): Promise<void> {
  const stderr = await expectRefusal(lab, ['apply', 'plan.json'], 3)
  const lines = stderr.split('\n')
  expect(lines[0]).toBe('error: the saved plan no longer fits:')
  const end = lines.indexOf('Nothing was changed.')
  expect(lines.slice(1, end)).toEqual(
    reasons.map((reason) =>
      typeof reason === 'string' ? `  ${reason}` : expect.stringMatching(new RegExp(`^ {2}${reason.source}$`))
    )
  )
}

/** Edits the saved plan as somebody would who knows how its digest is made. */
async function forge(
  edit: (document: { changes: { steps: { argv: string[] }[] }[]; selection: object }) => void
): Promise<void> {
  const document = await readPlan()
  edit(document)
  await writeFile(file, JSON.stringify({ ...document, digest: digestSaved(document) }))
}

describe('a saved plan', () => {
  test('is printed as any, and has what plan --json has, and more', async () => {
    const { stdout } = await save()
    expect(stdout).toBe((await spanplan(lab, ['plan'])).stdout)
    const { selection, digest, created, ...saved } = await readPlan()
    const json = JSON.parse((await save('--json')).stdout)
    expect({ ...saved, created: json.created }).toEqual(json)
    expect(created).toMatch(/^\d{4}-/)
    expect(digest).toMatch(/^sha256:/)
    const spans = join(lab.files, 'spans.yaml')
    expect(selection).toEqual({
      files: [spans],
      digests: { [spans]: json.spec.digest },
      spans: null,
      prune: true,
      adopt: false,
      recreate: true,
      defer_docker: false,
      subnet_seed: expect.stringMatching(/^[0-9a-f]{32}$/)
    })
    expect((await save('--commands')).stdout).toMatch(/^#!\/bin\/sh/)
  })

  test('is the same of the same host, but for the time and what subnets are chosen by', async () => {
    const texts = []
    for (let round = 0; round < 2; round++) {
      await save()
      const { created: _, digest: __, selection, ...document } = await readPlan()
      texts.push({ ...document, selection: { ...selection, subnet_seed: '' } })
    }
    expect(texts[1]).toEqual(texts[0])
  })

  test('is applied, from any folder, without a question', async () => {
    await spanplan(lab, ['apply'])
    await writeSpans(lab, 'spans: {span1: {sources: [{interface: ens224}]}}')
    await save()
    const cwd = join(lab.files, 'elsewhere')
    await mkdir(cwd)
    const { stdout } = await spanplan(lab, ['apply', '../plan.json', '--detailed-exitcode'], 2, { cwd })
    expect(stdout).toContain('Applied and verified: ')
    await expectConverged(lab)
    expect(JSON.parse(await ip('-j', 'link', 'show', 'type', 'bridge'))).toMatchObject([{ ifname: 'span1' }])
  })

  test('tells programs what it does', async () => {
    await save()
    const { stdout } = await spanplan(lab, ['apply', 'plan.json', '--json'])
    const types = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).type)
    expect(types).toEqual(expect.arrayContaining(['version', 'plan', 'step_start', 'step_done', 'summary']))
    const again = await spanplan(lab, ['apply', 'plan.json', '--json'], 3)
    expect(JSON.parse(again.stdout)).toMatchObject({ type: 'error', exit: 3, errors: [{ code: 'PLAN_STALE' }] })
  })

  test('without a change does none', async () => {
    await spanplan(lab, ['apply'])
    await save()
    const { stdout } = await spanplan(lab, ['apply', 'plan.json', '--detailed-exitcode'])
    expect(stdout).toContain('No changes')
  })

  test('keeps to what was selected', async () => {
    await writeSpans(lab, two)
    await spanplan(lab, ['plan', '--span', 'span1', '--out', 'plan.json'])
    await spanplan(lab, ['apply', 'plan.json'])
    expect(JSON.parse(await ip('-j', 'link', 'show', 'type', 'bridge'))).toMatchObject([{ ifname: 'span1' }])
    await writeSpans(lab, one)
    await save('--no-prune')
    await spanplan(lab, ['apply', 'plan.json'])
    expect(JSON.parse(await ip('-j', 'link', 'show', 'type', 'bridge'))).toHaveLength(2)
  })

  test('takes over what it was to take over', async () => {
    await ip('link', 'add', 'span0', 'address', '02:00:00:00:00:77', 'type', 'bridge')
    await save('--adopt')
    await spanplan(lab, ['apply', 'plan.json'])
    await expectConverged(lab)
    await spanplan(lab, ['destroy', '--yes'])
    await ip('link', 'del', 'dev', 'span0')
  })

  test('that fails is rolled back', async () => {
    await save()
    const before = await lab.snapshotText()
    const { options } = await wrapPrograms(lab, { tc: failAt('filter replace dev ens192 egress') })
    await spanplan(lab, ['apply', 'plan.json'], 5, options)
    await expectRestored(lab, before)
  })

  test('is not made where there are conflicts', async () => {
    await ip('link', 'add', 'span0', 'type', 'bridge')
    await spanplan(lab, ['plan', '--out', 'none.json'], 1)
    await ip('link', 'del', 'dev', 'span0')
    expect(await readdir(lab.files)).not.toContain('none.json')
  })
})

test('a span in the place of a plan is a slip of the pen', async () => {
  expect(await expectRefusal(lab, ['apply', 'span0'], 65)).toBe(
    'error: span0 cannot be read: it does not exist\n  did you mean: spanplan apply --span span0\n'
  )
})

test('a file of spans, and a folder of them, are named with -f', async () => {
  await writeFile(join(lab.files, 'spans.conf'), 'version: 1\n')
  for (const name of ['spans.conf', lab.files]) {
    expect(await expectRefusal(lab, ['apply', name], 65)).toContain(`\n  did you mean: spanplan apply -f ${name}\n`)
  }
})

describe('the file that it is written to', () => {
  test('is for its owner alone, replaced as a whole, and has no other beside it', async () => {
    await writeFile(file, 'old')
    await chmod(file, 0o666)
    await save()
    expect((await stat(file)).mode & 0o7777).toBe(0o600)
    expect((await readdir(lab.files)).filter((name) => name.includes('plan.json'))).toEqual(['plan.json'])
  })

  test('is no folder, device or link, and no stdout', async () => {
    const link = join(lab.files, 'link')
    await symlink('spans.yaml', link)
    for (const path of [lab.files, '/dev/null', link, '/nowhere/plan.json']) {
      const { stdout, stderr } = await spanplan(lab, ['plan', '--out', path], 1)
      expect(stdout).toBe('')
      expect(stderr).toContain(`the plan cannot be written to ${path}: `)
    }
    const { stderr } = await spanplan(lab, ['plan', '--out', '/nowhere/plan.json'], 1)
    expect(stderr).toContain('cannot be written to /nowhere/plan.json: its folder does not exist\n')
    await spanplan(lab, ['plan', '--out', '-'], 64)
    expect((await readdir(lab.files)).filter((name) => name.startsWith('.'))).toEqual([])
  })
})

describe('what has changed since is told, and nothing is done', () => {
  test('the file', async () => {
    await save()
    const path = join(lab.files, 'spans.yaml')
    for (const text of [`${one}\n`, 'nonsense']) {
      await writeSpans(lab, text)
      await expectStale(`${path} has changed`)
    }
  })

  test('the files of a folder', async () => {
    const folder = join(lab.files, 'spans')
    await mkdir(folder)
    await writeFile(join(folder, 'a.yaml'), `version: 1\n${one}`)
    await spanplan(lab, ['plan', '-f', 'spans', '--out', 'plan.json'])
    await writeFile(join(folder, 'b.yaml'), 'version: 1\nspans: {}')
    await expectStale(`${join(folder, 'b.yaml')} is new`)
  })

  test('the bridge', async () => {
    await spanplan(lab, ['apply'])
    await ip('link', 'set', 'dev', 'span0', 'mtu', '1500')
    await save()
    await ip('link', 'set', 'dev', 'span0', 'mtu', '1400')
    await expectStale('bridge span0: mtu was 1500, is 1400')
    await ip('link', 'set', 'dev', 'span0', 'mtu', '9000')
    await expectStale('bridge span0: mtu was 1500, is in sync')
    await ip('link', 'set', 'dev', 'span0', 'mtu', '1500')
    await spanplan(lab, ['apply', 'plan.json'])
    await expectConverged(lab)
  })

  test('the card', async () => {
    await save()
    await ip('link', 'set', 'dev', 'ens192', 'mtu', '1500')
    await expectStale('bridge span0: mtu was to be 9000, is to be 1500')
    await ip('link', 'set', 'dev', 'ens192', 'mtu', '9000')
    await spanplan(lab, ['apply', 'plan.json'])
  })

  test('a mirror that somebody deleted', async () => {
    await spanplan(lab, ['apply'])
    await ip('link', 'set', 'dev', 'ens192', 'promisc', 'off')
    await save()
    await tc('filter', 'del', ...mirror)
    await expectStale('mirror ens192 ingress → span0: was in sync, is missing')
  })

  test('a filter of somebody else in the way', async () => {
    await save()
    await tc('qdisc', 'add', 'dev', 'ens192', 'clsact')
    await tc('filter', 'add', ...mirror, 'protocol', 'all', 'u32', 'match', 'u32', '0', '0', 'flowid', '1:5')
    await expectStale(/.*ens192.* pref.*/)
    await tc('qdisc', 'del', 'dev', 'ens192', 'clsact')
    await spanplan(lab, ['apply', 'plan.json'])
  })

  test('the plan itself was applied', async () => {
    await save()
    await spanplan(lab, ['apply', 'plan.json'])
    const { stderr } = await spanplan(lab, ['apply', 'plan.json'], 3)
    expect(stderr).toContain('everything is in sync: there is nothing to do')
  })

  test('more than anybody reads', async () => {
    const cards = Array.from({ length: 12 }, (_, index) => `card${index}`)
    for (const card of cards) await ip('link', 'add', 'name', card, 'type', 'veth', 'peer', 'name', `x${card}`)
    await writeSpans(lab, `spans: {span0: {sources: [${cards.map((card) => `{interface: ${card}}`).join(', ')}]}}`)
    await save()
    for (const card of cards) await ip('link', 'del', 'dev', card)
    const { stderr } = await spanplan(lab, ['apply', 'plan.json'], 3)
    expect(stderr).toMatch(
      /(\n {2}span span0: there is no interface card.*){10}\n {2}and 2 more\nNothing was changed\./
    )
  })
})

test('what the plan does not rest on may change', async () => {
  await save()
  await ip('link', 'add', 'other', 'up', 'type', 'veth', 'peer', 'name', 'xother')
  await ip('link', 'set', 'dev', 'ens224', 'mtu', '1500', 'promisc', 'on')
  await spanplan(lab, ['apply', 'plan.json'])
  await expectConverged(lab)
  await ip('link', 'set', 'dev', 'ens224', 'mtu', '9000', 'promisc', 'off')
  await ip('link', 'del', 'dev', 'other')
})

describe('a file that is not as it was written', () => {
  test('cut off anywhere', async () => {
    await save()
    const bytes = await readFile(file)
    const before = await lab.snapshotText()
    for (let end = 0; end < bytes.length - 1; end += 1000) {
      await writeFile(file, bytes.subarray(0, end))
      const { stdout, stderr } = await spanplan(lab, ['apply', 'plan.json'], 65)
      expect(stdout).toBe('')
      expect(stderr).toContain('plan.json is not a saved plan: ')
    }
    expect(await lab.snapshotText()).toBe(before)
  })

  test('edited', async () => {
    await save()
    await writeFile(file, (await readFile(file, 'utf8')).replace('"9000"', '"9001"'))
    expect(await expectRefusal(lab, ['apply', 'plan.json'], 65)).toContain('it was edited, or damaged on its way')
  })

  test('missing', async () => {
    const { stdout } = await spanplan(lab, ['apply', 'none.json', '--json'], 65)
    expect(JSON.parse(stdout)).toMatchObject({ exit: 65, errors: [{ code: 'PLAN_INVALID' }] })
  })

  test('of another version', async () => {
    await save()
    await forge((document) => Object.assign(document, { format_version: '2.0' }))
    const stderr = await expectRefusal(lab, ['apply', 'plan.json'], 65)
    expect(stderr).toContain('plan.json has the plan format 2.0, and this spanplan reads 1.0')
  })

  test('from before the host was restarted', async () => {
    await save()
    await forge((document) => Object.assign(document, { host: { boot_id: '00000000-0000-4000-8000-000000000000' } }))
    await expectStale('the host was restarted')
  })

  test('cannot have a command run, with whatever digest', async () => {
    await save()
    await forge((document) => {
      for (const step of document.changes.flatMap(({ steps }) => steps)) {
        step.argv = ['touch', join(lab.files, 'touched')]
      }
    })
    const stderr = await expectRefusal(lab, ['apply', 'plan.json'], 3)
    expect(stderr).toContain('its steps are not those that are planned now')
    expect(await readdir(lab.files)).not.toContain('touched')
  })

  test('cannot have a file shown that it names, nor be a pipe, a link or a device of others', async () => {
    const secret = join(lab.files, 'secret')
    await writeFile(secret, 'root:$6$precious:20000::::::\n')
    await save()
    await forge((document) => {
      const digests = { [secret]: `sha256:${'0'.repeat(64)}` }
      Object.assign(document, { selection: { ...document.selection, files: [secret], digests } })
    })
    for (const more of [[], ['--json']]) {
      const { stdout, stderr } = await spanplan(lab, ['apply', 'plan.json', ...more], 3)
      expect(stdout + stderr).not.toContain('precious')
      expect(stdout + stderr).toContain('secret has changed')
    }
    await symlink('/dev/zero', join(lab.files, 'zero'))
    await writeFile(join(lab.files, 'deep'), '{"a":'.repeat(100_000))
    await writeFile(join(lab.files, 'proto'), '{"__proto__":{"selection":{}},"constructor":1,"format_version":"1.0"}')
    expect(await expectRefusal(lab, ['apply', 'zero'], 65)).toContain('zero cannot be read: it is a device')
    for (const name of ['deep', 'proto', secret]) {
      expect(await expectRefusal(lab, ['apply', name], 65)).toMatch(/ is not a saved plan: | is far larger /)
    }
  })

  test('that others may write is for root no order', async () => {
    await save()
    await chown(file, 65534, 65534)
    expect(await expectRefusal(lab, ['apply', 'plan.json'], 65)).toContain('can be written by other users than root')
    await spanplan(lab, ['apply', 'plan.json', '--insecure-file'])
  })
})

test.each([['-f', 'spans.yaml'], ['--span', 'span0'], ['--no-prune'], ['--adopt'], ['--defer-docker']])(
  'with %s beside it is wrong usage',
  async (...args) => {
    const { stderr } = await spanplan(lab, ['apply', 'plan.json', ...args], 64)
    expect(stderr).toContain('these options are already part of the saved plan: --')
  }
)
