/** What graph shows of a host, and that it changes nothing. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createLab, type Lab } from '../lab/lab.ts'
import { spanplan, writeSpans } from '../lab/spans.ts'

let lab: Lab

beforeAll(async () => {
  lab = await createLab({ docker: true })
  await lab.startListener('suricata')
  await writeSpans(
    lab,
    'spans: {span0: {sources: [{interface: ens192, filter: not port 22}], sensors: [suricata, zeek]}}'
  )
  await spanplan(lab, ['apply', '--yes'])
})
afterAll(() => lab?.close())

test('a mirror that is missing, a sensor that waits, and a port that others have put on the bridge', async () => {
  await lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'egress'])
  await lab.run(['ip', 'link', 'add', 'name', 'extra', 'up', 'master', 'span0', 'type', 'veth', 'peer', 'name', 'far'])
  const before = await lab.snapshotText()
  const { stdout } = await spanplan(lab, ['graph'])
  expect(stdout).toBe(`span0 (network span0, mtu 9000, sealed)
├─ from
│  └─ ens192 (interface): ingress + egress, not port 22
│       ! missing: mirror egress
└─ to
   ├─ suricata (container)
   ├─ zeek (container)
   │    ... waits for the container zeek
   └─ extra (port, not in the file)
        ! differs: port (isolated: off → on, learning: on → off, keeps frames to its own address:
          yes → no)

1 span: 1 is broken. See: spanplan status
`)
  const svg = await spanplan(lab, ['graph', '--format', 'svg'])
  expect(svg.stdout).toMatch(
    /^<svg [\s\S]*>! missing: mirror egress<[\s\S]*>… waits for the container<[\s\S]*<\/svg>\n$/
  )
  const mermaid = await spanplan(lab, ['graph', '--format', 'mermaid'])
  expect(mermaid.stdout).toMatch(/^flowchart LR\n[\s\S]*#33; missing#58; mirror egress"\]:::broken\n/)
  expect(await lab.snapshotText()).toBe(before)
})

test('with --for, the rates that status counts', async () => {
  const { stdout } = await spanplan(lab, ['graph', '--for', '500ms'])
  expect(stdout).toMatch(/not port 22, [\d,]+ frames\/s\n/)
  expect(stdout).toMatch(/suricata \(container, [\d,]+ frames\/s\)\n/)
  const svg = await spanplan(lab, ['graph', '--for', '500ms', '--format', 'svg'])
  expect(svg.stdout).toMatch(/>[\d,]+\/s</)
  const { stderr } = await spanplan(lab, ['graph', '--for', 'watch'], 1)
  expect(stderr).toContain('--for watch: no watch of the name default is running')
  await spanplan(lab, ['graph', '--for', '1s', '--file-only'], 64)
})

test('of the file alone, it reads no host', async () => {
  const { stdout } = await spanplan(lab, ['graph', '--file-only'], 0, { env: { PATH: '/nonexistent' } })
  expect(stdout).toMatch(/\n1 span in the file\. The host was not read\.\n$/)
  const { stderr } = await spanplan(lab, ['graph', '--file-only', '--span', 'span1'], 64)
  expect(stderr).toContain('the file has no such span\n  did you mean "span0"?')
})
