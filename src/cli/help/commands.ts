import { Exit, type ExitCode } from '../../errors.ts'
import type { Variable } from './environment.ts'

/** What the help of a command, and its man page, say beside its options. */
export interface CommandHelp {
  /** Command lines, each with what it does. */
  readonly examples: readonly { readonly does: string; readonly run: string }[]
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
  validate: {
    examples: [
      { does: 'Check ./spans.yaml, or what is in /etc/spanplan:', run: 'spanplan validate' },
      { does: 'Check a file before it is committed:', run: 'spanplan validate spans.yaml' },
      { does: 'Show all files together, with every default:', run: 'spanplan validate --print' }
    ],
    exits: [invalidFile],
    environment: ['SPANPLAN_FILE', ...colours]
  },
  plan: {
    examples: [
      { does: 'Show what apply would do with ./spans.yaml:', run: 'sudo spanplan plan' },
      { does: 'Save the plan, to apply exactly that later:', run: 'sudo spanplan plan --out plan.json' },
      { does: 'Report drift by the exit status, as for cron:', run: 'sudo spanplan plan --detailed-exitcode' }
    ],
    exits: [changes, invalidFile, missingRight],
    environment: host,
    hasPlan: true
  },
  apply: {
    examples: [
      { does: 'Apply ./spans.yaml; it asks before it removes or recreates anything:', run: 'sudo spanplan apply' },
      {
        does: 'The same, rolled back after two minutes unless confirmed:',
        run: 'sudo spanplan apply --rollback-after 2m'
      },
      {
        does: 'Apply a new file, and put it in its place once that is confirmed:',
        run: 'sudo spanplan apply -f new.yaml --install spans.yaml --rollback-after 2m'
      },
      { does: 'Apply a saved plan, as it was shown or not at all:', run: 'sudo spanplan apply plan.json' }
    ],
    exits: [changes, stale, partial, rolledBack, incomplete, invalidFile, locked, missingRight, ...interrupted],
    environment: host,
    hasPlan: true
  },
  destroy: {
    examples: [
      { does: 'Remove what ./spans.yaml made, and give the interfaces back:', run: 'sudo spanplan destroy' },
      { does: 'Remove one span:', run: 'sudo spanplan destroy --span span0' },
      { does: 'Remove all that spanplan ever made on this host; needs no file:', run: 'sudo spanplan destroy --all' }
    ],
    exits: [changes, partial, rolledBack, invalidFile, locked, missingRight, ...interrupted],
    environment: host,
    hasPlan: true
  },
  watch: {
    examples: [
      { does: 'Apply /etc/spanplan, and keep the host in sync with it:', run: 'sudo spanplan watch -f /etc/spanplan' },
      { does: 'The same, with metrics for Prometheus:', run: 'sudo spanplan watch --listen 127.0.0.1:9477' },
      { does: 'Only report drift:', run: 'sudo spanplan watch --dry-run' }
    ],
    exits: [invalidFile, locked, missingRight],
    environment: [...host, 'NOTIFY_SOCKET', 'WATCHDOG_USEC', 'JOURNAL_STREAM']
  },
  status: {
    examples: [
      { does: 'Is it healthy, and where are frames lost?', run: 'sudo spanplan status' },
      { does: 'Count for ten seconds, for one span:', run: 'sudo spanplan status --span span0 --for 10s' },
      { does: 'Look on until you type q:', run: 'sudo spanplan status --live' }
    ],
    exits: [unhealthy, invalidFile],
    environment: host
  },
  capture: {
    examples: [
      { does: 'Show the next 20 frames that sensors on span0 get:', run: 'sudo spanplan capture span0 -c 20' },
      {
        does: 'Only those of one host, without SSH:',
        run: "sudo spanplan capture span0 'host 192.0.2.1 and not port 22'"
      },
      { does: 'Write them to a file, for Wireshark:', run: 'sudo spanplan capture span0 -c 1000 -w span0.pcap' }
    ],
    exits: [invalidFile, missingRight],
    environment: host
  },
  pause: {
    examples: [
      { does: 'Leave span0 alone for half an hour:', run: 'sudo spanplan pause span0 --for 30m' },
      { does: 'Leave all spans alone:', run: 'sudo spanplan pause --for 2h' }
    ],
    exits: [invalidFile, missingRight],
    environment: [...file, 'SPANPLAN_RUN_DIR', ...colours]
  },
  resume: {
    examples: [
      { does: 'End the pause of span0:', run: 'sudo spanplan resume span0' },
      { does: 'End every pause, and have the watch try at once what it left alone:', run: 'sudo spanplan resume' }
    ],
    exits: [missingRight],
    environment: ['SPANPLAN_RUN_DIR', ...colours]
  },
  confirm: {
    examples: [
      {
        does: 'Apply, and then, from another session, keep what was done:',
        run: 'sudo spanplan apply --rollback-after 2m'
      },
      { does: '', run: 'sudo spanplan confirm' }
    ],
    exits: [partial, rolledBack, missingRight],
    environment: ['SPANPLAN_RUN_DIR', ...colours]
  },
  rollback: {
    examples: [
      { does: 'Apply, and then, from another session, take it back:', run: 'sudo spanplan apply --rollback-after 2m' },
      { does: '', run: 'sudo spanplan rollback' }
    ],
    exits: [partial, missingRight],
    environment: ['SPANPLAN_RUN_DIR', ...colours]
  },
  import: {
    examples: [
      { does: 'Write a file for the mirrors that are there:', run: 'sudo spanplan import >spans.yaml' },
      { does: 'Then look at what would be taken over:', run: 'sudo spanplan plan -f spans.yaml --adopt' }
    ],
    exits: [missingRight],
    environment: ['DOCKER_HOST', ...colours]
  },
  hook: {
    examples: [
      { does: 'In a stanza of /etc/network/interfaces:', run: 'up spanplan hook' },
      { does: 'By hand, as if ens192 had come up:', run: 'sudo spanplan hook --interface ens192 --phase up --strict' }
    ],
    exits: [partial, rolledBack, invalidFile, locked, missingRight, ...interrupted],
    environment: [...file, 'SPANPLAN_RUN_DIR', 'IFACE', 'PHASE', 'MODE']
  },
  graph: {
    examples: [
      { does: 'Draw the live spans in the terminal:', run: 'sudo spanplan graph' },
      { does: 'Draw what a file says, without reading the host:', run: 'spanplan graph -f spans.yaml --file-only' },
      { does: 'As a picture:', run: 'sudo spanplan graph --format svg >spans.svg' }
    ],
    exits: [unhealthy, invalidFile],
    environment: host
  },
  doctor: {
    examples: [
      { does: 'What is missing on this host, and what stands in the way?', run: 'sudo spanplan doctor' },
      { does: 'The same for a file that is not in its place yet:', run: 'sudo spanplan doctor -f spans.yaml' },
      { does: 'For monitoring:', run: 'sudo spanplan doctor --json' }
    ],
    exits: [unhealthy],
    environment: host
  },
  completion: {
    examples: [
      { does: 'For this shell alone:', run: '. <(spanplan completion bash)' },
      {
        does: 'For fish, from the next start on:',
        run: 'spanplan completion fish >~/.config/fish/completions/spanplan.fish'
      }
    ],
    exits: [],
    environment: []
  },
  help: {
    examples: [
      { does: 'The same as spanplan plan --help:', run: 'spanplan help plan' },
      { does: 'What an exit status means:', run: 'spanplan help exit-codes' },
      { does: 'What the code of a message means, and what to do:', run: 'spanplan help LOCKED' }
    ],
    exits: [],
    environment: []
  }
}
