/** The collection spanplan.spanplan, with Debian's Ansible: what its modules answer on a host, and what lints and checks say. */
import { chmod, cp, mkdir, writeFile } from 'node:fs/promises'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { failAt } from '../lab/commands/wrapped-programs.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { findProgram } from '../lab/programs.ts'
import { type Ansible, makeAnsible, play } from '../lab/system/ansible.ts'

let lab: Lab
let ansible: Ansible

beforeAll(async () => {
  lab = await createLab({ docker: true })
  ansible = await makeAnsible(lab)
})
afterAll(() => lab?.close())

const spans = `version: 1
spans:
  span0:
    description: "Everything: but SSH, Ö"
    sources: [{interface: ens192, filter: not port 22, max_idle: 5m}]
    sensors: [suricata]
`
const file = '/etc/spanplan/spans.yaml'
/** What becomes of a mapping. */
const written = /^# Written by Ansible.*\nversion: 1\nspans:\n(.*\n)* {8}filter: not port 22\n {8}max_idle: 5m\n/
const mirror = 'span0/mirror/ens192/ingress'
const removed = ['bridge', 'qdisc', 'mirror', 'mirror', 'interface', 'network'].map((kind) => ({
  kind,
  action: 'remove'
}))
const waits = [{ code: 'SENSOR_MISSING', kind: 'sensor', span: 'span0' }]

describe('the modules', () => {
  let answers: Record<string, unknown>

  /** A program that the modules call in place of spanplan. */
  async function put(name: string, script: string): Promise<void> {
    const path = ansible.host.path(`tmp/${name}`)
    await writeFile(path, `#!/bin/sh\n${script}\n`)
    await chmod(path, 0o755)
  }

  beforeAll(async () => {
    await writeFile(ansible.host.path('tmp/spans.yaml'), spans)
    await writeFile(ansible.host.path('tmp/broken.yaml'), spans.replace('filter', 'fliter'))
    await put('locked', 'for lock in /run/spanplan/*lock*; do exec 9>"$lock"; flock 9; done\nspanplan "$@" 9>&-')
    await put('newer', `spanplan "$@" | sed 's/"format_version":"1/"format_version":"2/'`)
    await put('older', 'exec spanplan "$@" --not-yet')
    await put('lost', '[ -e /tmp/asked ] || exec touch /tmp/asked\nexec spanplan "$@"')
    await put('powerless', 'exec setpriv --bounding-set=-net_admin --inh-caps=-net_admin spanplan "$@"')
    await put('unconfirmed', '[ "$1" != confirm ] || spanplan rollback "$2" >/dev/null\nexec spanplan "$@"')
    await mkdir(ansible.host.path('tmp/bin'))
    const run = `run() { ${findProgram('ip')} "$@"; }`
    await put('bin/ip', `input=$(cat)\n${run}\n${failAt('mtu 1400')}\nprintf '%s\\n' "$input" | run "$@"`)
    await put('failing', 'PATH=/tmp/bin:$PATH exec spanplan "$@"')
    answers = await play(ansible, 'modules.yml')
  })

  test('a first run changes the host, in check mode it only says so; a second does nothing, by mapping or text', () => {
    const changes = ['bridge', 'qdisc', 'mirror', 'mirror', 'interface', 'network'].map((kind) => ({ kind }))
    const shown = [
      { before_header: 'live', after_header: 'desired', after: expect.stringContaining(`${mirror}:\n`) },
      { before_header: file, before: '', after: expect.stringMatching(written) }
    ]
    const confirmed = { window: { unit: expect.stringMatching(/\.service$/) }, confirmed: true }
    expect(answers).toMatchObject({
      checked: { changed: true, changes, diff: shown, waiting: waits, installed: file, window: null },
      first: { changed: true, changes, waiting: waits, summary: { create: 5, update: 1, wait: 1 }, ...confirmed },
      second: { changed: false, changes: [], diff: [], waiting: waits, summary: { wait: 1 }, installed: null },
      text: { changed: false, changes: [], waiting: waits }
    })
  })

  test('a change that is not confirmed is taken back, and so is its file; a file alone is a change', () => {
    expect(answers).toMatchObject({
      unconfirmed: { failed: true, changed: false, rolled_back: true, confirmed: false, installed: null },
      as_before: { changed: false, changes: [], installed: null },
      installed: { changed: true, changes: [], installed: file, diff: [{ before: expect.stringMatching(written) }] }
    })
    expect(answers.unconfirmed).toMatchObject({
      msg: expect.stringMatching(/^The change could not be confirmed: the window \w+ was rolled back before/)
    })
  })

  test('drift is told, shown and repaired', () => {
    const after = expect.stringMatching(
      /^span0\/mirror\/ens192\/ingress:\n {2}target: span0\n {2}filter: not port 22\n/
    )
    expect(answers).toMatchObject({
      drifted: {
        changed: false,
        healthy: false,
        drift: true,
        // No apply starts a container: that comes first.
        problems: [{ code: 'SENSOR_MISSING' }, { code: 'DRIFT' }]
      },
      checked_drift: { changed: true, changes: [{ address: mirror }], diff: [{ before: '', after }] },
      repaired: { changed: true, changes: [{ address: mirror, action: 'create' }], finished: true },
      in_sync: {
        changed: false,
        drift: false,
        spans: [{ name: 'span0' }],
        waiting: waits,
        frames_lost: 0,
        window: null
      },
      asked_again: { changed: false, spans: [{ name: 'span0' }] }
    })
  })

  test('what goes wrong is told with its place, its code and what was done; nothing is left half-done', () => {
    const where = (place: string) => expect.stringContaining(`${place}: unknown key "fliter" in span "span0"`)
    const errors = [{ code: 'KEY_UNKNOWN' }]
    const failed = { failed: true, changed: false }
    expect(answers).toMatchObject({
      locked: { ...failed, exit: 75, errors: [{ code: 'LOCKED' }] },
      broken_file: { ...failed, exit: 65, errors, msg: where('/tmp/broken.yaml:5:35') },
      broken_spec: { ...failed, exit: 65, errors, msg: where('spec:7:9') },
      newer: { ...failed, format_version: '2.0', msg: expect.stringContaining('this collection reads 1.x') },
      older: {
        ...failed,
        exit: 64,
        msg: expect.stringContaining('Install a spanplan that is as new as the collection')
      },
      missing: { ...failed, msg: expect.stringContaining('spanplan-of-nobody is not on this host') },
      powerless: { ...failed, exit: 77, errors: [{ code: 'RIGHT_MISSING' }] },
      rolled_back: { ...failed, exit: 5, rolled_back: true, errors: [{ code: 'COMMAND_FAILED' }] },
      refused: { ...failed, msg: 'state: absent does not go with: spec' },
      refused_async: { ...failed, msg: expect.stringContaining('rollback_after does not go with async') }
    })
    expect(answers.broken_spec).toMatchObject({
      msg: expect.stringContaining('  |         fliter: not port 22\n  |         ^')
    })
  })

  test('everything is removed only where the task says so', () => {
    expect(answers).toMatchObject({
      empty_checked: { failed: true, changed: false, errors: [{ code: 'FILE_REMOVES_ALL' }] },
      empty: { failed: true, changed: false, errors: [{ code: 'EMPTY_REFUSED' }] },
      absent_checked: { changed: true, changes: removed },
      absent: { changed: true, changes: removed },
      still_absent: { changed: false, changes: [] }
    })
    for (const name of ['absent_checked', 'absent']) expect(answers[name]).not.toHaveProperty('warnings')
  })
})

test('the role writes the files that are valid, has a watch keep them and serve metrics, and then finds nothing to do', async () => {
  const { host, sh } = ansible
  for (const unit of ['spanplan.service', 'spanplan-apply.service']) {
    await host.put(`etc/systemd/system/${unit}`, `systemd/${unit}`)
  }
  const run = (more = '') => sh(`ansible-playbook --diff /tmp/ansible/role.yml ${more} 2>&1 || true`)
  expect(await run()).toMatch(/ changed=[1-9]\d* .* failed=0 /)
  expect(await run()).toMatch(/ changed=0 .* failed=0 /)
  const fetch = 'import urllib.request as web; print(web.urlopen("http://127.0.0.1:9477/readyz").status)'
  expect(await sh(`/usr/bin/python3 -c '${fetch}'; ls /etc/spanplan /run/spanplan.rules.yml`)).toBe(
    '200\n/run/spanplan.rules.yml\n\n/etc/spanplan:\ncore.yaml'
  )
  const refused = await run('-e key=fliter')
  expect(refused).toContain('unknown key \\"fliter\\"')
  expect(refused).toMatch(/ changed=0 .* failed=1 /)
  expect(await sh('cat /etc/spanplan/*')).toContain('not port 22')

  const files = (...list: readonly object[]) => run(`-e '${JSON.stringify({ spanplan_files: list })}'`)
  const moved = { name: 'moved.yaml', src: 'core.yaml.j2' }
  const twice = await files({ name: 'core.yaml', src: 'core.yaml.j2' }, moved)
  expect(twice).toContain('is already defined')
  expect(await sh('ls -A /etc/spanplan')).toBe('core.yaml')
  const links = await sh('ip -o link')
  const both = [{ name: 'core.yaml', state: 'absent' }, moved]
  expect(await files(...both)).toMatch(/ changed=2 .* failed=0 /)
  expect(await files(...both)).toMatch(/ changed=0 .* failed=0 /)
  expect(await sh('ls -A /etc/spanplan')).toBe('moved.yaml')
  expect(await sh('ip -o link')).toBe(links)
})

test('what is written for people is the same to every YAML', async () => {
  const values = fc.sample(
    fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue({ stringUnit: 'grapheme' })),
    300
  )
  const words = [
    'yes',
    'No',
    'off',
    'null',
    'y',
    '1e3',
    '0x1f',
    '12:30:45',
    '<<',
    '=',
    '-',
    '~',
    'a: b',
    'a #b',
    '\u2028\u0085\u007f'
  ]
  const all = [...values, Object.fromEntries(words.map((word) => [word, [word, { [word]: word }, [[word]], {}, []]]))]
  await writeFile(ansible.host.path('tmp/values.json'), JSON.stringify(all))
  const script = `import json, sys, yaml
sys.path.insert(0, "${ansible.collection}/plugins/module_utils")
from yaml_text import write_yaml
values = json.load(open("/tmp/values.json"))
texts = [write_yaml(value) for value in values]
assert [yaml.safe_load(text) for text in texts] == values
json.dump(texts, sys.stdout)`
  await writeFile(ansible.host.path('tmp/write.py'), script)
  const texts: unknown = JSON.parse(await ansible.sh(`/usr/bin/python3 /tmp/write.py`))
  // JSON has no -0.
  expect(Array.isArray(texts) && texts.map((text) => parse(text))).toEqual(JSON.parse(JSON.stringify(all)))
})

/** ansible-test sanity needs the network for none of these: what it would get from PyPI is made of Debian's packages. */
test('Debian has nothing to say against the collection: yamllint, ansible-lint, ansible-doc, ansible-test sanity', async () => {
  const sh = (script: string) => ansible.sh(`cd ${ansible.collection}\nexec 2>&1\n${script}`)
  await sh('yamllint --strict .')
  expect(await sh('ansible-lint --offline --nocolor')).toMatch(/Passed: 0 failure\(s\), 0 warning\(s\) .*'production'/)
  await cp('examples/fleet', ansible.host.path('tmp/fleet'), { recursive: true })
  const lintFleet = `cd /tmp/fleet
    yamllint --strict --config-file=${ansible.collection}/.yamllint .
    ansible-lint --offline --nocolor --profile=production`
  expect(await sh(lintFleet)).toMatch(/Passed: 0 failure\(s\), 0 warning\(s\) /)
  await sh(`ansible-doc -t module spanplan.spanplan.apply spanplan.spanplan.info >/dev/null
    ansible-doc -t role spanplan.spanplan.spanplan >/dev/null`)
  const python = await sh(`/usr/bin/python3 /tmp/ansible/sanity-venvs.py`)
  const tests = (await sh('ansible-test sanity --list-tests')).split('\n').filter((line) => /^[a-z0-9-]+$/.test(line))
  expect(tests).toEqual(sanityTests)
  const said = await sh(
    `ansible-test sanity --python ${python} --color no ${tests.map((name) => `--test ${name}`).join(' ')}`
  )
  expect(said.match(/^Running sanity test "[^"]+"/gm)).toEqual(tests.map((name) => `Running sanity test "${name}"`))
  expect(said).not.toMatch(/ERROR|FATAL|[Ss]kipp/)
})

/** All of ansible-core 2.19. */
const sanityTests = [
  ...['action-plugin-docs', 'ansible-doc', 'changelog', 'compile', 'empty-init', 'ignores', 'import', 'line-endings'],
  ...['no-assert', 'no-get-exception', 'no-illegal-filenames', 'no-smart-quotes', 'pep8', 'pslint', 'pylint'],
  ...['replace-urlopen', 'runtime-metadata', 'shebang', 'shellcheck', 'symlinks', 'use-argspec-type-path'],
  ...['use-compat-six', 'validate-modules', 'yamllint']
]
