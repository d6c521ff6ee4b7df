import { meaningOf } from '../../codes/meanings.ts'
import { callCommand } from '../../host/docker/docker-calls.ts'
import type { Argv } from '../../host/exec.ts'
import { shellLine } from '../../host/quote-command.ts'
import { oneLine, type Paint, printable, type Tone } from '../../printable.ts'
import type { Step } from '../../resources/kind.ts'
import { isOutput } from '../../resources/outputs/output-port.ts'
import { padTo, widthOf, wrap, wrapAroundArrows } from '../../text-lines.ts'
import { orderStages, type Plan, type PlannedChange } from '../plan.ts'
import { signs } from './signs.ts'

interface Row {
  readonly tone: Exclude<Tone, 'title'>
  readonly kind: string
  readonly title: string
  readonly detail: string
}

/**
 * The plan as a person reads it; ends with a line end.
 *
 * @param width columns of a line. By default, each change is one line, as a program searches for it.
 */
export function renderPlan(
  plan: Plan,
  files: readonly string[],
  paint: Paint,
  width = Number.POSITIVE_INFINITY
): string {
  // The qdisc of a container's interface is nobody's in particular: the mirrors on it tell whose it is.
  const owners = new Map(plan.changes.flatMap(({ device, serves }) => (serves === null ? [] : [[device, serves]])))
  const named = plan.changes.map((change) => ({
    ...change,
    serves: change.serves ?? owners.get(change.device) ?? null
  }))
  const groups = [...plan.spans, { name: null, description: null }].map(({ name, description }) => ({
    heading: name === null ? 'of spans that no longer exist' : description === null ? name : `${name} · ${description}`,
    rows: [
      ...named.filter((change) => change.span === name).map(planRow),
      ...plan.waiting.filter((wait) => wait.span === name).map(waitRow)
    ]
  }))
  const titleWidth = Math.max(24, ...groups.flatMap(({ rows }) => rows.map((row) => widthOf(row.title))))
  const blocks = groups
    .filter(({ rows }) => rows.length > 0)
    .map(({ heading, rows }) =>
      [
        ...wrap(oneLine(heading), width).map((line) => paint('title', line)),
        ...rows.flatMap((row) => renderRow(row, titleWidth, width).map((line) => paint(row.tone, line)))
      ].join('\n')
    )
  return `${[...blocks, wrap(renderSummary(plan, files), width).join('\n')].join('\n\n')}\n`
}

/** One change as it stands in the plan, without colours, for a message. */
export function renderChange(change: PlannedChange): string {
  const { kind, title, detail } = changeRow(change)
  return `${signs[change.action].sign} ${kind} ${title}${detail === '' ? '' : ` (${detail})`}`
}

/** The same of several changes: what one row says of a thing follows what another row has said of it. */
export function renderChanges(changes: readonly PlannedChange[], paint: Paint): string {
  const rows = new Map<string, { readonly action: PlannedChange['action']; readonly details: string[] }>()
  for (const change of changes) {
    const { kind, title, detail } = changeRow(change)
    const name = `${signs[change.action].sign} ${kind} ${title}`
    const row = rows.get(name) ?? { action: change.action, details: [] }
    rows.set(name, row)
    if (detail !== '' && !row.details.includes(detail)) row.details.push(detail)
  }
  const write = (name: string, details: readonly string[]) =>
    details.length === 0 ? name : `${name} (${details.join(', ')})`
  return [...rows].map(([name, { action, details }]) => paint(action, write(name, details))).join('; ')
}

/** What a change is about, as its row in the plan names it. */
export function renderTitle(change: Pick<PlannedChange, 'kind' | 'title' | 'device' | 'serves'>): string {
  return `${change.kind} ${printable(nameContainer(change.title, change))}`
}

/** A text about a change, which names the container too where it has the host's end of its interface alone: "web (veth1a2b3c4)". */
export function nameContainer(text: string, { device, serves }: Pick<PlannedChange, 'device' | 'serves'>): string {
  if (device === null || serves === null) return text
  const name = (word: string) => (word === device ? `${serves} (${device})` : word)
  return text.split(' ').map(name).join(' ')
}

/** How many there are of each action. */
export function countActions(plan: Plan) {
  const count = (action: PlannedChange['action']) => plan.changes.filter((change) => change.action === action).length
  return {
    create: count('create'),
    update: count('update'),
    replace: count('replace'),
    remove: count('remove'),
    adopt: count('adopt'),
    wait: plan.waiting.length
  }
}

function renderSummary(plan: Plan, files: readonly string[]): string {
  const { create, update, replace, remove, adopt, wait } = countActions(plan)
  const adopts = adopt === 0 ? '' : `, ${adopt} to adopt`
  const waits = wait === 0 ? '' : `; ${wait} ${wait === 1 ? 'waits' : 'wait'}`
  if (plan.changes.length > 0) {
    return `Plan: ${create} to create, ${update} to change, ${replace} to replace, ${remove} to remove${adopts}${waits}.`
  }
  if (plan.waiting.some(({ diagnostic }) => meaningOf(diagnostic).unread))
    return `No changes to what was checked${waits}.`
  if (files.length === 0) return wait > 0 ? `No changes${waits}.` : 'No changes. There is nothing to destroy.'
  const count = plan.spans.length
  if (count === 0) return 'No changes. The file has no spans.'
  const matches = count === 1 ? '1 span matches' : `${count} spans match`
  return wait > 0 ? `No changes${waits}.` : `No changes. ${matches} ${files.map(printable).join(', ')}.`
}

/** Columns of a detail beside its title: where there are fewer, it begins on a line of its own. */
const leastDetail = 30

/** The lines of a row: what a detail has no room for goes on below its beginning. */
function renderRow({ tone, kind, title, detail }: Row, titleWidth: number, width: number): string[] {
  const start = `  ${signs[tone].sign.padEnd(3)} ${kind.padEnd(10)} `
  const beside = `${start}${padTo(titleWidth, title)}  `
  if (detail === '' || widthOf(beside) + widthOf(detail) <= width) return [`${beside}${detail}`.trimEnd()]
  const isBeside = widthOf(beside) + leastDetail <= width
  const indent = ' '.repeat(widthOf(isBeside ? beside : start) + (isBeside ? 0 : 2))
  const lines = wrapAroundArrows(detail, Math.max(leastDetail, width - indent.length))
  if (!isBeside) return [`${start}${title}`, ...lines.map((line) => `${indent}${line}`)]
  return lines.map((line, index) => `${index === 0 ? beside : indent}${line}`)
}

function changeRow(change: PlannedChange): Row {
  const fields = change.facts
    .filter(({ changed }) => changed)
    .map(({ label, from, to }) => (from === to ? `${label}: renewed` : `${label}: ${from} → ${to}`))
    .join(', ')
  const about = fields === '' ? change.summary : fields
  const notes = change.notes.join('; ')
  const detail = fields === '' || notes === '' ? join(about, notes) : `${fields} (${notes})`
  return {
    tone: change.action,
    kind: change.kind,
    title: printable(nameContainer(change.title, change)),
    detail: oneLine(detail)
  }
}

/** The row of a plan, which also says what whoever applies it has to do. */
function planRow(change: PlannedChange): Row {
  const row = changeRow(change)
  return { ...row, detail: join(row.detail, oneLine(change.todo ?? '')) }
}

function join(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join('; ')
}

function waitRow({ kind, title, diagnostic }: Plan['waiting'][number]): Row {
  return { tone: 'wait', kind, title: printable(title), detail: printable(diagnostic.message) }
}

/** The plan as a script for sh(1) that does the same. */
export function renderCommands(plan: Plan): string {
  const lines = orderStages(plan.changes).flatMap(({ stage }) => stage.steps.map((step) => shellLine(commandOf(step))))
  const makesPorts = plan.changes.some(
    ({ kind, action }) => kind === 'sensor' && action !== 'remove' && action !== 'update'
  )
  const later = makesPorts
    ? ["# Docker creates the sensors' ports only now. To print the commands that seal them: spanplan plan --commands"]
    : []
  const isShare = plan.changes.some(({ after }) => after !== null && isOutput(after) && after.isToShare)
  const shares = isShare
    ? [
        '# Outputs get their shares only when they are attached. To print the commands for that: spanplan plan --commands'
      ]
    : []
  return `${['#!/bin/sh', 'set -eu', ...lines, ...later, ...shares].join('\n')}\n`
}

/** A step as a command. */
export function commandOf(step: Step): Argv {
  if ('argv' in step) return step.argv
  return callCommand(step.docker, step.podman ? 'podman' : 'docker')
}
