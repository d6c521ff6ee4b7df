/** Errors of what is to be on the host: sources, spans and sensors. Each code has what it means, and what to do about it. */
export const hostErrors = {
  // Interfaces and sources.
  INTERFACE_TWICE: ['Two entries of "interfaces" have one key, or describe one interface.', 'Make one entry of them.'],
  INTERFACE_MISSING: [
    'The host has no such interface.',
    'Check the name with ip link; the message names similar ones.'
  ],
  INTERFACE_NAME: [
    'The name of this interface cannot be passed to tc, ethtool or sysctl.',
    'Rename the interface: ip link set dev NAME name new0, where NAME may be one of its altnames. An altname in the file is not enough.'
  ],
  INTERFACE_NAME_TWICE: [
    'Two spans give their interfaces in one container the same name.',
    'Change interface_name in one of them.'
  ],
  INTERFACE_AMBIGUOUS: ['Several interfaces have this MAC address.', 'Match the interface by its name.'],
  INTERFACE_OF_TUNNEL: [
    'A source is, as an interface, the one that spanplan has made for the tunnel of another source of the same file.',
    'Write the tunnel as the source: several spans may have it.'
  ],
  INTERFACE_NOT_ETHERNET: [
    'The frames of this interface have no MAC header, so they cannot be copied to a bridge.',
    'Use the Ethernet interface below it.'
  ],
  DEDICATED_HAS_ADDRESS: [
    'The interface is to be dedicated to capture, and has an IP address.',
    'Remove the address, or "dedicated: true".'
  ],
  DEDICATED_HAS_ROUTE: [
    'The interface is to be dedicated to capture, and the host has a route through it.',
    'Remove the route, or "dedicated: true".'
  ],
  DEDICATED_SPAN: [
    'The interface is to be dedicated to capture, and is the bridge of a span, whose sensors would get nothing, or the port of a sensor, which its span closes already.',
    'Remove "dedicated: true".'
  ],
  SOURCE_TWICE: [
    'One direction of one interface is copied into a span twice: sensors would get each frame twice. Where two sources select one container, with different filters, the first one holds there; everything else is applied, and the exit status is 4.',
    'Remove one of the sources, or join their filters with "or". Let only one of two sources select a container, or give both the same filter.'
  ],
  SOURCE_NETWORK_MODE: [
    'The container has no interface of its own (host, container:…). A warning if a label or a service selected it; if the file names it, the source waits, everything else is applied, and the exit status is 4.',
    'Use the interface of the host, or the other container, as the source.'
  ],
  SOURCE_NETWORK_DRIVER: [
    'The network of this source has no bridge on this host, as with the drivers macvlan, ipvlan, overlay, host and none.',
    'Use the interface of the host that its frames pass as the source.'
  ],
  SOURCE_NETWORK_OF_SPAN: [
    'The network of this source hands out a span: its frames are copies already.',
    'Remove the source, or copy from the bridge of that span with "interface".'
  ],
  TUNNEL_TAKEN: [
    'The host has another interface for what senders send to a source that is a tunnel, and one of the two would get nothing, or lose frames. The kernel has one interface for the id and the port of a VXLAN, or for every id of that port; of GRE, it has one for the addresses and the key or session, and prefers one of more addresses, or of one interface.',
    'Copy from that interface with "interface", or remove it if nothing needs it.'
  ],
  TUNNEL_FAILED: [
    'The interface that a tunnel ends in could not be made or started, or did not stay so. Its mirrors get nothing; everything else was done.',
    'See whether the kernel has the module of the tunnel, and of a VXLAN which program has the port, and whether an interface of that id is in another network namespace; then apply again.'
  ],
  ADDRESS_MISSING: [
    'The host does not have the address that is "local" of a source that is a tunnel. Nothing that is sent to that address arrives.',
    'Write an address of this host.'
  ],
  SENDERS_OVERLAP: [
    'A tunnel has "from", and another interface of the host is the end of a tunnel of one sender with the same key, which "from" leaves out. What that sender sends would be dropped.',
    'Add the address of that sender to "from", or have it use another key.'
  ],
  SENDERS_UNSUPPORTED: [
    'A source has "from", and the host has no nftables. Without it, spanplan cannot tell who has sent what comes out of a tunnel, and touch nothing of others.',
    'Install the package nftables, or take "from" out, and have the firewall of the host let in the senders alone.'
  ],
  LOOP: [
    'A span would copy its own copies. The message shows the circle, also over outputs, cables, bridges, bonds, VLANs and macvlans.',
    'Remove one of the sources or outputs in the circle, or the connection between them. Give a span with the name of its source another name.'
  ],
  OUTPUT_TWICE: [
    'One interface is an output of two spans, or twice of one. A port belongs to one bridge.',
    'Remove one of the two, or make one span a source of the other.'
  ],
  OUTPUT_SOURCE: [
    'One interface is an output and a source, also of two names: what leaves by it would be copied again. Or an output over GRE would take what comes for a source: the kernel prefers the tunnel of one sender, and what comes by an output is dropped.',
    'Use another interface, key or session for one of the two. To copy what a span sends, make the span a source.'
  ],
  OUTPUT_IN_USE: [
    'The interface cannot be an output: it has an address or a route, belongs to a bridge or a bond, carries a VLAN or the like, leads to a container, or is an output of another span. A port of a span’s bridge is closed to the host, so any other use would be cut off.',
    'Take away what the message names, if nothing needs it, or use another interface.'
  ],
  REMOTE_BROADCAST: [
    'The "remote" of an output is the broadcast address of a network of this host: every host there would get the packets.',
    'Write the address of one host.'
  ],
  REMOTE_OWN: [
    'The "remote" of an output is an address of this host: what is sent there comes back.',
    'Write the address of the other host.'
  ],
  OUTPUT_FAILED: [
    'The interface could not be put on the span’s bridge, or not be set as it has to be. Everything else was done.',
    'Read what the program says in the message: some drivers, as of wireless interfaces, do not let an interface be a port of a bridge.'
  ],
  // Filters, and what else is on an interface.
  FILTER_INVALID: [
    'tcpdump refuses the filter; the message has its words.',
    'Write a pcap-filter(7) expression; see spanplan help filters.'
  ],
  FILTER_HOST_NAME: [
    'A filter has a host name. Its address may change at any time, and the mirror would drift.',
    'Write the address; getent ahosts NAME shows it.'
  ],
  LOOPBACK_DOWN: [
    'A filter with vlan has to be compiled for the interface lo, which is down. The filter may be right.',
    'Bring it up: ip link set lo up.'
  ],
  FILTER_TOO_LARGE: [
    'The filter compiles to more than the kernel takes, or takes more than 30 s to compile.',
    'Join addresses into networks, or make several sources of it.'
  ],
  FILTER_FOREIGN: [
    'A foreign tc filter stands where a mirror should be.',
    'Run spanplan plan --adopt to see whether spanplan can take it over; else remove it with tc.'
  ],
  QDISC_FOREIGN: [
    'The interface has an "ingress" qdisc, which excludes clsact.',
    'Use --adopt if only mirrors hang on it; else move its filters to clsact.'
  ],
  QDISC_SHARED: [
    'The filters of this interface come from a block that other interfaces share.',
    'Give the interface a qdisc without a shared block.'
  ],
  MIRROR_TWICE: [
    'Foreign filters already mirror the interface into this span: sensors would get each frame twice.',
    'Use --adopt, or remove the filters with tc.'
  ],
  // The span: its bridge, seal and network.
  BRIDGE_FOREIGN: [
    'An interface of this name exists that spanplan did not create.',
    'Rename the span, or run spanplan plan --adopt to see whether spanplan can take the bridge over.'
  ],
  BRIDGE_OTHER_NAME: [
    'The bridge belongs to a span of another "name".',
    'If the file had that name before, write it under "formerly". Else rename the span, or destroy the span of the other name.'
  ],
  BRIDGE_RENAMED: [
    'Somebody has given the bridge of a span another name. Its sensors stay on it, sealed, and get nothing new.',
    'Give the bridge the name of its span again, as the hint says. Then run apply.'
  ],
  BRIDGE_IN_USE: [
    'The bridge, or the interface of a tunnel, cannot be removed, because somebody else uses it, or another span copies from it. There is one error for each use.',
    'Do what the hint says, which ends that use.'
  ],
  LINK_OPAQUE: [
    'What ip prints of an interface is not understood. Nothing is done with that interface; the message says what it is in the way of.',
    'Report it with the version of iproute2. Until then, name the span differently, or mirror another interface.'
  ],
  LINK_FOREIGN: [
    'An interface of another kind has the name of the span, perhaps as an altname.',
    'Rename the span, or take the altname off, as the hint says.'
  ],
  SEAL_BLOCKED: [
    'A foreign qdisc, filter or shared block stands where the filter that seals a port belongs, or before it.',
    'Remove it, as the hint says, or write "sealed: false".'
  ],
  SENSOR_FAILED: [
    'A sensor could not be connected or disconnected, or its interface was gone again at once. Everything else was applied, and stays: the exit status is 4. A watch tries that sensor again later, after longer and longer rests.',
    'See what the container does, and whether it needs CAP_NET_ADMIN; restart it, or take it off the file. Then run apply again.'
  ],
  PORT_LEFT: [
    'A sensor was disconnected, but its interface is still there: it has renamed the interface, so that Docker or Podman did not find it, and the port on the host could not be removed either. The sensor goes on to hear the span.',
    'Remove the port with the command that the message names, or restart the container.'
  ],
  PORT_NOT_SILENT: [
    'The XDP program that keeps what a sealed sensor sends from packet sockets of the host could not be attached to its port, or somebody has taken it off. Everything else was done, and the port is sealed.',
    'Read what ip says in the message. A port that somebody has made by hand can have fewer queues to receive on than its other end sends on (ethtool -l PORT): make it with as many. Then run spanplan apply again.'
  ],
  STACK_OPEN: [
    'The filter that keeps mirrored frames from the network stack of a sensor could not be set, or somebody in the container has taken it off. Everything else was done.',
    'Take CAP_NET_ADMIN from the container. If the kernel refused the filter, the message says why.'
  ],
  TABLE_FOREIGN: [
    'An nftables table has the name of spanplan’s table, and spanplan did not create it.',
    'Remove or rename the table.'
  ],
  NETWORK_TWICE: ['Two spans have the same Docker network.', 'Give each span a network of its own.'],
  NETWORK_FOREIGN: [
    'A Docker network of this name exists that spanplan did not create.',
    'Write another name under "network", or use --adopt if the network is on the bridge of the span.'
  ],
  NETWORK_OTHER_NAME: [
    'The Docker network of the span bears another name than the file has. Docker changes no label of a network.',
    'Write the other name under "formerly" if it is one that the file had. Else remove that span.'
  ],
  NETWORK_OTHER_SPAN: ['The Docker network belongs to another span.', 'Write another name under "network".'],
  NETWORK_BRIDGE_TAKEN: [
    'Another Docker network is on the bridge of the span.',
    'Remove that network, or write its name under "network" and use --adopt.'
  ],
  // Sensors and Docker.
  SENSOR_TWICE: ['A span lists a container, a label or a Compose service twice.', 'Remove one of them.'],
  SENSOR_NETWORK_MODE: [
    'The container has no network of its own (host, container:…). A warning if a label or a service selected the container; if the file names it, the sensor waits, everything else is applied, and the exit status is 4.',
    'Create the container again without network_mode, or take it off the list.'
  ],
  SENSOR_NETWORK_LOST: [
    'The network with which the container was created is gone, so Docker connects the container to none. A warning if a label or a service selected the container; if the file names it, the sensor waits, everything else is applied, and the exit status is 4. An error if the file itself would remove that network; a watch then keeps the network.',
    'Create the container again, or keep the name of the network.'
  ],
  DOCKER_UNREACHABLE: [
    'Docker does not answer.',
    'Start Docker, check DOCKER_HOST, or leave networks and sensors for later with --defer-docker.'
  ],
  DOCKER_FORBIDDEN: [
    'This user may not use the socket of Docker.',
    'Run spanplan as root, or as a user in the group docker.'
  ],
  DOCKER_REMOTE: [
    'DOCKER_HOST names another host. A span needs the Docker of this host.',
    'Unset DOCKER_HOST, or set it to a socket of this host.'
  ],
  PODMAN_NETWORK: [
    "Podman answers in the place of Docker, and cannot hand out a span: it is older than Podman 5.4, or it is a user's own (rootless), whose containers cannot be on a bridge of the host. A container as a source works.",
    "Use root's Podman 5.4 or later, or Docker, for the sensors. A span without sensors and network can be captured."
  ],
  DOCKER_FAILED: [
    'Docker refused a request; the message has its words.',
    'Repair what Docker names, then run the command again.'
  ]
} as const
