import { expect, test } from 'vitest'
import { parseAttached } from '../../../../src/host/parsers/bpftool.ts'

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

test('what stands before the filters is told, whatever else is', () => {
  expect(parseAttached(JSON.parse(captured))).toEqual([
    { link: 3, tcHook: 'ingress', layer: 'xdp', name: '', id: 99 },
    { link: 3, tcHook: 'ingress', layer: 'tcx', name: 'hider', id: 98 },
    { link: 3, tcHook: 'egress', layer: 'tcx', name: 'hider', id: 97 }
  ])
  expect(parseAttached(JSON.parse(several)).map(({ id }) => id)).toEqual([5, 6])
})

test('what it says without the right to look is no answer', () => {
  expect(() => parseAttached({ error: "can't query prog: Operation not permitted" })).toThrow()
})
