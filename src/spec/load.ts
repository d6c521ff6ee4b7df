import { createHash } from 'node:crypto'
import { type Diagnostic, Exit, type Origin, SpanplanError } from '../errors.ts'
import { quote } from '../printable.ts'
import { checkSpans, describePlace } from './cross-checks.ts'
import { type FindInterface, type InterfaceMatch, type InterfaceSpec, indexInterfaces } from './interfaces.ts'
import { type Key, type Named, type Part, readPart } from './schema/file-parts.ts'
import { type InterfaceData, type SpanData, schemas } from './schema/schema.ts'
import type { SensorData } from './schema/sensor.ts'
import { describeSource, loadSource } from './sources/registry.ts'
import type { NetworkSpec, SensorSpec, SourceFile, SourceSpec, SpanSpec, Spec } from './spec.ts'
import { readSelector } from './values/container-selector.ts'
import { readDuration } from './values/duration.ts'
import { decodeFile } from './yaml/decode.ts'
import { parseYaml } from './yaml/parse.ts'
import { findValuePlace, type Path, type Tree } from './yaml/tree.ts'

/**
 * Loads spans.yaml, or several files that are merged into one, checks it, and fills in the defaults.
 *
 * @throws {SpanplanError} with everything that is wrong, in the order of files and lines, each diagnostic with its place. The
 * exit code is `Exit.invalidFile`. FILE_MISSING, without a place: there are no files.
 */
export function loadSpec(files: readonly SourceFile[]): Spec {
  if (files.length === 0) {
    throw new SpanplanError({ code: 'FILE_MISSING', message: 'there is no file to read' }, Exit.invalidFile)
  }
  const loaded = files.map(loadFile)
  const parts = loaded.flatMap(({ part }) => (part ? [part] : []))
  const interfaces = takeFirst(parts.flatMap((part) => part.interfaces)).map(buildInterface)
  const findInterface = indexInterfaces(interfaces)
  const spans = takeFirst(parts.flatMap((part) => part.spans)).map((span) => buildSpan(span, findInterface))
  const diagnostics = [
    ...loaded.flatMap((file) => file.diagnostics),
    ...checkOwners(parts),
    ...checkTwice(
      'SPAN_TWICE',
      'span',
      parts.flatMap((part) => part.spanKeys)
    ),
    ...checkTwice(
      'INTERFACE_TWICE',
      'interface',
      parts.flatMap((part) => part.interfaceKeys)
    ),
    ...spans.flatMap(checkDefaultNetwork),
    ...checkSpans(interfaces, spans)
  ]
  if (diagnostics.length > 0) throw new SpanplanError(sortDiagnostics(diagnostics, files), Exit.invalidFile)
  return {
    name: parts.find(({ owner }) => owner)?.owner?.name ?? 'default',
    files: files.map(({ path }) => path),
    digest: digestFiles(files),
    interfaces,
    spans
  }
}

interface Loaded {
  readonly part?: Part
  readonly diagnostics: readonly Diagnostic[]
}

function loadFile(file: SourceFile): Loaded {
  let text: string
  try {
    text = decodeFile(file)
  } catch (error) {
    if (error instanceof SpanplanError) return { diagnostics: error.diagnostics }
    throw error
  }
  const { tree, diagnostics } = parseYaml(file.path, text)
  if (tree) {
    const read = readPart(tree)
    return { part: read.part, diagnostics: [...diagnostics, ...read.diagnostics] }
  }
  if (diagnostics.length > 0) return { diagnostics }
  const hint = 'to say that there are no spans, write "version: 1" and "spans: {}"'
  return {
    diagnostics: [
      { code: 'FILE_EMPTY', message: 'the file is empty', hint, origin: { file: file.path, line: 1, column: 1 } }
    ]
  }
}

/** The first entry of each name. {@link checkTwice} reports the others. */
function takeFirst<Data>(entries: readonly Named<Data>[]): Named<Data>[] {
  return [...new Map([...entries].reverse().map((entry) => [entry.name, entry])).values()].reverse()
}

function checkTwice(code: string, kind: string, keys: readonly Key[]): Diagnostic[] {
  const seen = new Map<string, Key>()
  const diagnostics: Diagnostic[] = []
  for (const key of keys) {
    const other = seen.get(key.name)
    if (other) {
      const message = `${kind} ${quote(key.name)} is defined already (${describePlace(other.at, key.at)})`
      diagnostics.push({ code, message, hint: 'take one out, or give it another name', origin: key.at })
    } else seen.set(key.name, key)
  }
  return diagnostics
}

function checkOwners(parts: readonly Part[]): Diagnostic[] {
  const [first, ...others] = parts.flatMap(({ owner }) => (owner ? [owner] : []))
  if (!first) return []
  return others
    .filter(({ name }) => name !== first.name)
    .map(({ name, at }) => ({
      code: 'NAME_DIFFERS',
      message: `name is ${quote(name)} here and ${quote(first.name)} elsewhere (${describePlace(first.at, at)})`,
      hint: 'files that are put together have one name: write it in one of them',
      origin: at
    }))
}

/** Not every span's name can name a Docker network: Docker refuses some names, and uses some for its own networks. */
function checkDefaultNetwork({ name, network, origin }: SpanSpec): Diagnostic[] {
  if (network?.origin !== origin || schemas.network.safeParse(name).success) return []
  const message = `the network of span ${quote(name)} cannot have the span's name: Docker does not take it`
  return [{ code: 'NAME_INVALID', message, hint: 'write "network: NAME" in the span', origin }]
}

function buildInterface({ name, data, at }: Named<InterfaceData>): InterfaceSpec {
  return { key: name, match: buildMatch(name, data.match), dedicated: data.dedicated, origin: at }
}

function buildMatch(key: string, match: InterfaceData['match']): InterfaceMatch {
  if (match?.macaddress !== undefined) return { macaddress: match.macaddress.toLowerCase().replaceAll('-', ':') }
  return { name: match?.name ?? key }
}

function buildSpan(entry: Named<SpanData>, findInterface: FindInterface): SpanSpec {
  const { name, data, tree, at } = entry
  return {
    name,
    description: data.description?.trim() || null,
    sources: data.sources.flatMap((source, index) => buildSource(source, ['sources', index], tree, findInterface)),
    network: buildNetwork(entry),
    sensors: data.sensors.flatMap((sensor, index) => buildSensor(sensor, findValuePlace(tree, ['sensors', index]))),
    mtu: data.mtu,
    wire: data.wire,
    sealed: data.sealed,
    origin: at
  }
}

function buildSource(
  data: SpanData['sources'][number],
  path: Path,
  tree: Tree,
  findInterface: FindInterface
): SourceSpec[] {
  const source = loadSource(data)
  if (source === undefined) return []
  const { direction = describeSource(source, findInterface).defaultDirection, filter } = data
  return [
    {
      ...source,
      direction,
      filter:
        filter === undefined ? null : { expression: filter.trim(), origin: findValuePlace(tree, [...path, 'filter']) },
      maxIdle: buildMaxIdle(data.max_idle),
      origin: findValuePlace(tree, path)
    }
  ]
}

function buildMaxIdle(text: string | undefined): number | null {
  const maxIdle = readDuration(text ?? '')
  return typeof maxIdle === 'number' ? maxIdle : null
}

function buildSensor(data: SensorData, origin: Origin): SensorSpec[] {
  if (typeof data === 'string') return [{ container: data, interfaceName: null, origin }]
  const selector = readSelector(data)
  return selector === undefined ? [] : [{ ...selector, interfaceName: data.interface_name ?? null, origin }]
}

function buildNetwork({ name, data, tree, at }: Named<SpanData>): NetworkSpec | null {
  const { network } = data
  if (network === undefined) return data.sensors.length > 0 ? { name, subnet: null, origin: at } : null
  const origin = findValuePlace(tree, ['network'])
  return typeof network === 'string'
    ? { name: network, subnet: null, origin }
    : { name: network.name, subnet: network.subnet ?? null, origin }
}

/** Sorts by file, line and column. Each is kept once: aliases repeat the same error. */
function sortDiagnostics(diagnostics: readonly Diagnostic[], files: readonly SourceFile[]): Diagnostic[] {
  const order = new Map(files.map(({ path }, index) => [path, index]))
  const rankOf = ({ origin }: Diagnostic) => [
    order.get(origin?.file ?? '') ?? 0,
    origin?.line ?? 0,
    origin?.column ?? 0
  ]
  const unique = new Map(
    diagnostics.map((diagnostic) => [
      [...rankOf(diagnostic), diagnostic.code, diagnostic.message].join('\0'),
      { diagnostic, rank: rankOf(diagnostic) }
    ])
  )
  return [...unique.values()]
    .sort((one, other) => one.rank.reduce((sum, value, index) => sum || value - (other.rank[index] ?? 0), 0))
    .map(({ diagnostic }) => diagnostic)
}

/** Hashes the bytes of all files in order: the digest of a single file is what sha256sum prints. */
function digestFiles(files: readonly SourceFile[]): string {
  const hash = createHash('sha256')
  for (const { bytes } of files) hash.update(bytes)
  return `sha256:${hash.digest('hex')}`
}
