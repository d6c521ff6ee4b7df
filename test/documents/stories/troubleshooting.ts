/** Ten ways in which a tap falls silent: each broken, found with the commands of the page, and repaired with them. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { betweenSamples } from '../../lab/commands/status.ts'
import { SENSOR_IMAGE } from '../../lab/docker/sensor-images.ts'
import { BROADCAST, ether, filler } from '../../lab/frames/frames.ts'
import { isFromClient, numbered, talk } from '../../lab/frames/mirrored.ts'
import { until } from '../../lab/spans.ts'
import { blocks, type Stories, type Story } from './document.ts'
import { frame, type Reader } from './reader.ts'

const page = 'docs/troubleshooting.md'
const spans = blocks.find(({ document, language }) => document === page && language === 'yaml')?.text ?? ''
const jumbo = ether(BROADCAST, '02:00:00:00:0a:01', filler(3000))
const hundred = Array.from({ length: 100 }, () => frame)

/** The host of the page, with a sensor that listens on the interface that a file in it names. */
export async function settleOnPage(reader: Reader): Promise<void> {
  await write(reader, spans)
  const listen =
    'until [ -e /sys/class/net/eth0 ]; do sleep 0.1; done; exec tcpdump -Z root -w /dev/null -i $(cat /listen || echo eth0)'
  const sensor = await reader.lab.docker.createContainer({
    name: 'suricata',
    Image: SENSOR_IMAGE,
    Cmd: ['sh', '-c', listen],
    StopSignal: 'SIGKILL',
    HostConfig: { NetworkMode: 'none' }
  })
  await sensor.start()
  await reader.run('spanplan apply')
  await expectWell(reader)
  // So that each story can also be run alone, with -t: no counter says that nothing has ever come.
  await reader.lab.send([frame])
}

const write = (reader: Reader, text: string) => writeFile(join(reader.clone, 'spans.yaml'), text)

/** All is in sync, and the sensor listens: the state between two stories. */
async function expectWell(reader: Reader): Promise<void> {
  await until('all is well', async () => {
    const status = await reader.run('spanplan status --for 10ms || true')
    return status.startsWith('span0: healthy') && status.includes('listens on a ring')
  })
}

/** Runs a block of `console` while the switch sends: all of its frames come between the two samples of status. */
const showUnderTraffic = (reader: Reader, block: string, frames: readonly Buffer[]) =>
  reader.show(block, (command) =>
    betweenSamples(
      reader.lab,
      ({ env }) => reader.run(command, { PATH: `${join(reader.root, 'bin')}:${env?.PATH}` }),
      () => reader.lab.send(frames)
    )
  )

/** What somebody has done is found with the first block, and repaired with the second. */
const breakAndRepair =
  (done: string): Story<Reader> =>
  async (reader, find = '', repair = '') => {
    await reader.run(done)
    await reader.show(find)
    await reader.run(repair)
    await expectWell(reader)
  }

async function setMtu(reader: Reader, mtu: string): Promise<void> {
  await reader.lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'mtu', mtu])
  await reader.lab.run(['ip', 'link', 'set', 'dev', 'sw0', 'mtu', mtu], { on: 'switch' })
}

/** @param start the command that starts the unit. */
async function startWatch(reader: Reader, start: string): Promise<void> {
  await reader.run('mkdir -p /etc/spanplan && cp spans.yaml /etc/spanplan/')
  await reader.run(`cp examples/systemd/spanplan.service /etc/systemd/system/\n${start}`)
  await until('a watch runs', async () => (await reader.run('spanplan status || true')).includes('Watched since'))
}

export const troubleshooting: Stories<Reader> = {
  [page]: {
    'It is 3 a.m., and a sensor is silent': async (reader, block = '') => {
      await reader.lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress'])
      const end = await reader.lab.keepSending(frame)
      try {
        const first = await reader.run(`${block.trim().replace('--for 10s', '--for 1s')} || true`)
        expect(first).toMatch(/^span0: NOT HEALTHY, 1 difference from the file.*\s+Run: spanplan apply\n/)
        await reader.run('spanplan apply')
        await expectWell(reader)
      } finally {
        await end()
      }
    },

    'The switch sends nothing': async (reader, find = '', again = '') => {
      await write(reader, spans.replace('max_idle: 5m', 'max_idle: 2s'))
      await until('it is idle', async () => (await reader.run('spanplan status || true')).includes('no frame has come'))
      const asOnPage = (text: string) =>
        text.replaceAll('max_idle: 2s', 'max_idle: 5m').replace(/ for \d+s/g, ' for 6m')
      await reader.show(find, async (command) => asOnPage(await reader.run(command)))
      const end = await reader.lab.keepSending(frame)
      try {
        expect(await reader.run(again.replace('--for 10s', '--for 1s'))).toContain('span0: healthy')
      } finally {
        await end()
        await write(reader, spans)
      }
    },

    'The switch sends half of it': async (reader, block = '') => {
      const stop = await reader.lab.stream(numbered(talk(2500)).filter(isFromClient), 300)
      try {
        const output = await reader.run(`{ ${block.trim().replace('--for 10s', '--for 2s')}; } 2>&1 || true`)
        expect(output).toMatch(/^warning: span span0: ens192: 100 % of the TCP frames .* only one direction comes$/m)
      } finally {
        await stop()
      }
    },

    'The interface is down': breakAndRepair('ip link set dev ens192 down'),

    'The filter matches nothing': async (reader, find = '', repair = '') => {
      await write(reader, spans.replace('not port 22', 'port 53'))
      await reader.run('spanplan apply')
      await showUnderTraffic(reader, find, hundred)
      await write(reader, spans)
      const end = await reader.lab.keepSending(frame)
      try {
        await reader.run(repair)
      } finally {
        await end()
      }
      await expectWell(reader)
    },

    'Large frames are lost': async (reader, find = '', repair = '') => {
      await setMtu(reader, '9000')
      await showUnderTraffic(
        reader,
        find,
        hundred.map((one, index) => (index % 10 === 0 ? jumbo : one))
      )
      await reader.run(repair)
      await expectWell(reader)
      await setMtu(reader, '1500')
      // `auto` shrinks nothing under a sensor that runs.
      await reader.run('docker stop suricata && spanplan apply --yes && docker start suricata && spanplan apply')
      await expectWell(reader)
    },

    'The sensor is not running': breakAndRepair('docker stop suricata'),

    'The sensor listens on the wrong interface': async (reader, find = '', look = '', repair = '') => {
      await reader.run(`docker exec suricata sh -c 'echo lo >/listen' && docker restart suricata && spanplan apply`)
      await until('its grace is over', async () =>
        (await reader.run('spanplan status --for 10ms || true')).startsWith('span0: NOT HEALTHY')
      )
      await reader.show(find)
      expect(await reader.run(look)).toContain('eth0:')
      await reader.run('docker exec suricata rm /listen')
      await reader.run(repair)
      await expectWell(reader)
    },

    'Frames arrive merged, or with wrong checksums': breakAndRepair('ethtool -K span0 tx on tso on gso on'),

    'The span is paused': breakAndRepair('spanplan pause span0 --for 30m && tc filter del dev ens192 ingress'),

    'The watch is gone': async (reader, find = '', start = '') => {
      await reader.show(find)
      await startWatch(reader, start)
      await reader.endWatch()
    },

    'The watch hangs': async (reader, find = '', restart = '') => {
      await startWatch(reader, 'sudo systemctl enable --now spanplan.service')
      await reader.lab.send([frame])
      await reader.run('kill -STOP $(<../root/watch.pid)')
      await reader.show(find)
      await reader.run(restart)
      await until('a watch runs', async () => (await reader.run('spanplan status || true')).includes('Watched since'))
      await reader.endWatch()
    },

    'The host differs from the file': breakAndRepair('tc filter del dev ens192 ingress'),

    'Something on the host stands in the way': async (reader, block = '') => {
      // It finds what there is to find on this machine.
      expect(await reader.run(`${block.trim()} 2>&1 || [ $? = 2 ]`)).toMatch(/iproute2/)
    },

    'Send a frame yourself': async (reader, block = '') => {
      expect(await reader.run(block)).toMatch(/^span0: its only port got every frame\.\n/)
      // The interface in the container is down: nothing counts frames, and the probe says it.
      const { State } = await reader.lab.docker.getContainer('suricata').inspect()
      const inside = ['nsenter', `--net=/proc/${State.Pid}/ns/net`, 'ip', 'link', 'set', 'dev', 'eth0'] as const
      await reader.lab.run([...inside, 'down'])
      expect(await reader.run(`${block.trim()} || [ $? = 2 ]`)).toContain('has no carrier')
      await reader.lab.run([...inside, 'up'])
    },

    'Have it left alone while you debug': async (reader, pause = '', resume = '') => {
      await reader.lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'promisc', 'off'])
      await reader.run(pause)
      const hook = 'IFACE=ens192 PHASE=up spanplan hook -f spans.yaml --strict 2>&1'
      expect(await reader.run(hook)).toContain('span0 is paused until')
      await reader.run(resume)
      expect(await reader.run(hook)).toContain('promiscuous: off → on')
      expect(await reader.run('spanplan status || true')).not.toContain('paused')
    }
  }
}
