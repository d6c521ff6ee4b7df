/** An apply that takes over an old recipe puts all back where a step of Docker goes wrong; one that is killed there is ended by the next. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type FaultyDocker, startFaultyDocker } from './faults/proxy.ts'
import { createLab, type Lab } from './lab.ts'
import { takeover, useRecipe } from './old-recipe.ts'
import { expectConverged, expectHeard, spanplan, until, writeSpans } from './spans.ts'

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

describe('where a step of Docker goes wrong, all is as it was', () => {
  // Three are noted and disconnected, the network is removed and made, three are connected and their notes dropped.
  const requests = Array.from({ length: 14 }, (_, index) => index + 1)

  test('these are all', async () => {
    await makeRecipe()
    proxy.prepare()
    await spanplan(lab, ['apply', '--adopt', '--yes'], 0, { env: proxy.env })
    expect(proxy.requests).toHaveLength(requests.length)
  })

  test.each(requests)('request %i', async (request) => {
    await makeRecipe()
    await settle()
    const before = await describeLab()
    for (const how of ['refuse', request % 2 === 0 ? 'deceive' : 'cut after'] as const) {
      proxy.prepare({ request, how })
      const said = await lab.spanplan(['apply', '--adopt', '--yes'], { env: proxy.env })
      // What was done, and said to have failed, may turn out to be well.
      const exits = how === 'refuse' ? [5] : [0, 5]
      expect(exits, `${how}: ${said.stderr}`).toContain(said.exitCode)
      if (said.exitCode === 0) {
        await expectConverged(lab)
        return
      }
      const isAsBefore = async () => (await describeLab()) === before
      await until('all is as it was', isAsBefore).catch(() => undefined)
      expect(await describeLab(), said.stderr).toBe(before)
    }
  })
})

describe('killed at a request to Docker, the next apply ends the job', () => {
  // The second disconnects a container, the seventh removes the network, the eighth makes it, the ninth connects the first.
  const moments = [2, 7, 8, 9].flatMap((request) => [
    { request, how: 'hold before' as const },
    { request, how: 'hold after' as const }
  ])

  test.each(moments)('$how request $request', async ({ request, how }) => {
    await makeRecipe()
    let kill = () => {}
    proxy.prepare({ request, how }, async () => kill())
    const run = lab.startSpanplan(['apply', '--adopt', '--yes'], { env: proxy.env })
    kill = () => run.kill('SIGKILL')
    expect((await run).signal).toBe('SIGKILL')
    await spanplan(lab, ['apply', '--adopt', '--yes'])
    await expectConverged(lab)
    expect(await addressesOf('span0')).toEqual([])
    await expectHeard(lab, [lab.docker.getContainer('suricata')])
    // Whoever was off the network just then is back, as others had connected it, and the notes are gone.
    expect(await endpointOf('zeek')).toMatchObject({ Aliases: ['ids', 'visitor'], IPAddress: '10.9.0.70' })
    expect(await endpointOf('arkime')).toBeDefined()
    expect((await namesOfNetworks()).filter((name) => name.startsWith('spanplan-note'))).toEqual([])
    await spanplan(lab, ['destroy', '--yes'])
    expect(await ip('-d', 'link', 'show', 'dev', 'span0')).toContain('alias tap of the core switch')
  })
})
