/** One code of a message: for `spanplan help CODE`, for docs/reference/messages.md, and for the compiler. */
export interface Message {
  /** `wait`: a row of a plan that waits. `problem`: what `status` and `watch` find. By default, an error. */
  readonly kind?: 'warning' | 'wait' | 'problem'
  readonly means: string
  /** What to do about it. */
  readonly todo: string
}

/**
 * Every code of an error, a warning, a wait and a problem, by subject. Codes are stable: programs compare them. A message says
 * what is wrong in one case; these texts say what its code means in all of them.
 */
export const messages = {
  // The files.
  FILE_MISSING: {
    means: 'No file was named, and there is none where spanplan looks.',
    todo: 'Name the file with --file, or put it at ./spans.yaml or into /etc/spanplan.'
  },
  FILE_UNREADABLE: {
    means: 'A file or a folder cannot be read, or the folder has no *.yaml file.',
    todo: 'Check the path and the permissions that the message names.'
  },
  FILE_INSECURE: {
    means:
      'Root would do what the file says, and others than root can write to the file or to its folder. For --install, this includes the folders above.',
    todo: 'Run the command of the hint, which takes that right away. Use --insecure-file only if you trust them all.'
  },
  FILE_UNWRITABLE: {
    means: 'A plan (--out), a capture (--write), the file of --install or a pause cannot be written.',
    todo: 'Name a file that does not exist yet or is yours, in a folder to which you may write.'
  },
  FILE_CHANGED: {
    means:
      'Somebody else changed the file of --install between the plan and the installation, or a file while --wait waited. That change stays.',
    todo: 'Look at the file, and bring both changes together. Then run the apply again.'
  },
  INSTALL_AMBIGUOUS: {
    means: '--install puts one file in its place, and -f names none, several, or a folder.',
    todo: 'Name one file with -f, or - for stdin.'
  },
  INSTALL_UNREAD: {
    means: 'The file of --install would be in the folder that spanplan reads, with a name that is not read there.',
    todo: 'Give it a name that ends in .yaml.'
  },
  FILE_EMPTY: {
    means: 'There is nothing in the file. That says neither that spans are wanted nor that none are.',
    todo: 'Write the spans. If there are to be none, write "spans: {}".'
  },
  FILE_NOT_UTF8: {
    means: 'The file is not encoded in UTF-8.',
    todo: 'Save the file as UTF-8.'
  },
  FILE_TOO_LARGE: {
    means: 'The file is far larger than a spans.yaml can be.',
    todo: 'Check whether the path is the right one.'
  },
  LINK_INVALID: {
    means:
      'A symbolic link leads out of the folder of the file, to what is no valid file. Nothing of it is printed, for whoever made the link may not read it.',
    todo: 'Run spanplan validate with the path to which the link leads.'
  },
  FOLDER_TOO_LARGE: {
    means: 'The folder has more than 100 files, or more than 10 MiB of them: it is not one of spans.yaml files.',
    todo: 'Check whether the path is the right one, or name single files with -f.'
  },
  FILE_REMOVES_ALL: {
    kind: 'warning',
    means: 'The file has no spans, so apply would remove every live span of this name.',
    todo: 'If that is what you want, use apply --allow-empty or destroy. If not, repair the file.'
  },
  EMPTY_REFUSED: {
    means: 'The file has no spans, and --allow-empty was not given: apply does not remove every span.',
    todo: 'If every span is to go, use --allow-empty or destroy. If not, repair the file.'
  },
  // YAML.
  YAML_SYNTAX: {
    means: 'The file is not valid YAML at this place.',
    todo: 'Check the indentation, quotes and brackets in this line and in the line before.'
  },
  YAML_TAB: {
    means: 'There is a tab where YAML takes spaces only.',
    todo: 'Indent with spaces.'
  },
  YAML_TAG: {
    means: 'A value begins with "!". YAML reads that as a tag; a text was meant.',
    todo: 'Put the value in quotes: filter: "!tcp".'
  },
  YAML_ANCHOR: {
    means: 'A value begins with "&". YAML reads that as an anchor; a text was meant.',
    todo: 'Put the value in quotes.'
  },
  YAML_ALIAS: {
    means: 'An alias (*name) has no anchor (&name) before it, or stands inside its own anchor.',
    todo: 'Define the anchor before the alias. If a text was meant, put the text in quotes.'
  },
  YAML_BOMB: {
    means: 'Aliases or nesting make the file far larger than it looks.',
    todo: 'Write the values out in place of the aliases.'
  },
  YAML_CHARACTER: {
    means:
      'There is a typographic quote, a no-break space, a dash or the like where YAML or a filter takes plain ones.',
    todo: 'Write the plain character that the message names.'
  },
  YAML_DOCUMENTS: {
    means: 'The file has more than one YAML document (a line "---").',
    todo: 'Remove the line, or make a file of each document.'
  },
  YAML_VERSION: {
    means: 'A %YAML line asks for a version other than 1.2.',
    todo: 'Remove the line.'
  },
  YAML_DUPLICATE_KEY: {
    means: 'A mapping has the same key twice.',
    todo: 'Remove or rename one of them.'
  },
  // Keys and values.
  KEY_UNKNOWN: {
    means: 'There is no such key at this place.',
    todo: 'Use the key that the message suggests, or see spanplan help spans.yaml.'
  },
  KEY_UNSUPPORTED: {
    means: 'The key stands for something that this version does not support.',
    todo: 'Remove the key, or install a version that supports it.'
  },
  KEY_MISSING: {
    means: 'A required key is missing.',
    todo: 'Add the key that the message names.'
  },
  VALUE_TEMPLATE: {
    means: 'A variable or a template, such as $NAME or {{ name }}, was not filled in. spanplan fills in none.',
    todo: 'Write the value, or have the file filled in before spanplan reads it.'
  },
  VALUE_MISSING: {
    means: 'A key has no value.',
    todo: 'Write a value, or remove the key.'
  },
  VALUE_INVALID: {
    means: 'A value is not what the key takes.',
    todo: 'Write what the message names.'
  },
  NAME_INVALID: {
    means: 'The kernel or Docker would refuse the name, or take it for something else.',
    todo: 'Choose another name; the message says what a name may have.'
  },
  NAME_TOO_LONG: {
    means: 'The name is longer than the kernel or Docker allows.',
    todo: 'Choose a shorter name.'
  },
  NAME_DIFFERS: {
    means: 'Several files are read together, and have different values of "name".',
    todo: 'Give the files one name, or apply them one by one.'
  },
  NAME_CHANGED: {
    means: 'The watched file has a "name" other than the one with which the watch began.',
    todo: 'Restore the name, or destroy the spans of the old name and start the watch again.'
  },
  SUBNET_INVALID: {
    means: 'The value is not an IPv4 prefix from /8 to /29 that a network can use.',
    todo: 'Write a prefix such as 198.18.0.0/26, or remove the key: spanplan then chooses a free one.'
  },
  SUBNET_OVERLAP: {
    means: 'The subnets of two spans overlap.',
    todo: 'Change one of them, or remove the key: spanplan then chooses a free one.'
  },
  SUBNET_TAKEN: {
    means: 'The subnet of a span overlaps that of another Docker network, which Docker would refuse.',
    todo: 'Choose another subnet, or remove the key: spanplan then chooses a free one.'
  },
  SUBNET_SHADOWS: {
    kind: 'warning',
    means:
      'The subnet of a span overlaps an address or a route of the host. Sensors take these addresses for the span.',
    todo: 'Choose another subnet, or remove the key: spanplan then chooses a free one.'
  },
  SPAN_TWICE: {
    means: 'Two spans have the same name.',
    todo: 'Rename one of them; the message names both places.'
  },
  SPAN_UNKNOWN: {
    means: 'Neither the file nor the host has a span of this name.',
    todo: 'Check the name; the message lists the spans that there are.'
  },
  SPAN_NOT_LIVE: {
    means: 'The span is in the file, and not on this host yet.',
    todo: 'Run spanplan apply first.'
  },
  SPAN_GONE: {
    means: 'The span was removed or recreated while it was being captured.',
    todo: 'Start the capture again.'
  },
  NAME_UNKNOWN: {
    kind: 'warning',
    means: 'A destroy found nothing of its name on this host, but spans of other names.',
    todo: 'Give the name with --name, or remove the spans of every name with --all; the message lists the names.'
  },
  SPAN_UNLISTED: {
    kind: 'warning',
    means: 'A span of this name is live and no longer in the file. It was left as it is because of --no-prune.',
    todo: 'Remove it with spanplan destroy --span, or write it into the file again.'
  },
  // Interfaces and sources.
  INTERFACE_TWICE: {
    means: 'Two entries of "interfaces" have one key, or describe one interface.',
    todo: 'Make one entry of them.'
  },
  INTERFACE_MISSING: {
    means: 'The host has no such interface.',
    todo: 'Check the name with ip link; the message names similar ones.'
  },
  INTERFACE_NAME: {
    means: 'The name of this interface cannot be passed to tc, ethtool or sysctl.',
    todo: 'Rename the interface: ip link set dev NAME name new0, where NAME may be one of its altnames. An altname in the file is not enough.'
  },
  INTERFACE_NAME_IGNORED: {
    kind: 'warning',
    means: 'Docker is older than 28, and cannot set "interface_name". Docker chooses the name itself.',
    todo: 'Update Docker, or remove interface_name.'
  },
  INTERFACE_NAME_TWICE: {
    means: 'Two spans give their interfaces in one container the same name.',
    todo: 'Change interface_name in one of them.'
  },
  INTERFACE_GOING_DOWN: {
    kind: 'wait',
    means: 'A hook has reported that the interface is being taken down. spanplan leaves the interface alone.',
    todo: 'Nothing. It is used again as soon as it is up, as with ifup. If it is to stay up, run spanplan apply.'
  },
  INTERFACE_AMBIGUOUS: {
    means: 'Several interfaces have this MAC address.',
    todo: 'Match the interface by its name.'
  },
  INTERFACE_NOT_ETHERNET: {
    means: 'The frames of this interface have no MAC header, so they cannot be copied to a bridge.',
    todo: 'Use the Ethernet interface below it.'
  },
  DEDICATED_HAS_ADDRESS: {
    means: 'The interface is to be dedicated to capture, and has an IP address.',
    todo: 'Remove the address, or "dedicated: true".'
  },
  DEDICATED_OPEN: {
    kind: 'warning',
    means:
      'An interface that is dedicated to capture is not closed to the host: another interface gets its frames, or a foreign filter has the place of the filter that drops them, or comes before that filter and may end classification.',
    todo: 'Remove what the message names. Until then, whoever is on the mirrored line may reach the host through the interface.'
  },
  DEDICATED_HAS_ROUTE: {
    means: 'The interface is to be dedicated to capture, and the host has a route through it.',
    todo: 'Remove the route, or "dedicated: true".'
  },
  SOURCE_TWICE: {
    means: 'One direction of one interface is copied into a span twice: sensors would get each frame twice.',
    todo: 'Remove one of the sources, or join their filters with "or".'
  },
  COPIED_TWICE: {
    kind: 'warning',
    means: 'A frame passes two sources of the span, and is copied at each: sensors get it twice.',
    todo: 'Copy one direction only, or take one of the sources out; the message names them.'
  },
  SOURCE_MISSING: {
    kind: 'wait',
    means: 'No running container matches this source.',
    todo: 'Start the container. A watch, or the next apply, then mirrors it.'
  },
  SOURCE_UNREAD: {
    kind: 'wait',
    means: 'spanplan does not understand what Docker says of the container. Mirrors that are there stay.',
    todo: 'Restart the container. If that does not help, report it as a bug.'
  },
  SOURCE_UNSEEN: {
    kind: 'wait',
    means:
      'The right to see which interfaces are the container’s is missing, or what the host mounts is not seen here. Mirrors that are there stay.',
    todo: 'Run spanplan as root. For a mount namespace that mounts of the host do not come into, see NAMESPACE_HIDDEN.'
  },
  SOURCE_NO_INTERFACE: {
    kind: 'wait',
    means: 'No interface of the container has an end on the host, as with macvlan, ipvlan and network_mode: none.',
    todo: 'Use the host’s interface below it as the source, or connect the container to a network.'
  },
  SOURCE_NETWORK_MODE: {
    means:
      'The container has no interface of its own (host, container:…). A warning if a label or a service selected it; if the file names it, the source waits, everything else is applied, and the exit status is 4.',
    todo: 'Use the interface of the host, or the other container, as the source.'
  },
  SOURCE_IDLE: {
    kind: 'problem',
    means: 'The source has had no frame for as long as its "max_idle".',
    todo: 'Check the mirror session of the switch, then the cable, then the filter of the source.'
  },
  LOOP: {
    means:
      'A span would copy its own copies. The message shows the circle, also over cables, bridges, bonds, VLANs and macvlans.',
    todo: 'Remove one of the sources in the circle, or the connection between them. Give a span with the name of its source another name.'
  },
  // Filters, and what else is on an interface.
  FILTER_INVALID: {
    means: 'tcpdump refuses the filter; the message has its words.',
    todo: 'Write a pcap-filter(7) expression; see spanplan help filters.'
  },
  FILTER_HOST_NAME: {
    means: 'A filter has a host name. Its address may change at any time, and the mirror would drift.',
    todo: 'Write the address; getent ahosts NAME shows it.'
  },
  FILTER_UNCHECKED: {
    kind: 'warning',
    means:
      'The filters are not checked, or not compiled, because tcpdump cannot be run. A watch leaves live mirrors as they are.',
    todo: 'Install tcpdump, or check the file where it is.'
  },
  LOOPBACK_DOWN: {
    means: 'A filter with vlan has to be compiled for the interface lo, which is down. The filter may be right.',
    todo: 'Bring it up: ip link set lo up.'
  },
  FILTER_INSIDE_TAG: {
    kind: 'warning',
    means:
      'A part of a filter stands right of "vlan", "mpls" or "pppoes", and so is looked for inside of that, in frames without it too.',
    todo: 'Write it to the left of that word; the message has the expression, where there is one.'
  },
  CAPTURE_INCOMPLETE: {
    kind: 'warning',
    means:
      'libpcap 1.11 misreads the number of a VLAN in the first frames that a capture gets, and does not show them. Mirrors are not concerned.',
    todo: 'Capture all frames, and choose among them afterwards: the hint has the command.'
  },
  FILTER_TOO_LARGE: {
    means: 'The filter compiles to more than the kernel takes, or takes more than 30 s to compile.',
    todo: 'Join addresses into networks, or make several sources of it.'
  },
  FILTER_FORBIDDEN: {
    kind: 'wait',
    means: 'A filter with "vlan" can be compiled only with CAP_NET_RAW.',
    todo: 'Run spanplan as root, or with CAP_NET_RAW.'
  },
  FILTER_PENDING: {
    kind: 'wait',
    means: 'tcpdump is still compiling the filter. The watch goes on meanwhile.',
    todo: 'Wait, or write a shorter filter.'
  },
  FILTER_FOREIGN: {
    means: 'A foreign tc filter stands where a mirror should be.',
    todo: 'Run spanplan plan --adopt to see whether spanplan can take it over; else remove it with tc.'
  },
  QDISC_FOREIGN: {
    means: 'The interface has an "ingress" qdisc, which excludes clsact.',
    todo: 'Use --adopt if only mirrors hang on it; else move its filters to clsact.'
  },
  QDISC_SHARED: {
    means: 'The filters of this interface come from a block that other interfaces share.',
    todo: 'Give the interface a qdisc without a shared block.'
  },
  MIRROR_TWICE: {
    means: 'Foreign filters already mirror the interface into this span: sensors would get each frame twice.',
    todo: 'Use --adopt, or remove the filters with tc.'
  },
  MIRROR_HIDDEN: {
    kind: 'warning',
    means: 'A filter of another tool comes before the mirrors, and may hide frames from them.',
    todo: 'Give that filter a preference above 8, or an action that continues.'
  },
  COPIES_HIDDEN: {
    kind: 'warning',
    means: 'A filter at the egress of the bridge or of a port may keep copies from the sensors.',
    todo: 'Remove that filter.'
  },
  COPIES_FOREIGN: {
    kind: 'warning',
    means:
      'A filter that spanplan did not create copies or redirects frames into a span, from an interface that is no source of the span: sensors get frames that the file does not name.',
    todo: 'Remove the filter with the command of the hint. Or write the interface as a source, and apply with --adopt.'
  },
  PROGRAM_BEFORE: {
    kind: 'warning',
    means:
      'An eBPF program (tcx, XDP), as of Cilium, comes before the mirrors and may hide frames from them. One of generic XDP makes the kernel copy frames without their Ethernet header.',
    todo: 'Check whether sensors get all frames, and whole; if not, mirror another interface.'
  },
  OFFLOAD_FIXED: {
    kind: 'warning',
    means: 'The driver does not allow an offload to be switched off, so sensors get merged frames.',
    todo: 'Let the sensors accept large frames, or use another interface.'
  },
  // The span: its bridge, seal and network.
  MTU_SMALL: {
    kind: 'warning',
    means: 'The "mtu" of the span is smaller than that of a source: larger frames are lost.',
    todo: 'Write "mtu: auto" or a larger number.'
  },
  BRIDGE_FOREIGN: {
    means: 'An interface of this name exists that spanplan did not create.',
    todo: 'Rename the span, or run spanplan plan --adopt to see whether spanplan can take the bridge over.'
  },
  BRIDGE_OTHER_NAME: {
    means: 'The bridge belongs to a span of another "name".',
    todo: 'Rename the span, or destroy the span of the other name.'
  },
  MARK_COPIED: {
    kind: 'warning',
    means:
      'Somebody has given a bridge of their own the alias of a span’s bridge. Nothing else of that bridge is spanplan’s, so the alias claims nothing: the bridge is no span, and stays as it is.',
    todo: 'Take the alias off with the command of the hint.'
  },
  BRIDGE_IN_USE: {
    means: 'The bridge cannot be removed, because somebody else uses it. There is one error for each use.',
    todo: 'Run the command of the hint, which ends that use.'
  },
  LINK_OPAQUE: {
    means:
      'What ip prints of an interface is not understood. Nothing is done with that interface; the message says what it is in the way of.',
    todo: 'Report it with the version of iproute2. Until then, name the span differently, or mirror another interface.'
  },
  LINK_FOREIGN: {
    means: 'An interface of another kind has the name of the span.',
    todo: 'Rename the span.'
  },
  SEAL_BLOCKED: {
    means: 'A foreign qdisc, filter or shared block stands where the filter that seals a port belongs, or before it.',
    todo: 'Remove it, as the hint says, or write "sealed: false".'
  },
  SENSOR_FAILED: {
    means:
      'A sensor could not be connected or disconnected, or its interface was gone again at once. Everything else was applied, and stays: the exit status is 4. A watch tries that sensor again later, after longer and longer rests.',
    todo: 'See what the container does, and whether it needs CAP_NET_ADMIN; restart it, or take it off the file. Then run apply again.'
  },
  PORT_LEFT: {
    means:
      'A sensor was disconnected, but its interface is still there: it has renamed the interface, so that Docker or Podman did not find it, and the port on the host could not be removed either. The sensor goes on to hear the span.',
    todo: 'Remove the port with the command that the message names, or restart the container.'
  },
  PORT_STRAY: {
    kind: 'warning',
    means:
      'A port of a span has a name such as Docker or Podman gives, and no container has its other end. A sensor with CAP_NET_ADMIN can move its interface to a network namespace of its own, and so go on to hear the span when it is taken off the file. spanplan removes such a port where its mark says that it was made for a container; this one may also be somebody’s own, and stays, sealed also when the span goes.',
    todo: 'Find out what it is for; if nobody needs it, remove it with the command that the message names.'
  },
  INTERFACE_RENAMED: {
    kind: 'warning',
    means:
      'A sensor was disconnected and connected again, and Docker has given its interface another name; or it could not be connected again. Docker 28 and later keep the name.',
    todo: 'Restart the sensor with the command of the hint: Docker then counts its interfaces from the start again, and the old name is back.'
  },
  RECREATE_DEFERRED: {
    kind: 'wait',
    means:
      'The file asks for what disconnects running sensors for a moment, and may rename their interfaces. A watch, a hook and --no-recreate never do that.',
    todo: 'Run spanplan apply when it suits, and restart the sensors that it names. For a watch that does it by itself: watch --recreate.'
  },
  SEAL_LATE: {
    kind: 'warning',
    means:
      'A port of a sealed span stays open until spanplan has seen it: nftables cannot close it from its first frame on.',
    todo: 'Install nftables, with a kernel that has NFT_BRIDGE_META; keep a watch running until then.'
  },
  PORT_NOT_SILENT: {
    means:
      'The XDP program that keeps what a sealed sensor sends from packet sockets of the host could not be attached to its port, or somebody has taken it off. Everything else was done, and the port is sealed.',
    todo: 'Read what ip says in the message. A port that somebody has made by hand can have fewer queues to receive on than its other end sends on (ethtool -l PORT): make it with as many. Then run spanplan apply again.'
  },
  SILENCE_UNAVAILABLE: {
    kind: 'warning',
    means:
      'The host cannot have the XDP program that keeps what sealed sensors send from its packet sockets, or the right is missing. Everything else is as it should be.',
    todo: 'Do what the reason says: run spanplan as root, mount the BPF file system, or update iproute2 or the kernel (5.18 or later).'
  },
  STACK_BLOCKED: {
    kind: 'warning',
    means:
      'A sensor has a filter of its own on its interface on a span. spanplan leaves that as it is, and mirrored frames reach the network stack of the sensor.',
    todo: 'Have the container take its filter off, or write "sealed: false".'
  },
  STACK_OPEN: {
    means:
      'The filter that keeps mirrored frames from the network stack of a sensor could not be set, or somebody in the container has taken it off. Everything else was done.',
    todo: 'Take CAP_NET_ADMIN from the container. If the kernel refused the filter, the message says why.'
  },
  STACK_UNREAD: {
    kind: 'warning',
    means:
      'spanplan may not enter the network namespace of a sensor, or what is there cannot be read: whether its network stack is closed is not known.',
    todo: 'Run spanplan as root, or with CAP_SYS_ADMIN. A container with CAP_NET_ADMIN can have more filters than are read: take that right from it, and restart it.'
  },
  TABLE_FOREIGN: {
    means: 'An nftables table has the name of spanplan’s table, and spanplan did not create it.',
    todo: 'Remove or rename the table.'
  },
  TABLE_UNREAD: {
    kind: 'wait',
    means: 'nftables could not be read, mostly because a right is missing. The table is left as it is.',
    todo: 'Run spanplan as root.'
  },
  TABLE_UNSUPPORTED: {
    kind: 'warning',
    means:
      'The nftables of this kernel cannot tell the bridge of a port, so ports are closed only once spanplan sees them.',
    todo: 'Use a kernel with NFT_BRIDGE_META, such as Debian’s; keep a watch running until then.'
  },
  NETWORK_TWICE: {
    means: 'Two spans have the same Docker network.',
    todo: 'Give each span a network of its own.'
  },
  NETWORK_FOREIGN: {
    means: 'A Docker network of this name exists that spanplan did not create.',
    todo: 'Write another name under "network", or use --adopt if the network is on the bridge of the span.'
  },
  NETWORK_OTHER_SPAN: {
    means: 'The Docker network belongs to another span.',
    todo: 'Write another name under "network".'
  },
  NETWORK_BRIDGE_TAKEN: {
    means: 'Another Docker network is on the bridge of the span.',
    todo: 'Remove that network, or write its name under "network" and use --adopt.'
  },
  // Sensors and Docker.
  SENSOR_TWICE: {
    means: 'A span lists a container, a label or a Compose service twice.',
    todo: 'Remove one of them.'
  },
  SENSOR_MISSING: {
    kind: 'wait',
    means: 'There is no such container yet, or none that runs.',
    todo: 'Start the container, then apply again; apply --wait and watch connect it as soon as it runs.'
  },
  SENSOR_UNREAD: {
    kind: 'wait',
    means: 'spanplan does not understand what Docker says of the container.',
    todo: 'Restart the container. If that does not help, report it as a bug.'
  },
  SENSOR_RESTARTING: {
    kind: 'wait',
    means: 'The container exits as soon as it starts.',
    todo: 'Look at what the container writes (docker logs or podman logs), and repair it.'
  },
  SENSOR_STOPPED: {
    kind: 'problem',
    means: 'A sensor is not running.',
    todo: 'Start the container.'
  },
  SENSOR_PAUSED: {
    kind: 'problem',
    means: 'The processes of a sensor are frozen (docker pause or podman pause), so it reads no frame.',
    todo: 'Let it go on: docker unpause or podman unpause.'
  },
  SENSOR_DISCONNECTED: {
    kind: 'problem',
    means: 'A sensor runs, and is not connected to the network of its span.',
    todo: 'Run spanplan apply; a watch connects it by itself.'
  },
  SENSOR_INTERFACE: {
    kind: 'problem',
    means: 'The interface of a sensor is down, is gone or is in another network namespace; or its port is down.',
    todo: 'Run the command of the hint. See what in the container changes the interface: it needs CAP_NET_ADMIN for that.'
  },
  SENSOR_DEAF: {
    kind: 'problem',
    means:
      'No process in a sensor listens on its interface: there is no packet socket on it that gets frames of every protocol.',
    todo: 'See in what the container writes (docker logs or podman logs) why the tool does not run, or on which interface it listens; then restart the container.'
  },
  SENSOR_NETWORK_MODE: {
    means:
      'The container has no network of its own (host, container:…). A warning if a label or a service selected the container; if the file names it, the sensor waits, everything else is applied, and the exit status is 4.',
    todo: 'Create the container again without network_mode, or take it off the list.'
  },
  SENSOR_NETWORK_LOST: {
    means:
      'The network with which the container was created is gone, so Docker connects the container to none. A warning if a label or a service selected the container; if the file names it, the sensor waits, everything else is applied, and the exit status is 4. An error if the file itself would remove that network; a watch then keeps the network.',
    todo: 'Create the container again, or keep the name of the network.'
  },
  CONTAINER_UNREAD: {
    kind: 'warning',
    means: 'spanplan does not understand what Docker says of a container. That container is left as it is.',
    todo: 'Restart the container. If that does not help, report it as a bug.'
  },
  DOCKER_UNREACHABLE: {
    means: 'Docker does not answer.',
    todo: 'Start Docker, check DOCKER_HOST, or leave networks and sensors for later with --defer-docker.'
  },
  DOCKER_FORBIDDEN: {
    means: 'This user may not use the socket of Docker.',
    todo: 'Run spanplan as root, or as a user in the group docker.'
  },
  DOCKER_REMOTE: {
    means: 'DOCKER_HOST names another host. A span needs the Docker of this host.',
    todo: 'Unset DOCKER_HOST, or set it to a socket of this host.'
  },
  PODMAN_NETWORK: {
    means:
      "Podman answers in the place of Docker, and cannot hand out a span: it is older than Podman 5.4, or it is a user's own (rootless), whose containers cannot be on a bridge of the host. A container as a source works.",
    todo: "Use root's Podman 5.4 or later, or Docker, for the sensors. A span without sensors and network can be captured."
  },
  DOCKER_DEFERRED: {
    kind: 'wait',
    means:
      'Docker was not read, because Docker is away, or --defer-docker was given. What needs Docker is left as it is.',
    todo: 'Apply again without --defer-docker, once Docker runs. A watch does that itself.'
  },
  DOCKER_FAILED: {
    means: 'Docker refused a request; the message has its words.',
    todo: 'Repair what Docker names, then run the command again.'
  },
  // Applying.
  PLAN_INVALID: {
    means: 'The saved plan cannot be read, or has been changed since plan --out wrote it.',
    todo: 'Make a new plan with plan --out.'
  },
  PLAN_VERSION: {
    means: 'The saved plan has another major format_version.',
    todo: 'Make a new plan with this version of spanplan.'
  },
  PLAN_STALE: {
    means: 'The saved plan no longer fits the host or the file; the message says what has changed.',
    todo: 'Make a new plan with plan --out, and look at it again.'
  },
  CONFIRMATION_NEEDED: {
    means: 'Something would be removed, recreated or adopted, and there is no terminal on which to ask.',
    todo: 'Look at spanplan plan, then use --yes or apply a saved plan.'
  },
  NOT_CONFIRMED: {
    means:
      'The question was not answered with yes, and nothing was changed; or an apply with --rollback-after was not confirmed, and was rolled back.',
    todo: 'Run the command again, and answer y, or confirm it in time.'
  },
  HOST_CHANGED: {
    means: 'The host has changed since the question was asked; the message says what. Nothing was changed by spanplan.',
    todo: 'Run the command again.'
  },
  LOCKED: {
    means: 'Another spanplan is running, and only one at a time may change a host.',
    todo: 'Wait until it has ended, or use --lock-timeout 1m. The message says which process it is.'
  },
  RIGHT_MISSING: {
    means:
      'A right is missing: CAP_NET_ADMIN, CAP_NET_RAW, root, a run directory of your own, or the right to write to the folder of --install. For status: something could not be read.',
    todo: 'Use sudo, or give the right that the message names.'
  },
  NAMESPACE_HIDDEN: {
    kind: 'warning',
    means:
      'spanplan runs in a mount namespace of its own, and the network namespace of a container was mounted since: it is not seen there.',
    todo: 'Restart spanplan. So that it sees what is mounted later, leave MountFlags=private out of its unit, or use unshare --propagation slave.'
  },
  STEP_FAILED: {
    means: 'A step of the plan failed; the message has the words of the program. What was done is rolled back.',
    todo: 'Repair the cause, then apply again.'
  },
  NOT_CONVERGED: {
    means: 'Every step was done, and the host still differs from the file: something else changes it.',
    todo: 'Find what changes the host, as with ip monitor; NetworkManager and networkd are likely.'
  },
  UNVERIFIED: {
    means:
      'Everything was done, and then Docker could not be read. What was done stays; what was not checked is listed.',
    todo: 'Once Docker runs, look at spanplan plan.'
  },
  INTERRUPTED: {
    means: 'A signal ended the command. What had been done is rolled back.',
    todo: 'Run the command again.'
  },
  ROLLBACK_PARTIAL: {
    means: 'An apply was to be rolled back, and that could not be completed. The message says what is left.',
    todo: 'Look at spanplan plan, then apply or destroy.'
  },
  ROLLBACK_BLIND: {
    means: 'The host could not be read during a rollback.',
    todo: 'Look at spanplan plan, then apply or destroy.'
  },
  NOTHING_WAITS: {
    means: 'confirm or rollback was called, and no apply waits for it, or not the window that was named.',
    todo: 'Nothing: the apply has ended already. The message says how the window that was named has ended.'
  },
  DETACH_IMPOSSIBLE: {
    means: 'A unit of systemd cannot wait for the confirmation: no systemd runs here, or the unit does not start.',
    todo: 'Leave out --detach: then the apply waits at its terminal. Or see the journal of the unit.'
  },
  WINDOW_UNREADABLE: {
    means:
      'The record of an apply with --detach is broken, or of another version of spanplan: nothing can be rolled back with it, and the changes stay.',
    todo: 'Run spanplan apply with the file from before, or with the new one to keep the changes.'
  },
  NO_ANSWER: {
    means: 'The apply that waits gives no answer to confirm or rollback, or none within 10 minutes.',
    todo: 'Look at that apply and at spanplan plan. Without an answer, the apply rolls back when its time is up.'
  },
  // Watching and looking.
  DRIFT: {
    kind: 'problem',
    means: 'The host differs from the file.',
    todo: 'Run spanplan plan to see how, and spanplan apply to repair it.'
  },
  FRAMES_LOST: {
    kind: 'problem',
    means: 'Frames were lost at one place on their way; the message says why.',
    todo: 'See the causes of loss in docs/reference/json.md, each with what to do.'
  },
  CARRIER_LOST: {
    kind: 'problem',
    means: 'An interface has, or had, no carrier.',
    todo: 'Check the cable and the port of the switch.'
  },
  CONTESTED: {
    kind: 'problem',
    means: 'Something else undoes the same change again and again, so the watch leaves it alone for a while.',
    todo: 'Find what undoes it, as with ip monitor; NetworkManager and networkd are likely.'
  },
  MONITOR_FAILED: {
    kind: 'problem',
    means: 'A program that reports changes is not running. The watch sees changes at its next regular interval.',
    todo: 'Check that ip, tc and Docker run; the watch starts the program again by itself.'
  },
  WATCH_SILENT: {
    kind: 'problem',
    means: 'A watch runs, and does not answer: its process is stopped, or hangs.',
    todo: 'Restart its unit, or end the process that the message names, and start a watch. spanplan doctor says which.'
  },
  WATCH_KILLED: {
    kind: 'problem',
    means: 'A watch was killed, and nobody has started it again: nothing repairs what others change.',
    todo: 'Start it again: systemctl restart spanplan.service, or spanplan watch.'
  },
  WATCH_MISSING: {
    means: 'status --for watch needs a watch of this name, and none runs, or it has not read the host yet.',
    todo: 'Start the watch, or use another time, such as --for 10s.'
  },
  WATCH_REBUILDS: {
    kind: 'warning',
    means:
      'A destroy removes spans while a watch of the same name runs, which makes again those that are in its files.',
    todo: 'End the watch before the destroy.'
  },
  WATCH_OTHER_FILES: {
    kind: 'warning',
    means:
      'A watch of the same name keeps the spans as other files say, or as its files said before. It undoes within seconds what an apply of these files changes, and does not see a change in them.',
    todo: 'Change the files of the watch, which the message names. Or end the watch, and start it again with these files.'
  },
  WATCH_RUNS: {
    means: 'A watch of this name runs already.',
    todo: 'End that watch first, or give the file another "name".'
  },
  NOT_PAUSED: {
    means: 'resume names a span that is not paused, and that no watch leaves alone.',
    todo: 'Look at spanplan status, which shows every pause.'
  },
  HOOK_UNCLEAR: {
    means: 'hook does not know which interface is meant, or whether the interface goes up or down.',
    todo: 'Use --interface and --phase, or set $IFACE and $PHASE.'
  },
  LISTEN_FAILED: {
    means: 'Nothing can be served at the address: it is in use, is not of this host, or may not be used.',
    todo: 'Choose another address for --listen.'
  },
  LISTEN_OPEN: {
    kind: 'warning',
    means: 'Metrics are served at an address that other hosts can reach, without TLS and passwords.',
    todo: 'Use 127.0.0.1, or protect the address with a firewall or a proxy.'
  },
  TERMINAL_MISSING: {
    means: 'status --live needs a terminal on stdout.',
    todo: 'Run it on a terminal, or use status without --live.'
  },
  TERMINAL_BINARY: {
    means: 'capture --write - would write pcap to a terminal.',
    todo: 'Pipe it into a program, or name a file.'
  },
  // Programs.
  PROGRAM_MISSING: {
    means: 'A program that spanplan needs (ip, tc, ethtool, tcpdump …) is not installed.',
    todo: 'Install the package that the message names.'
  },
  PROGRAM_HANGS: {
    means: 'A program did not end in time, and was ended.',
    todo: 'Run its command by hand, and see why it hangs.'
  },
  OUTPUT_TOO_LONG: {
    means:
      'A program printed far more than spanplan reads, and was ended. ss does where a sensor has thousands of packet sockets.',
    todo: 'Run its command by hand, and look at what it prints; or see why the sensor opens so many sockets.'
  },
  OUTPUT_UNKNOWN: {
    means: 'A program printed what spanplan does not understand.',
    todo: 'Report it as a bug, with the output of the command that the message names.'
  },
  COMMAND_FAILED: {
    means: 'A program failed; the message has its words.',
    todo: 'Repair what the program names.'
  },
  BUG: {
    means: 'This is a bug in spanplan.',
    todo: 'Report it, with the message and the command.'
  }
} as const satisfies Readonly<Record<string, Message>>

/** A code of an error, a warning, a wait or a problem. */
export type Code = keyof typeof messages
