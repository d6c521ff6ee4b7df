import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { makeBatches, runBatch } from '../../src/apply/batch.ts'
import { Exit } from '../../src/errors.ts'
import { commandFailed } from '../../src/host/exec.ts'
import type { PlannedChange, Stage } from '../../src/plan/plan.ts'
import { deleteLink } from '../../src/resources/kind.ts'
import { type Xdp, xdp } from '../../src/resources/kinds/xdp.ts'

type Work = { readonly change: PlannedChange; readonly stage: Stage }

/** A change whose steps are by the tools of these names, one after the other. */
function work(title: string, turn: number, tools: readonly string[]): Work {
  const steps = tools.map((tool, index) => {
    const summary = `${title}.${index}`
    return tool === 'docker'
      ? ({ summary, docker: { call: 'removeNetwork', network: title } } as const)
      : ({ summary, argv: [tool, summary] } as const)
  })
  const stage = { turn, steps }
  const change: PlannedChange = {
    ...{
      subject: { span: null, kind: 'address', id: [title] },
      address: title,
      kind: 'address',
      span: null,
      action: 'create',
      device: null,
      container: null,
      serves: null,
      instance: '',
      closes: false,
      remembers: [],
      disconnects: [],
      title,
      summary: '',
      before: null,
      after: null
    },
    facts: [],
    reason: '',
    notes: [],
    todo: null,
    origin: undefined,
    stages: [stage]
  }
  return { change, stage }
}

/** The batches as words: the tool, then its steps. */
const show = (works: readonly Work[]) =>
  makeBatches(works, new Set()).map(({ tool, tasks }) => [tool, ...tasks.map(({ step }) => step.summary)].join(' '))

describe('runBatch', () => {
  test('the steps of one change stay in order, side by side with those of others', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'spanplan-batch-'))
    const log = join(folder, 'log')
    // The later a step, the less it sleeps: side by side, the steps of a change would end the other way round.
    const sleeps = [0.3, 0.2, 0.1]
    const tasks = ['a', 'b'].flatMap((title) => {
      const { change } = work(title, 10, [])
      return sleeps.map((seconds, index) => ({
        change,
        step: { summary: '', argv: ['sh', '-c', `sleep ${seconds}; echo ${title}${index} >> ${log}`] as const }
      }))
    })
    try {
      expect(await runBatch({ tool: 'sh', tasks }, null)).toBeNull()
      const lines = readFileSync(log, 'utf8').trim().split('\n')
      for (const title of ['a', 'b']) {
        expect(lines.filter((line) => line.startsWith(title))).toEqual(sleeps.map((_, index) => `${title}${index}`))
      }
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

describe('a batch of a program that takes one step each', () => {
  const folder = mkdtempSync(join(tmpdir(), 'spanplan-batch-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  const names = Array.from({ length: 20 }, (_, index) => `a b ${index} '"\\`)
  const taskOf = (program: string, name: string) => ({
    change: work(name, 10, []).change,
    step: { summary: '', argv: [program, '--', join(folder, name)] as const }
  })

  test('each word arrives as it is', async () => {
    expect(await runBatch({ tool: 'mkdir', tasks: names.map((name) => taskOf('mkdir', name)) }, null)).toBeNull()
    expect(readdirSync(folder).sort()).toEqual([...names].sort())
  })

  test('the step that fails is named', async () => {
    const missing = taskOf('ls', 'missing')
    const tasks = [...names.map((name) => taskOf('ls', name)), missing]
    expect(await runBatch({ tool: 'ls', tasks }, null)).toMatchObject({ task: missing })
  })
})

describe('makeBatches', () => {
  test('nothing', () => expect(makeBatches([], new Set())).toEqual([]))

  test('changes of one turn are done together', () => {
    const bridge = ['ip', 'ip', 'ethtool', 'tc']
    expect(show([work('a', 10, bridge), work('b', 10, bridge)])).toEqual([
      'ip a.0 a.1 b.0 b.1',
      'ethtool a.2 b.2',
      'tc a.3 b.3'
    ])
  })

  test('turns come one after the other, and share a batch where they meet', () => {
    expect(show([work('a', 10, ['ip', 'tc']), work('b', 20, ['tc']), work('c', 30, ['ip'])])).toEqual([
      'ip a.0',
      'tc a.1 b.0',
      'ip c.0'
    ])
  })

  test('a batch that is not sequential holds steps of one turn', () => {
    expect(
      show([work('a', 10, ['ethtool', 'ethtool']), work('b', 10, ['ethtool']), work('c', 20, ['ethtool'])])
    ).toEqual(['ethtool a.0 a.1 b.0', 'ethtool c.0'])
  })

  test('a thousand spans take few batches, each of which ends within the time limit of a program', () => {
    const spans = Array.from({ length: 1000 }, (_, index) => index)
    const bridges = spans.map((index) => work(`b${index}`, 10, ['ip', 'bridge', 'ethtool', 'tc']))
    const mirrors = spans.map((index) => work(`m${index}`, 30, ['tc']))
    const batches = makeBatches([...bridges, ...mirrors], new Set())
    const show = batches.map(({ tool, tasks }) => `${tool} ${tasks.length}`)
    // The driver of a network card may take long to switch an offload.
    expect(show).toEqual(['ip 1000', 'bridge 1000', ...Array.from({ length: 5 }, () => 'ethtool 200'), 'tc 2000'])
  })

  test('bridges are deleted 200 in a batch: the kernel needs 40 ms for each', () => {
    const change = work('a', 10, []).change
    const steps = Array.from({ length: 1000 }, (_, index) => {
      return deleteLink('', `b${index}`)
    })
    const batches = makeBatches([{ change, stage: { turn: 10, steps } }], new Set())
    expect(batches.map(({ tasks }) => tasks.length)).toEqual([200, 200, 200, 200, 200])
  })

  test('XDP programs are attached and taken off 200 in a batch: each waits for all processors', () => {
    const change = work('a', 10, []).change
    const port: Xdp = {
      kind: 'xdp',
      id: 'veth0',
      spans: ['span0'],
      owner: 'ours',
      program: 'none',
      container: null,
      receiveQueues: 1
    }
    for (const program of ['ours', 'none'] as const) {
      const steps = Array.from({ length: 1000 }, () => xdp.update?.(port, { ...port, program }, ['program']) ?? [])
      const batches = makeBatches([{ change, stage: { turn: 10, steps: steps.flat() } }], new Set())
      expect(batches.map(({ tasks }) => tasks.length)).toEqual([200, 200, 200, 200, 200])
    }
  })

  test('each step once; a change keeps its order, and so do turns; no batch mixes tools', () => {
    const tools = fc.array(fc.constantFrom('ip', 'tc', 'bridge', 'ethtool', 'sysctl', 'docker'), { maxLength: 6 })
    const works = fc
      .array(fc.tuple(fc.constantFrom(1, 10, 20), tools), { maxLength: 12 })
      .map((list) => list.sort(([a], [b]) => a - b).map(([turn, steps], index) => work(`w${index}`, turn, steps)))
    fc.assert(
      fc.property(works, (list) => {
        const batches = makeBatches(list, new Set())
        const done = batches.flatMap(({ tasks }) => tasks)
        expect(done).toHaveLength(list.reduce((sum, { stage }) => sum + stage.steps.length, 0))
        for (const { change, stage } of list) {
          expect(done.filter((task) => task.change === change).map(({ step }) => step)).toEqual(stage.steps)
        }
        const turns = done.map(({ change }) => change.stages[0]?.turn ?? 0)
        expect(turns).toEqual([...turns].sort((a, b) => a - b))
        for (const { tool, tasks } of batches) {
          expect(tasks.map(({ step }) => ('argv' in step ? step.argv[0] : 'docker'))).toEqual(tasks.map(() => tool))
        }
        const sequential = ['ip', 'tc', 'bridge', 'sysctl', 'docker']
        for (const [index, { tool, tasks }] of batches.entries()) {
          const next = batches[index + 1]
          if (sequential.includes(tool)) expect(next?.tool).not.toBe(tool)
          else expect(new Set(tasks.map(({ change }) => change.stages[0]?.turn)).size).toBe(1)
        }
      })
    )
  })
})

test('a change that is not permitted has the status of a missing right; a command that only reads has that of an error', async () => {
  const words = 'RTNETLINK answers: Operation not permitted'
  const argv = ['sh', '-c', `echo '${words}' >&2; exit 2`] as const
  const { change } = work('a', 0, [])
  const batch = { tool: 'sh', tasks: [{ change, step: { summary: 'change something', argv } }] }
  expect(await runBatch(batch, null)).toMatchObject({ error: { exit: Exit.missingRight } })
  expect(commandFailed(['tc', 'qdisc'], { status: 2, stdout: '', stderr: words }).exit).toBe(Exit.error)
})
