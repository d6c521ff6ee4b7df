import { Exit, type ExitCode } from '../../errors.ts'
import type { Variable } from './environment.ts'

/** What the help of a command, and its man page, say beside its options. */
export interface CommandHelp {
  /** Command lines, each with what it does. */
  readonly examples: readonly (readonly [does: string, run: string])[]
  /** The statuses with which it exits, beside those of every command. */
  readonly exits: readonly ExitCode[]
  readonly environment: readonly Variable[]
  /** It prints a plan. */
  readonly hasPlan?: true
}

/** The statuses of every command. */
export const commonExits: readonly ExitCode[] = [Exit.done, Exit.error, Exit.usage, Exit.bug]

const { changes, unhealthy, stale, partial, rolledBack, incomplete, invalidFile, locked, missingRight } = Exit
const interrupted = [Exit.interrupted, Exit.terminated]
const colours: readonly Variable[] = ['NO_COLOR', 'FORCE_COLOR']
const file: readonly Variable[] = ['SPANPLAN_FILE', 'SUDO_UID']

/** What the commands that change a host have in common. */
const host: readonly Variable[] = [...file, 'SPANPLAN_RUN_DIR', 'DOCKER_HOST', ...colours]

/** By the name of the command. */
export const commandHelp: Readonly<Record<string, CommandHelp>> = {
  init: {
    examples: [
      ['Which interface is on the mirror port? Choose, and write ./spans.yaml:', 'sudo spanplan init'],
      ['Only list the interfaces:', 'sudo spanplan init --list'],
      ['Ask nothing:', 'sudo spanplan init --interface ens192 --file /etc/spanplan']
    ],
    exits: [],
    environment: ['SPANPLAN_FILE', 'DOCKER_HOST', 'SUDO_UID', ...colours]
  },
  validate: {
    examples: [
      ['Check ./spans.yaml, or what is in /etc/spanplan:', 'spanplan validate'],
      ['Check a file before it is committed:', 'spanplan validate spans.yaml'],
      ['Show all files together, with every default:', 'spanplan validate --print']
    ],
    exits: [invalidFile],
    environment: ['SPANPLAN_FILE', ...colours]
  },
  plan: {
    examples: [
      ['Show what apply would do with ./spans.yaml:', 'sudo spanplan plan'],
      ['Save the plan, to apply exactly that later:', 'sudo spanplan plan --out plan.json'],
      ['Report drift by the exit status, as for cron:', 'sudo spanplan plan --detailed-exitcode']
    ],
    exits: [changes, invalidFile, missingRight],
    environment: host,
    hasPlan: true
  },
  apply: {
    examples: [
      ['Apply ./spans.yaml; it asks before it removes or recreates anything:', 'sudo spanplan apply'],
      ['The same, rolled back after two minutes unless confirmed:', 'sudo spanplan apply --rollback-after 2m'],
      [
        'Apply a new file, and put it in its place once that is confirmed:',
        'sudo spanplan apply -f new.yaml --install spans.yaml --rollback-after 2m'
      ],
      ['Apply a saved plan, as it was shown or not at all:', 'sudo spanplan apply plan.json']
    ],
    exits: [changes, stale, partial, rolledBack, incomplete, invalidFile, locked, missingRight, ...interrupted],
    environment: host,
    hasPlan: true
  },
  destroy: {
    examples: [
      ['Remove what ./spans.yaml made, and give the interfaces back:', 'sudo spanplan destroy'],
      ['Remove one span:', 'sudo spanplan destroy --span span0'],
      ['Remove all that spanplan ever made on this host; needs no file:', 'sudo spanplan destroy --all']
    ],
    exits: [changes, partial, rolledBack, invalidFile, locked, missingRight, ...interrupted],
    environment: host,
    hasPlan: true
  },
  watch: {
    examples: [
      ['Apply /etc/spanplan, and keep the host in sync with it:', 'sudo spanplan watch -f /etc/spanplan'],
      ['The same, with metrics for Prometheus:', 'sudo spanplan watch --listen 127.0.0.1:9477'],
      ['And probe every minute whether each port gets frames:', 'sudo spanplan watch --probe-interval 1m'],
      ['Only report drift:', 'sudo spanplan watch --dry-run']
    ],
    exits: [invalidFile, locked, missingRight],
    environment: [...host, 'NOTIFY_SOCKET', 'WATCHDOG_USEC', 'JOURNAL_STREAM']
  },
  status: {
    examples: [
      ['Is it healthy, and where are frames lost?', 'sudo spanplan status'],
      ['A line for each span, the unhealthy ones first:', 'sudo spanplan status --brief'],
      ['Count for ten seconds, for one span:', 'sudo spanplan status --span span0 --for 10s'],
      ['Look on until you type q:', 'sudo spanplan status --live'],
      ['When was it silent, and when were frames lost, last night?', 'sudo spanplan status --since 12h']
    ],
    exits: [unhealthy, invalidFile],
    environment: host
  },
  events: {
    examples: [
      ['What has the watch done and found in the last hour?', 'sudo spanplan events --since 1h'],
      ['And of span0 alone, in a day:', 'sudo spanplan events span0']
    ],
    exits: [],
    environment: ['SPANPLAN_RUN_DIR', ...colours]
  },
  probe: {
    examples: [
      ['Does every port of every span get what is sent into it?', 'sudo spanplan probe'],
      ['Of span0 alone, for a program:', 'sudo spanplan probe span0 --json']
    ],
    exits: [unhealthy, invalidFile, missingRight],
    environment: host
  },
  capture: {
    examples: [
      ['Show the next 20 frames that sensors on span0 get:', 'sudo spanplan capture span0 -c 20'],
      ['For ten seconds, and how many there were:', 'sudo spanplan capture span0 --for 10s'],
      ['Only those of one host, without SSH:', "sudo spanplan capture span0 'host 192.0.2.1 and not port 22'"],
      ['Write them to a file, for Wireshark:', 'sudo spanplan capture span0 -c 1000 -w span0.pcap']
    ],
    exits: [invalidFile, missingRight],
    environment: host
  },
  filter: {
    examples: [
      [
        'How many frames of ens192 would it take, and of which kinds?',
        "sudo spanplan filter test 'tcp port 443' --on ens192"
      ],
      ['Of those on a span, for a minute:', "sudo spanplan filter test 'not port 22' --on span0 --for 1m"]
    ],
    exits: [],
    environment: colours
  },
  pause: {
    examples: [
      ['Leave span0 alone for half an hour:', 'sudo spanplan pause span0 --for 30m'],
      ['Leave all spans alone:', 'sudo spanplan pause --for 2h']
    ],
    exits: [invalidFile, missingRight],
    environment: [...file, 'SPANPLAN_RUN_DIR', ...colours]
  },
  resume: {
    examples: [
      ['End the pause of span0:', 'sudo spanplan resume span0'],
      ['End every pause, and have the watch try at once what it left alone:', 'sudo spanplan resume']
    ],
    exits: [missingRight],
    environment: ['SPANPLAN_RUN_DIR', ...colours]
  },
  confirm: {
    examples: [
      ['Apply, and then, from another session, keep what was done:', 'sudo spanplan apply --rollback-after 2m'],
      ['', 'sudo spanplan confirm']
    ],
    exits: [partial, rolledBack, missingRight],
    environment: ['SPANPLAN_RUN_DIR', ...colours]
  },
  rollback: {
    examples: [
      ['Apply, and then, from another session, take it back:', 'sudo spanplan apply --rollback-after 2m'],
      ['', 'sudo spanplan rollback']
    ],
    exits: [partial, missingRight],
    environment: ['SPANPLAN_RUN_DIR', ...colours]
  },
  import: {
    examples: [
      ['Write a file for the mirrors that are there:', 'sudo spanplan import >spans.yaml'],
      ['Then look at what would be taken over:', 'sudo spanplan plan -f spans.yaml --adopt'],
      ['Write a file for the spans of one name:', 'sudo spanplan import --name b >b.yaml']
    ],
    exits: [missingRight],
    environment: ['DOCKER_HOST', ...colours]
  },
  hook: {
    examples: [
      ['In a stanza of /etc/network/interfaces:', 'up spanplan hook'],
      ['By hand, as if ens192 had come up:', 'sudo spanplan hook --interface ens192 --phase up --strict']
    ],
    exits: [partial, rolledBack, invalidFile, locked, missingRight, ...interrupted],
    environment: [...file, 'SPANPLAN_RUN_DIR', 'IFACE', 'PHASE', 'MODE']
  },
  graph: {
    examples: [
      ['Draw the live spans in the terminal:', 'sudo spanplan graph'],
      ['Draw what a file says, without reading the host:', 'spanplan graph -f spans.yaml --file-only'],
      ['With rates, each second until you type q:', 'sudo spanplan graph --live'],
      ['As a picture, with the rates of ten seconds:', 'sudo spanplan graph --format svg --for 10s >spans.svg']
    ],
    exits: [unhealthy, invalidFile],
    environment: host
  },
  doctor: {
    examples: [
      ['What is missing on this host, and what stands in the way?', 'sudo spanplan doctor'],
      ['The same for a file that is not in its place yet:', 'sudo spanplan doctor -f spans.yaml'],
      ['For monitoring:', 'sudo spanplan doctor --json']
    ],
    exits: [unhealthy],
    environment: host
  },
  completion: {
    examples: [
      ['For this shell alone:', '. <(spanplan completion bash)'],
      ['For fish, from the next start on:', 'spanplan completion fish >~/.config/fish/completions/spanplan.fish']
    ],
    exits: [],
    environment: []
  },
  help: {
    examples: [
      ['The same as spanplan plan --help:', 'spanplan help plan'],
      ['What an exit status means:', 'spanplan help exit-codes'],
      ['What the code of a message means, and what to do:', 'spanplan help LOCKED']
    ],
    exits: [],
    environment: []
  }
}
