import type { MessageText } from './message-text.ts'

/** Why a row of a plan waits. */
export const waits = {
  INTERFACE_GOING_DOWN: {
    means: 'A hook has reported that the interface is being taken down. spanplan leaves the interface alone.',
    todo: 'Nothing. It is used again as soon as it is up, as with ifup. If it is to stay up, run spanplan apply.'
  },
  SOURCE_MISSING: {
    means: 'No running container matches this source.',
    todo: 'Start the container. A watch, or the next apply, then mirrors it.'
  },
  SOURCE_UNREAD: {
    means: 'spanplan does not understand what Docker says of the container. Mirrors that are there stay.',
    todo: 'Restart the container. If that does not help, report it as a bug.'
  },
  SOURCE_UNSEEN: {
    means:
      'The right to see which interfaces are the container’s is missing, or what the host mounts is not seen here. Mirrors that are there stay.',
    todo: 'Run spanplan as root. For a mount namespace that mounts of the host do not come into, see NAMESPACE_HIDDEN.'
  },
  SOURCE_NO_INTERFACE: {
    means: 'No interface of the container has an end on the host, as with macvlan, ipvlan and network_mode: none.',
    todo: 'Use the host’s interface below it as the source, or connect the container to a network.'
  },
  FILTER_FORBIDDEN: {
    means: 'A filter with "vlan" can be compiled only with CAP_NET_RAW.',
    todo: 'Run spanplan as root, or with CAP_NET_RAW.'
  },
  FILTER_PENDING: {
    means: 'tcpdump is still compiling the filter. The watch goes on meanwhile.',
    todo: 'Wait, or write a shorter filter.'
  },
  RECREATE_DEFERRED: {
    means:
      'The file asks for what disconnects running sensors for a moment, and may rename their interfaces. A watch, a hook and --no-recreate never do that.',
    todo: 'Run spanplan apply when it suits, and restart the sensors that it names. For a watch that does it by itself: watch --recreate.'
  },
  TABLE_UNREAD: {
    means: 'nftables could not be read, mostly because a right is missing. The table is left as it is.',
    todo: 'Run spanplan as root.'
  },
  SENSOR_MISSING: {
    means: 'There is no such container yet, or none that runs.',
    todo: 'Start the container, then apply again; apply --wait and watch connect it as soon as it runs.'
  },
  SENSOR_UNREAD: {
    means: 'spanplan does not understand what Docker says of the container.',
    todo: 'Restart the container. If that does not help, report it as a bug.'
  },
  SENSOR_RESTARTING: {
    means: 'The container exits as soon as it starts.',
    todo: 'Look at what the container writes (docker logs or podman logs), and repair it.'
  },
  DOCKER_DEFERRED: {
    means:
      'Docker was not read, because Docker is away, or --defer-docker was given. What needs Docker is left as it is.',
    todo: 'Apply again without --defer-docker, once Docker runs. A watch does that itself.'
  }
} as const satisfies Readonly<Record<string, MessageText>>
