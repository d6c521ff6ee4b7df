import { createHash } from 'node:crypto'
import type { Code } from '../codes/explained-codes.ts'
import { type Diagnostic, diagnostic, Exit, SpanplanError, sortByPlace } from '../errors.ts'
import { printable, quote } from '../printable.ts'
import { checkSpans } from './cross-checks.ts'
import { indexInterfaces, readInterface } from './interfaces.ts'
import { networkName } from './items/network-item.ts'
import { readSpan, type SpanSpec } from './items/span-item.ts'
import { checkRepeats, nameOf, placeFrom } from './repeats.ts'
import { type Entry, type Part, readPart, type Valid } from './schema/file-parts.ts'
import { longestLinkName } from './schema/rules.ts'
import type { SourceFile, Spec } from './spec.ts'
import { decodeFile } from './yaml/decode.ts'
import { parseYaml } from './yaml/parse.ts'
import { type Data, treeOf } from './yaml/tree.ts'

/** The spans and interfaces that are valid, and all that is wrong with the files, in the order of files and lines. */
export interface Examined {
  readonly spec: Spec
  readonly diagnostics: readonly Diagnostic[]
}

/**
 * Loads spans.yaml, or several files that are merged into one, checks it, and fills in the defaults.
 *
 * @throws {SpanplanError} with everything that is wrong, in the order of files and lines, each diagnostic with its place. The
 * exit code is `Exit.invalidFile`. FILE_MISSING, without a place: there are no files.
 */
export function loadSpec(files: readonly SourceFile[]): Spec {
  const { spec, diagnostics } = examineFiles(files)
  if (diagnostics.length > 0) throw new SpanplanError(diagnostics, Exit.invalidFile)
  return spec
}

/**
 * Does what {@link loadSpec} does, without throwing what is wrong.
 *
 * @throws {SpanplanError} FILE_MISSING: there are no files.
 */
export function examineFiles(files: readonly SourceFile[]): Examined {
  if (files.length === 0) {
    throw new SpanplanError({ code: 'FILE_MISSING', message: 'there is no file to read' }, Exit.invalidFile)
  }
  const loaded = files.map(loadFile)
  const { diagnostics, ...merged } = mergeParts(loaded.flatMap(({ part }) => part ?? []))
  const paths = files.map(({ path }) => path)
  return {
    spec: {
      ...merged,
      files: paths,
      // The digest of a single file is what sha256sum prints.
      digest: `sha256:${files.reduce((hash, { bytes }) => hash.update(bytes), createHash('sha256')).digest('hex')}`
    },
    diagnostics: sortByPlace([...loaded.flatMap((file) => file.diagnostics), ...diagnostics], paths)
  }
}

/** All that is wrong with what a file would say, in no file and so without places. */
export function checkData(data: Data): readonly Diagnostic[] {
  const { part, diagnostics } = readPart(treeOf(data))
  return [...diagnostics, ...mergeParts([part]).diagnostics]
}

/** What the parts say together, with what is wrong beyond each of them. */
function mergeParts(parts: readonly Part[]) {
  const interfaceEntries = parts.flatMap((part) => part.interfaces)
  const spanEntries = parts.flatMap((part) => part.spans)
  const interfaces = takeFirst(interfaceEntries).map(({ name, data, origin }) => readInterface(data, name, origin))
  const findInterface = indexInterfaces(interfaces)
  const spans = takeFirst(spanEntries).map(({ data, ...entry }) => readSpan(data, { ...entry, findInterface }))
  const name = parts.find(({ owner }) => owner)?.owner?.data ?? 'default'
  return {
    name,
    formerly: [...new Set(parts.flatMap(({ formerly }) => formerly?.data ?? []))],
    interfaces,
    spans,
    diagnostics: [
      ...checkOwners(parts),
      ...checkFormerly(parts, name),
      ...checkTwice('SPAN_TWICE', 'span', spanEntries),
      ...checkTwice('INTERFACE_TWICE', 'interface', interfaceEntries),
      ...spans.flatMap(checkDefaultBridge),
      ...spans.flatMap(checkDefaultNetwork),
      ...checkSpans(interfaces, spans)
    ]
  }
}

/** The smallest file that copies anything. */
const emptyHint = 'the smallest good file: {version: 1, spans: {span0: {sources: [{interface: eth1}]}}}'

/** What a file says, and what is wrong with it. */
interface LoadedFile {
  readonly part?: Part
  readonly diagnostics: readonly Diagnostic[]
}

/** Who may lay a link in the folder of a file has not the right to read what it leads to. */
function loadFile(file: SourceFile): LoadedFile {
  const { path, elsewhere } = file
  const loaded = parseFile(file)
  if (elsewhere === undefined || loaded.diagnostics.length === 0) return loaded
  const message = `${printable(path)} is a symbolic link out of its folder, and leads to what is no valid file of spans`
  const hint = `see what is wrong there: spanplan validate -f ${printable(elsewhere)}`
  return { diagnostics: [diagnostic('LINK_INVALID', message, hint)] }
}

function parseFile(file: SourceFile): LoadedFile {
  const text = decodeFile(file)
  if (typeof text !== 'string') return { diagnostics: [text] }
  const { tree, diagnostics } = parseYaml(file.path, text)
  if (tree) {
    const { part, diagnostics: invalid } = readPart(tree)
    return { part, diagnostics: [...diagnostics, ...invalid] }
  }
  if (diagnostics.length > 0) return { diagnostics }
  return {
    diagnostics: [diagnostic('FILE_EMPTY', 'the file is empty', emptyHint, { file: file.path, line: 1, column: 1 })]
  }
}

/** An entry of which there is enough to build a part of the spec. */
type Named<Data> = Pick<Entry<Data>, 'name' | 'origin'> & Valid<Data>

/** The first entry of each name that is valid. {@link checkTwice} reports the others. */
function takeFirst<Data>(entries: readonly Entry<Data>[]): Named<Data>[] {
  const first = new Map<string, Named<Data>>()
  for (const { name, origin, valid } of entries)
    if (valid && !first.has(name)) first.set(name, { name, origin, ...valid })
  return [...first.values()]
}

function checkTwice(code: Code, kind: string, entries: readonly Entry<unknown>[]): Diagnostic[] {
  return checkRepeats(entries, nameOf, ({ name, origin }, _, place) => {
    const message = `${kind} ${quote(name)} is already defined (${place})`
    return diagnostic(code, message, 'remove one, or give it another name', origin)
  })
}

function checkOwners(parts: readonly Part[]): Diagnostic[] {
  const [first, ...others] = parts.flatMap(({ owner }) => owner ?? [])
  return others.flatMap(({ data, tree: { at } }) => {
    if (!first || data === first.data) return []
    const place = placeFrom(first.tree.at, at)
    const message = `name is ${quote(data)} here and ${quote(first.data)} elsewhere (${place})`
    return diagnostic(
      'NAME_DIFFERS',
      message,
      'files that are read together share one name: write it in only one of them',
      at
    )
  })
}

/** Former names are those of one `name`: they stand beside it. */
function checkFormerly(parts: readonly Part[], name: string): Diagnostic[] {
  const own = parts.find(({ owner }) => owner) ?? parts.find(({ formerly }) => formerly)
  return parts.flatMap((part) => {
    if (part.formerly === undefined) return []
    const { data, tree } = part.formerly
    if (part !== own && part.owner === undefined) {
      const [place] = [own?.owner, own?.formerly].flatMap((one) => (one ? placeFrom(one.tree.at, tree.at) : []))
      const message = `formerly is here, and what it belongs to elsewhere (${place})`
      return diagnostic(
        'FORMERLY_APART',
        message,
        'write "formerly" in the file that has "name", and only there',
        tree.at
      )
    }
    if (!data.includes(name)) return []
    const message = `formerly has ${quote(name)}, which is the name now`
    return diagnostic('FORMERLY_NOW', message, 'take it out: "formerly" has the names from before', tree.at)
  })
}

/** A span's name may be longer than that of a bridge. */
function checkDefaultBridge({ name, bridge, origin }: SpanSpec): Diagnostic[] {
  if (bridge.length <= longestLinkName) return []
  const message = `the bridge of span ${quote(name)} cannot have the span's name: that of a bridge has at most ${longestLinkName} characters`
  return [
    diagnostic(
      'NAME_TOO_LONG',
      message,
      'write "bridge: NAME" in the span, with the name of the live bridge if the span had another name before; or choose a shorter name',
      origin
    )
  ]
}

/** Not every bridge's name can name a Docker network: Docker refuses some names, and uses some for its own networks. */
function checkDefaultNetwork({ name, bridge, network, origin }: SpanSpec): Diagnostic[] {
  if (network?.origin !== origin || networkName.safeParse(bridge).success) return []
  const whose = bridge === name ? "the span's name" : `the name of its bridge, ${quote(bridge)}`
  const message = `the network of span ${quote(name)} cannot have ${whose}: Docker does not accept it`
  return [diagnostic('NAME_INVALID', message, 'write "network: NAME" in the span', origin)]
}
