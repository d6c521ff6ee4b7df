import { diagnostic } from '../errors.ts'
import type { Sample } from '../host/read-counters.ts'
import { counted } from '../text-lines.ts'
import type { ReceiverResult, SpanProbe } from './probe-result.ts'

/**
 * Tells of frames that the other ends of the ports have dropped meanwhile, which no look at this end shows. They may be others than those
 * of the probe: so what was found stands.
 */
export function noteInnerDrops(spans: readonly SpanProbe[], first: Sample, later: Sample): SpanProbe[] {
  const droppedOf = ({ links }: Sample, device: string | null) => links.find(({ name }) => name === device)?.tx.dropped
  const note = (receiver: ReceiverResult): ReceiverResult => {
    const { kind, name, interface: device, ways, health } = receiver
    const [before, now] = [droppedOf(first, device), droppedOf(later, device)]
    if (kind === 'output' || ways.length === 0 || health !== null) return receiver
    if (before === undefined || now === undefined || now <= before) return receiver
    const message = `meanwhile ${counted(now - before, 'frame')} came to the other end of ${device}, and ${name} dropped them there`
    const hint =
      'its own end is down, or its MTU is smaller, or net.core.netdev_max_backlog is too small for the bursts'
    return { ...receiver, health: diagnostic('FRAMES_LOST', message, hint) }
  }
  return spans.map((span) => ({ ...span, receivers: span.receivers.map(note) }))
}
