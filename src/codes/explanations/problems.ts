import type { MessageText } from './message-text.ts'

/** What `status` and `watch` find. */
export const problems = {
  SOURCE_IDLE: {
    means: 'The source has had no frame for as long as its "max_idle".',
    todo: 'Check the mirror session of the switch, then the cable, then the filter of the source.'
  },
  SENSOR_STOPPED: {
    means: 'A sensor is not running.',
    todo: 'Start the container.'
  },
  SENSOR_PAUSED: {
    means: 'The processes of a sensor are frozen (docker pause or podman pause), so it reads no frame.',
    todo: 'Let it go on: docker unpause or podman unpause.'
  },
  SENSOR_DISCONNECTED: {
    means: 'A sensor runs, and is not connected to the network of its span.',
    todo: 'Run spanplan apply; a watch connects it by itself.'
  },
  SENSOR_INTERFACE: {
    means:
      'The interface of a sensor is down, is gone or is in another network namespace; or its port is down, or off the bridge.',
    todo: 'Run the command of the hint. See what in the container changes the interface: it needs CAP_NET_ADMIN for that.'
  },
  SENSOR_DEAF: {
    means:
      'No process in a sensor listens on its interface: there is no packet socket on it that gets frames of every protocol.',
    todo: 'See in what the container writes (docker logs or podman logs) why the tool does not run, or on which interface it listens; then restart the container.'
  },
  DRIFT: {
    means: 'The host differs from the file.',
    todo: 'Run spanplan plan to see how, and spanplan apply to repair it.'
  },
  FRAMES_LOST: {
    means: 'Frames were lost at one place on their way; the message says why.',
    todo: 'See the causes of loss in docs/reference/json.md, each with what to do.'
  },
  CARRIER_LOST: {
    means: 'An interface has, or had, no carrier.',
    todo: 'Check the cable and the port of the switch.'
  },
  CONTESTED: {
    means: 'Something else undoes the same change again and again, so the watch leaves it alone for a while.',
    todo: 'Find what undoes it, as with ip monitor; NetworkManager and networkd are likely.'
  },
  MONITOR_FAILED: {
    means: 'A program that reports changes is not running. The watch sees changes at its next regular interval.',
    todo: 'Check that ip, tc and Docker run; the watch starts the program again by itself.'
  },
  WATCH_SILENT: {
    means: 'A watch runs, and does not answer: its process is stopped, or hangs.',
    todo: 'Restart its unit, or end the process that the message names, and start a watch. spanplan doctor says which.'
  },
  WATCH_KILLED: {
    means: 'A watch was killed, and nobody has started it again: nothing repairs what others change.',
    todo: 'Start it again: systemctl restart spanplan.service, or spanplan watch.'
  }
} as const satisfies Readonly<Record<string, MessageText>>
