/** What the pages say of an option beside its line of help: by the option, or by the command and the option. */
export const optionDetails: Readonly<Record<string, string>> = {
  '--file':
    'A pipe has to end within 30 s and 10 MiB. In a folder, only `*.yaml` and `*.yml` at its top count. Several files are put together.',
  '--out': 'The file has mode 0600, and is written completely or not at all.',
  '--write': 'A new file has mode 0600.',
  '--yes': 'Without a terminal, removing, recreating and adopting need it. Creating, changing and repairing never ask.',
  '--rollback-after':
    'Until then, `spanplan confirm` keeps what was done, `spanplan rollback` takes it back at once, and every other apply and destroy is refused.',
  '--detach':
    'The command returns once everything is applied and verified, and prints the id of the window. The unit is started before the first change: it also rolls back if this command is killed. It needs root.',
  '--install':
    'The file is written completely or not at all, with mode 0644 and the owner of its folder, and only if it differs. If somebody else changes it meanwhile, or it cannot be written, everything is rolled back. `-f` has to name one file; in `/etc/spanplan`, and in a folder that `$SPANPLAN_FILE` names, the files beside it count too. An apply with this option first rolls back a detached window that an earlier apply has left.',
  '--dry-run': 'Each difference is reported once.',
  '--live': 'Losses are counted from its beginning on.',
  '--brief':
    'A line begins with `unhealthy`, `unchecked`, `starting` or `healthy`; then come the name, the frames per second that are copied, those that were lost, and what is wrong, with how many more problems there are. Lines have 80 columns, or those of the terminal. The last line has the number of unhealthy spans.',
  'capture --for':
    'It begins when tcpdump listens. With `--count`, what comes first ends the capture; the last lines say how many frames there were.',
  'status --for': 'While traffic flows, a small loss shows only after a longer time, as with `--for 1m`.',
  '--no-prune': 'Without this option, spans of this name that are no longer in the file are removed.',
  '--adopt': 'The plan shows what is taken over with `=`.',
  '--lock-timeout': 'Only one spanplan at a time changes a host.',
  '--interval': 'The interval varies by a tenth. The shortest is 1s.',
  '--probe-interval':
    'As `spanplan probe` does it, but nothing is sent to containers that are sources. An event says when a port begins to miss the frames. The shortest is 1s.',
  '--listen':
    'Use an address of this host alone, unless others are to read the metrics. `/metrics`, `/healthz` and `/readyz` are served, to requests that name this address, the host name or localhost.',
  '--wait':
    'First everything is applied that can be. Then apply waits, without the lock, until no sensor is missing or the time is up, and connects and seals each sensor as it comes. Both ends are exit status 0; with `--detailed-exitcode`, 6 says that sensors were still missing. `--rollback-after` and `--defer-docker` do not go with it.',
  '--color': '`NO_COLOR` and `FORCE_COLOR` hold.',
  'init --file':
    'In a folder, the new file is `spans.yaml`. What is there is never overwritten, and no link is followed. A new file has mode 0644.',
  'init --interface': 'Also one that is left out of the list, such as a bridge, or an interface with an address.',
  'hook --interface': '`--all` means all of them, as `ifup -a` has it.',
  '--phase':
    '`up`, `post-up`, `down`, `pre-down` or `post-down`, of ifupdown, ifupdown2, ifupdown-ng or NetworkManager. In `pre-up` there is nothing to do yet.',
  '--strict':
    'The exit status is then the one that apply would have. Without this option it is 0, so that the interface comes up all the same.'
}

/** What the pages say of a command beside its description. */
export const commandDetails: Readonly<Record<string, string | readonly string[]>> = {
  init: [
    'init counts what each interface receives for two seconds, and listens there meanwhile with tcpdump as nobody, in promiscuous mode: on 32 interfaces at most, to 5,000 frames of each. By the addresses in these frames it tells a mirror port, where most are for other hosts, from an access port, where only broadcasts come. Without root or tcpdump, only frames are counted. It changes nothing of the host.',
    'Without a terminal, it takes the interfaces that look like a mirror port, and fails if there is none. The file has one span, `span0`, or the next name that is free. Containers whose images are called suricata, zeek, snort, arkime, malcolm or nessus are named in a comment.'
  ],
  graph:
    'graph draws sources, filters, spans, sensors, what waits, and what is broken. A broken span is drawn, and is no failure. With --for, mirrors and sensors have the frames a second that status counts. An SVG picture needs no other program: an interface or a sensor that several spans have is in it once, with a line to each of them; many spans stand in columns; what is broken, such as a sensor that hears nothing, is red; and where a text is too long for its box, the mouse shows all of it.',
  doctor:
    'Each finding is ok, a warning, a problem, or not known, because it could not be read. Where a command clears a finding, that command stands below it: paste it into a shell of root. The exit status is 2 if there is a problem.',
  plan: 'plan needs no root. What a user may not read is reported: Docker needs the group docker, and a filter with `vlan` needs CAP_NET_RAW.',
  apply: [
    'apply carries the plan out in order, and then reads the host again to verify it. Before it removes, recreates or adopts anything, it asks. If a step fails, or SIGINT (^C) or SIGTERM comes, everything is rolled back. Another such signal does not end that half-way; SIGQUIT (^\\) does, with the shell’s status 131: what was done then stays, and the next apply does the rest. A signal that comes while `--wait` waits ends the wait alone: what was applied stays.',
    'A saved plan says itself which files and spans it is about. So `apply <plan>` takes no `--file`, `--span`, `--no-prune`, `--adopt`, `--defer-docker` or `--wait`, and does not ask. If the host or the file has changed in a way that matters, nothing is done, and the exit status is 3.'
  ],
  destroy:
    'destroy gives back what was changed on interfaces, and what was adopted. It refuses to remove a bridge that somebody else uses, and names each use. Signals are as in apply: SIGINT and SIGTERM take all back.',
  watch:
    'watch looks again when links, filters, Docker or the file change, when a hook calls, at SIGHUP, and at each interval. It never adopts and never asks. A span that cannot be kept in sync stands in the way of no other. A broken file, or one with a filter that tcpdump refuses, changes nothing: the last good one stays in force. SIGINT and SIGTERM end the watch once the run that goes on is done, and everything stays as it is.',
  status:
    'status counts frames along their way: at the interface, the mirrors, the bridge, each port and each sensor, and says how many were lost where, and why. Then it shows what differs from the file, what waits, and what is paused. It needs no root, but says what it could not read without.',
  capture:
    'capture puts a port of its own on the span, sealed like that of a sensor, and runs tcpdump at it as nobody. It shows what a sensor that starts now and gets every frame would get; where all get a part, its first line says that it shows more than anybody gets. It needs root, and holds the lock only while it makes the port. `^C` ends it, with exit status 0. The filter takes addresses and no host names; quote what the shell would take for its own.',
  probe:
    'probe sends frames of 60, of 1514 and of the MTU + 14 bytes into the bridge of the span, with the experimental EtherType 0x88B5 and random bytes, and looks at the host’s end of each port whether they leave there, unchanged. Where mirrors feed a port alone, they are sent on that port. Where a source is a container, they are sent to it too, so that they pass its mirror. The exit status is 2 if a port did not get all, or is missing. It needs root, and perl.',
  filter:
    'filter test listens on an interface with tcpdump as nobody, in promiscuous mode and in both directions, and judges each frame by the program that tc would get for a source with this filter: VLAN tags count as they do there, but for a tag that a program of this host has put into a frame itself. It looks at the first 256 bytes of a frame; a frame that the kernel has merged of several counts as one. On a live span, it listens at the bridge, to what the sources copy there. It needs root. `^C` ends it before its time, with what was counted until then.',
  pause: 'apply and destroy, which a person runs, do not mind a pause. status shows until when it lasts.',
  hook: 'hook applies the spans that copy from an interface that has come up, or from the bridge of such a span, and removes the mirrors from an interface that goes down. It waits for the lock, and never for Docker. Where a watch runs, the hook wakes the watch and leaves the rest to it. An interface that a hook has reported as going down is left alone until it is up again. hook reads `$SPANPLAN_FILE` or `/etc/spanplan`, and never `./spans.yaml`.',
  import:
    'import reads `u32`, `matchall`, `flower` and `bpf` filters on clsact, on the old ingress qdisc and on a classful root, if they mirror into a bridge. It takes the Docker network on the bridge, and its containers, along. It changes nothing. Comments in the file say what the file cannot express.'
}

/** Whose files root obeys. */
export const fileNotes: readonly string[] = [
  'Run by root, spanplan refuses a file, a saved plan or a folder of files that somebody else owns or may write to, and a file in a folder to which its group or everybody may write, unless the folder is sticky as `/tmp` is. The user who called sudo is trusted. A symbolic link is judged like what it leads to.',
  'Folders further up, and the owner of the folder of a file that is named, are not looked at. Neither is what comes by a descriptor (`-f -`, `-f /dev/stdin`), nor anything with `--insecure-file`.',
  '`./spans.yaml`, which nobody has named, has to be a regular file and no link, and for root its folder has to be root’s, or of the user who called sudo. With `--file` or `$SPANPLAN_FILE` it is named.',
  '`--out` and `--write` write what root names. They follow no link, and overwrite nothing of another user’s.'
]

/** What --adopt takes over: what holds for all of it, each thing, and what to expect. */
export const adoptionIntro =
  'Something foreign where a span is to be is a conflict: nothing is changed, and every conflict says what it is, whose it seems to be, and what to do. With `--adopt`, plan shows with `=` what would be taken over, and apply asks first.'
export const adoptionNotes: readonly string[] = [
  'Never taken over: a network on another bridge or of another name than in the file, what is another span’s, a filter that also sorts into classes, a root qdisc that does more than the default, an interface that is no bridge. If an apply fails, all of it is there again, the network with its containers too.',
  'Docker cannot change a network, so its sensors are off it for a moment, and may have to be restarted, as the plan says. A bridge that ifupdown or Docker recreates below an adopted network is treated as adopted: the next apply repairs it, and destroy leaves it there.'
]

/** What --adopt takes over, if what, and what becomes of it. */
export const adoptions: readonly (readonly [thing: string, adopted: string])[] = [
  [
    'A bridge of the span’s name',
    'taken over if only sensors use it: it has no address but Docker’s, no other port, and no interface is built on it. Its alias keeps what it was like. destroy gives it back: alias, MAC address, MTU, every option.'
  ],
  [
    'The Docker network on that bridge',
    'taken over if it has the name in the file, the driver `bridge`, and one subnet. It is recreated with the same subnet, labels and options, and each container keeps its address and aliases. destroy removes it; the containers run on.'
  ],
  [
    'The host’s address that Docker put on the bridge',
    'removed with it, because sensors could reach the host by it. destroy does not put it back, for it was the network’s.'
  ],
  [
    'tc filters that copy the interface into the bridge',
    'taken over if they do nothing else, and could be written again. They become the mirrors of the span, so that each frame comes once. destroy removes them.'
  ],
  [
    'The `ingress` qdisc of the interface',
    'taken over if it holds only such filters. It becomes `clsact`, which destroy removes.'
  ]
]
