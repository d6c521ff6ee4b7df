import { expect, test } from 'vitest'
import { attachedLines, hasNetworkPrograms, parseAttached } from '../../../src/host/parsers/bpftool.ts'

/**
 * bpftool 7.5 on Linux 6.18, `bpftool -j net show`: an XDP and two tcx programs on one device, a cls_bpf filter with an
 * eBPF program on another, one of classic BPF beside the first; then XDP in two modes at once, as bpftool's net.c writes it.
 */
const captured = `[{"xdp":[{"devname":"a0","ifindex":3,"mode":"driver","id":99}],"tc":[{"devname":"a0","ifindex":3,
"kind":"tcx/ingress","name":"hider","prog_id":98,"prog_flags":[],"link_id":90,"link_flags":[]},{"devname":"a0",
"ifindex":3,"kind":"tcx/egress","name":"hider","prog_id":97,"prog_flags":[],"link_id":89,"link_flags":[]},
{"devname":"b0","ifindex":2,"kind":"clsact/ingress","name":"x.o:[tc]","prog_id":12},{"devname":"a0","ifindex":3,
"kind":"clsact/ingress"}],"flow_dissector":[],"netfilter":[]}]`
const several = `[{"xdp":[{"devname":"a0","ifindex":3,"multi_attachments":[{"mode":"driver","id":5},
{"mode":"offload","id":6}]}],"tc":[],"flow_dissector":[]}]`

/** As `bpftool -j batch file -` prints what each line of the batch prints. */
const batch = (...outputs: readonly unknown[]) => outputs.map((output) => ({ command: ['net', 'show'], output }))

test('what stands before the filters is told, whatever else is', () => {
  expect(parseAttached(batch(JSON.parse(captured)))).toEqual([
    { link: 3, tcHook: 'ingress', layer: 'xdp', name: '', id: 99 },
    { link: 3, tcHook: 'ingress', layer: 'tcx', name: 'hider', id: 98 },
    { link: 3, tcHook: 'egress', layer: 'tcx', name: 'hider', id: 97 }
  ])
  expect(parseAttached(batch(JSON.parse(several))).map(({ id }) => id)).toEqual([5, 6])
})

test('a device that has gone does not hide the programs of the others', () => {
  const gone = { error: 'invalid devname a1' }
  expect(parseAttached(batch(JSON.parse(several), gone)).map(({ id }) => id)).toEqual([5, 6])
})

test('what it says without the right to look is no answer', () => {
  const refusal = { error: "can't query prog: Operation not permitted" }
  expect(() => parseAttached(refusal)).toThrow()
  expect(() => hasNetworkPrograms(refusal)).toThrow()
})

test('devices are asked for only where a program is for devices', () => {
  expect(hasNetworkPrograms([{ id: 1, type: 'cgroup_device' }])).toBe(false)
  expect(
    hasNetworkPrograms([
      { id: 1, type: 'cgroup_device' },
      { id: 2, type: 'sched_cls' }
    ])
  ).toBe(true)
  expect(attachedLines(['ens192', 'a#b', 'span0'])).toBe('net show dev ens192\nnet show dev span0\n')
})
