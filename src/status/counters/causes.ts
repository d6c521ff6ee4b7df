/** Why frames do not go on, and how their number is known. */
interface CauseEntry {
  readonly words: string
  /** `kernel`: it has a counter for them. `difference`: none tells, so it is what is missing. `none`: nobody can know. */
  readonly counted: 'kernel' | 'difference' | 'none'
  /** What to do about it. */
  readonly hint: string
}

const makeTrue = 'spanplan plan shows what is to be done'

/** All causes of loss that are known, in the order of the way, by the name that programs read. */
export const causes = {
  no_carrier: { counted: 'none', words: 'no carrier', hint: "look at the cable and at the switch's port" },
  ring_overrun: {
    ...{ counted: 'kernel', words: "the card's ring was full" },
    hint: 'enlarge it with ethtool -G, or leave frames out before the card, at the switch'
  },
  damaged: { counted: 'kernel', words: 'arrived damaged', hint: 'look at the cable, the optics and the duplex' },
  no_mirror: { counted: 'difference', words: 'there is no mirror', hint: makeTrue },
  target_gone: { counted: 'kernel', words: 'the bridge has gone', hint: makeTrue },
  no_sensor: { counted: 'kernel', words: 'no sensor is connected', hint: 'connect one, or list it in the file' },
  target_down: { counted: 'kernel', words: 'the bridge was down, or no port of it was up', hint: makeTrue },
  action_dropped: { counted: 'kernel', words: 'dropped by the action', hint: makeTrue },
  port_down: {
    ...{ counted: 'difference', words: 'the port was down, or had no carrier' },
    hint: "set the interface up in the sensor; if it is the host's end, spanplan plan shows it"
  },
  too_large: {
    ...{ counted: 'difference', words: 'larger than the MTU' },
    hint: 'with "mtu: auto", spanplan apply raises it; else write a larger number'
  },
  port_dropped: {
    ...{ counted: 'kernel', words: "refused by the sensor's end" },
    hint: 'its interface is down or of a smaller MTU, or net.core.netdev_max_backlog is too small for the bursts'
  },
  socket_full: {
    ...{ counted: 'kernel', words: "the sensor's socket was full" },
    hint: 'the sensor reads too slowly: give it more CPU, or a larger buffer'
  },
  unexplained: {
    ...{ counted: 'difference', words: 'unexplained' },
    hint: 'spanplan plan warns of filters and programs that may take them'
  }
} as const satisfies Readonly<Record<string, CauseEntry>>

/** The name of one of the causes above. */
export type Cause = keyof typeof causes
