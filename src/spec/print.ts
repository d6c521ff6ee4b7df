import { stringify } from 'yaml'
import { printInterface } from './interfaces.ts'
import { printSpan } from './items/span-item.ts'
import type { Spec } from './spec.ts'

/** Prints a spec as one spans.yaml with every default written out. Loaded again, it is the same spec with other places. */
export function printSpec(spec: Spec): string {
  const file = new Map<string, unknown>([
    ['version', 1],
    ['name', spec.name]
  ])
  if (spec.formerly.length > 0) file.set('formerly', spec.formerly)
  if (spec.interfaces.length > 0)
    file.set('interfaces', new Map(spec.interfaces.map((one) => [one.key, printInterface(one)])))
  file.set('spans', new Map(spec.spans.map((span) => [span.name, printSpan(span)])))
  // Long filters stay on one line. What YAML 1.1 would read differently (yes, 0o7) is quoted, for other tools.
  return stringify(file, { lineWidth: 0, compat: 'yaml-1.1', aliasDuplicateObjects: false })
}
