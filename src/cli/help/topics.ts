import schema from '../../../schemas/spans.schema.json' with { type: 'json' }
import { variables } from './environment.ts'
import { exitStatuses } from './exit-statuses.ts'
import { listTerms, paragraph } from './layout.ts'
import { listFields } from './spec-fields.ts'

/** What `spanplan help` explains beside commands and codes. */
interface Topic {
  readonly about: string
  readonly write: () => string
}

/** The smallest file that is of use. */
export const smallestFile = `version: 1
spans:
  span0:
    sources: [{interface: ens192}]
    sensors: [suricata]`

/** Filters that people need, each with what it copies. */
export const filterExamples: readonly (readonly [filter: string, copies: string])[] = [
  ['not port 22', 'everything but SSH'],
  ['tcp port 443', 'TCP from or to port 443'],
  ['net 10.0.0.0/8 and not host 10.0.0.3', 'a network without one of its hosts'],
  ['not (host 10.0.0.5 and port 9100)', 'everything but one host’s metrics'],
  ['vlan 10 and udp', 'UDP in VLAN 10'],
  ['ip or ip6 or (vlan and (ip or ip6))', 'IP, with a VLAN tag or without']
]

/** What has to be known about filters. */
export const filterNotes: readonly string[] = [
  'A source’s "filter" says which frames are copied; that of a sensor, a balance or an output, which of these it gets. It is a pcap-filter(7) expression, as for tcpdump; without it, every frame counts. Display filters of Wireshark (tcp.port == 22) are another language.',
  'After the word "vlan", everything to the right of it looks behind the VLAN tag, also in frames without a tag: "not vlan 5 and udp" copies no untagged UDP. Write what counts for these first: "udp and not vlan 5". "mpls" and "pppoes" do the same. A filter without "vlan" may match what is inside a tagged frame, or not, for the kernel keeps most tags beside the frame: write "tcp or (vlan and tcp)" for both, and "tcp and not vlan" for untagged frames.',
  'Write addresses: host names are refused. Put a filter in quotes if it begins with ! or &, or has a # or ": " in it.',
  'tcpdump compiles filters, so it has to be installed. A filter with "vlan" needs CAP_NET_RAW, which root has. A filter compiles to 1,960 instructions at most: about 125 networks.'
]

/** The topics, by name. */
export const topics: Readonly<Record<string, Topic>> = {
  'exit-codes': {
    about: 'what each exit status means',
    write: () => `Exit status:\n${listTerms(Object.entries(exitStatuses))}`
  },
  'spans.yaml': {
    about: 'the keys of the file, with their defaults',
    write: () =>
      [
        'spans.yaml, at its smallest:',
        smallestFile.replace(/^/gm, '  '),
        'Its keys:',
        ...listFields(schema).map(([path, text]) => `  ${path}\n${paragraph(text, 6)}`),
        paragraph(
          'Top-level keys that begin with x- are your own, for anchors; << merges. Every other unknown key is an error.'
        )
      ].join('\n\n')
  },
  filters: {
    about: 'how to write a filter',
    write: () => [...filterNotes.map((note) => paragraph(note)), `Examples:\n${listTerms(filterExamples)}`].join('\n\n')
  },
  environment: {
    about: 'the environment variables that are read',
    write: () => `Environment variables:\n${listTerms(Object.entries(variables))}`
  }
}
