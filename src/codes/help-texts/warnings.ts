/** What a command warns of. Each code has what it means, and what to do about it. */
export const warnings = {
  FILE_REMOVES_ALL: [
    'The file has no spans, so apply would remove every live span of this name.',
    'If that is what you want, use apply --allow-empty or destroy. If not, repair the file.'
  ],
  SUBNET_SHADOWS: [
    'The subnet of a span overlaps an address or a route of the host. Sensors take these addresses for the span.',
    'Choose another subnet, or remove the key: spanplan then chooses a free one.'
  ],
  NAME_UNKNOWN: [
    'A destroy found nothing of its name on this host, but spans of other names.',
    'Give the name with --name, or remove the spans of every name with --all; the message lists the names.'
  ],
  SPAN_UNLISTED: [
    'A span of this name is live and no longer in the file. It was left as it is because of --no-prune.',
    'Remove it with spanplan destroy --span, or write it into the file again.'
  ],
  SPAN_RENAMED: [
    'A span that the file does not have is live, and a new one of the file copies from the same places. Without more, the one is removed, and the other made: no sensor hears anything in between.',
    'If it is the same span under a new name, add the line that the hint gives. If not, nothing is wrong.'
  ],
  INTERFACE_NAME_IGNORED: [
    'Docker is older than 28, and cannot set "interface_name". Docker chooses the name itself.',
    'Update Docker, or remove interface_name.'
  ],
  DEDICATED_OPEN: [
    'An interface that is dedicated to capture is not closed to the host: another interface gets its frames, or a foreign filter has the place of the filter that drops them, or comes before that filter and may end classification.',
    'Remove what the message names. Until then, whoever is on the mirrored line may reach the host through the interface.'
  ],
  CHAIN_DEEP: [
    'More than four spans in a row copy from each other. The kernel drops a frame instead of copying it a fifth time: the fourth span misses it too, and those behind.',
    'Copy from the interface that the first span of the row copies from.'
  ],
  CHAIN_INGRESS: [
    'A source is the bridge of a span, and only its ingress is copied. All that mirrors bring to that bridge is egress there.',
    'Write direction: egress, or leave the direction out.'
  ],
  CHAIN_UNFED: [
    'A source is the bridge of a span whose sensors and outputs all get a part: mirrors at the sources of that span hand it to them, and the bridge gets nothing.',
    'Copy from the sources of that span.'
  ],
  COPIED_TWICE: [
    'A frame passes two sources of the span, and is copied at each: sensors get it twice.',
    'Copy the Docker network of two containers instead, or one direction only, or take one of the sources out; the message names them.'
  ],
  SENSOR_STATS: [
    'What the tool in a sensor says of itself, where "stats" in the file says, cannot be read, or is too old: older than three times the time from one count to the next, and than a minute. Only that is unknown: what the kernel counts up to the sensor is as it was.',
    'Do what the message says. The file is read by its path on the host, through no symbolic link, and from its last MiB; Suricata needs "stats" among the types of its eve-log, Zeek misc/capture-loss.'
  ],
  SENSOR_OVERLAPS: [
    'Two sensors of a span select one container, and give it different parts: one has it in a balance or gives it a filter, and the other does not, or does so otherwise. The earlier of the two in the file holds.',
    'Let only one of the two select the container; the message names both.'
  ],
  EXCEPT_UNKNOWN: [
    '"except" has a name, and the label or the Compose service of its source selects no container of this name, running or stopped.',
    'Correct the name, or take it out of "except".'
  ],
  FILTER_UNCHECKED: [
    'The filters are not checked, or not compiled, because tcpdump cannot be run. A watch leaves live mirrors as they are.',
    'Install tcpdump, or check the file where it is.'
  ],
  FILTER_INSIDE_TAG: [
    'A part of a filter stands right of "vlan", "mpls" or "pppoes", and so is looked for inside of that, in frames without it too.',
    'Write it to the left of that word; the message has the expression, where there is one.'
  ],
  CAPTURE_INCOMPLETE: [
    'libpcap 1.11 misreads the number of a VLAN in the first frames that a capture gets, and does not show them. Mirrors are not concerned.',
    'Capture all frames, and choose among them afterwards: the hint has the command.'
  ],
  MIRROR_HIDDEN: [
    'A filter of another tool comes before the mirrors, and may hide frames from them.',
    'Give that filter a preference above 8, or an action that continues.'
  ],
  COPIES_HIDDEN: [
    'A filter at the egress of the bridge or of a port may keep copies from the sensors.',
    'Remove that filter.'
  ],
  COPIES_FOREIGN: [
    'A filter that spanplan did not create copies or redirects frames into a span, from an interface that is no source of the span: sensors get frames that the file does not name.',
    'Remove the filter with the command of the hint. Or write the interface as a source, and apply with --adopt.'
  ],
  PROGRAM_BEFORE: [
    'An eBPF program (tcx, XDP), as of Cilium, comes before the mirrors and may hide frames from them. One of generic XDP makes the kernel copy frames without their Ethernet header.',
    'Check whether sensors get all frames, and whole; if not, mirror another interface.'
  ],
  TUNNEL_OVERLAPS: [
    'The host has another interface for a part of what senders send to a source that is a tunnel of GRE: for one sender, or for all that no other tunnel takes. The kernel gives each frame to one of the two.',
    'Copy from both where you need both, or have the senders use another key or session.'
  ],
  OFFLOAD_FIXED: [
    'The driver does not allow an offload to be switched off, so sensors get merged frames.',
    'Let the sensors accept large frames, or use another interface.'
  ],
  RING_FIXED: [
    'An interface of the file has "ring: max", and its driver has no receive ring whose size can be set: the ring stays as it is. All else of the file is done.',
    'Take "ring" out, or use another interface.'
  ],
  RING_FAILED: [
    'The driver of an interface refuses the size of the receive ring that it says it takes at the most, or others set another one at once. The ring stays as it is; all else of the file is done.',
    'Take "ring" out. What the driver says is in the log of the kernel (dmesg).'
  ],
  OUTPUT_FRAGMENTS: [
    'The largest frames of a span, with what the tunnel of an output adds, are larger than the MTU on the way to the remote host: each leaves in two packets or more (fragments), and is lost if one of these is. Some networks drop fragments.',
    'Let the network on the way take larger packets, or write a smaller "mtu" for the span, which holds for its sensors, too.'
  ],
  OUTPUT_MTU: [
    'The driver of an output takes no MTU as large as that of the span, or the way of a tunnel over IPv6 to the other host does not: larger frames do not leave by it. The sensors get them.',
    'Use another interface, let the network on the way take larger packets, or write a smaller "mtu" for the span, which holds for its sensors, too.'
  ],
  MTU_SMALL: [
    'The "mtu" of the span is smaller than that of a source: larger frames are lost.',
    'Write "mtu: auto" or a larger number.'
  ],
  MARK_COPIED: [
    'Somebody has given a bridge of their own the alias of a span’s bridge. Nothing else of that bridge is spanplan’s, so the alias claims nothing: the bridge is no span, and stays as it is.',
    'Take the alias off with the command of the hint.'
  ],
  PORT_STRAY: [
    'A port of a span has a name such as Docker or Podman gives, and no sensor has its other end. Somebody may have put the port of a container of another network on the span’s bridge. A sensor with CAP_NET_ADMIN can move its interface to a network namespace of its own, and so go on to hear the span when it is taken off the file, or to that of the host, which then hears the span. spanplan removes such a port where its mark says that it was made for a container; this one may also be somebody’s own, and stays, sealed also when the span goes.',
    'Find out what it is for. The port of a container goes back with “ip link set dev PORT master BRIDGE”, and the next run gives it back what it had; if nobody needs the port, remove it with the command that the message names.'
  ],
  INTERFACE_RENAMED: [
    'A sensor was disconnected and connected again, and Docker has given its interface another name; or it could not be connected again. Docker 28 and later keep the name.',
    'Restart the sensor with the command of the hint: Docker then counts its interfaces from the start again, and the old name is back.'
  ],
  SEAL_LATE: [
    'A port of a sealed span stays open until spanplan has seen it, for nftables cannot close it from its first frame on: a container that joins the span can send to the host, to the other sensors and to the outputs. With a watch, that takes about a tenth of a second; without one, it lasts until the next apply.',
    'Install nftables, with a kernel that has NFT_BRIDGE_META, such as Debian’s own; keep a watch running until then.'
  ],
  SILENCE_UNAVAILABLE: [
    'The host cannot have the XDP program that keeps what sealed sensors send from its packet sockets, or the right is missing. Everything else is as it should be.',
    'Do what the reason says: run spanplan as root, mount the BPF file system, or update iproute2 or the kernel (5.18 or later).'
  ],
  STACK_BLOCKED: [
    'A sensor has a filter of its own on its interface on a span. spanplan leaves that as it is, and mirrored frames reach the network stack of the sensor.',
    'Have the container take its filter off, or write "sealed: false".'
  ],
  STACK_UNREAD: [
    'spanplan may not enter the network namespace of a sensor, or what is there cannot be read: whether its network stack is closed is not known.',
    'Run spanplan as root, or with CAP_SYS_ADMIN. A container with CAP_NET_ADMIN can have more filters than are read: take that right from it, and restart it.'
  ],
  TABLE_UNSUPPORTED: [
    'The nftables of this kernel cannot tell the bridge of a port, so ports are closed only once spanplan sees them.',
    'Use a kernel with NFT_BRIDGE_META, such as Debian’s; keep a watch running until then.'
  ],
  SHARE_UNEVEN: [
    'A member of a balance got more than 1.5 times its share of the frames. Each flow goes to one member: by addresses, all that two hosts say to each other is one flow; by ports, each conversation. Few hosts are spread unevenly, too.',
    'The hint shows who talks. "hash: ports" divides what two hosts say to each other. A filter of the balance can leave out what nobody needs, such as backups.'
  ],
  CONTAINER_UNREAD: [
    'spanplan does not understand what Docker says of a container. That container is left as it is.',
    'Restart the container. If that does not help, report it as a bug.'
  ],
  NAMESPACE_HIDDEN: [
    'spanplan runs in a mount namespace of its own, and the network namespace of a container was mounted since: it is not seen there.',
    'Restart spanplan. So that it sees what is mounted later, leave MountFlags=private out of its unit, or use unshare --propagation slave.'
  ],
  WATCH_REBUILDS: [
    'A destroy removes spans while a watch of the same name runs, which makes again those that are in its files.',
    'End the watch before the destroy.'
  ],
  WATCH_FORMER_NAME: [
    'A watch of a name that is under "formerly" runs, and follows other files. What bears the new name is not its any more: it keeps nothing of that in sync.',
    'End that watch, and start one with the file that has the new name. If another file has the old name, take it out of one of the two.'
  ],
  WATCH_OTHER_FILES: [
    'A watch of the same name keeps the spans as other files say, or as its files said before. It undoes within seconds what an apply of these files changes, and does not see a change in them.',
    'Change the files of the watch, which the message names. Or end the watch, and start it again with these files.'
  ],
  TRAFFIC_UNHEARD: [
    'init, or status with --for, did not listen on an interface, because tcpdump or a right is missing, or there are too many. Only its counters say what it carries.',
    'Do what the message says, and call it again. For init, the interface can be named with --interface.'
  ],
  TRAFFIC_FLOODED: [
    'A source carries broadcasts and multicasts alone. Any port of a switch has those; a mirror port also has what is for single hosts.',
    'Look at the session of the switch: it may be gone since a restart or another change, or lead to another port.'
  ],
  TRAFFIC_ONE_SIDED: [
    'Of many conversations over TCP at the sources of a span, one direction alone came. A sensor cannot follow them: it raises no alarm about what it does not see.',
    'Have the session of the switch mirror both directions. Where two links, or two paths, carry a conversation, mirror both. A load balancer whose servers answer by themselves looks the same.'
  ],
  TRAFFIC_REPEATED: [
    'Many frames came twice at the sources of a span, also where a router is between the two: a frame is mirrored where it comes in and where it goes out.',
    'Mirror each frame once: one direction of the ports, or the VLAN and none of its ports.'
  ],
  TRAFFIC_CUT: [
    'Packets at a source are shorter than their headers say. Something on the way hands on the beginnings of frames alone.',
    'Switch off slicing or truncation in the session or in the packet broker, and look at the MTU of what carries the copies.'
  ],
  TRAFFIC_VLANS: [
    'The filter of a source asks for VLANs which it does not carry, or does not take: tags are missing, a second tag is before them, a VLAN is not mirrored, or the filter means something else than it seems to.',
    'Compare the filter with the session of the switch. spanplan filter test says which VLANs there are.'
  ],
  EVENTS_DROPPED: [
    'A watch keeps a day of events, and no more than a megabyte. More has happened: the oldest events are gone.',
    'Look into the log: journalctl --unit spanplan. Where a watch tells so much, something goes on: spanplan doctor says what others undo.'
  ],
  LISTEN_OPEN: [
    'Metrics are served at an address that other hosts can reach, without TLS and passwords.',
    'Use 127.0.0.1, or protect the address with a firewall or a proxy.'
  ]
} as const
