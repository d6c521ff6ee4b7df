import type { z } from 'zod'
import { hasControls } from '../../printable.ts'
import { countBytes, mappingWithOne, type Rule, text } from '../schema/rules.ts'
import { normalizeAddress } from '../values/ip-address.ts'
import { itemKeys } from './item-key.ts'

/** Where the tool in a sensor says what it has received and dropped: in a file of Suricata or of Zeek, or as metrics. */
export type StatsSpec =
  | { readonly kind: 'eve' | 'zeek'; readonly path: string }
  | { readonly kind: 'prometheus'; readonly url: string; readonly received: string; readonly dropped: string }

/** Bytes: PATH_MAX in linux/limits.h, with the terminating zero. */
const longestPath = 4095

const pathRules: readonly Rule[] = [
  { broken: (value) => hasControls(value), message: 'must have no control characters' },
  {
    broken: (value) => !value.startsWith('/'),
    message: 'must be the path of a file on this host, from / on',
    hint: 'mount the log folder of the container from the host, and write where it is there'
  },
  {
    broken: (value) => /\/(?:\.{0,2})(?:\/|$)/.test(value),
    message: 'must be the path of a file, without "//", "." and ".."'
  },
  { broken: (value) => countBytes(value) > longestPath, message: `must have at most ${longestPath} bytes` }
]

const filePath = (description: string, example: string) =>
  text(`the path of a file, such as ${example}`, pathRules)
    .meta({ description, examples: [example], pattern: '^/' })
    .optional()

/** The parts of an address, as {@link isMetricsUrl} takes it. */
const urlPattern = /^http:\/\/([\d.]+|\[[\da-fA-F:.]+\]|localhost)(?::([1-9]\d{0,4}))?(?:\/[!-~]*)?$/

const longestUrl = 2048

/** Whether nobody has to be asked where it leads, no password is in it, and no encryption needs a name. */
function isMetricsUrl(value: string): boolean {
  const [, host = '', port = '80'] = urlPattern.exec(value) ?? []
  const isHost = host === 'localhost' || normalizeAddress(host.replace(/^\[|\]$/g, '')) !== undefined
  return isHost && Number(port) <= 65_535 && !value.includes('#') && value.length <= longestUrl
}

const metricName = (description: string) =>
  text('the name of a metric', [
    {
      broken: (value) => !/^[a-zA-Z_:][\w:]{0,254}$/.test(value),
      message: 'must be the name of a metric, without labels'
    }
  ])
    .meta({ description, pattern: '^[a-zA-Z_:][a-zA-Z0-9_:]{0,254}$' })
    .optional()

/** `stats`. */
export const statsMapping = mappingWithOne(
  {
    eve: filePath(
      'The eve.json of Suricata, as a path of this host: its newest event of the type stats counts',
      '/var/log/suricata/eve.json'
    ),
    zeek: filePath(
      'The capture_loss.log of Zeek, as a path of this host: its newest rows count, as text or as JSON',
      '/var/log/zeek/capture_loss.log'
    ),
    prometheus: text('an address such as http://127.0.0.1:9900/metrics', [
      {
        broken: (value) => !isMetricsUrl(value),
        message: 'must be plain http to an address or to localhost, such as http://127.0.0.1:9900/metrics'
      }
    ])
      .meta({
        description:
          'Where the tool serves metrics for Prometheus: http, and an address or localhost. "received" and "dropped" stand beside it',
        pattern: '^http://'
      })
      .optional()
  },
  {
    received: metricName('Beside prometheus: the metric of the packets that the tool has received'),
    dropped: metricName('Beside prometheus: the metric of the packets that the tool has dropped')
  },
  {
    description:
      'Where the tool says what it has received and dropped itself, beside container: in a file of this host, or as metrics. status, its JSON and the metrics show it',
    several: 'write one of them'
  }
).check(({ value, issues }) => {
  const refuse = (key: 'received' | 'dropped', message: string, hint: string) =>
    issues.push({ code: 'custom', input: value[key], path: [key], message, params: { hint } })
  for (const key of ['received', 'dropped'] as const) {
    const isThere = value[key] !== undefined
    if (value.prometheus === undefined && isThere) refuse(key, 'belongs beside "prometheus"', `take "${key}" out`)
    if (value.prometheus !== undefined && !isThere) {
      issues.push({
        code: 'custom',
        input: value,
        message: `must have "${key}" beside "prometheus"`,
        params: { hint: `write the name of the metric, as in ${key}: tool_packets_${key}_total` }
      })
    }
  }
})

/** null: nobody has said where. */
export const statsKey = itemKeys<unknown>()({
  key: 'stats',
  schema: statsMapping.optional(),
  read: (data) => readStats(data ?? {}),
  print: (stats) => {
    if (stats === null) return undefined
    if (stats.kind !== 'prometheus') return { [stats.kind]: stats.path }
    return { prometheus: stats.url, received: stats.received, dropped: stats.dropped }
  }
})

function readStats({ eve, zeek, prometheus, received, dropped }: Partial<z.output<typeof statsMapping>>) {
  if (eve !== undefined) return { kind: 'eve', path: eve } satisfies StatsSpec
  if (zeek !== undefined) return { kind: 'zeek', path: zeek } satisfies StatsSpec
  if (prometheus === undefined || received === undefined || dropped === undefined) return null
  return { kind: 'prometheus', url: prometheus, received, dropped } satisfies StatsSpec
}
