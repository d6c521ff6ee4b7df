/** An apply that fails, at whatever step and in whatever way, takes back what it did, or says what is left. */
import { afterAll, describe, expect, test } from 'vitest'
import { applyNew, type Scene } from '../lab/faults/scene.ts'
import { openStage, setUp } from '../lab/faults/stage.ts'
import { expectVerdict } from '../lab/faults/verdict.ts'
import { sampled, sampledByKind } from '../lab/sampled.ts'
import { portOf } from '../lab/spans.ts'

const stage = await openStage()
afterAll(() => stage.close())

const numbered = stage.requests.map((words, index) => ({ words, request: index + 1 }))

test('the plan has a bit of everything', () => {
  expect(stage.lines.length).toBeGreaterThan(40)
  expect(new Set(stage.lines.map(({ tool }) => tool)).size).toBe(5)
  expect(stage.requests.length).toBeGreaterThan(10)
})

/**
 * At the very first step, nothing was changed; a status of its own says so. What closes a sensor's network stack costs that alone:
 * all else stays.
 */
function verdictOn(words: string, isFirst: boolean) {
  if (/ if\d+\//.test(words)) return { exits: [4], leavesOut: true }
  return { exits: isFirst ? [1, 5] : [5] }
}

/**
 * The status of the apply, by what goes wrong with which request, from the first on. 0: the same apply makes up for it, or Docker has
 * done it. 4: it costs one sensor, and all else is done. 5: all is rolled back; so it is for what is about a network or a foreign
 * container, and for a sensor that stays on a network which is to be removed.
 */
const statuses = {
  refuse: [5, 5, 5, 5, 5, 0, 0, 5, 5, 5, 4, 4, 4, 4, 0, 4, 5, 5],
  deceive: [0, 5, 0, 5, 0, 0, 0, 5, 5, 5, 0, 4, 0, 0, 0, 0, 5, 5]
} as const

function verdictOf(how: keyof typeof statuses, request: number) {
  return { exits: statuses[how].slice(request - 1, request), leavesOut: true }
}

/** A tool's verb, outside of a sensor or inside. */
const kindOfLine = ({ tool, words }: (typeof stage.lines)[number]) =>
  [tool, ...words.split(' ').slice(0, 2), / if\d+\//.test(words)].join(' ')

/** A request without the names in it, and the status of the apply. */
const kindOfRequest =
  (how: keyof typeof statuses) =>
  ({ words, request }: (typeof numbered)[number]) =>
    `${words.replace(/\/(?!none|spanplan-note|create)[^/ ]+/g, '/NAME').replace(/-note-\w+| .*/g, '')} ${verdictOf(how, request).exits}`

describe('a line that fails once is rolled back from, or costs one sensor:', () => {
  test.each(sampledByKind(stage.lines, 6, kindOfLine))('$tool $line: $words', async ({ tool, line, words }) => {
    const scene = await stage.enter()
    const env = await setUp(scene, { program: { tool, line, how: 'fail' } })
    const said = await scene.lab.spanplan(applyNew, { env })
    const [first] = stage.lines
    await expectVerdict(scene, said, verdictOn(words, first?.tool === tool && first.line === line))
  })
})

describe('a request to Docker', () => {
  test.each(sampledByKind(numbered, 3, kindOfRequest('refuse')))(
    'that is refused is rolled back from, or costs one sensor: $words',
    async ({ request }) => {
      const scene = await stage.enter()
      const env = await setUp(scene, { request: { request, how: 'refuse' } })
      await expectVerdict(scene, await scene.lab.spanplan(applyNew, { env }), verdictOf('refuse', request))
    }
  )

  test.each(sampledByKind(numbered, 6, kindOfRequest('deceive')))(
    'that is done, and said to have failed: $words',
    async ({ request }) => {
      const scene = await stage.enter()
      const env = await setUp(scene, { request: { request, how: 'deceive' } })
      await expectVerdict(scene, await scene.lab.spanplan(applyNew, { env }), verdictOf('deceive', request))
    }
  )

  test.each([
    { request: 1, how: 'cut before', status: 5 },
    { request: 5, how: 'cut after', status: 0 },
    { request: 6, how: 'cut before', status: 0 },
    { request: 8, how: 'cut after', status: 5 }
  ] as const)('whose connection is $how it is done: request $request', async ({ request, how, status }) => {
    const scene = await stage.enter()
    const env = await setUp(scene, { request: { request, how } })
    await expectVerdict(scene, await scene.lab.spanplan(applyNew, { env }), { exits: [status] })
  })
})

describe('where no roll back can work, what is left is named:', () => {
  const lines = [
    { tool: 'ip', line: 2 },
    { tool: 'ip', line: 9 },
    { tool: 'tc', line: 4 },
    { tool: 'tc', line: 11 },
    { tool: 'bridge', line: 2 },
    { tool: 'ethtool', line: 3 },
    { tool: 'sysctl', line: 1 },
    { tool: 'sysctl', line: 2 }
  ] as const

  test.each(sampledByKind(lines, 3, ({ tool }) => tool))('$tool fails from line $line on', async ({ tool, line }) => {
    const scene = await stage.enter()
    const env = await setUp(scene, { program: { tool, line, how: 'fail from there on' } })
    // What it was called for before may be all that needs no rolling back.
    await expectVerdict(scene, await scene.lab.spanplan(applyNew, { env }), { exits: [4, 5] })
  })

  test.each([1, 3, 6, 9])('Docker refuses from request %i on', async (request) => {
    const scene = await stage.enter()
    const env = await setUp(scene, { request: { request, how: 'refuse', onward: true } })
    await expectVerdict(scene, await scene.lab.spanplan(applyNew, { env }), { exits: request === 1 ? [4, 5] : [4] })
  })
})

describe('a device that goes meanwhile', () => {
  const devices = {
    'the bridge that stays': () => Promise.resolve('span1'),
    'the bridge of the network made anew': () => Promise.resolve('span0'),
    "a sensor's port": ({ lab }: Scene) => portOf(lab, lab.docker.getContainer('suricata'), 'span1'),
    'a card': () => Promise.resolve('ens256')
  }
  // Object.keys forgets that its keys are the table's own.
  const names = Object.keys(devices) as (keyof typeof devices)[]
  const moments = [1, 5, 12].flatMap((index) => stage.calls.slice(index, index + 1))

  // Of every other, each device has its turn, and each moment.
  test.each(
    sampled(
      names.flatMap((name) => moments.map(({ tool, first }) => ({ name, tool, first }))),
      2
    )
  )('$name, before $tool $first', async ({ name, tool, first }) => {
    const scene = await stage.enter()
    const device = await devices[name](scene)
    const env = await setUp(scene, { program: { tool, line: first, how: 'delete', device } })
    const said = await scene.lab.spanplan(applyNew, { env })
    await expectVerdict(scene, said, { exits: [0, 4, 5], ...(name === 'a card' && { gone: device }) })
  })
})

describe('a signal', () => {
  const exitOf = { INT: 130, TERM: 143 } as const
  const signals = stage.calls.map(({ tool, first }, index) => ({
    tool,
    first,
    signal: index % 2 === 0 ? ('INT' as const) : ('TERM' as const),
    isLast: index === stage.calls.length - 1
  }))

  // Those before each are for kills.long.test.ts. An odd step, so that each signal has its turn.
  test.each(sampled(signals, 5, 1))(
    'SIG$signal at $tool $first takes all back',
    async ({ tool, first, signal, isLast }) => {
      const scene = await stage.enter()
      const env = await setUp(scene, { program: { tool, line: first, how: signal } })
      const said = await scene.lab.spanplan(applyNew, { env })
      // After the last step, all is done.
      await expectVerdict(scene, said, { exits: [exitOf[signal], ...(isLast ? [0] : [])] })
    }
  )

  test.each(numbered.filter(({ request }) => request % 3 === 0))(
    'SIGTERM during $words takes all back',
    async ({ request }) => {
      const scene = await stage.enter()
      let interrupt = () => {}
      const meanwhile = async () => interrupt()
      const env = await setUp(scene, { request: { request, how: 'hold before' }, meanwhile })
      const run = scene.lab.startSpanplan(applyNew, { env })
      interrupt = () => run.kill('SIGTERM')
      const { stdout, stderr, exitCode, signal } = await run
      if (exitCode === undefined) throw new Error(`spanplan ended by ${signal}: ${stderr}`)
      await expectVerdict(scene, { stdout, stderr, exitCode }, { exits: [143] })
    }
  )
})
