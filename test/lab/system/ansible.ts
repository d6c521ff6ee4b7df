/** Ansible on a lab's host that has a systemd: with the collection, built and installed as its README says. */
import { cp, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'
import * as z from 'zod'
import type { Lab } from '../lab.ts'
import { projectRoot } from '../programs.ts'
import { type Installed, install } from './installed.ts'
import { bootSystemd } from './systemd.ts'

/** On that host. */
const home = '/tmp/home'
const environment = [
  ...[`HOME=${home}`, 'LANG=C.UTF-8', 'ANSIBLE_LOCALHOST_WARNING=False', 'ANSIBLE_INVENTORY_UNPARSED_WARNING=False'],
  ...['ANSIBLE_NOCOLOR=1', 'PYTHONDONTWRITEBYTECODE=1', `ANSIBLE_ASYNC_DIR=${home}/async`],
  // Each task costs half the time.
  ...['ANSIBLE_PIPELINING=1', 'ANSIBLE_PYTHON_INTERPRETER=/usr/bin/python3']
]

export interface Ansible {
  readonly host: Installed
  /** The installed collection, as the host sees it. */
  readonly collection: string
  /** Runs a script on that host, in a home of its own; gives what it prints. */
  sh(script: string): Promise<string>
}

/** Makes such a host. /tmp/ansible has what is in test/lab/system/ansible. */
export async function makeAnsible(lab: Lab): Promise<Ansible> {
  const host = await install(lab)
  await mkdir(host.path(home), { recursive: true })
  await cp(join(projectRoot, 'ansible'), host.path(`${home}/spanplan`), { recursive: true })
  await cp(join(projectRoot, 'test/lab/system/ansible'), host.path('tmp/ansible'), { recursive: true })
  const systemd = await bootSystemd(lab, host)
  const sh = (script: string) => systemd.run(['env', ...environment, 'sh', '-euc', `cd ${home}\n${script}`])
  await sh(`ansible-galaxy collection build spanplan
    ansible-galaxy collection install --offline spanplan-*.tar.gz`)
  return { host, collection: `${home}/.ansible/collections/ansible_collections/spanplan/spanplan`, sh }
}

const playbookSchema = z.array(z.object({ tasks: z.array(z.object({ register: z.string().optional() })) }))

/** Plays a playbook of test/lab/system/ansible on the host; gives the answers of its tasks, by the names under which they register. */
export async function play({ host, sh }: Ansible, name: string): Promise<Record<string, unknown>> {
  const plays = playbookSchema.parse(parse(await readFile(join(projectRoot, 'test/lab/system/ansible', name), 'utf8')))
  const names = plays.flatMap(({ tasks }) => tasks.flatMap(({ register }) => register ?? []))
  await sh(`ansible-playbook -e '${JSON.stringify({ names })}' /tmp/ansible/${name}`)
  return z.record(z.string(), z.unknown()).parse(JSON.parse(await readFile(host.path('tmp/answers'), 'utf8')))
}
