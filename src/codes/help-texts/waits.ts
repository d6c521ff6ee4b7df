/** Why a row of a plan waits. Each code has what it means, and what to do about it. */
export const waits = {
  INTERFACE_GOING_DOWN: [
    'A hook has reported that the interface is being taken down. spanplan leaves the interface alone.',
    'Nothing. It is used again as soon as it is up, as with ifup. If it is to stay up, run spanplan apply.'
  ],
  MODULE_MISSING: [
    'The kernel lacks a module, or does not load it: of a tunnel, the one that makes its interface (vxlan of a VXLAN, ip_gre of gretap and erspan); of a source with a limit, act_police. Everything else is done; an apply by hand of a file with such a limit does nothing. Nothing is copied without its limit: where a source gets one that the kernel cannot keep, a watch takes its mirrors off.',
    'Load the module with modprobe, or install a kernel that has it: the message says which. Then apply again; a watch does so by itself.'
  ],
  OUTPUT_COPIED: [
    'A mirror that the plan does not change copies from an interface that is to be an output. Or an interface was an output until now and becomes a source: it is given back as it was first.',
    'See what the mirror waits for. An interface that is given back needs nothing: the same apply makes its mirrors then.'
  ],
  REMOTE_UNREACHABLE: [
    'The host has no route to the "remote" of an output. An output that is there stays.',
    'Add the route, or set the interface up that leads there. A watch, or the next apply, then makes the output.'
  ],
  SOURCE_MISSING: [
    'No running container matches this source.',
    'Start the container. A watch, or the next apply, then mirrors it.'
  ],
  SOURCE_NETWORK_MISSING: [
    'There is no Docker network of this name.',
    'Make the network, or start the Compose project that does. A watch, or the next apply, then mirrors it.'
  ],
  SOURCE_NETWORK_BRIDGE: [
    'Docker knows the network, and the host does not have its bridge: somebody has removed the bridge.',
    'Restart Docker, which makes the bridges of its networks again.'
  ],
  SOURCE_UNREAD: [
    'spanplan does not understand what Docker says of the container. Mirrors that are there stay.',
    'Restart the container. If that does not help, report it as a bug.'
  ],
  SOURCE_UNSEEN: [
    'The right to see which interfaces are the container’s is missing, or what the host mounts is not seen here. Mirrors that are there stay.',
    'Run spanplan as root. For a mount namespace that mounts of the host do not come into, see NAMESPACE_HIDDEN.'
  ],
  SOURCE_NO_INTERFACE: [
    'No interface of the container has an end on the host, as with macvlan, ipvlan and network_mode: none.',
    'Use the host’s interface below it as the source, or connect the container to a network.'
  ],
  FILTER_FORBIDDEN: [
    'A filter with "vlan" can be compiled only with CAP_NET_RAW.',
    'Run spanplan as root, or with CAP_NET_RAW.'
  ],
  FILTER_PENDING: [
    'tcpdump is still compiling the filter. The watch goes on meanwhile.',
    'Wait, or write a shorter filter.'
  ],
  RECREATE_DEFERRED: [
    'The file asks for what disconnects running sensors for a moment, and may rename their interfaces. A watch, a hook and --no-recreate never do that.',
    'Run spanplan apply when it suits, and restart the sensors that it names. For a watch that does it by itself: watch --recreate.'
  ],
  TABLE_UNREAD: [
    'nftables could not be read, mostly because a right is missing. The table is left as it is.',
    'Run spanplan as root.'
  ],
  SENSOR_MISSING: [
    'There is no such container yet, or none that runs.',
    'Start the container, then apply again; apply --wait and watch connect it as soon as it runs.'
  ],
  SENSOR_UNREAD: [
    'spanplan does not understand what Docker says of the container.',
    'Restart the container. If that does not help, report it as a bug.'
  ],
  SENSOR_RESTARTING: [
    'The container exits as soon as it starts.',
    'Look at what the container writes (docker logs or podman logs), and repair it.'
  ],
  DOCKER_DEFERRED: [
    'Docker was not read, because Docker is away, or --defer-docker was given. What needs Docker is left as it is.',
    'Apply again without --defer-docker, once Docker runs. A watch does that itself.'
  ]
} as const
