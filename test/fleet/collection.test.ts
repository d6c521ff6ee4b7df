/** What Ansible's collection has in common with the rest. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { formatVersion } from '../../src/plan/output/plan-json.ts'

const read = (path: string) => readFileSync(path, 'utf8')

test('the collection has the version of spanplan, reads its format, and carries its alert rules', () => {
  expect(parse(read('ansible/galaxy.yml')).version).toBe(JSON.parse(read('package.json')).version)
  expect(read('ansible/plugins/module_utils/spanplan.py')).toContain(`FORMAT_MAJOR = "${formatVersion.split('.')[0]}"`)
  expect(read('ansible/roles/spanplan/files/spanplan.rules.yml')).toBe(read('examples/prometheus/spanplan.rules.yml'))
  expect(read('ansible/LICENSE')).toBe(read('LICENSE'))
})
