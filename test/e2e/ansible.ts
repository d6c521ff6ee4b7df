/** Ansible on a lab's host: the collection, built and installed as its README says. */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'
import * as z from 'zod'
import { type Installed, install } from './installed.ts'
import { projectRoot } from './lab/programs.ts'
import type { Lab } from './lab.ts'

export interface Ansible {
  readonly host: Installed
  /** The installed collection, as the host sees it. */
  readonly collection: string
  /** Runs a script with that host's programs, in a home of its own; gives what it prints. */
  sh(script: string): Promise<string>
}

/** Makes such a host. */
export async function makeAnsible(lab: Lab): Promise<Ansible> {
  const host = await install(lab)
  const home = join(lab.files, 'home')
  await mkdir(home)
  const environment = [
    ...[`HOME=${home}`, 'ANSIBLE_LOCALHOST_WARNING=False', 'ANSIBLE_INVENTORY_UNPARSED_WARNING=False'],
    ...['ANSIBLE_NOCOLOR=1', 'PYTHONDONTWRITEBYTECODE=1', `ANSIBLE_ASYNC_DIR=${home}/async`]
  ]
  const sh = (script: string) => lab.run([...host.inside, 'env', ...environment, 'sh', '-euc', `cd ${home}\n${script}`])
  await sh(`ansible-galaxy collection build --output-path built ${join(projectRoot, 'ansible')}
    ansible-galaxy collection install --offline built/*.tar.gz`)
  return { host, collection: join(home, '.ansible/collections/ansible_collections/spanplan/spanplan'), sh }
}

const playbookSchema = z.array(z.object({ tasks: z.array(z.object({ register: z.string().optional() })) }))

/** Plays a playbook of test/e2e/ansible on the host; gives the answers of its tasks, by the names under which they register. */
export async function play(lab: Lab, ansible: Ansible, name: string): Promise<Record<string, unknown>> {
  const playbook = join(projectRoot, 'test/e2e/ansible', name)
  const plays = playbookSchema.parse(parse(await readFile(playbook, 'utf8')))
  const names = plays.flatMap(({ tasks }) => tasks.flatMap(({ register }) => register ?? []))
  await ansible.sh(`ansible-playbook -e '${JSON.stringify({ folder: lab.files, names })}' ${playbook}`)
  return z.record(z.string(), z.unknown()).parse(JSON.parse(await readFile(join(lab.files, 'answers'), 'utf8')))
}
