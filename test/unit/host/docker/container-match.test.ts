import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { selectContainers } from '../../../../src/host/docker/container-match.ts'
import { parseContainerList, parseNetworks } from '../../../../src/host/parsers/docker.ts'
import { parseToolJson } from '../../../../src/host/parsers/json.ts'
import type { ContainerSelector } from '../../../../src/spec/values/container-selector.ts'

const read = (name: string) =>
  parseToolJson(readFileSync(new URL(`../../../fixtures/host/${name}.json`, import.meta.url), 'utf8'))

test('selects containers by name, or by network', () => {
  const list = parseContainerList(read('docker-containers'))
  expect(selectContainers(list, [], [{ container: 'zeek' }, { container: 'other' }])).toHaveLength(1)
  expect(
    selectContainers(
      list,
      parseNetworks(read('docker-networks')).filter(({ name }) => name === 'span'),
      []
    )
  ).toHaveLength(2)
  expect(selectContainers(list, [], [])).toEqual([])
})

test('selects containers by label, or by the service of a Compose project', () => {
  const compose = (oneoff: string) => ({
    'com.docker.compose.project': 'shop',
    'com.docker.compose.service': 'ids',
    'com.docker.compose.oneoff': oneoff
  })
  const list = parseContainerList([
    { Id: 'a', Names: ['/zeek'], Labels: { role: 'ids' } },
    { Id: 'b', Names: ['/0f1e2d_shop-ids-1'], Labels: { ...compose('False'), role: 'a=b' } },
    { Id: 'c', Names: ['/shop-ids-run-1'], Labels: compose('True') },
    { Id: 'd', Names: ['/shop-ids-2'], Labels: null },
    { Id: 'e', Names: null, Labels: { role: 'ids' } },
    { Id: '0123456789abcdef', Names: 7 }
  ])
  const select = (selector: ContainerSelector) =>
    selectContainers(list, [], [selector]).flatMap(({ id, details }) => (details === null ? [] : [id]))
  expect(select({ label: { key: 'role', value: 'ids' } })).toEqual(['a', 'e'])
  expect(select({ label: { key: 'role', value: 'a=b' } })).toEqual(['b'])
  expect(select({ label: { key: 'role', value: '' } })).toEqual([])
  expect(select({ compose: { project: 'shop', service: 'ids' } })).toEqual(['b'])
  expect(select({ compose: { project: 'shop', service: 'web' } })).toEqual([])
  // An entry that cannot be parsed may be one of them.
  expect(selectContainers(list, [], [{ container: 'zeek' }])).toMatchObject([
    { id: 'a', name: 'zeek' },
    { id: '0123456789abcdef', name: '0123456789ab' }
  ])
})
