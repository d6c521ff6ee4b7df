/**
 * An apply that takes over an old recipe puts all back where a step of Docker goes wrong, or leaves out the file's own sensor, which
 * the next apply connects; one that is killed there is ended by the next.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type FaultyDocker, startFaultyDocker } from '../lab/docker/faulty-docker.ts'
import { createLab, type Lab, type Outcome } from '../lab/lab.ts'
import { takeover, useRecipe } from '../lab/old-recipe.ts'
import { sampled, sampledByKind } from '../lab/sampled.ts'
import { expectConverged, expectHeard, spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab
let proxy: FaultyDocker
let first: string

const recipe = useRecipe(() => lab)
const { ip, settle, makeRecipe, addressesOf, endpointOf, namesOfNetworks, describeLab } = recipe

beforeAll(async () => {
  lab = await createLab({ docker: true })
  proxy = await startFaultyDocker(lab)
  first = await lab.snapshotText()
})
afterAll(async () => {
  await proxy?.close()
  await lab?.close()
})

beforeEach(() => writeSpans(lab, takeover))
afterEach(() => recipe.clear(first))

/** What costs the file's own sensor alone: it is off the network by then, and the note on it is kept. */
const leftOut: ReadonlySet<string> = new Set(['9 refuse'])

/** What turns out to be well: a container that is off its network is disconnected, whatever Docker says; and the rest for this sensor. */
const madeAllTheSame: ReadonlySet<string> = new Set([
  ...['2 deceive', '4 deceive', '6 deceive'],
  ...['9 cut after', '10 refuse', '10 deceive']
])

/** All but that was done, nothing of others is lost, and the next apply ends the job; a destroy gives the bridge back. */
async function expectOnlyLeftOut({ stdout, stderr }: Outcome): Promise<void> {
  expect(stdout).toContain('2 recreated, 1 removed, 5 adopted; 1 failed.')
  expect(stderr).toMatch(/error: could not .*suricata.*Everything else was done/)
  const { stdout: plan } = await spanplan(lab, ['plan'])
  const rows = plan.split('\n').filter((line) => line.startsWith('  '))
  expect(rows.map((row) => row.trim().replace(/ +/g, ' '))).toEqual([
    '+ sensor suricata → span sealed, not connected by spanplan',
    '~ note suricata → span left by an earlier run: yes → no'
  ])
  expect(await endpointOf('suricata')).toBeUndefined()
  expect(stderr).toContain('suricata has lost its interface tap0 on span, and is not connected again')
  expect(await namesOfNetworks()).toEqual(['host', 'none', 'span', expect.stringMatching(/^spanplan-note-/)])
  await expectOthersAreBack()
  await spanplan(lab, ['apply', '--yes'])
  await expectAdopted()
}

async function expectOthersAreBack(): Promise<void> {
  expect(await endpointOf('zeek')).toMatchObject({ Aliases: ['ids', 'visitor'], IPAddress: '10.9.0.70' })
  expect(await endpointOf('arkime')).toMatchObject({ Aliases: ['archive'], IPAMConfig: { IPv4Address: '10.9.0.1' } })
}

/** Whoever was off the network is back, as others had connected it, and the notes are gone. */
async function expectAdopted(): Promise<void> {
  await expectConverged(lab)
  expect(await addressesOf('span0')).toEqual([])
  await expectHeard(lab, [lab.docker.getContainer('suricata')])
  await expectOthersAreBack()
  expect(await namesOfNetworks()).toEqual(['host', 'none', 'span'])
  await spanplan(lab, ['destroy', '--yes'])
  expect(await ip('-d', 'link', 'show', 'dev', 'span0')).toContain('alias tap of the core switch')
}

describe('where a step of Docker goes wrong, all is as it was, or one sensor is left out', () => {
  // Three are noted and disconnected, the network is removed and made, three are connected and their notes dropped.
  const requests = Array.from({ length: 14 }, (_, index) => index + 1)
  /** A pair for each container on the way out, each of the network, and a pair for each on the way back: the file's own, and others. */
  const kindOf = (request: number) => {
    if (request < 7) return `out ${request % 2}`
    return request < 11 ? String(request) : `back ${request % 2}`
  }

  test('these are all', async () => {
    await makeRecipe()
    proxy.prepare()
    await spanplan(lab, ['apply', '--adopt', '--yes'], 0, { env: proxy.env })
    expect(proxy.requests).toHaveLength(requests.length)
  })

  test.each(sampledByKind(requests, 3, kindOf))('request %i', async (request) => {
    let before: string | null = null
    for (const how of ['refuse', request % 2 === 0 ? 'deceive' : 'cut after'] as const) {
      if (before === null) {
        await makeRecipe()
        await settle()
        before = await describeLab()
      }
      proxy.prepare({ request, how })
      const said = await lab.spanplan(['apply', '--adopt', '--yes'], { env: proxy.env })
      const fault = `${request} ${how}`
      // What was done, and said to have failed, may turn out to be well; a note that is not dropped is tried again.
      const exits = leftOut.has(fault) ? [4] : madeAllTheSame.has(fault) ? [0] : how === 'refuse' ? [5] : [0, 5]
      expect(exits, `${how}: ${said.stderr}`).toContain(said.exitCode)
      if (said.exitCode !== 5) {
        await (said.exitCode === 0 ? expectAdopted() : expectOnlyLeftOut(said))
        await recipe.clear(first)
        before = null
        continue
      }
      const isAsBefore = async () => (await describeLab()) === before
      await until('all is as it was', isAsBefore).catch(() => undefined)
      expect(await describeLab(), said.stderr).toBe(before)
    }
  })
})

test('interrupted when Docker has just taken away its own bridge with the network, all is as it was', async () => {
  await recipe.makeRoot()
  await recipe.makeRichNetwork()
  await recipe.makeMirrors()
  await settle()
  const before = await describeLab()
  let end = () => {}
  proxy.prepare({ request: 7, how: 'hold after' }, async () => end())
  const run = lab.startSpanplan(['apply', '--adopt', '--yes'], { env: proxy.env })
  end = () => run.kill('SIGINT')
  const { exitCode, stderr } = await run
  expect(exitCode, stderr).toBe(130)
  expect(stderr).toContain('Everything was rolled back')
  expect(await describeLab()).toBe(before)
})

describe('killed at a request to Docker, the next apply ends the job', () => {
  // The second disconnects a container, the seventh removes the network, the eighth makes it, the ninth connects the first.
  const moments = [2, 7, 8, 9].flatMap((request) => [
    { request, how: 'hold before' as const },
    { request, how: 'hold after' as const }
  ])

  // An odd step, so that each way has its turn.
  test.each(sampled(moments, 3))('$how request $request', async ({ request, how }) => {
    await makeRecipe()
    let kill = () => {}
    proxy.prepare({ request, how }, async () => kill())
    const run = lab.startSpanplan(['apply', '--adopt', '--yes'], { env: proxy.env })
    kill = () => run.kill('SIGKILL')
    expect((await run).signal).toBe('SIGKILL')
    await spanplan(lab, ['apply', '--adopt', '--yes'])
    await expectAdopted()
  })
})
