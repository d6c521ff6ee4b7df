import type { MessageText } from './message-text.ts'

/** Errors of what is to be on the host: sources, spans and sensors. */
export const hostErrors = {
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
  INTERFACE_NAME_TWICE: {
    means: 'Two spans give their interfaces in one container the same name.',
    todo: 'Change interface_name in one of them.'
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
  DEDICATED_HAS_ROUTE: {
    means: 'The interface is to be dedicated to capture, and the host has a route through it.',
    todo: 'Remove the route, or "dedicated: true".'
  },
  DEDICATED_SPAN: {
    means: 'The interface is to be dedicated to capture, and is the bridge of a span: its sensors would get nothing.',
    todo: 'Remove "dedicated: true".'
  },
  SOURCE_TWICE: {
    means: 'One direction of one interface is copied into a span twice: sensors would get each frame twice.',
    todo: 'Remove one of the sources, or join their filters with "or".'
  },
  SOURCE_NETWORK_MODE: {
    means:
      'The container has no interface of its own (host, container:…). A warning if a label or a service selected it; if the file names it, the source waits, everything else is applied, and the exit status is 4.',
    todo: 'Use the interface of the host, or the other container, as the source.'
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
  LOOPBACK_DOWN: {
    means: 'A filter with vlan has to be compiled for the interface lo, which is down. The filter may be right.',
    todo: 'Bring it up: ip link set lo up.'
  },
  FILTER_TOO_LARGE: {
    means: 'The filter compiles to more than the kernel takes, or takes more than 30 s to compile.',
    todo: 'Join addresses into networks, or make several sources of it.'
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
  // The span: its bridge, seal and network.
  BRIDGE_FOREIGN: {
    means: 'An interface of this name exists that spanplan did not create.',
    todo: 'Rename the span, or run spanplan plan --adopt to see whether spanplan can take the bridge over.'
  },
  BRIDGE_OTHER_NAME: {
    means: 'The bridge belongs to a span of another "name".',
    todo: 'Rename the span, or destroy the span of the other name.'
  },
  BRIDGE_RENAMED: {
    means: 'Somebody has given the bridge of a span another name. Its sensors stay on it, sealed, and get nothing new.',
    todo: 'Give the bridge the name of its span again, as the hint says. Then run apply.'
  },
  BRIDGE_IN_USE: {
    means:
      'The bridge cannot be removed, because somebody else uses it, or another span copies from it. There is one error for each use.',
    todo: 'Do what the hint says, which ends that use.'
  },
  LINK_OPAQUE: {
    means:
      'What ip prints of an interface is not understood. Nothing is done with that interface; the message says what it is in the way of.',
    todo: 'Report it with the version of iproute2. Until then, name the span differently, or mirror another interface.'
  },
  LINK_FOREIGN: {
    means: 'An interface of another kind has the name of the span, perhaps as an altname.',
    todo: 'Rename the span, or take the altname off, as the hint says.'
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
  PORT_NOT_SILENT: {
    means:
      'The XDP program that keeps what a sealed sensor sends from packet sockets of the host could not be attached to its port, or somebody has taken it off. Everything else was done, and the port is sealed.',
    todo: 'Read what ip says in the message. A port that somebody has made by hand can have fewer queues to receive on than its other end sends on (ethtool -l PORT): make it with as many. Then run spanplan apply again.'
  },
  STACK_OPEN: {
    means:
      'The filter that keeps mirrored frames from the network stack of a sensor could not be set, or somebody in the container has taken it off. Everything else was done.',
    todo: 'Take CAP_NET_ADMIN from the container. If the kernel refused the filter, the message says why.'
  },
  TABLE_FOREIGN: {
    means: 'An nftables table has the name of spanplan’s table, and spanplan did not create it.',
    todo: 'Remove or rename the table.'
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
  DOCKER_FAILED: {
    means: 'Docker refused a request; the message has its words.',
    todo: 'Repair what Docker names, then run the command again.'
  }
} as const satisfies Readonly<Record<string, MessageText>>
