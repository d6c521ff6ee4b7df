/** The environment variables that spanplan reads, and what each is for. */
export const variables = {
  SPANPLAN_FILE: 'the file or folder to read where --file is not given',
  SPANPLAN_RUN_DIR: 'the folder of the lock, of pauses and of sockets; default: /run/spanplan',
  DOCKER_HOST: 'the address of Docker on this host; default: unix:///var/run/docker.sock',
  NO_COLOR: 'not empty: no colours, unless --color says otherwise',
  FORCE_COLOR: 'colours also where there is no terminal; 0: none',
  IFACE: 'the interface, where --interface is not given (hook)',
  PHASE: 'the phase, where --phase is not given (hook)',
  MODE: 'start or stop, where neither --phase nor $PHASE is given (hook)',
  NOTIFY_SOCKET: 'the socket at which the watch reports to systemd that it is ready, and alive (watch)',
  WATCHDOG_USEC: 'how often systemd expects the watch to report that it is alive, in microseconds (watch)',
  JOURNAL_STREAM: 'set by systemd: messages that go to its journal have their priority',
  SUDO_UID: 'the user who called sudo, whose files root trusts',
  XDG_CACHE_HOME: 'the folder for compiled code, for users other than root; default: ~/.cache',
  NODE_DISABLE_COMPILE_CACHE: '1: compiled code is neither kept nor used'
} as const satisfies Readonly<Record<string, string>>

/** One of these variables. */
export type Variable = keyof typeof variables

/** What every command reads. */
export const everywhere: readonly Variable[] = ['XDG_CACHE_HOME', 'NODE_DISABLE_COMPILE_CACHE']
