/** Whatever breaks a tap while a watch runs: frames arrive at the sensor again, without anyone's hand. */
import type Docker from 'dockerode'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startWatch, type Watch } from '../lab/commands/watch.ts'
import { startFaultyDocker } from '../lab/docker/faulty-docker.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { remakeCard } from '../lab/remake-card.ts'
import { expectArriving, expectConverged, portOf, spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab
let suricata: Docker.Container

beforeAll(async () => {
  lab = await createLab({ docker: true })
  suricata = await lab.startSensor('suricata')
})
afterAll(() => lab?.close())

const spans = `
spans:
  span0:
    sources: [{interface: ens192, direction: ingress}]
    network: span
    sensors: [suricata, {label: role=ids}]`

/** Runs a line of a shell on the lab's host. */
const sh = (line: string) => lab.run(['sh', '-ec', line])

const isMirrored = async () => (await sh('tc filter show dev ens192 ingress')).includes('mirred')

/** At the port of the sensor, where it is to be off. */
async function switchIpv6On(): Promise<void> {
  await sh(`sysctl -qw net.ipv6.conf.${await portOf(lab, suricata)}.disable_ipv6=0`)
}

/** In the forwarding table, where the port's own address is not to be: no monitor of links tells. */
async function keepOwnFrames(): Promise<void> {
  const port = await portOf(lab, suricata)
  const [link]: { address: string }[] = JSON.parse(await lab.run(['ip', '-j', 'link', 'show', 'dev', port]))
  await sh(`bridge fdb add ${link?.address} dev ${port} master permanent`)
}

/** Waits until the watch has looked at its sensors, and has found none with the label. */
function expectMissing(watch: Watch): Promise<void> {
  return until('no sensor with the label is found', async () => {
    const { sensors } = await watch.state()
    return sensors.some(({ sensor, cause }) => sensor === 'label role=ids' && cause === 'missing')
  })
}

test('what no event tells is seen when the interval is over', async () => {
  await writeSpans(lab, spans)
  await using watch = await startWatch(lab, ['--interval', '1s'])
  await watch.expectTold(/ sensor suricata → span /)
  await watch.settle()
  await keepOwnFrames()
  await watch.expectTold(/ interval +span0 +~ port \S+ \(veth\w+\) .*keeps frames to its own address: yes → no/)
  await expectMissing(watch)
  expect(watch.told.match(/ waits for a running container with the label role=ids/g)).toHaveLength(1)
  await watch.stop()
  await spanplan(lab, ['destroy', '--all', '--yes'])
})

test('Docker that goes while a sensor is being connected keeps nothing else from being true, and is tried again', async () => {
  await writeSpans(lab, spans)
  const docker = await startFaultyDocker(lab)
  try {
    docker.prepare({ request: 2, how: 'cut after', onward: true })
    await using watch = await startWatch(lab, [], { env: docker.env })
    await watch.expectTold(/ start +span0 +! could not .*; next attempt at /)
    await watch.expectTold(/ start +span0 +\+ mirror ens192 ingress/)
    docker.prepare()
    await watch.expectTold(/ retry +span0 +\+ sensor suricata → span /)
    await watch.expectTold(/ retry +span0 +sensor suricata → span is in sync again\n/)
    expect(watch.told).not.toContain('something keeps undoing')
    await expectArriving(lab, suricata)
  } finally {
    await docker.close()
    await spanplan(lab, ['destroy', '--all', '--yes'])
  }
})

test("Docker that does not answer from the beginning is waited for, but not with what is the kernel's", async () => {
  await writeSpans(lab, spans)
  const watch = await startWatch(lab, [], { ready: false })
  try {
    await lab.silenceDocker(() => until('frames are mirrored', isMirrored))
    await watch.expectTold(/ start +span0 +\+ mirror ens192 ingress[\s\S]* start +span0 +\+ sensor suricata /)
    await expectArriving(lab, suricata)
  } finally {
    await watch.stop()
    await spanplan(lab, ['destroy', '--all', '--yes'])
  }
})

/** The watch of a group of tests: the same thing repaired in too many of them would be a tug-of-war. */
function watchAll(): { readonly watch: () => Watch; readonly expectMended: typeof expectMended } {
  let watch: Watch
  beforeAll(async () => {
    await writeSpans(lab, spans)
    watch = await startWatch(lab, ['--interval', '1h'])
    await expectArriving(lab, suricata)
  })
  afterAll(async () => {
    await watch?.stop()
    // What one of the repairs has left would still be there.
    await expectConverged(lab)
    await spanplan(lab, ['destroy', '--all', '--yes'])
  })

  /** The break, which the watch tells of in these words, and then frames arrive, and it has nothing left to do. */
  async function expectMended(told: RegExp, breakIt: () => Promise<unknown>): Promise<void> {
    await watch.settle()
    const { length } = watch.told
    await breakIt()
    await watch.expectTold(told, length)
    await expectArriving(lab, suricata)
    await watch.settle()
  }
  return { watch: () => watch, expectMended }
}

describe('the kernel tells a watch', () => {
  const { expectMended } = watchAll()

  test.each([
    ['the filter deleted', 'tc filter del dev ens192 ingress', / filter +span0 +\+ mirror ens192 ingress/],
    ['the qdisc deleted', 'tc qdisc del dev ens192 clsact', / filter +span0 +\+ mirror ens192 ingress/],
    ['promiscuity taken away', 'ip link set dev ens192 promisc off', / link +span0 +~ interface ens192 .*promiscuous/],
    ['the card down', 'ip link set dev ens192 down', / link +span0 +~ interface ens192 /],
    ['the ageing time', 'ip link set dev span0 type bridge ageing_time 30000', / link +span0 +~ bridge span0 .*ageing/],
    [
      'multicast snooping',
      'ip link set dev span0 type bridge mcast_snooping 1',
      / link +span0 +~ bridge span0 .*snoop/
    ],
    ['the bridge down', 'ip link set dev span0 down', / link +span0 +~ bridge span0 /],
    ['the MTU of the bridge', 'ip link set dev span0 mtu 1400', / link +span0 +~ bridge span0 .*mtu/],
    ['an offload of the bridge', 'ethtool -K span0 tso on', / (offload|link) +span0 +~ bridge span0 .*/],
    // The run that is due for what the cases before have undone may be the one that finds it.
    ['the seal of the bridge', 'tc qdisc del dev span0 clsact', / (filter|retry) +span0 +/],
    ['the bridge deleted', 'ip link del dev span0', / link +span0 +\+ bridge span0 /]
  ])('%s', async (_, command, told) => {
    await expectMended(told, () => sh(command))
  })

  test.each([
    ['no longer isolated', 'bridge link set dev PORT isolated off', / link +span0 +~ /],
    ['without its filter', 'tc qdisc del dev PORT clsact', / filter +span0 +/],
    ['taken off the bridge', 'ip link set dev PORT nomaster', / link +span0 +/]
  ])("a sensor's port %s", async (_, command, told) => {
    const port = await portOf(lab, suricata)
    await expectMended(told, () => sh(command.replace('PORT', port)))
  })

  test.each([0, 200])('the card deleted and made again %s ms later', async (pause) => {
    // The run that finds it gone may find it there again before it ends.
    await expectMended(/ span0 +\+ mirror ens192 ingress/, () => remakeCard(lab, pause))
  })
})

describe('a watch goes on', () => {
  const { watch, expectMended } = watchAll()

  test.each([
    [
      'ip -oneline monitor link address route rule',
      'ip link set dev ens192 promisc off',
      / link +span0 +~ interface ens192 .*promiscuous/
    ],
    ['tc monitor', 'tc qdisc del dev ens192 clsact', / filter +span0 +\+ mirror ens192 ingress/]
  ])('%s killed, and then something changed', async (monitor, command, told) => {
    await expectMended(told, async () => {
      await lab.run(['pkill', '-KILL', '--nslist', 'net', '--ns', String(watch().pid), '-xf', monitor])
      await sh(command)
    })
  })

  test("Docker does not answer, and what is the kernel's is put back meanwhile, again and again", async () => {
    await expectMended(/ span0 +\+ mirror ens192 ingress[\s\S]* ~ bridge span0 .*ageing/, () =>
      lab.silenceDocker(async () => {
        await sh('tc filter del dev ens192 ingress')
        await until('frames are mirrored', isMirrored)
        await sh('ip link set dev span0 type bridge ageing_time 30000')
        await until('the bridge learns nothing', async () =>
          (await sh('ip -d link show span0')).includes('ageing_time 0 ')
        )
      })
    )
  })

  test('what no event tells, and SIGHUP', async () => {
    await keepOwnFrames()
    await expectMended(/ hangup +span0 +~ port \S+ \(veth\w+\) .*own address: yes → no/, async () =>
      watch().signal('SIGHUP')
    )
  })

  test('IPv6 switched on again on a port, which only the address that it then gets tells', async () => {
    await expectMended(/ link +span0 +~ port \S+ \(veth\w+\) .*IPv6: on → off/, switchIpv6On)
  })
})

describe('Docker tells a watch', () => {
  const { watch, expectMended } = watchAll()

  test("Docker's network removed", async () => {
    // The watch may be connecting it again at that moment.
    await expectMended(/ span0 +\+ sensor suricata /, async () => {
      const network = lab.docker.getNetwork('span')
      await network.disconnect({ Container: 'suricata', Force: true })
      await network.remove()
    })
  })

  test('the sensor disconnected', async () => {
    await expectMended(/ span0 +\+ sensor suricata /, () =>
      lab.docker.getNetwork('span').disconnect({ Container: 'suricata' })
    )
  })

  test('the sensor stopped and started, which makes its port anew', async () => {
    await suricata.stop()
    await expectMended(/ span0 +~ port \S+ \(veth\w+\) .*isolated: off → on/, () => suricata.start())
  })

  test('the sensor restarted', async () => {
    await expectMended(/ span0 +~ port \S+ \(veth\w+\) .*isolated: off → on/, () => suricata.restart())
  })

  test('the sensor made anew', async () => {
    await expectMended(/ span0 +\+ sensor suricata /, async () => {
      await suricata.remove({ force: true })
      suricata = await lab.startSensor('suricata')
    })
  })

  test('a sensor by its label: it comes, is made anew, and goes', async () => {
    for (const name of ['snort-1', 'snort-2']) {
      const { length } = watch().told
      const snort = await lab.startSensor(name, {}, { role: 'ids' })
      await watch().expectTold(new RegExp(` span0 +\\+ sensor ${name} `), length)
      await expectArriving(lab, snort)
      const gone = watch().told.length
      await snort.remove({ force: true })
      await watch().expectTold(/ sensor label role=ids → span waits for a running container/, gone)
    }
    await watch().settle()
    await expectConverged(lab)
  })

  test('dockerd stopped, with its containers, and started again', async () => {
    const { length } = watch().told
    await lab.stopDocker()
    await watch().expectTold(/ Docker is not reachable at /, length)
    await sh('tc filter del dev ens192 ingress')
    await watch().expectTold(/ span0 +\+ mirror ens192 ingress/, length)
    await expectMended(/ span0 +~ port \S+ \(veth\w+\) .*isolated: off → on/, async () => {
      await lab.startDocker()
      await suricata.start()
    })
    // That Docker is away says nothing of the sensor by its label: that it is missing was told before.
    await expectMissing(watch())
    expect(watch().told.slice(length)).not.toContain(' waits')
  })

  test('dockerd restarted while its containers go on, and the bridge deleted meanwhile', async () => {
    // Docker may be first to make it again, with settings of its own.
    await expectMended(/ span0 +[+~] bridge span0 /, async () => {
      await lab.stopDocker({ live: true })
      await sh('ip link del dev span0')
      await lab.startDocker()
    })
  })
})
