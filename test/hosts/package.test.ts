/** On a userland of test/hosts, without a Node.js on the path: the package that has one of its own does the main job, and goes. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createLab, type Lab } from '../lab/lab.ts'
import { projectRoot } from '../lab/programs.ts'
import { expectHeard } from '../lab/spans.ts'

const { version }: { version: string } = JSON.parse(await readFile(join(projectRoot, 'package.json'), 'utf8'))
/** Where test/hosts/run has had it made. */
const packages = join(projectRoot, 'node_modules/.packages')

let lab: Lab

beforeAll(async () => {
  lab = await createLab({ docker: true })
  const file = join(lab.files, 'spans.yaml')
  await writeFile(file, 'version: 1\nspans: {span0: {sources: [{interface: ens192}], sensors: [suricata]}}\n')
})
afterAll(() => lab?.close())

/** A script on the userland, where no other Node.js is found. */
const sh = (script: string) =>
  lab.run(['env', `DOCKER_HOST=${lab.dockerHost}`, 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'sh', '-ec', script])

/** What a person does by hand, up to a sensor that hears. */
async function expectMainJob(spanplan: string): Promise<void> {
  const suricata = await lab.startSensor('suricata')
  const file = join(lab.files, 'spans.yaml')
  expect(await sh(`${spanplan} plan -f ${file}`)).toMatch(/\+ +mirror +ens192 ingress → span0/)
  expect(await sh(`${spanplan} apply --yes -f ${file}`)).toContain('Applied and verified')
  await expectHeard(lab, [suricata])
  expect(await sh(`${spanplan} plan -f ${file}`)).toContain('No changes')
  expect(await sh(`${spanplan} status -f ${file} --for 10ms || [ $? = 2 ]`)).toMatch(/mirror +ens192 ingress/)
  expect(await sh(`${spanplan} destroy --yes -f ${file}`)).toContain('Destroyed')
  await suricata.remove({ force: true })
}

test('no other Node.js is there', async () => {
  expect(await sh('command -v node || true')).toBe('')
})

test('the package is installed, does the main job, and is purged', async () => {
  await sh(`DEBIAN_FRONTEND=noninteractive dpkg --install ${packages}/spanplan_${version}_amd64.deb`)
  expect(await sh('spanplan --version')).toBe(`${version} (Debian package)`)
  await expectMainJob('spanplan')
  await sh('DEBIAN_FRONTEND=noninteractive dpkg --purge spanplan')
  expect(await sh('command -v spanplan || true')).toBe('')
})

test('the archive is unpacked anywhere, and does it too', async () => {
  const folder = join(lab.files, 'any where')
  await sh(`cp -a ${packages}/spanplan-${version}-linux-x64 '${folder}'`)
  await expectMainJob(`'${folder}/bin/spanplan'`)
})
