/** The port of a container that was disconnected: that one is removed, and no other. */
import { join } from 'node:path'
import { build } from 'esbuild'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createLab, type Lab } from '../lab/lab.ts'

let lab: Lab
let inside: string

beforeAll(async () => {
  lab = await createLab({ cables: [] })
  inside = `${lab.name}-sw`
  const outfile = join(lab.files, 'left-port.mjs')
  const entryPoints = ['src/host/docker/left-port.ts']
  const banner = { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)" }
  await build({ entryPoints, outfile, banner, bundle: true, platform: 'node', format: 'esm' })
})
afterAll(() => lab?.close())

const addVeth = (name: string, peer: string, ...where: string[]) =>
  lab.run(['ip', 'link', 'add', 'name', name, 'type', 'veth', 'peer', 'name', peer, ...where])

async function links(): Promise<Record<string, number>> {
  const all: { ifname: string; ifindex: number }[] = JSON.parse(await lab.run(['ip', '-j', 'link']))
  return Object.fromEntries(all.filter(({ ifname }) => ifname !== 'lo').map((one) => [one.ifname, one.ifindex]))
}

const remove = (name: string, index: number | undefined) => {
  const script = `import { removeLeftPort } from './left-port.mjs'; await removeLeftPort(${JSON.stringify({ name, index })}, 'zeek')`
  const argv = [process.execPath, '--input-type=module', '--eval', script] as const
  return lab.run(['sh', '-c', 'cd "$0" && exec "$@"', lab.files, ...argv])
}

test('what has its name by now, or leads nowhere else, stays; so does what is called as its index is written', async () => {
  await addVeth('veth0', 'eth1', 'netns', inside)
  await addVeth('patch0', 'patch1')
  const { veth0 = 0, patch0 = 0 } = await links()
  await addVeth(`if${veth0}`, 'eth2', 'netns', inside)
  const all = await links()
  await remove('veth0', veth0 + 1000)
  await remove('patch0', patch0)
  await remove('veth9', veth0)
  expect(await links()).toEqual(all)

  await remove('veth0', veth0)
  const { veth0: _, ...others } = all
  expect(await links()).toEqual(others)
  await lab.run(['ip', 'link', 'del', 'dev', `if${veth0}`])
  await addVeth('veth0', 'eth1', 'netns', inside)
  await remove('veth0', (await links()).veth0)
  expect(Object.keys(await links()).sort()).toEqual(['patch0', 'patch1'])
})

test('what cannot be removed is named, with the command', async () => {
  await addVeth('veth0', 'eth1', 'netns', inside)
  const { veth0 } = await links()
  const script = `import { removeLeftPort } from './left-port.mjs'; await removeLeftPort({ name: 'veth0', index: ${veth0} }, 'zeek').catch((error) => console.log(JSON.stringify(error.diagnostics)))`
  const unable = ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin', process.execPath] as const
  const argv = [
    'sh',
    '-c',
    'cd "$0" && exec "$@"',
    lab.files,
    ...unable,
    '--input-type=module',
    '--eval',
    script
  ] as const
  const [diagnostic] = JSON.parse(await lab.run(argv))
  expect(diagnostic).toMatchObject({ code: 'PORT_LEFT', hint: 'remove the port: ip link del dev veth0' })
  expect(diagnostic.message).toMatch(/^zeek was disconnected, but .* by the port veth0: .*Operation not permitted$/s)
})
