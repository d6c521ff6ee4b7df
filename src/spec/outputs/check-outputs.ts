import { type Diagnostic, diagnostic } from '../../errors.ts'
import { quote } from '../../printable.ts'
import type { FindInterface } from '../interfaces.ts'
import type { SpanSpec } from '../items/span-item.ts'
import { bridgeOf, checkRepeats, placeFrom } from '../repeats.ts'
import { sourceSummary } from '../sources/registry.ts'
import { outputSummary, takesPackets } from './registry.ts'

/** Finds what is wrong with outputs, as far as the files tell. */
export function checkOutputs(spans: readonly SpanSpec[], findInterface: FindInterface): Diagnostic[] {
  const outputs = spans.flatMap((span) =>
    span.outputs.map((output) => ({ ...outputSummary(output, findInterface), output, span, origin: output.origin }))
  )
  const bridges = new Set(spans.map(bridgeOf))
  const all = spans.flatMap(({ name: span, sources }) =>
    sources.map((source) => ({ ...sourceSummary(source, findInterface), source, span, origin: source.origin }))
  )
  const sources = new Map(all.map((source) => [source.identity, source] as const))
  const refuse = (title: string, why: string) => `output ${title} ${why}`
  return [
    ...checkRepeats(
      outputs,
      ({ identity }) => identity,
      ({ title, apart, origin }, { span }, place) => {
        const message = refuse(title, `is already an output of span ${quote(span.name)} (${place})`)
        return diagnostic('OUTPUT_TWICE', message, `remove one of the two, or use another ${apart}`, origin)
      }
    ),
    ...outputs.flatMap(({ title, identity, device, apart, isDedicated, output, span, origin }): Diagnostic[] => {
      const source = sources.get(identity)
      if (source !== undefined) {
        const place = placeFrom(source.origin, origin)
        const message = refuse(title, `is also a source, of span ${quote(source.span)} (${place})`)
        return [diagnostic('OUTPUT_SOURCE', message, `use another ${apart} for one of the two`, origin)]
      }
      const robbed = all.find((one) => 'tunnel' in one.source && takesPackets(output, one.source.tunnel))
      if (robbed !== undefined) {
        const place = placeFrom(robbed.origin, origin)
        const message = refuse(
          title,
          `takes what its "remote" sends to the source ${robbed.title} of span ${quote(robbed.span)} (${place})`
        )
        const hint = `use another ${apart} for one of the two, or, where another host sends to the source, name that as its "remote"`
        return [diagnostic('OUTPUT_SOURCE', message, hint, origin)]
      }
      if (device !== null && bridges.has(device)) {
        const message = refuse(title, 'is the bridge of a span, which cannot be a port of another')
        return [
          diagnostic('VALUE_INVALID', message, `to copy this span into it, make this span a source there`, origin)
        ]
      }
      if (isDedicated) {
        const message = refuse(title, 'is dedicated to capture: nothing would leave by it')
        return [
          diagnostic('VALUE_INVALID', message, 'remove "dedicated" from the file, or use another interface', origin)
        ]
      }
      if (span.sealed) return []
      const message = refuse(
        title,
        `needs a sealed span: what the sensors of ${quote(span.name)} send would leave by it`
      )
      return [diagnostic('VALUE_INVALID', message, 'remove "sealed: false" from the span', origin)]
    })
  ]
}
