import { type Diagnostic, diagnostic } from '../../errors.ts'
import type { OutputOf } from '../../spec/items/output-item.ts'
import type { SpanSpec } from '../../spec/items/span-item.ts'
import { isAttached } from '../port-role.ts'
import {
  explainGoingDown,
  explainOpaqueMatch,
  findCandidates,
  findInterface,
  isMeant,
  matchOf,
  nameIn,
  suggestInterface,
  writeMatchWords
} from '../sources/find-interface.ts'
import { type Context, nothingResolved } from '../sources/host-source-kind.ts'
import { checkOutput } from './check-output.ts'
import { type HostOutputKind, type ResolvedOutput, waitForOutput } from './host-output-kind.ts'

type InterfaceOutput = OutputOf<'interface'>

/** An interface of the host, which becomes a port of the span's bridge. */
export const interfaceOutput: HostOutputKind<InterfaceOutput> = {
  devices: (output, spec) => [nameIn(matchOf(spec, output.interface))],
  modules: () => [],
  remotes: () => [],
  datagrams: () => [],
  isDevice: (output, name, spec, host) => isMeant(matchOf(spec, output.interface), name, host),
  resolve: resolveOutput
}

function resolveOutput(output: InterfaceOutput, span: SpanSpec, context: Context): ResolvedOutput {
  const { spec, host, patient, goingDown } = context
  const { id: item, origin } = output
  const match = matchOf(spec, output.interface)
  const waitFor = (name: string, found: Diagnostic) => [waitForOutput(span.name, name, output, found)]
  const opaque = explainOpaqueMatch(match, host, 'an output', span.name)
  if (opaque !== undefined) {
    return patient
      ? { ...nothingResolved, waits: waitFor(output.interface, opaque) }
      : { ...nothingResolved, errors: [{ ...opaque, origin }] }
  }
  const link = findInterface(match, host)
  if ('code' in link) {
    if (!patient) {
      return { ...nothingResolved, errors: [{ ...link, message: `span ${span.name}: ${link.message}`, origin }] }
    }
    const candidates = findCandidates(match, host).map(({ name }) => name)
    if (candidates.length > 0) {
      return { ...nothingResolved, waits: waitFor(output.interface, link), untouched: candidates }
    }
    const hint = suggestInterface(match, spec, host)
    const missing = diagnostic(link.code, `waits for the interface ${writeMatchWords(match)}`, hint)
    return { ...nothingResolved, waits: waitFor(output.interface, missing) }
  }
  const { name } = link
  if (goingDown.has(name)) {
    return { ...nothingResolved, waits: waitFor(name, explainGoingDown(name, spec)), untouched: [name] }
  }
  const items = [{ isPort: true, device: name, name, item, origin }]
  const problem = checkOutput(link, span.bridge, context)
  if (problem === undefined) return { ...nothingResolved, items }
  if (!patient) return { ...nothingResolved, errors: [{ ...problem, origin }] }
  // What somebody does to an interface that is an output already does not open it.
  return { ...nothingResolved, items: isAttached(host, link, span.bridge) ? items : [], waits: waitFor(name, problem) }
}
