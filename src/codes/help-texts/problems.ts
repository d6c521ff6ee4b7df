/** What `status` and `watch` find. Each code has what it means, and what to do about it. */
export const problems = {
  SOURCE_IDLE: [
    'The source has had no frame for as long as its "max_idle".',
    'Check the mirror session of the switch, then the cable, then the filter of the source; of a tunnel, who sends, "from", and the host\'s firewall (spanplan doctor).'
  ],
  SENSOR_STOPPED: ['A sensor is not running.', 'Start the container.'],
  SENSOR_PAUSED: [
    'The processes of a sensor are frozen (docker pause or podman pause), so it reads no frame.',
    'Let it go on: docker unpause or podman unpause.'
  ],
  SENSOR_DISCONNECTED: [
    'A sensor runs, and is not connected to the network of its span.',
    'Run spanplan apply; a watch connects it by itself.'
  ],
  SENSOR_INTERFACE: [
    'The interface of a sensor is down, is gone or is in another network namespace; or its port is down, or off the bridge.',
    'Run the command of the hint. See what in the container changes the interface: it needs CAP_NET_ADMIN for that.'
  ],
  SENSOR_DEAF: [
    'No process in a sensor listens on its interface: there is no packet socket on it that gets frames of every protocol.',
    'See in what the container writes (docker logs or podman logs) why the tool does not run, or on which interface it listens; then restart the container.'
  ],
  SENSOR_DROPS: [
    'The tool in a sensor says itself, where "stats" in the file says, that it loses frames: of the packets that came to it meanwhile, a thousandth or more; Zeek, that it misses the data of a hundredth of the ACKs or more. What the kernel counts stands beside it.',
    'Do what the hint says for that tool. Zeek also misses what was lost before the sensor, or at the switch: look at the losses above it first.'
  ],
  DRIFT: ['The host differs from the file.', 'Run spanplan plan to see how, and spanplan apply to repair it.'],
  FRAMES_LOST: [
    'Frames were lost at one place on their way; the message says why.',
    'See the causes of loss in docs/reference/json.md, each with what to do.'
  ],
  PROBE_MISSED: [
    'A frame that spanplan probe, or watch --probe-interval, sent through a span did not come to a port, or came changed; the message says of which size, and where it was sent.',
    'Run the command of the hint. A port with a smaller MTU than its span drops the largest frames.'
  ],
  CARRIER_LOST: ['An interface has, or had, no carrier.', 'Check the cable and the port of the switch.'],
  CONTESTED: [
    'Something else undoes the same change again and again, so the watch leaves it alone for a while.',
    'Find what undoes it, as with ip monitor; NetworkManager and networkd are likely.'
  ],
  MONITOR_FAILED: [
    'A program that reports changes is not running. The watch sees changes at its next regular interval.',
    'Check that the program that the message names runs, and setpriv and Docker; the watch starts the program again by itself.'
  ],
  WATCH_SILENT: [
    'A watch runs, and does not answer: its process is stopped, or hangs.',
    'Restart its unit, or end the process that the message names, and start a watch. spanplan doctor says which.'
  ],
  WATCH_KILLED: [
    'A watch was killed, and nobody has started it again: nothing repairs what others change.',
    'Start it again: systemctl restart spanplan.service, or spanplan watch.'
  ]
} as const
