/** Errors of an apply, of a watch, of what only reads, and of the programs that these call. Each code has what it means, and what to do about it. */
export const runErrors = {
  // Applying.
  PLAN_INVALID: [
    'The saved plan cannot be read, or has been changed since plan --out wrote it.',
    'Make a new plan with plan --out.'
  ],
  PLAN_VERSION: ['The saved plan has another major format_version.', 'Make a new plan with this version of spanplan.'],
  PLAN_STALE: [
    'The saved plan no longer fits the host or the file; the message says what has changed.',
    'Make a new plan with plan --out, and look at it again.'
  ],
  CONFIRMATION_NEEDED: [
    'Something would be removed, recreated or adopted, and there is no terminal on which to ask.',
    'Look at spanplan plan, then use --yes or apply a saved plan.'
  ],
  NOT_CONFIRMED: [
    'The question was not answered with yes, and nothing was changed; or an apply with --rollback-after was not confirmed, and was rolled back.',
    'Run the command again, and answer y, or confirm it in time.'
  ],
  SOURCE_UNCHOSEN: [
    'init was to choose a source by itself, and no interface looks like a mirror port.',
    'Look at spanplan init --list, and name an interface with --interface.'
  ],
  SOURCE_IMPOSSIBLE: [
    'The interface that was named for init can be no source; the message says why.',
    'Look at spanplan init --list, and name another one.'
  ],
  INTERFACE_UNHEARD: [
    'Nobody can listen on what filter test was given, or could to the end; the message says why.',
    'Set the interface up, or name another one: a source of the span, where the bridge of the span gets no frames.'
  ],
  HOST_CHANGED: [
    'The host has changed since the question was asked; the message says what. Nothing was changed by spanplan.',
    'Run the command again.'
  ],
  LOCKED: [
    'Another spanplan is running, and only one at a time may change a host.',
    'Wait until it has ended; apply, destroy and hook wait for it with --lock-timeout 2m. The message says which process it is.'
  ],
  RIGHT_MISSING: [
    'A right is missing: CAP_NET_ADMIN, CAP_NET_RAW, root, a run directory of your own, or the right to write to the folder of --install. For status: something could not be read.',
    'Use sudo, or give the right that the message names.'
  ],
  STEP_FAILED: [
    'A step of the plan failed; the message has the words of the program. What was done is rolled back.',
    'Repair the cause, then apply again.'
  ],
  NOT_CONVERGED: [
    'Every step was done, and the host still differs from the file: something else changes it.',
    'Find what changes the host, as with ip monitor; NetworkManager and networkd are likely.'
  ],
  UNVERIFIED: [
    'Everything was done, and then Docker could not be read. What was done stays; what was not checked is listed.',
    'Once Docker runs, look at spanplan plan.'
  ],
  INTERRUPTED: [
    'A signal ended the command. What had been done is rolled back; what apply --wait had applied before it waited stays.',
    'Run the command again.'
  ],
  ROLLBACK_PARTIAL: [
    'An apply was to be rolled back, and that could not be completed. The message says what is left.',
    'Look at spanplan plan, then apply or destroy.'
  ],
  ROLLBACK_BLIND: ['The host could not be read during a rollback.', 'Look at spanplan plan, then apply or destroy.'],
  NOTHING_WAITS: [
    'confirm or rollback was called, and no apply waits for it, or not the window that was named.',
    'Nothing: the apply has ended already. The message says how the window that was named has ended.'
  ],
  DETACH_IMPOSSIBLE: [
    'A unit of systemd cannot wait for the confirmation: no systemd runs here, or the unit does not start.',
    'Leave out --detach: then the apply waits at its terminal. Or see the journal of the unit.'
  ],
  WINDOW_UNREADABLE: [
    'The record of an apply with --detach is broken, or of another version of spanplan: nothing can be rolled back with it, and the changes stay.',
    'Run spanplan apply with the file from before, or with the new one to keep the changes.'
  ],
  NO_ANSWER: [
    'The apply that waits gives no answer to confirm or rollback, or none within 10 minutes.',
    'Look at that apply and at spanplan plan. Without an answer, the apply rolls back when its time is up.'
  ],
  // Watching and looking.
  WATCH_MISSING: [
    'status --for watch needs a watch of this name, and none runs, or it has not read the host yet. events needs any watch.',
    'Start the watch. For status, use another time, such as --for 10s; for events, look into the log of a watch that has ended.'
  ],
  WATCH_RUNS: ['A watch of this name runs already.', 'End that watch first, or give the file another "name".'],
  NOT_PAUSED: [
    'resume names a span that is not paused, and that no watch leaves alone.',
    'Look at spanplan status, which shows every pause.'
  ],
  HOOK_UNCLEAR: [
    'hook does not know which interface is meant, or whether the interface goes up or down.',
    'Use --interface and --phase, or set $IFACE and $PHASE.'
  ],
  LISTEN_FAILED: [
    'Nothing can be served at the address: it is in use, is not of this host, or may not be used.',
    'Choose another address for --listen.'
  ],
  TERMINAL_MISSING: [
    'status --live needs a terminal on stdout.',
    'Run it on a terminal, or use status without --live.'
  ],
  TERMINAL_BINARY: ['capture --write - would write pcap to a terminal.', 'Pipe it into a program, or name a file.'],
  // Programs.
  PROGRAM_MISSING: [
    'A program that spanplan needs (ip, tc, ethtool, tcpdump …) is not installed, or may not be run.',
    'Install the package that the message names, or let root run the program.'
  ],
  PROGRAM_HANGS: ['A program did not end in time, and was ended.', 'Run its command by hand, and see why it hangs.'],
  OUTPUT_TOO_LONG: [
    'A program printed far more than spanplan reads, and was ended. ss does where a sensor has thousands of packet sockets.',
    'Run its command by hand, and look at what it prints; or see why the sensor opens so many sockets.'
  ],
  OUTPUT_UNKNOWN: [
    'A program printed what spanplan does not understand.',
    'Report it as a bug, with the output of the command that the message names.'
  ],
  COMMAND_FAILED: ['A program failed; the message has its words.', 'Repair what the program names.'],
  BUG: ['This is a bug in spanplan.', 'Report it, with the message and the command.']
} as const
