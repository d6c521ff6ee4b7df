import type { Sections } from './document.ts'

/** What holds for several keys of spans.yaml. */
export const specNotes: Sections = {
  'The file': [
    'Several files, or a folder of `*.yaml` and `*.yml`, are put together. The same span or interface in two of them, or another `name`, is an error. Top-level keys that begin with `x-` are your own, for anchors; `<<` merges. Every other unknown key is an error. All errors are reported at once, each with its line.',
    'An empty file is an error. `spans: {}` says that there are no spans; removing every live span then needs `--allow-empty`.',
    'Where `name` changes, `formerly` says what it was before, one name or a list: what bears that name stays, and gets the new one. A Docker network keeps its label, so that the key has to stay for as long as the network does.'
  ],
  'Containers as sources': [
    'A source can be a container, whatever network the container is on. What it sends and receives on each of its interfaces is mirrored, at the host’s ends of its veth pairs. Its ports on spans are left out, so a sensor may be a source. Nothing changes in the container.',
    'A container that does not run is waited for. After a restart, a watch or the next apply mirrors its new interfaces. While Docker is not read, or a right is missing, mirrors that are there stay. Macvlans and ipvlans have no end on the host: mirror the interface below them.',
    'Several sources of a span may select one container, by its name, a label or a service. With the same filter, each frame is copied once, and the first source’s `max_idle` counts. With different filters, the first source’s filter holds there, the other mirror waits, and an apply exits with 4. The same name, label or service twice is an error, unless the directions differ.',
    '`except` leaves out containers of a label or a service, by the names that Docker has for them, such as `shop-api-1`. Beside any other key it is an error.'
  ],
  'Docker networks as sources': [
    '`network` under `sources` copies each frame on a Docker network once: what the ports of its bridge send, and what the host sends to it. `network` under a span is something else: the network that hands the span out. Docker’s own network is `bridge`; Compose calls the network `default` of a project `shop` `shop_default` in Docker. A network of a span is refused.',
    'A network that is missing, or has no port yet, is waited for. A watch, or the next apply, mirrors the ports that come later.'
  ],
  Sensors: [
    'A sensor that stops stays connected, and gets frames again when it starts. A new or recreated container of a label or a service is connected by a watch or by the next apply. If several items select one container, it is one sensor, and the first item decides. A sensor that spanplan connected and that no item selects any more is disconnected.',
    'A container has the labels of its image too, unless it is started with others in their place. So whoever builds an image that runs on the host can make its containers sensors of a span that selects by such a label, and they get the traffic. Select by a label that no foreign image has, or by name.',
    '`stats` names where the tool in a sensor says what it has received and dropped itself: exactly one of `eve`, `zeek` and `prometheus`, beside `container` alone, for a label may select several. The path is one of the host, from / on, with no symbolic link in it; the address is plain http to an IP address or to localhost, and needs `received` and `dropped`. Two containers cannot have the same. Nothing on the host depends on it, so a plan has no change for it.'
  ],
  Outputs: [
    'An output gets every frame of the span, or a part of them, beside the sensors or without them. Its interface becomes a port of the span’s bridge, and what comes in on it is dropped. It has to have no address, no route, no bridge or bond, and nothing built on it; it can be no source, not be `dedicated`, and be an output of one span alone. The span has to be sealed. An interface that is missing is an error in an apply, and waited for by a watch.',
    'With `vxlan`, `gretap` or `erspan`, another host gets the frames. What the tunnels of the file send is left out of what is copied into such a span. An id and a port are those of one output, and of no source; so are two addresses and a key or session. An output over GRE would also take what its `remote` sends to a source with the same key or session and no `remote`: that is refused. Without a route to the host, the output waits.'
  ],
  Shares: [
    'A sensor or an output with a `filter` gets what that chooses, and the others what theirs do. The members of a `balance` share what its `filter` chooses: each flow goes to one of them. A `label` or a `compose` of a member stands for each container that it selects, so that `docker compose up --scale` makes more members. The members get equal shares.',
    'A container is a member of one balance of a span, or a sensor by itself: both is an error, and so is a balance of one named container. With `hash: addresses`, two hosts that send most of the traffic make one share large; `hash: ports` splits it, and fragments then go by the addresses.',
    'Of a source, `filter` chooses first, then `sample`, then `limit`. A fraction is written as it is, such as 1/10, with at most 65536 behind the "/"; a rate is in bits, with powers of 1000, as tc(8) has it: 2gbit, 2.5gbit, from 8kbit on.',
    'There is no `snaplen`: tc copies whole frames, and the kernel cuts no copy without a program of its own. Have the tools cut what they keep: `tcpdump -s`, or `snaplen` under `pcap` in suricata.yaml.'
  ],
  'Without Docker': [
    'With `--defer-docker`, or while Docker is away, a span that has or had a Docker network is not removed. It waits as a whole, and the plan says so. If Docker is gone for good, first apply a file without the network of the span, then destroy the span.'
  ]
}
