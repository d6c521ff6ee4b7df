/** What people type who know Terraform, Compose, netplan, kubectl, systemctl, git, ip or tcpdump, and what spanplan has for it. */

/** What a word of another tool is here. */
export interface OtherCommand {
  /** Separated by spaces. */
  readonly words: string
  /** What is typed in its place, without "spanplan". */
  readonly type: string
  /** What that is for, before the command. Missing: it is the same command by another name. */
  readonly why?: string
  /** The command that helps is another program's: it is written as it is, and nothing is added. */
  readonly isWhole?: true
}

/** Commands. The first row that has a word counts. */
export const otherCommands: readonly OtherCommand[] = [
  { words: 'diff drift', type: 'plan --diff', why: 'to see what apply would change' },
  { words: 'preview dry-run dryrun simulate whatif what-if noop refresh show-plan', type: 'plan' },
  {
    words: 'up deploy create start restart reload run sync reconcile converge enforce provision make execute push set',
    type: 'apply'
  },
  { words: 'add new edit', type: 'apply', why: 'write it into the file, then' },
  { words: 'wizard setup configure quickstart bootstrap', type: 'init' },
  {
    words: 'interface interfaces nics cards links ports',
    type: 'init --list',
    why: 'to see the interfaces and what they carry'
  },
  { words: 'try', type: 'apply --rollback-after 2m', why: 'an apply that is rolled back unless you confirm it' },
  { words: 'replace taint recreate', type: 'apply', why: 'apply recreates what has to be, and asks before it does' },
  { words: 'down rm remove delete del stop kill teardown tear-down uninstall unapply', type: 'destroy' },
  { words: 'clean cleanup flush purge reset', type: 'destroy --all', why: 'to remove all that spanplan has made' },
  { words: 'prune', type: 'apply', why: 'apply removes what is not in the file any more' },
  {
    words:
      'list ls ps show get describe inspect info health healthcheck is-active spans sensors sources mirrors bridges outputs networks containers',
    type: 'status'
  },
  { words: 'summary brief overview', type: 'status --brief' },
  { words: 'top stats live counters tail', type: 'status --live' },
  { words: 'rates throughput bandwidth', type: 'status --since 1h', why: 'to see the rates of the last hour' },
  { words: 'json', type: 'status --json' },
  { words: 'logs log journal history audit', type: 'events', why: 'to see what the watch has done' },
  {
    words: 'enable install',
    type: 'systemctl enable --now spanplan.service',
    why: 'to apply at boot, and keep the host in sync',
    isWhole: true
  },
  {
    words: 'disable',
    type: 'systemctl disable --now spanplan.service',
    why: 'to end the watch of the service',
    isWhole: true
  },
  { words: 'monitor daemon serve agent follow service controller operator', type: 'watch' },
  { words: 'metrics exporter prometheus', type: 'watch --listen 127.0.0.1:9477', why: 'to serve metrics' },
  { words: 'test ping selftest self-test prove inject', type: 'probe', why: 'to see which ports get a frame' },
  { words: 'check lint syntax parse', type: 'validate' },
  {
    words: 'config fmt format cat render print output',
    type: 'validate --print',
    why: 'to print the file with all defaults'
  },
  { words: 'verify', type: 'plan --detailed-exitcode', why: 'to see whether the host matches the file' },
  { words: 'generate script commands', type: 'plan --commands', why: 'to see the exact commands' },
  { words: 'diagnose debug troubleshoot diag preflight', type: 'doctor' },
  { words: 'draw visualize visualise dot picture diagram svg', type: 'graph' },
  { words: 'discover detect scan migrate convert export', type: 'import' },
  { words: 'adopt', type: 'apply --adopt' },
  { words: 'hold cordon drain suspend freeze mute', type: 'pause --for 30m' },
  { words: 'unpause continue uncordon unfreeze thaw', type: 'resume' },
  { words: 'accept approve keep commit', type: 'confirm' },
  { words: 'undo revert restore abort cancel', type: 'rollback' },
  { words: 'sniff dump tcpdump tshark wireshark record pcap listen', type: 'capture' },
  { words: 'unlock force-unlock lock', type: 'help LOCKED', why: 'a lock ends with its process' },
  { words: 'explain schema fields keys syntax-help', type: 'help spans.yaml' },
  { words: 'env vars variables', type: 'help environment' },
  { words: 'man doc docs manual usage commands-list', type: 'help' },
  { words: 'ver version about', type: '--version' }
]

/** What an option of another tool is here. */
export interface OtherOption {
  /** Without dashes, separated by spaces. */
  readonly names: string
  /** The commands to which the row applies, separated by spaces. Missing: to all. */
  readonly of?: string
  /** What stands in its place; a value that was given comes after it. Empty: nothing. */
  readonly type: string
  /** Whether it has a value: the next word, if it is none of its own. */
  readonly hasValue?: true
  /** The value is the first argument, where there is no other. */
  readonly isFirst?: true
  /** The command that does this. */
  readonly command?: string
  readonly why?: string
  /** The line goes on with a pipe, to this program; the option is one of that. */
  readonly pipe?: string
}

/** Options. The first row that has the name, and the command, counts. */
export const otherOptions: readonly OtherOption[] = [
  {
    names: 'n nn nnn e v vv vvv x X xx XX A t tt ttt tttt ttttt q S K',
    of: 'capture',
    type: '',
    why: 'as tcpdump prints them',
    pipe: 'tcpdump'
  },
  {
    names: 'i interface span dev',
    of: 'capture',
    type: '',
    hasValue: true,
    isFirst: true,
    why: 'it captures a span, of whatever interfaces'
  },
  { names: 'i interface span dev', of: 'filter', type: '--on', hasValue: true },
  { names: 'filter', of: 'capture', type: '', hasValue: true },
  {
    names: 'dry-run dryrun n check noop what-if whatif preview simulate no-act plan-only just-print',
    of: 'apply',
    type: '',
    command: 'plan',
    why: 'to see what apply would do'
  },
  {
    names: 'dry-run dryrun n check noop what-if whatif preview simulate no-act',
    of: 'destroy',
    type: '',
    why: 'destroy shows what it would remove, and asks'
  },
  {
    names: 'dry-run dryrun n check noop what-if preview simulate no-act',
    of: 'plan validate status graph doctor import probe',
    type: '',
    why: 'it changes nothing anyway'
  },
  {
    names:
      'auto-approve autoapprove force assume-yes assumeyes no-confirm noconfirm non-interactive noninteractive no-input batch no-prompt f',
    of: 'apply destroy',
    type: '--yes'
  },
  {
    names: 'yes y auto-approve force assume-yes no-confirm',
    of: 'watch confirm rollback pause resume import hook',
    type: '',
    why: 'it asks nothing'
  },
  {
    names: 'destroy',
    of: 'plan apply',
    type: '',
    command: 'destroy',
    why: 'destroy shows what it would remove, and asks'
  },
  { names: 'refresh-only detailed', of: 'plan', type: '' },
  { names: 'target only select service only-span spans', type: '--span', hasValue: true },
  { names: 'name', of: 'plan apply status graph', type: '--span', hasValue: true },
  { names: 'span', of: 'pause resume events probe', type: '', hasValue: true },
  { names: 'config c filename input spec i files project-file', type: '--file', hasValue: true },
  { names: 'svg', of: 'graph', type: '--format svg' },
  { names: 'json j', of: 'graph import capture', type: '--json', command: 'status' },
  { names: 'output-json as-json', type: '--json' },
  { names: 'o output format', of: 'plan apply status validate doctor', type: '--json', hasValue: true },
  { names: 'o output save', of: 'capture', type: '--write', hasValue: true },
  { names: 'no-color no-colour nocolor', type: '--color never' },
  { names: 'colour', type: '--color', hasValue: true },
  { names: 'short s summary oneline one-line compact quiet q', of: 'status', type: '--brief' },
  { names: 'watch w follow tail refresh interval', of: 'status graph', type: '--live' },
  { names: 'last ago past history back', of: 'status', type: '--since', hasValue: true },
  { names: 'watch w follow daemon continuous loop', of: 'apply', type: '', command: 'watch' },
  { names: 'watch w follow', of: 'plan', type: '--dry-run', command: 'watch' },
  {
    names: 'remove-orphans orphans prune delete no-deps build quiet-pull detached d',
    of: 'apply plan destroy watch',
    type: '',
    why: 'that is so without it'
  },
  {
    names: 'all a A all-namespaces',
    of: 'plan apply status validate graph watch pause resume events probe',
    type: '',
    why: 'every span is meant without it'
  },
  { names: 'timeout', of: 'apply', type: '--rollback-after', hasValue: true },
  { names: 'timeout', of: 'capture filter', type: '--for', hasValue: true },
  { names: 'for last duration time period', of: 'events', type: '--since', hasValue: true },
  { names: 'duration time period', of: 'status graph pause capture filter', type: '--for', hasValue: true },
  { names: 'verbose v vv debug trace', of: 'plan', type: '--commands' },
  { names: 'verbose v vv vvv debug trace', type: '', why: 'it says already all that it knows' },
  { names: 'user system', type: '' }
]

/** Options that more than a few commands have: one that is without it needs none. */
export const commonOptions = '--file --span --json --color --insecure-file'

/** The option of a command that takes a duration that stands alone. */
export const durationOptions: Readonly<Record<string, string>> = {
  pause: '--for',
  status: '--for',
  capture: '--for',
  watch: '--interval',
  apply: '--rollback-after'
}

/** The option that another one needs. */
export const companions: Readonly<Record<string, string>> = { '--detach': '--rollback-after' }

/** An example of each value, by its placeholder. */
export const exampleValues: Readonly<Record<string, string>> = {
  path: 'spans.yaml',
  file: 'plan.json',
  span: 'span0',
  filter: 'tcp port 80',
  name: 'span0',
  duration: '30s',
  number: '20',
  address: '127.0.0.1:9477'
}

/** The same for the options whose value is another. */
export const exampleOptionValues: Readonly<Record<string, string>> = {
  'pause --for': '30m',
  'status --since': '12h',
  'apply --rollback-after': '2m',
  'apply --wait': '60s',
  'apply --install': 'spans.yaml',
  'plan --install': 'spans.yaml',
  'capture --write': 'span0.pcap',
  'capture --for': '10s',
  'destroy --name': 'default',
  'import --name': 'default',
  'filter --on': 'ens192',
  'filter --for': '10s',
  'hook --interface': 'ens192',
  'hook --phase': 'up'
}
