/** Ansible runs a fleet over ssh. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Fleet, makeFleet } from './fleet.ts'

let fleet: Fleet

beforeAll(async () => {
  fleet = await makeFleet({
    hosts: { fra1: { docker: true }, fra2: { docker: true }, ams1: { docker: false }, ams2: { docker: false } }
  })
})
afterAll(() => fleet?.close())

test('the node reaches each host, which has a name of its own, also when it has booted again', async () => {
  await fleet.host('ams1').reboot()
  const { stdout } = await fleet.run("ansible -i 'fra1,fra2,ams1,ams2,' all --one-line -m command -a 'hostname'")
  expect(stdout).toMatch(/^ams1 \| CHANGED \| rc=0 \| \(stdout\) ams1$/m)
})
