/** A fleet of four hosts, with the files of examples/fleet: Ansible runs them over ssh, and one pulls by itself. */
import { readFile, writeFile } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import type Docker from 'dockerode'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Outcome } from '../lab/lab.ts'
import { expectHeard, until } from '../lab/spans.ts'
import { type Fleet, type FleetHost, makeFleet } from '../lab/system/fleet.ts'

const names = ['fra1', 'fra2', 'ams1', 'ams2'] as const
type Name = (typeof names)[number]

let fleet: Fleet
let suricata: Docker.Container

beforeAll(async () => {
  fleet = await makeFleet({
    hosts: { fra1: { docker: true }, fra2: { docker: true }, ams1: { docker: false }, ams2: { docker: false } }
  })
  ;[suricata] = await Promise.all([
    fleet.host('fra1').lab.startListener('suricata'),
    fleet.host('fra2').lab.startListener('suricata')
  ])
})
afterAll(() => fleet?.close())

const host = (name: Name): FleetHost => fleet.host(name)

/** The end of a playbook, by host: what it counts, where it is not 0. */
type Recap = Readonly<Record<string, Readonly<Record<string, number>>>>

function readRecap({ stdout }: Outcome): Recap {
  const lines = stdout.matchAll(/^(\w+) +: (ok=.*)$/gm)
  const counts = (text: string) =>
    [...text.matchAll(/(\w+)=(\d+)/g)].map(([, what = '', count]) => [what, Number(count)] as const)
  const isTold = ([what, count]: readonly [string, number]) => count > 0 && !['ok', 'skipped', 'ignored'].includes(what)
  return Object.fromEntries(
    [...lines].map(([, name = '', text = '']) => [name, Object.fromEntries(counts(text).filter(isTold))])
  )
}

/** An option that leaves out what takes long, and has happened before. */
const installed = '-e spanplan_package='

/** Less patience than the example's ansible.cfg has with a new connection, and more with a slow machine. */
const patience =
  "export ANSIBLE_TIMEOUT=60 ANSIBLE_SSH_ARGS='-o ControlMaster=auto -o ControlPersist=60s -o ConnectTimeout=5 -o ServerAliveInterval=10'"

/** Runs a playbook, which has to exit as said, and to say so of each host. */
async function play(argv: string, expected: Recap, exitCode = 0): Promise<string> {
  const outcome = await fleet.run(`${patience}; ansible-playbook ${argv}`)
  const recap = readRecap(outcome)
  const journals = isDeepStrictEqual(recap, expected) ? [] : await Promise.all(names.map(readJournal))
  const told = [`ansible-playbook ${argv}`, outcome.stdout, outcome.stderr, ...journals].join('\n')
  expect({ recap, exitCode: outcome.exitCode }, told).toEqual({ recap: expected, exitCode })
  return outcome.stdout
}

const readJournal = (name: Name) => host(name).sh('hostname; journalctl --no-hostname --lines=60')

const spansFile = (name: Name) => host(name).sh('cat /etc/spanplan/spans.yaml')
const hasLink = async (name: Name, link: string) => (await host(name).sh('ip -o link')).includes(`: ${link}: `)
const isMirrored = async (name: Name, card: string) =>
  (await host(name).sh(`tc filter show dev ${card} ingress`)).includes('mirred')
/** Spans that a host has besides its site's, each with the second card as its source. */
const writeOwn = (name: Name, ...spans: readonly string[]) => {
  const own = Object.fromEntries(spans.map((span) => [span, { sources: [{ interface: 'ens224' }] }]))
  return fleet.write(`inventory/host_vars/${name}.yaml`, JSON.stringify({ spans_of_host: own }))
}
/** The whole state of hosts that a playbook may change. */
const snapshots = async (...which: readonly Name[]) =>
  Promise.all(which.map(async (name) => [await host(name).lab.snapshotText(), await spansFile(name)]))

test('the first run installs the package and applies; the second changes nothing', async () => {
  const site = `site.yml -e spanplan_package=${fleet.package}`
  const changed = { changed: 4 }
  await play(site, { fra1: changed, fra2: changed, ams1: changed, ams2: changed })
  for (const name of names) expect(await host(name).sh('systemctl is-active spanplan.service')).toBe('active')
  expect(await spansFile('fra2')).toMatch(/ens224[\s\S]*suricata/)
  expect(await spansFile('ams2')).not.toContain('suricata')
  await expectHeard(host('fra1').lab, [suricata], { span: 'core' })
  await play(site, { fra1: {}, fra2: {}, ams1: {}, ams2: {} })
})

describe('a change', () => {
  const site = 'inventory/group_vars/frankfurt.yaml'

  test('is shown by --check --diff, which changes nothing', async () => {
    const { stdout } = await fleet.run(`sed -i 's/not port 22/not port 23/' ${site}; cat ${site}`)
    expect(stdout).toContain('not port 23')
    const before = await snapshots('fra1', 'ams1')
    const argv = `site.yml --check --diff ${installed} --limit fra1,ams1`
    const shown = await play(argv, { fra1: { changed: 1 }, ams1: {} })
    expect(shown).toMatch(/^-.*not port 22/m)
    expect(shown).toMatch(/^\+.*not port 23/m)
    expect(await snapshots('fra1', 'ams1')).toEqual(before)
  })

  test('in a bad file fails that host alone; drift is repaired', async () => {
    await fleet.write(
      'inventory/host_vars/ams1.yaml',
      '{spans_of_host: {core: {sources: [{interface: ens192, direction: inwards}]}}}'
    )
    const before = await snapshots('ams1')
    // Of a host whose watch does not run.
    await host('ams2').sh('systemctl stop spanplan.service; tc filter del dev ens192 ingress')
    // The mirror, and the service.
    const repaired = { changed: 2 }
    const recap = { fra1: { changed: 1 }, fra2: {}, ams1: { failed: 1 }, ams2: repaired }
    expect(await play(`site.yml ${installed}`, recap, 2)).toMatch(/^spec:8:20: direction in span "core" must be /m)
    expect(await isMirrored('ams2', 'ens192')).toBe(true)
    expect(await spansFile('fra1')).toContain('not port 23')
    expect(await snapshots('ams1')).toEqual(before)
    await writeOwn('ams1')
  })
})

test('drift and health are in one table, also of a host that is away; that host goes on by itself', async () => {
  // Nothing is left of the last run's connections.
  await fleet.run('rm -f /root/.ansible/cp/*')
  await fleet.setLine('fra2', 'down')
  await host('fra2').sh('tc filter del dev ens224 ingress')
  await host('ams2').sh('systemctl stop spanplan.service; tc filter del dev ens192 ingress')
  const stdout = await play('drift.yml', { fra1: {}, fra2: { failed: 1 }, ams1: {}, ams2: { failed: 1 } }, 2)
  expect(stdout).toMatch(/"ams1 .* in sync +healthy/)
  expect(stdout).toMatch(/"ams2 .* drift +unhealthy/)
  expect(stdout).toMatch(/"fra2 .*cannot be reached/)
  await until('the watch has repaired the host that is away', () => isMirrored('fra2', 'ens224'))
  await fleet.setLine('fra2', 'up')
  await host('ams2').sh('systemctl start spanplan.service')
})

describe('a window', () => {
  /** Once the change makes the bridge, this runs on the host; and once that is gone, the other. */
  function onBridge(bridge: string, appears: string, goes = ':'): void {
    const { lab } = host('ams1')
    const script = `ip -o monitor link | while read -r line; do case $line in
      Deleted*": ${bridge}: "*) ${goes}; exit;;
      *": ${bridge}: "*) [ "$done" ] || ${appears}; done=1;;
    esac; done`
    lab.start(['sh', '-c', script])
  }
  const cut = 'ip link set dev mgmt0 down'
  /** The change is made, and a unit waits. */
  const isOpen = async () => {
    const status = JSON.parse(await host('ams1').sh('spanplan status --json --for=100ms || [ $? = 2 ]'))
    return status.window !== null
  }
  /** A run whose change waits for its confirmation, for ten minutes. */
  async function openWindow(): Promise<void> {
    const argv = `site.yml --limit ams1 ${installed} -e spanplan_rollback_after=10m`
    const run = fleet.start(`exec ansible-playbook ${argv}`)
    const ended = run.then(
      ({ stdout }) => `the run has ended:\n${stdout}`,
      ({ message }) => `the run has failed:\n${message}`
    )
    const opened = until('the change waits for its confirmation', isOpen).then(() => null)
    const problem = await Promise.race([opened, ended])
    expect(problem, await readJournal('ams1')).toBe(null)
  }

  test('in which no new connection gets through: the change is taken back, and with that the line is back', async () => {
    await writeOwn('ams1', 'extra')
    const before = await spansFile('ams1')
    const rules =
      'table inet cut {\nchain input {\ntype filter hook input priority 0;\ntcp flags & (syn | ack) == syn drop\n}\n}\n'
    await writeFile(`${host('ams1').lab.files}/cut.nft`, rules)
    onBridge('extra', `nft -f ${host('ams1').lab.files}/cut.nft`, 'nft delete table inet cut')
    const argv = `site.yml --limit ams1 ${installed} -e spanplan_rollback_after=5s`
    expect(await play(argv, { ams1: { failed: 1 } }, 2)).toContain('The change was taken back')
    expect(await hasLink('ams1', 'extra')).toBe(false)
    expect(await spansFile('ams1')).toBe(before)
  })

  test('whose node is killed does not block the next run', async () => {
    onBridge('extra', cut)
    await openWindow()
    await fleet.killNode()
    await host('ams1').lab.run(['ip', 'link', 'set', 'dev', 'mgmt0', 'up'])
    await play(`site.yml --limit ams1 ${installed}`, { ams1: { changed: 1 } })
    expect(await hasLink('ams1', 'extra')).toBe(true)
    expect(await spansFile('ams1')).toContain('extra')
  })

  test('in which the host boots again: the old file, and the old state', async () => {
    await writeOwn('ams1', 'extra', 'more')
    onBridge('more', cut)
    await openWindow()
    await host('ams1').reboot()
    await fleet.killNode()
    await host('ams1').lab.run(['ip', 'link', 'set', 'dev', 'mgmt0', 'up'])
    await until('the old state is back', () => hasLink('ams1', 'extra'))
    expect(await hasLink('ams1', 'more')).toBe(false)
    expect(await spansFile('ams1')).not.toContain('more')
  })
})

test('a canary that turns unhealthy stops the rollout', async () => {
  const { lab } = host('ams1')
  await writeOwn('ams1')
  await fleet.run("sed -i 's/Core switch/The core switch/' inventory/group_vars/*.yaml")
  await lab.run(['ip', 'link', 'set', 'dev', 'sw0', 'down'], { on: 'switch' })
  const before = await snapshots('fra1', 'fra2', 'ams2')
  const roll = `rollout.yml ${installed} -e health_retries=1 -e health_delay=1`
  expect(await play(roll, { ams1: { changed: 1, failed: 1 } }, 2)).toContain('ens192 has no carrier')
  expect(await snapshots('fra1', 'fra2', 'ams2')).toEqual(before)
  await lab.run(['ip', 'link', 'set', 'dev', 'sw0', 'up'], { on: 'switch' })
  await play(`${roll} --limit ams1,ams2`, { ams1: {}, ams2: { changed: 1 } })
})

test('a host that cannot be reached stops the rollout', async () => {
  await fleet.run('rm -f /root/.ansible/cp/*')
  await fleet.setLine('fra2', 'down')
  const before = await snapshots('ams2')
  const roll = `rollout.yml ${installed} -e rollout_serial=2 -e health_retries=1`
  const recap = { ams1: {}, fra1: { changed: 1, failed: 1 }, fra2: { unreachable: 1 } }
  expect(await play(roll, recap, 2)).toContain('failed, or cannot be reached: fra2')
  expect(await snapshots('ams2')).toEqual(before)
  await fleet.setLine('fra2', 'up')
})

test('a file without a text is refused at once, over whatever connection', async () => {
  const argv = `ansible ams2 --become --module-name spanplan.spanplan.apply --args '{"spec": ""}'`
  const { stdout, exitCode } = await fleet.run(`${patience} ANSIBLE_PIPELINING=0; timeout 120 ${argv}`)
  expect([stdout, exitCode]).toEqual([expect.stringContaining('"code": "FILE_EMPTY"'), 2])
})

describe('ansible-pull', () => {
  const unit = 'spanplan-ansible-pull.service'
  const pull = () =>
    host('fra2')
      .sh(`systemctl start ${unit}`)
      .then(
        () => true,
        () => false
      )
  /** Runs git where somebody has the repository. */
  const git = async (script: string) => {
    const { exitCode, stderr } = await fleet.run(script)
    expect(exitCode, stderr).toBe(0)
  }

  beforeAll(async () => {
    await git(`echo 'spanplan_package: ""' >inventory/group_vars/all.yaml
for key in ops stranger; do ssh-keygen -q -t ed25519 -N '' -f "/root/$key"; done
git init -q -b main
git config user.name Ops
git config user.email ops@example.org
git config gpg.format ssh
git config user.signingKey /root/ops.pub
git config commit.gpgSign true
git init -q --bare -b main /srv/git/fleet.git
git add -A
git commit -q -m 'Begin'
git push -q /srv/git/fleet.git main`)
    fleet.start('exec git daemon --listen=192.0.2.1 --base-path=/srv/git --export-all')
    const { stdout: key } = await fleet.run('cat /root/ops.pub')
    await host('fra2').write(`/etc/systemd/system/${unit}`, await readFile(`examples/fleet/systemd/${unit}`, 'utf8'))
    expect(await host('fra2').sh(`systemd-analyze verify --man=no /etc/systemd/system/${unit} 2>&1 || true`)).toBe('')
    await host('fra2').sh(`mkdir /etc/spanplan-pull
echo 'ops@example.org ${key}' >/etc/spanplan-pull/allowed_signers
echo 'REPOSITORY=git://node/fleet.git' >/etc/spanplan-pull/environment
systemctl daemon-reload`)
  })

  test('takes what is signed', async () => {
    expect(await pull(), await host('fra2').sh(`journalctl --output=cat --unit=${unit}`)).toBe(true)
    expect(await spansFile('fra2')).toContain('The core switch')
    expect(await isMirrored('fra2', 'ens224')).toBe(true)
  })

  test('takes nothing that is signed with what root has of OpenPGP', async () => {
    // It finds every signature good.
    const gpg = `#!/bin/sh
cat >/dev/null
case "$*" in
*--verify*) printf '\\n[GNUPG:] GOODSIG 0123456789ABCDEF Somebody\\n' ;;
*) printf '\\n[GNUPG:] SIG_CREATED D\\n' >&2
  printf '%s\\n' '-----BEGIN PGP SIGNATURE-----' '' 'AAAA' '-----END PGP SIGNATURE-----' ;;
esac
`
    await fleet.write('/usr/local/bin/gpg', gpg)
    await host('fra2').write('/usr/local/bin/gpg', gpg)
    await host('fra2').sh('chmod 755 /usr/local/bin/gpg')
    await git(`chmod 755 /usr/local/bin/gpg
git -c gpg.format=openpgp -c user.signingKey=0123456789ABCDEF commit -q --allow-empty -m 'Signed otherwise'
git push -q /srv/git/fleet.git refs/heads/main`)
    expect(await pull()).toBe(false)
    await host('fra2').sh(`cd /var/lib/spanplan-pull/clone
git -c safe.directory=/var/lib/spanplan-pull/clone verify-commit refs/remotes/origin/main`)
    await host('fra2').sh('rm /usr/local/bin/gpg')
  })

  test('takes nothing of what is not, and executes nothing of it', async () => {
    // A tag with the branch's name is on what is signed, and comes along.
    await git(
      `git commit -q --allow-empty -m 'Mark' && git tag main && git push -q /srv/git/fleet.git refs/heads/main refs/tags/main`
    )
    expect(await pull()).toBe(true)
    const before = await snapshots('fra2')
    await git(`git config user.signingKey /root/stranger.pub
sed -i 's/not port 22/not port 24/' inventory/host_vars/fra2.yaml
printf '#!/bin/sh\\ntouch /root/executed\\n' >inventory/strange.sh
chmod 755 inventory/strange.sh
git add -A
git commit -q -m 'Not ours'
git push -q /srv/git/fleet.git refs/heads/main`)
    // The second time, it is checked out already.
    for (const _ of [1, 2]) expect(await pull()).toBe(false)
    expect(await host('fra2').sh(`journalctl --output=cat --unit=${unit}`)).toContain('No principal matched')
    expect(await host('fra2').sh('ls /root')).not.toContain('executed')
    expect(await snapshots('fra2')).toEqual(before)
  })
})

test('the role installs from a URL or from apt, and has a host follow a repository of spans', async () => {
  const { stdout: file } = await fleet.run(`mkdir -p /srv/www
cp ${fleet.package} /srv/www
cd /srv/www
file=$(echo *.deb)
{ dpkg-deb --field "$file"
printf 'Filename: ./%s\\nSize: %s\\nSHA256: %s\\n' "$file" "$(stat --format=%s "$file")" "$(sha256sum "$file" | cut -c 1-64)"
} >Packages
git init -q --bare -b main spans.git
git clone -q spans.git /srv/spans
ssh-keygen -q -t ed25519 -N '' -C '' -f /root/spans
git -C /srv/spans config gpg.format ssh
git -C /srv/spans config user.signingKey /root/spans.pub
git -C /srv/spans config commit.gpgSign true
echo "$file"`)
  const { stdout: key } = await fleet.run('cat /root/spans.pub')
  /** What somebody pushes to the repository. */
  const push = async (text: string) => {
    await fleet.write('/srv/spans/core.yaml', text)
    const { exitCode, stderr } = await fleet.run(`cd /srv/spans
git add core.yaml
git -c user.name=Ops -c user.email=ops@example.org commit -q -m 'Change the core'
git push -q origin HEAD:main
git -C /srv/www/spans.git update-server-info`)
    expect(exitCode, stderr).toBe(0)
  }
  await push('{version: 1, spans: {core: {sources: [{interface: ens192}]}}}\n')
  fleet.start('exec python3 -m http.server --bind 192.0.2.1 --directory /srv/www 8000')
  const purge = 'DEBIAN_FRONTEND=noninteractive apt-get purge --yes spanplan'
  await host('ams2').sh(`systemctl stop spanplan.service
spanplan destroy --all --yes
${purge}
rm -r /etc/spanplan /etc/apt/sources.list*
echo 'deb [trusted=yes] http://node:8000 ./' >/etc/apt/sources.list`)

  await fleet.write('follow.yml', '[{hosts: all, gather_facts: false, roles: [spanplan.spanplan.spanplan]}]')
  const vars = {
    spanplan_repository: 'http://node:8000/spans.git',
    spanplan_allowed_signers: `ops@example.org ${key.trim()}\n`
  }
  const site = `follow.yml --inventory ams2, -e '${JSON.stringify(vars)}'`
  // The package, the keys and their folder, the clone, the spans, the watch and the timer.
  await play(`${site} -e spanplan_package=http://node:8000/${file}`, { ams2: { changed: 7 } })
  expect(await isMirrored('ams2', 'ens192')).toBe(true)
  await host('ams2').sh(`${purge}\napt-get update`)
  // The keys, the clone and the spans have stayed.
  await play(site, { ams2: { changed: 3 } })
  await play(site, { ams2: {} })
  await push('{version: 1, spans: {core: {sources: [{interface: ens224}]}}}\n')
  await host('ams2').sh('systemctl start spanplan-pull.service')
  await until('the watch has applied what was pulled', async () => !(await isMirrored('ams2', 'ens192')))
  expect(await isMirrored('ams2', 'ens224')).toBe(true)
})
