/** Plans that are saved, read again, and compared with what is planned then. */
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Exit, SpanplanError } from '../../../src/errors.ts'
import type { Container, Link } from '../../../src/host/snapshot.ts'
import { findDifferences } from '../../../src/plan/output/compare-plans.ts'
import { planDocument } from '../../../src/plan/output/plan-json.ts'
import {
  asShown,
  digestSaved,
  readSavedPlan,
  type SavedPlan,
  savedDocument
} from '../../../src/plan/output/saved-plan.ts'
import { planTarget } from '../../../src/plan/plan-view.ts'
import { printableJson } from '../../../src/printable.ts'
import { type CapturedHost, readingOf } from '../../lab/fixtures/host-file.ts'
import { casesFolder, readSnapshot, readTarget } from '../../lab/fixtures/plan-case.ts'
import { unprintable } from '../../lab/fixtures/unprintable.ts'

const selection: SavedPlan['selection'] = {
  files: ['/etc/spanplan'],
  digests: { '/etc/spanplan/spans.yaml': `sha256:${'0'.repeat(64)}` },
  spans: null,
  prune: true,
  adopt: false,
  recreate: true,
  defer_docker: false
}

function readCase(name: string) {
  const path = join(casesFolder, name)
  const host = readSnapshot(path, 'host.json')
  const target = readTarget(path, host.links)
  const { spec } = target
  const document = (now: CapturedHost) =>
    planDocument(planTarget(target, readingOf(now)).plan, {
      spec,
      ...readingOf(now),
      version: '0.1.0',
      created: '2001-02-03T12:00:00.000Z'
    })
  return { host, document }
}

function save(name: string): string {
  const { host, document } = readCase(name)
  return `${printableJson(savedDocument(document(host), selection), 2)}\n`
}

const read = (text: string | Uint8Array): SavedPlan =>
  readSavedPlan(typeof text === 'string' ? Buffer.from(text) : text, 'plan.json')

/** The code and the message with which it is refused; null if it is not. */
function refusal(text: string | Uint8Array): { code: string; message: string; exit: number } | null {
  try {
    read(text)
    return null
  } catch (error) {
    if (!(error instanceof SpanplanError)) throw error
    return { code: error.diagnostics[0]?.code ?? '', message: error.message, exit: error.exit }
  }
}

/** A plan, as somebody edits it. */
interface Editable {
  readonly [key: string]: unknown
  readonly changes: EditableChange[]
}

interface EditableChange {
  [key: string]: unknown
  readonly before: object | null
  readonly steps: { readonly argv: string[] }[]
}

/** As somebody would who knows how the digest is made. */
function forge(text: string, edit: (document: Editable) => void): string {
  const document: Editable = JSON.parse(text)
  edit(document)
  return JSON.stringify({ ...document, digest: digestSaved(document) })
}

const whole = save('drift-bridge-options')

describe('a saved plan', () => {
  test('is read as it was written, however it is laid out', () => {
    const document = JSON.parse(whole)
    expect(read(whole)).toEqual(document)
    const reversed = Object.fromEntries(Object.entries(document).reverse())
    for (const text of [JSON.stringify(document), JSON.stringify(reversed, null, 7), whole.replaceAll('\n', '\r\n')]) {
      expect(refusal(text)).toBeNull()
    }
  })

  test('may have fields that a later minor version added', () => {
    const later = forge(whole, (document) => Object.assign(document, { format_version: '1.7', more: [{ a: null }] }))
    expect(refusal(later)).toBeNull()
  })

  test('is refused wherever it is cut off', () => {
    for (let end = 0; end < whole.length - 1; end++) {
      expect(refusal(whole.slice(0, end)), `${end} characters`).toMatchObject({ code: 'PLAN_INVALID', exit: 65 })
    }
  })

  test('is refused with any character edited, unless it says the same', () => {
    const character = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 1 }),
      fc.constantFrom(...' \n"\\{}[],:0123456789e.-')
    )
    const edits = fc.tuple(fc.nat(whole.length - 1), fc.boolean(), character)
    const meaning = JSON.stringify(JSON.parse(whole))
    const property = fc.property(edits, ([place, replaces, put]) => {
      const edited = whole.slice(0, place) + put + whole.slice(place + (replaces ? 1 : 0))
      const outcome = refusal(edited)
      if (outcome === null) expect(JSON.stringify(JSON.parse(edited))).toBe(meaning)
      else expect(outcome).toMatchObject({ exit: Exit.invalidFile })
    })
    fc.assert(property, { numRuns: 1000 })
  })

  test.each([
    ['nothing', '', 'it is empty'],
    ['no JSON', 'spans: {}', 'it is not complete JSON'],
    ['no UTF-8', new Uint8Array([0x22, 0xff, 0x22]), 'it is not complete JSON'],
    ['no object', '[]', 'it is no JSON object'],
    ['another document', '{"version": 1}', 'it has no format_version'],
    ['what plan --json prints', JSON.stringify(readCase('fresh').document(readCase('fresh').host)), 'selection: '],
    [
      'another action',
      forge(whole, (document) => Object.assign(document, { changes: [{ action: 'run' }] })),
      'changes.0.'
    ],
    [
      'relative paths',
      forge(whole, (document) => Object.assign(document, { selection: { ...selection, files: ['a'] } })),
      'selection.files.0: no absolute path'
    ],
    ['endless depth', `{"format_version": "1.0", "x": ${'['.repeat(1e5)}${']'.repeat(1e5)}}`, ''],
    [
      'another digest',
      whole.replace(/"digest": "sha256:[0-9a-f]{64}"\n}/, `"digest": "sha256:${'0'.repeat(64)}"\n}`),
      'it was edited'
    ]
  ])('is refused where it is %s', (_, text, words) => {
    const outcome = refusal(text)
    expect(outcome).toMatchObject({ code: 'PLAN_INVALID', exit: 65 })
    expect(outcome?.message).toContain(words)
  })

  test('is refused where it has another major format, whatever else that has', () => {
    expect(refusal('{"format_version": "2.3"}')).toEqual({
      code: 'PLAN_VERSION',
      message: 'plan.json has the plan format 2.3, and this spanplan reads 1.0',
      exit: 65
    })
  })
})

/** What differs between the plan of a case and that of the same host with something changed. */
function differences(name: string, change: (host: CapturedHost) => CapturedHost): string[] {
  const { host, document } = readCase(name)
  return findDifferences(read(save(name)), asShown(document(change(host))))
}

const withLink =
  (name: string, change: Partial<Link>) =>
  (host: CapturedHost): CapturedHost => ({
    ...host,
    links: host.links.map((link) => (link.name === name ? { ...link, ...change } : link))
  })

describe('what has changed since', () => {
  test('nothing', () => {
    for (const name of ['fresh', 'converged', 'drift-bridge-options', 'network-renamed', 'wait-only']) {
      expect(
        differences(name, (host) => host),
        name
      ).toEqual([])
    }
  })

  test('what has nothing to do with the plan', () => {
    const stranger = { name: 'veth9', index: 999, altnames: [], alias: null, master: null, peer: null }
    const more = (host: CapturedHost) => {
      const [first] = host.links
      return first ? { ...host, links: [...host.links, { ...first, ...stranger }] } : host
    }
    expect(differences('converged', more)).toEqual([])
  })

  test('the boot', () => {
    expect(differences('fresh', (host) => ({ ...host, bootId: 'another' }))).toEqual(['the host was restarted'])
  })

  test('a fact that was to be changed', () => {
    const lines = differences('drift-bridge-options', withLink('span0', { mtu: 1400 }))
    expect(lines).toEqual(['bridge span0: mtu was 1500, is 1400'])
  })

  test('a fact that was in sync', () => {
    expect(differences('converged', withLink('span0', { mtu: 1400 }))).toEqual([
      'bridge span0: mtu was in sync, is 1400'
    ])
  })

  test('what was there', () => {
    const lines = differences('converged', (host) => ({ ...host, filters: host.filters.slice(1) }))
    expect(lines).toEqual([expect.stringMatching(/^mirror ens192 \S+ → span0: was in sync, is missing$/)])
  })

  const withContainers =
    (containers: readonly Container[]) =>
    (host: CapturedHost): CapturedHost => ({
      ...host,
      docker: host.docker.state === 'read' ? { ...host.docker, containers } : host.docker
    })

  test('what waited', () => {
    const zeek = {
      id: 'f00d',
      name: 'zeek',
      labels: {},
      running: true,
      restarting: false,
      restarts: 0,
      paused: false,
      startedAt: null,
      finishedAt: null,
      exitStatus: 0,
      networkMode: 'bridge',
      sandbox: null,
      veths: null,
      endpoints: []
    }
    expect(differences('wait-only', withContainers([zeek]))).toEqual(['sensor zeek → span: waited, is there now'])
  })

  test('what waits now', () => {
    expect(differences('drift-sensor-disconnected', withContainers([]))).toContainEqual(
      expect.stringMatching(/^sensor \S+ → span: was there, waits now: waits for the container /)
    )
  })

  test('nothing that a terminal would obey is told', () => {
    const lines = differences('converged', withLink('span0', { alias: 'spanplan:default:owned\u001b[31m\n\u202e' }))
    expect(lines.length).toBeGreaterThan(0)
    expect(lines.filter((line) => line.includes('\n') || unprintable.test(line))).toEqual([])
  })
})

describe('what was edited, with another digest', () => {
  const { host, document } = readCase('drift-bridge-options')
  const now = asShown(document(host))
  /** Edits the first change. */
  const forged = (edit: (change: EditableChange) => void) =>
    read(
      forge(whole, (plan) => {
        const [first] = plan.changes
        if (first) edit(first)
      })
    )

  test.each<[string, (change: EditableChange) => void, string]>([
    [
      'a command',
      ({ steps: [step] }) => step?.argv.splice(0, 9, 'sh', '-c', 'reboot'),
      'its steps are not those that are planned now'
    ],
    ['one more command', ({ steps }) => void steps.push(...steps), 'its steps are not those'],
    ['an action', (change) => Object.assign(change, { action: 'replace' }), 'was to be recreated, is to be changed'],
    ['what it is like', (change) => Object.assign(change.before ?? {}, { obstacle: 'a' }), 'obstacle was a, is none'],
    [
      'what it means',
      (change) => Object.assign(change, { reason: 'none' }),
      'its description is not the one that is planned now'
    ],
    ['what it is', (change) => Object.assign(change, { address: 'a', title: 'a' }), 'bridge a: ageing was ']
  ])('%s', (_, edit, words) => {
    expect(findDifferences(forged(edit), now).join('\n')).toContain(words)
  })

  test('any part of a change', () => {
    const [first] = JSON.parse(whole).changes
    for (const key of Object.keys(first).filter((key) => key !== 'origin')) {
      const other = forge(whole, (plan) => {
        const [change] = plan.changes
        const value = change?.[key]
        if (change)
          change[key] =
            typeof value === 'string'
              ? key === 'action'
                ? 'adopt'
                : `${value}a`
              : Array.isArray(value)
                ? value.slice(1)
                : null
      })
      expect(findDifferences(read(other), now), key).not.toEqual([])
    }
  })

  test('the order', () => {
    const fresh = readCase('fresh')
    const swapped = forge(save('fresh'), (plan) => plan.changes.reverse())
    expect(findDifferences(read(swapped), asShown(fresh.document(fresh.host)))).toEqual([
      'the changes were in another order'
    ])
  })
})
