/** A real systemd with its journal, as the first process of a host on which spanplan is installed; it knows no other units than those given. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Argv, Lab, RunOptions } from '../lab.ts'
import { until } from '../spans.ts'
import type { Installed } from './installed.ts'

/** What units are after, and wanted by: without what a whole system has in them. */
const targets = ['sysinit', 'basic', 'shutdown', 'multi-user', 'network', 'network-online', 'timers']

/** The journal, kept in /run. It hears what services say, and nothing of the machine's own kernel. */
const journal = {
  'system/systemd-journald.service': `[Unit]
DefaultDependencies=no
[Service]
Type=notify
ExecStart=/usr/lib/systemd/systemd-journald
StandardOutput=null
StandardError=null
`,
  'journald.conf': '[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\nRateLimitBurst=0\n'
}

/** systemd's own default. */
const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin'

/** Into a cgroup of the lab's own, beside those of its containers, which systemd then takes for the root. */
const enter = `set -e
mkdir -p /run/cgroup /run/systemd
mount -t cgroup2 cgroup2 /run/cgroup
mkdir -p "/run/cgroup/$1/systemd"
echo $$ >"/run/cgroup/$1/systemd/cgroup.procs"
umount /run/cgroup
exec unshare --fork --kill-child --pid --mount --propagation slave --uts --ipc --cgroup sh -c "$2" "$0" "$3" "$4" "$5"`

/**
 * Of the kernel's settings it may change the network's alone. Its /tmp is the lab's, but for Docker's socket and what Docker
 * keeps for as long as it runs: that is in /run/docker, and also where the lab's Docker says that it is.
 */
const boot = `set -e
if [ -n "$1" ]; then
  touch /run/docker.sock
  mount --bind "$1" /run/docker.sock
  mkdir /run/docker
  mount --rbind "$2" /run/docker
fi
read -r pid rest </proc/self/stat
echo "$pid" >/run/systemd.pid
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount --bind /proc/sys/net /proc/sys/net
mount -o remount,bind,ro /proc/sys
umount --recursive /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind "$0/tmp" /var/tmp
mount --bind "$0/tmp" /tmp
if [ -n "$1" ]; then
  mkdir -p "$2"
  mount --rbind /run/docker "$2"
fi
exec env -i container=lab PATH=${path} SYSTEMD_UNIT_PATH="$3" \
  /usr/lib/systemd/systemd --system --unit=multi-user.target --log-target=console --show-status=no`

export interface Systemd {
  /** Runs a command as somebody on that host would: `systemctl` and the like. */
  run(argv: Argv, options?: RunOptions): Promise<string>
  /** Cuts the host's power: every process is gone at once. */
  cutPower(): Promise<void>
}

/** Where units are: the administrator's, and then the packages', for a host that has some. */
const ownUnits = '/etc/systemd/system'
export const allUnits = `${ownUnits}:/usr/lib/systemd/system`

/** spanplan's services have a /tmp of their own, and the lab's Docker says that its folder of network namespaces is in /tmp. */
async function showNamespaces(lab: Lab, host: Pick<Installed, 'path'>): Promise<void> {
  const settings = `[Service]\nBindReadOnlyPaths=-/run/docker/netns:${join(lab.dockerState, 'netns')}\n`
  for (const unit of ['spanplan.service', 'spanplan-apply.service']) {
    await mkdir(host.path(`etc/systemd/system/${unit}.d`), { recursive: true })
    await writeFile(host.path(`etc/systemd/system/${unit}.d/lab.conf`), settings)
  }
}

/** Boots it; it ends with the lab. */
export async function bootSystemd(
  lab: Lab,
  host: Pick<Installed, 'inside' | 'path'>,
  unitPath = ownUnits
): Promise<Systemd> {
  await mkdir(host.path('tmp'), { recursive: true })
  await mkdir(host.path('etc/systemd/system'), { recursive: true })
  // Without it, this is a machine's first boot, and systemd enables every unit that it knows.
  await writeFile(host.path('etc/machine-id'), `${'0123456789abcdef'.repeat(2)}\n`)
  for (const target of targets) {
    const text = `[Unit]\nDescription=${target}\nDefaultDependencies=no\n`
    await writeFile(host.path(`etc/systemd/system/${target}.target`), text)
  }
  for (const [name, text] of Object.entries(journal)) await writeFile(host.path(`etc/systemd/${name}`), text)
  if (lab.hasDocker) await showNamespaces(lab, host)
  const docker = lab.hasDocker ? [lab.dockerHost.replace('unix://', ''), lab.dockerState] : ['', '']
  const argv = ['sh', '-c', enter, host.path(''), lab.name, boot, ...docker, unitPath] as const
  const first = lab.start([...host.inside, ...argv])
  let said = ''
  first.stderr.on('data', (chunk) => {
    said += chunk
  })
  const readPid = async () => (await readFile(host.path('run/systemd.pid'), 'utf8')).trim()
  const run = async (argv: Argv, options: RunOptions = {}) => {
    const pid = await readPid()
    const there = [
      `--target=${pid}`,
      '--mount',
      '--root',
      '--wd',
      '--pid',
      '--uts',
      '--cgroup',
      '--',
      'env',
      '-i',
      `PATH=${path}`
    ]
    return lab.run(['nsenter', ...there, ...argv], options)
  }
  const isUp = () =>
    run(['systemctl', 'is-active', 'multi-user.target']).then(
      () => true,
      () => false
    )
  await until('systemd is up', isUp).catch((error: Error) => {
    throw new Error(`${error.message}:\n${said}`)
  })
  await run(['systemctl', 'start', 'systemd-journald.service'])
  const cutPower = async () => {
    process.kill(Number(await readPid()), 'SIGKILL')
    await first.catch(() => undefined)
  }
  return { run, cutPower }
}
