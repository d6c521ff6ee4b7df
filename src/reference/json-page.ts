import type { interfacesDocument } from '../discover/interface-list.ts'
import { trafficKinds } from '../discover/judge-traffic.ts'
import type { doctorDocument } from '../doctor/output.ts'
import type { PlanDocument } from '../plan/output/plan-json.ts'
import type { probeDocument } from '../probe/output/probe-json.ts'
import { causes } from '../status/counters/causes.ts'
import type { statusDocument } from '../status/output/status-json.ts'
import { absences } from '../status/parts.ts'
import { allSensorCauses, sensorGrace } from '../status/sensor-health.ts'
import type { Trigger } from '../status/watch-state.ts'
import type { WatchEvent } from '../watch/events/event.ts'
import { type Block, code, codeList, list } from './document.ts'
import { writeMarkdown } from './markdown.ts'

type StatusDocument = ReturnType<typeof statusDocument>
type ProbeDocument = ReturnType<typeof probeDocument>
type ProbedSpan = ProbeDocument['spans'][number]
type ProbedReceiver = ProbedSpan['receivers'][number]
type ProbeWay = ProbedReceiver['ways'][number]
type DoctorDocument = ReturnType<typeof doctorDocument>
type InterfacesDocument = ReturnType<typeof interfacesDocument>
type SpanDocument = StatusDocument['spans'][number]
/** The keys of each kind of a union. */
type KeysOf<Union> = Union extends unknown ? keyof Union : never
/** What a tool says, of a hop that has one. */
type ToolOf<Hop> = Hop extends { readonly tool: infer Tool } ? Tool : never
/** What each key is. A key that is missing here, or is no longer there, does not compile. */
type Describes<Union> = Readonly<Record<KeysOf<Union> & string, string>>

const plan: Describes<PlanDocument> = {
  format_version: 'the version of this document; within a major version, keys are only added',
  spanplan_version: 'the version of spanplan',
  created: 'when the plan was made, as ISO 8601',
  spec: '`name`, `files` and `digest` of the file; null for a plan without a file',
  host: '`boot_id` of the host, and a `digest` of all that was read of it',
  changes: 'what is to be done, in order',
  waiting: 'what waits: [diagnostics](#diagnostics), with `kind`, `span` and `title`',
  warnings: '[diagnostics](#diagnostics)',
  summary: 'how many of each: `create`, `update`, `replace`, `remove`, `adopt`, `wait`',
  install: 'with --install: the `file` that apply would write, and whether that is `changed`; left out otherwise'
}

const change: Describes<PlanDocument['changes'][number]> = {
  address: 'names the resource; its parts are percent-encoded',
  kind: 'such as bridge, mirror or network',
  span: 'the name of the span; null for what belongs to none',
  title: 'names the resource as the plan does for people',
  action: '`create`, `update`, `replace`, `remove` or `adopt`',
  before: 'the live resource; null: there is none',
  after: 'the desired resource; null: there is to be none',
  fields: 'the keys that differ',
  facts: 'what is compared, in words: `key`, `label`, `before`, `after`',
  reason: 'why the change is needed',
  origin: 'where the file asks for it: `file`, `line`, `column`; left out where it does not',
  steps: 'the commands, each with a `summary` and its `argv`'
}

const status: Describes<StatusDocument> = {
  format_version: 'the version of this document; within a major version, keys are only added',
  spanplan_version: 'the version of spanplan',
  created: 'when, as ISO 8601',
  healthy: 'whether nothing is wrong; the exit status says the same',
  basis:
    '`file`; where that is not valid, `watch`: the last valid file, which a watch holds to; or `live`: what is live, by its marks',
  file_errors: '[diagnostics](#diagnostics): why there is no plan for the file',
  watch:
    'what a watch says of itself: `name`, `pid`, `since`, `dry_run`, `file`, `last`, `last_success`, `degraded`, `failed_monitors`, `drift`; null without a watch',
  window:
    'the window of an apply that waits for confirmation: its `id`, and `until` when; what differs from the file is no problem meanwhile; null: none waits',
  spans: 'how each span is',
  traffic:
    'with `--for` of 2 s or more, of the sources that were listened to: `span`, `sources` (`name` and `frames`), `whole` (null: too few frames came to tell), and `findings`: [diagnostics](#diagnostics), which are among the warnings, too; null: nobody listened',
  changes: 'what differs and belongs to no span: `address`, `kind`, `span`, `action`, `title`, `reason`',
  unhealthy: '[diagnostics](#diagnostics): what is wrong with no span in particular',
  warnings: '[diagnostics](#diagnostics): what is worth knowing, and is not wrong',
  unread: '[diagnostics](#diagnostics): what could not be read, because a right is missing'
}

const span: Describes<SpanDocument> = {
  name: 'the name of the span',
  bridge: 'the name of its bridge',
  description: 'as in the file; null without a description',
  healthy: 'whether nothing is wrong with the span',
  drift: 'whether the span differs from the file',
  paused_until: 'when its pause ends, as ISO 8601; null: it is not paused',
  changes: 'what differs, as above',
  waiting: 'what it waits for: [diagnostics](#diagnostics), with `kind` and `title`',
  seconds: 'the time between the two samples of the counters',
  hops: 'the places on the way of its frames, in order; each port is followed by its sensor',
  sensors: 'how each sensor is, with the keys below',
  parts: `the sensors and outputs that get a part of the frames: \`kind\` (\`sensor\` or \`output\`), \`name\`, \`filter\` and \`share\` as of a place, and \`absence\`, why it takes none now: ${Object.keys(
    absences
  )
    .map((one) => `\`${one}\``)
    .join(', ')}; null: it takes them. A name that is in no place has no port now`,
  unhealthy: '[diagnostics](#diagnostics): all that is wrong with the span'
}

const sensor: Describes<SpanDocument['sensors'][number]> = {
  sensor: 'the name of the container; or, where none is there, what the file selects it by',
  listed: 'whether the file lists it; one that others have connected makes no span unhealthy',
  state: `\`healthy\`, \`unhealthy\`, \`starting\` (it has run for less than ${sensorGrace / 1000} s, or its health check is starting, and it does not listen yet), or \`unknown\`: what tells could not be read`,
  cause: `why it is unhealthy: ${allSensorCauses.map((cause) => `\`${cause}\``).join(', ')}; null: it is not`,
  since: 'since when it is unhealthy, as ISO 8601, from Docker or a watch; null: nobody has seen it begin',
  diagnostic: 'a [diagnostic](#diagnostics): what is wrong, and what helps; null: nothing'
}

const hop: Describes<SpanDocument['hops'][number]> = {
  kind: '`interface`, `mirror`, `bridge`, `port`, `sensor` or `output`',
  device: 'the interface; of a sensor, its port: the end on the host',
  frames: 'frames that passed between the samples; null: the place is not there, or does not count them',
  bytes: 'bytes likewise',
  frames_per_second: 'the same for each second',
  bytes_per_second: 'the same for each second',
  reset: 'whether the place was recreated between the samples; what passed before is not in these numbers',
  losses: 'by cause: `cause`, `frames` (null: the number is unknown), `counted_by` and `message`',
  source: 'mirror: what is copied: the name of an interface, or of a container with its Docker network',
  direction: 'mirror: as in the file',
  filter:
    'mirror: as in the file; null: every frame is copied. port, sensor and output: of what the sources copy, what it gets; null: all of it',
  share:
    'port, sensor and output: of a member of a balance, how many `buckets` of all flows (`of`: 256) it gets, by which `hash`, and whether it gets the `rest`, which is not IP; null: of any other, and where that is not known',
  limit: 'mirror: the most that it copies, in bits per second; null: no limit',
  counts_copies:
    'mirror: whether its frames and bytes are those of copies: a frame that several sensors or outputs take by mirrors of their own is counted for each',
  over_limit_frames:
    'mirror: frames between the samples that were over its limit, and were not copied: they are not lost; null: it has no limit',
  over_limit_bytes: 'mirror: bytes likewise',
  total_frames: 'mirror: frames since it was made; null: it is not there',
  total_bytes: 'mirror: bytes likewise',
  total_over_limit_frames: 'mirror: frames over its limit since it was made; null: it is not there, or has no limit',
  total_over_limit_bytes: 'mirror: bytes likewise',
  installed_seconds: 'mirror: the time since it was made',
  idle_seconds: 'mirror: the time since its last frame',
  container: 'sensor: its name',
  output: 'output: what it is called',
  sockets:
    'sensor: where it listens: `interface` (null: all), what it `hears` (`every` protocol, `one`, or `none`), and `drops` of all time (null: it reads a ring); null where that cannot be read, as where there are more sockets than spanplan reads',
  tool: 'sensor: what its tool says of itself, with the keys below; null: nobody has asked, for the file has no `stats`'
}

const tool: Describes<NonNullable<ToolOf<SpanDocument['hops'][number]>>> = {
  says: '`suricata`, `zeek` or `prometheus`: who says it. None of it is of the kernel, and whoever controls the sensor can write it',
  unread: 'why it is not known; null: it is',
  at: 'when it said so, as ISO 8601',
  age_seconds: 'the time since then',
  old: 'whether it should have said more since then: then what it counts now is not known',
  total:
    'since its start; of Zeek, since its row before: `seconds` (null: not known), `received`, `dropped` of that, and `gaps` in the streams of TCP (null: it does not say). Of Zeek, ACKs, and those for data that never came to it',
  recent:
    'what came since an earlier count: that of the first sample, or the one before the last: `seconds` (null: not known), `received`, `dropped`, and `loss`, the part from 0 to 1; null: there is no earlier one'
}

const doctor: Describes<DoctorDocument> = {
  type: '`doctor`',
  format_version: 'the version of this document; within a major version, keys are only added',
  spanplan_version: 'the version of spanplan',
  created: 'when, as ISO 8601',
  checks: 'the findings, each with the keys below'
}

const check: Describes<DoctorDocument['checks'][number]> = {
  id: 'names the check; stable',
  result: '`ok`, `warning`, `problem`, or `unknown`: what the check needs could not be read',
  message: 'what was found',
  command: 'a line for the shell of root that clears the finding; null: no command alone does'
}

const interfaces: Describes<InterfacesDocument> = {
  type: '`interfaces`',
  format_version: 'the version of this document; within a major version, keys are only added',
  spanplan_version: 'the version of spanplan',
  created: 'when, as ISO 8601',
  seconds: 'for how long the frames were counted',
  interfaces: 'those that may be sources, the likeliest mirror port first, each with the keys below',
  left_out: 'the others: `name`, and the `reason`'
}

const listedInterface: Describes<InterfacesDocument['interfaces'][number]> = {
  name: 'its name',
  up: 'whether it is set up',
  carrier: 'whether it is connected',
  driver: 'what drives it; null: nothing does, or ethtool cannot tell',
  speed: 'bits per second of its link; null: it does not say',
  frames_per_second: 'what it received meanwhile',
  bits_per_second: 'the same in bits, with the Ethernet headers',
  kind: `what it looks like: ${trafficKinds
    .filter((kind) => kind !== 'gone')
    .map((kind) => `\`${kind}\``)
    .join(', ')}`,
  message: 'the same as a sentence',
  sample:
    'of the first 5,000 frames: how many `frames` there are, and how many of them go `to_own` address, `to_groups` (broadcasts and multicasts) and `to_others`; how many `senders` they have, and how many of these are `group_senders`; the `vlans`. null: nobody could listen'
}

const history = {
  format_version: '`1.0`; within a major version, fields are only added',
  spanplan_version: 'the version that wrote it',
  created: 'when',
  since: 'how far back it goes',
  watches: 'what each watch of this host keeps of it'
} as const

const watchHistory = {
  name: 'whose spans it keeps in sync',
  began: 'when it began to count; null: it has not yet',
  counted: 'when it counted last; null: it has not yet',
  dropped: 'silences and losses until then were dropped to make room; null: none was',
  periods: 'from one count to the next: `from`, `to`. The last hour is in minutes, what was before in tens of them',
  spans: 'what happened to each span',
  events: 'the events of no single span, as in `events --json`'
} as const

const spanHistory = {
  name: 'its name',
  silences:
    'times without a frame of a `source`: `title` (with its direction), `from`, `to` (null: it goes on), `arrived_frames` (that came in meanwhile, and that the filter did not take; null: not known), `frames_per_second_before`',
  losses:
    'times in which frames were lost: the `kind` and `title` of the hop, `cause`, `from`, `to`, `frames` (null: nobody knows how many), `of` (how many came to the hop meanwhile), `counted_by`, `message`',
  hops: 'the rates: `kind`, `title`, `device`, `counts_copies`; `frames_per_second` and `bytes_per_second`, a number for each of the `periods`; null: not known',
  events: 'the events of the span, as in `events --json`'
} as const

const events: Readonly<Record<WatchEvent['type'], string>> = {
  started: 'the watch begins: `spanplan_version`, `name`, `dry_run`',
  stopped: 'the watch ends, and everything stays as it is',
  file: 'a file is in force from now on: `files`, `spans`',
  span_renamed:
    'the file calls a span by another name, and it is the same span as before: `span`, and `before`, the name that it had. What was before is under that name.',
  file_refused: 'a file is invalid or may not be followed, and the last valid one stays in force: `diagnostics`',
  changed: 'something was applied or repaired: `trigger`, `change`, `repaired` (it was in sync before), `milliseconds`',
  drift: 'something differs, and stays so (--dry-run): `trigger`, `change`',
  wait: 'something is waited for: `trigger`, `wait`',
  wait_over: 'something is waited for no longer: `trigger`, `wait`',
  source_gone:
    'a container that a label or a service selects is mirrored no longer: `trigger`, `span`, `source` (its name)',
  source_renamed:
    'a container that is mirrored has another name now: `trigger`, `span`, `source` (its name), `before` (the name that it had)',
  warning:
    'the plan has a warning, or a tool says that it loses (`SENSOR_DROPS`): `diagnostic`, whose `address` begins with the span',
  warning_over:
    'the plan has had a warning no more for a minute, or the tool loses next to nothing again: `diagnostic`, as it was',
  degraded:
    'a span cannot be kept in sync: `trigger`, `degraded` (`span`, null for all; `reason`; `diagnostic`; `until`, when it is tried again)',
  recovered: 'the span can be kept in sync again: `trigger`, `degraded`',
  docker_away: 'Docker cannot be reached: `trigger`, `diagnostic`',
  docker_back: 'Docker can be reached again: `trigger`, `diagnostic`',
  monitor_failed: 'a program that reports changes does not run: `monitor` (`trigger`: what it reports; `diagnostic`)',
  monitor_back: 'the program runs again: `monitor`',
  paused: 'a pause begins: `pause` (`span`, null for all; `until`)',
  resumed: 'a pause ends: `pause`',
  idle: 'a source has had no frame for as long as its `max_idle`: `span`, `device` (of several containers, the first), `diagnostic`',
  idle_over: 'frames come again: `span`, `device`, `diagnostic`',
  carrier_lost: 'the interface of a source or of an output has no carrier: `span`, `device`, `diagnostic`',
  carrier_back: 'the interface has a carrier again: `span`, `device`, `diagnostic`',
  probe_missed:
    'a port does not get the frames of the probes (`--probe-interval`): `span`, `kind` and `name` of the receiver, `interface`, `diagnostic`',
  probe_received: 'the port gets them again: the same keys',
  probe_failed: 'no probe can be sent: `diagnostic`',
  probe_works: 'probes can be sent again: `diagnostic`',
  sensor_unhealthy: 'a sensor hears nothing of its span: `sensor`, as in `status --json`, with its `span`',
  sensor_healthy: 'the sensor hears its span again: `sensor` likewise, as it was before'
}

const probe: Describes<ProbeDocument> = {
  format_version: 'the version of this document; within a major version, keys are only added',
  spanplan_version: 'the version of spanplan',
  created: 'when, as ISO 8601',
  passed: 'whether every port that must get the frames got them; the exit status says the same',
  spans: 'what came of the frames in each span'
}

const probedSpan: Describes<ProbedSpan> = {
  name: 'the name of the span and of its bridge',
  description: 'as in the file; null without a description',
  passed: 'whether every port of the span that must get the frames got them; null: nothing was sent',
  problem: 'a [diagnostic](#diagnostics): why nothing was sent; null: something was',
  paused_until: 'when its pause ends, as ISO 8601; null: it is not paused',
  changes: 'by how many changes it differs from the file',
  receivers: 'what each sensor, output and other port got',
  unasked: 'the mirrors of containers that no frame was sent through: `source`, and the `reason`',
  also_in: 'the other spans that got the frames, too, since their source is the bridge of this one'
}

const receiver: Describes<ProbedReceiver> = {
  kind: '`sensor`, `output`, or `port` where no container is known behind it',
  name: 'the name of the container or of the output; that of the port, where neither is known',
  interface: 'the host’s end of its interface, or the output; null: there is none now',
  state:
    '`received`: it got every frame; `missed`: it did not; `absent`: it has no port that could take one; `resting`: it is to get nothing now, or may not be ready',
  reason: 'why nothing was sent for it, in a clause; null: something was',
  health:
    'a [diagnostic](#diagnostics) of the sensor, as `status` has it, or what the output waits for; null: nothing is known to be wrong with it',
  ways: 'where frames were sent for it, and what came'
}

const way: Describes<ProbeWay> = {
  sent: '`bridge`, `port` (straight to it), or `mirror` (to a container that is a source)',
  interface: 'the interface on which the frames were sent',
  source: 'with `mirror`: the container; else null',
  frames: 'each frame',
  problem: 'a [diagnostic](#diagnostics): what did not come; null: everything came, as it was sent'
}

const probeFrame: Describes<ProbeWay['frames'][number]> = {
  size: 'bytes, without a checksum',
  state: '`received`, `changed` (not as it was sent), or `missed`',
  microseconds: 'from the bridge to the port; null: it did not come, or not over the bridge',
  copies: 'how often it came'
}

const triggers: Readonly<Record<Trigger, string>> = {
  start: 'the watch began',
  file: 'a file changed',
  link: 'an interface changed',
  filter: 'a filter or a qdisc changed',
  nftables: 'a table of nftables changed',
  offload: 'an offload or a receive ring of an interface changed',
  docker: 'Docker reported something',
  hangup: 'SIGHUP came',
  interval: 'it was time',
  hook: 'a hook called',
  resume: 'a pause ended',
  retry: 'a change that failed is tried again, or a warning that may pass is looked at again'
}

/** The lines of `apply --json` and `destroy --json`. */
const lines = {
  version: '`spanplan_version`',
  plan: 'the plan, as above',
  step_start: 'a step begins: the `address` of its change, and the `step`',
  step_done: 'a step is done: `address`, `step`',
  step_failed: 'a step failed: `address`, `step`, `errors`',
  rolled_back: 'what was done was rolled back: whether it is `complete`, and the addresses that are `left`',
  confirmation_awaited: 'with --rollback-after: `until` when, and the `id` of the window',
  confirmed: 'with --rollback-after: somebody confirmed the window of this `id`',
  window:
    'with --detach, the last line, unless an `error` follows: a `unit` of systemd waits `until` then for the confirmation of the window of this `id`',
  window_rolled_back:
    'with --install: the window of an earlier apply, which nobody had confirmed: its `id`, and a `message`',
  window_confirmed:
    'with --install: the window of an earlier apply, which somebody had confirmed: its `id`, and a `message`',
  installed: 'with --install: the `file` was written',
  wait: 'with --wait: `until` when, and `waiting`, the diagnostics of what is missing',
  wait_over: 'with --wait: `waiting`, what is still missing',
  summary: 'what was done, as `summary` of a plan',
  error: 'what went wrong: `errors`, and the `exit` status'
} as const

const keyList = (keys: Readonly<Record<string, string>>): Block => codeList(Object.entries(keys))

const causesOfLoss = list(
  Object.entries(causes).map(([cause, { text, counted, hint }]) => [
    `\`${cause}\` (${counted})`,
    `${text}. What to do: ${hint}.`
  ])
)

/** docs/reference/json.md */
export function writeJsonReference(): string {
  const intro =
    'Commands with `--json` print JSON on stdout, and nothing else there. What goes wrong is an object of the type `error`, with `errors` and the `exit` status.'
  return writeMarkdown('JSON', [intro], {
    Diagnostics: [
      'An error, a warning and a wait have one shape: `code`, `message` and, where they are known, `hint`, `address` and `origin` (`file`, `line`, `column`). [Codes](messages.md) are stable.',
      code('{"code": "KEY_UNKNOWN", "message": "…", "origin": {"file": "spans.yaml", "line": 5, "column": 9}}', 'json')
    ],
    'plan --json': ['One object:', keyList(plan)],
    'A change of a plan': [keyList(change)],
    'plan --out': [
      'The same, indented, with two more keys: `selection`, which is what to look at again (`files` with absolute paths, `digests` of what was read, `spans`, `prune`, `adopt`, `defer_docker`, and `subnet_seed`, which chooses the subnets of new networks), and `digest`, of all the rest without its white space and the order of its keys.'
    ],
    'apply --json, destroy --json': ['One object a line, each with a `type`:', keyList(lines)],
    'confirm --json, rollback --json, pause --json, resume --json, validate --json': [
      keyList({
        'confirm, rollback':
          'an object of the type `confirmed` or `rolled_back`, with the `id` of the window and a `message`; `installed` is the file that was installed, and left out otherwise',
        pause: 'an object of the type `paused`, with `span` (null for all) and `until`',
        resume: 'an object of the type `resumed`, with `spans`, and `retried`: those that a watch tries again at once',
        validate: '`valid`, `name`, `files`, `digest`, `spans` and `warnings`'
      })
    ],
    'watch --json': [
      'One object a line, each with a `type` and the time `at` which it was printed:',
      keyList(events),
      'A `change` has `address`, `kind`, `span`, `action`, `title`, `reason` and a `text` in the words of the plan. A `wait` is one of `waiting` of a plan. A `trigger` is what made the watch look:',
      keyList(triggers)
    ],
    'events --json': [
      'The lines that `watch --json` has printed, or would have: the `at` of each is the time of the event, and `name` says whose watch has told it.'
    ],
    'status --json': ['One object:', keyList(status)],
    'status --since --json': ['One object:', keyList(history)],
    'A watch of a history': [keyList(watchHistory)],
    'A span of a history': [keyList(spanHistory)],
    'A span of status': [keyList(span)],
    'A sensor of status': [keyList(sensor)],
    'A hop of status': [keyList(hop)],
    'The tool of a sensor': [keyList(tool)],
    'Causes of loss': [
      '`counted_by` says how the number is known: `kernel`, by a counter of the kernel; `difference`, as what is missing at the next place; `none`: nobody can know how many frames were lost.',
      causesOfLoss
    ],
    'probe --json': ['One object:', keyList(probe)],
    'A span of probe': [keyList(probedSpan)],
    'A receiver of probe': [keyList(receiver)],
    'A way of probe': ['Where frames were sent for a receiver:', keyList(way), 'A frame:', keyList(probeFrame)],
    'init --json': ['One object; nothing is asked, and nothing written:', keyList(interfaces)],
    'An interface of init': [keyList(listedInterface)],
    'doctor --json': ['One object:', keyList(doctor)],
    'A check of doctor': [keyList(check)]
  })
}
