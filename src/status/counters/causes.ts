/** Why frames are lost, and how their number is known. */
interface CauseEntry {
  /** As a person reads it. */
  readonly text: string
  /** `kernel`: a counter of the kernel. `difference`: what is missing from one hop to the next. `none`: the number is unknown. */
  readonly counted: 'kernel' | 'difference' | 'none'
  /** What is lost so comes from no difference to the file: it would be lost all the same if the host were as the file says. */
  readonly isOwn?: true
  /** Of a source or an output that has no carrier, or had none: what is said of it. */
  readonly clause?: string
  /** What to do about it. */
  readonly hint: string
}

/** Where a plan shows the change that ends the loss. */
const planHint = 'a plan shows what to do'

/** All known causes of loss, in the order of the frame path, by the name that programs read. */
export const causes = {
  no_carrier: {
    counted: 'none',
    text: 'no carrier',
    clause: 'has no carrier',
    hint: "look at the cable and at the switch's port"
  },
  interface_down: { counted: 'none', text: 'set down', clause: 'is set down', hint: 'an apply sets it up' },
  source_down: {
    counted: 'none',
    text: 'down in its container',
    clause: 'is down in its container',
    hint: 'set it up there, or restart the container'
  },
  host_end_down: {
    counted: 'none',
    text: 'set down on the host',
    clause: 'is set down on the host',
    hint: 'set it up with ip link set, or restart the container: an apply leaves it as it is'
  },
  ports_down: {
    counted: 'none',
    text: 'none of its ports is up',
    clause: 'is a bridge of which no port is up',
    hint: 'start a container on that bridge, or set one of its ports up: the kernel copies nothing to or from a bridge without a running port'
  },
  underlay_down: {
    counted: 'none',
    text: 'the interface below it is down, or has no carrier',
    clause: 'gets nothing: the interface below it is down, or has no carrier',
    hint: "set that interface up; if it is up, look at its cable and at the switch's port"
  },
  carrier_flap: {
    counted: 'none',
    text: 'its carrier was gone for a moment',
    clause: 'lost its carrier for a moment',
    hint: "if it goes again, look at the cable and at the switch's port"
  },
  ring_overrun: {
    counted: 'kernel',
    isOwn: true,
    text: "the interface's ring was full",
    hint: 'enlarge it: write "ring: max" for it under "interfaces"; or mirror less at the switch'
  },
  damaged: {
    counted: 'kernel',
    isOwn: true,
    text: 'arrived damaged',
    hint: 'look at the cable, the optics and the duplex'
  },
  malformed: {
    counted: 'kernel',
    isOwn: true,
    text: 'no packets of this tunnel, or damaged inside',
    hint: 'see what comes with tcpdump: the sender may use an extension (GBP), or others send to its port: "from" in the file chooses the senders'
  },
  refused: {
    counted: 'kernel',
    isOwn: true,
    text: 'sent by others than "from" in the file has',
    hint: 'if they should be heard, add their addresses to "from"; tcpdump shows who sends'
  },
  no_mirror: { counted: 'difference', text: 'there is no mirror', hint: planHint },
  receiver_gone: {
    counted: 'kernel',
    text: 'the sensor, or the output, that gets this part has gone',
    hint: 'a watch gives its share to the others; so does an apply'
  },
  target_gone: { counted: 'kernel', text: 'the bridge has gone', hint: planHint },
  no_sensor: {
    counted: 'kernel',
    isOwn: true,
    text: 'no sensor is connected, or none can take frames now',
    hint: 'start or connect one; if it is not in the file, list it there'
  },
  target_down: { counted: 'kernel', text: 'the bridge was down, or no port of it was up', hint: planHint },
  action_dropped: { counted: 'kernel', text: "dropped by the mirror's action", hint: planHint },
  port_down: {
    counted: 'difference',
    text: 'the port was down, or had no carrier',
    hint: "set the interface up in the sensor; if it is the host's end, a plan shows it"
  },
  too_large: {
    counted: 'difference',
    text: 'larger than the MTU',
    hint: 'write "mtu: auto" or a larger number, and apply the file'
  },
  port_dropped: {
    counted: 'kernel',
    isOwn: true,
    text: "dropped at the sensor's interface",
    hint: 'its interface is down, or its MTU is smaller, or net.core.netdev_max_backlog is too small for the bursts'
  },
  output_no_carrier: {
    counted: 'difference',
    text: 'no carrier',
    clause: 'has no carrier',
    hint: 'look at the cable, and at the tool at its other end'
  },
  output_underlay_down: {
    counted: 'none',
    text: 'the interface that leads to its host has no carrier',
    clause: 'sends nothing: the interface that leads to its host has no carrier',
    hint: "look at the cable and at the switch's port"
  },
  output_dropped: {
    counted: 'kernel',
    isOwn: true,
    text: 'dropped on the way out',
    hint: 'the line may be slower than what is copied: ethtool -S shows what the driver counts; what a tunnel sends needs a route, a firewall of this host that lets it out (spanplan doctor), and an mtu on the way that it fits'
  },
  socket_full: {
    counted: 'kernel',
    isOwn: true,
    text: "the sensor's socket was full",
    hint: 'the sensor reads too slowly: give it more CPU, or a larger buffer'
  },
  unexplained: {
    counted: 'difference',
    text: 'unexplained',
    hint: 'a plan warns of filters and programs that may drop them; frames larger than the span\'s "mtu" are dropped, too'
  }
} as const satisfies Readonly<Record<string, CauseEntry>>

/** The name of one of the causes above. */
export type Cause = keyof typeof causes

/** The causes that say that a source or an output has no carrier, or had none. */
export type CarrierCause = { [Name in Cause]: (typeof causes)[Name] extends { clause: string } ? Name : never }[Cause]

export function isCarrierCause(cause: Cause): cause is CarrierCause {
  return 'clause' in causes[cause]
}
