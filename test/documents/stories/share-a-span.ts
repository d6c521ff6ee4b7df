/** What the how-tos of shares and samples say to do, done; and who then gets which frames. */
import { expect } from 'vitest'
import { arp, BROADCAST, ether, ipv4Syn, ipv4Udp } from '../../lab/frames/frames.ts'
import { listenBeside, portOf, until } from '../../lab/spans.ts'
import { blocks, type Section, type Stories, under } from './document.ts'
import type { Reader } from './reader.ts'

const share = 'docs/howto/share.md'
const sample = 'docs/howto/sample.md'
const four = 'Let four Suricatas share it'

/** The file that a section shows. */
const fileIn = ({ document, heading }: Section): string =>
  blocks.find((block) => block.document === document && block.heading === heading && block.language === 'yaml')?.text ??
  ''

const [one, other] = ['02:00:00:00:0b:01', '02:00:00:00:0b:02'] as const

/** Both directions of what pairs of hosts say to each other. */
function makeFlows(count: number, destinationPort = 53): Buffer[][] {
  return Array.from({ length: count }, (_, index) => {
    const ends = [`10.1.${Math.floor(index / 250)}.${(index % 250) + 1}`, `192.0.2.${(index % 7) + 1}`]
    return [ends, ends.toReversed()].map(([source = '', destination = '']) =>
      ether(other, one, ipv4Udp({ source, destination, destinationPort, data: Buffer.alloc(20) }))
    )
  })
}

/** What is not IP. */
const question = ether(
  BROADCAST,
  one,
  arp({ operation: 'request', senderMac: one, senderIp: '10.1.0.1', targetIp: '10.1.0.2' })
)

/** What each container hears of these frames, in hex, once somebody hears the last one. */
async function hear(reader: Reader, names: readonly string[], frames: readonly Buffer[]): Promise<string[][]> {
  const { lab } = reader
  const captures = await Promise.all(names.map((name) => listenBeside(lab, lab.docker.getContainer(name))))
  await lab.send(frames)
  await until('the last is heard', async () => {
    const last = frames.at(-1)
    return captures.some((capture) => capture.frames.some((frame) => last?.equals(frame)))
  })
  const heard = await Promise.all(captures.map((capture) => capture.stop()))
  return heard.map((all) => all.frames.map((frame) => frame.toString('hex')))
}

const suricatas = (count: number) => Array.from({ length: count }, (_, index) => `ids-suricata-${index + 1}`)

const hex = (frames: readonly Buffer[]) => frames.map((frame) => frame.toString('hex')).sort()

/** Each flow comes to one of so many Suricatas, whole; what is not IP to the first; and all to Zeek. */
async function expectShared(reader: Reader, names: readonly string[]): Promise<void> {
  const flows = makeFlows(60)
  const frames = [...flows.flat(), question]
  const heard = await hear(reader, [...names, 'ids-zeek-1'], frames)
  const [zeek = []] = heard.splice(-1)
  expect(zeek.sort()).toEqual(hex(frames))
  expect(heard.flat().sort()).toEqual(hex(frames))
  expect(heard[0]).toContain(question.toString('hex'))
  for (const flow of flows) {
    expect(heard.filter((all) => flow.every((frame) => all.includes(frame.toString('hex'))))).toHaveLength(1)
  }
  for (const all of heard) expect(all.length).toBeGreaterThan(frames.length / names.length / 3)
}

async function startFour(reader: Reader): Promise<void> {
  for (const block of under({ document: share, heading: four })) await reader.run(block)
}

async function startFourUnderWatch(reader: Reader): Promise<void> {
  await startFour(reader)
  await reader.run('cp examples/systemd/spanplan.service /etc/systemd/system/')
  await reader.run('sudo systemctl enable --now spanplan.service')
}

export const shareASpan: Stories<Reader> = {
  [share]: {
    [four]: async (reader, ...commands) => {
      const shipped = await reader.run(`sed 's/ *#.*//; /^$/d; /description/d' examples/compose/balance/spans.yaml`)
      expect(`${shipped.trimEnd()}\n`).toBe(fileIn({ document: share, heading: four }))
      for (const block of commands) await reader.run(block)
      await reader.expectConverged()
      await expectShared(reader, suricatas(4))
    },

    'Have more of them, or fewer': async (reader, scale = '') => {
      await startFourUnderWatch(reader)
      await reader.run(scale)
      await reader.awaitConverged()
      await expectShared(reader, suricatas(2))
      await reader.run('docker pause ids-suricata-1')
      await reader.awaitConverged()
      await expectShared(reader, suricatas(2).slice(1))
      await reader.run('docker unpause ids-suricata-1 && docker restart --time 0 ids-suricata-2')
      // Until then, all is in sync without them: the flows of a member that starts go to the others.
      await until('both are healthy', async () => {
        const found = await Promise.all(suricatas(2).map((name) => reader.lab.docker.getContainer(name).inspect()))
        return found.every(({ State }) => State.Health?.Status === 'healthy')
      })
      await reader.awaitConverged()
      await expectShared(reader, suricatas(2))
    },

    'Restart one after another': async (reader, restart = '') => {
      await startFourUnderWatch(reader)
      await reader.run(restart)
      await reader.awaitConverged()
      await expectShared(reader, suricatas(4))
    },

    'Give a sensor a part of its own': async (reader, commands = '') => {
      await startFour(reader)
      await reader.lab.startListener('arkime')
      await reader.write('parts.yaml', fileIn({ document: share, heading: 'Give a sensor a part of its own' }))
      expect(await reader.run(commands)).toContain('not port 22')
      const [dns, ssh] = [makeFlows(10).flat(), makeFlows(10, 22).flat()]
      const web = [ether(other, one, ipv4Syn({ source: '10.1.0.1', destination: '192.0.2.1', destinationPort: 80 }))]
      const heard = await hear(reader, [...suricatas(4), 'arkime', 'ids-zeek-1'], [...dns, ...ssh, ...web])
      expect(heard.pop()?.sort()).toEqual(hex([...dns, ...ssh, ...web]))
      expect(heard.pop()).toEqual(hex(web))
      expect(heard.flat().sort()).toEqual(hex([...dns, ...web]))
    },

    'Look at the shares': async (reader, status = '') => {
      await startFour(reader)
      const shown = await reader.run(status)
      for (const name of suricatas(4)) expect(shown).toContain(name)
      // It gets what is not IP.
      const port = await portOf(reader.lab, reader.lab.docker.getContainer('ids-suricata-1'))
      expect(shown).toContain(port)
      expect(await reader.runUnderTraffic(`sudo tcpdump -n -e -c 5 -i ${port}`)).toContain('02:00:00:00:0a:01')
      const capture = 'spanplan capture span0 -f alone.yaml -c 5'
      // Once nobody gets everything, nothing is copied to the bridge until somebody captures.
      await reader.run('docker rm --force ids-zeek-1')
      await reader.write('alone.yaml', fileIn({ document: share, heading: four }).replace('- compose: ids/zeek', ''))
      await reader.run('spanplan apply -f alone.yaml --yes')
      expect(await reader.run('tc filter show dev ens192 ingress')).not.toContain('device span0')
      const captured = await reader.runUnderTraffic(`${capture} 2>&1`)
      expect(captured).toMatch(/^span0: all who get frames get a part of them; this shows all that its sources copy\n/)
      expect(captured).toContain('02:00:00:00:0a:01')
      expect(await reader.run('spanplan plan -f alone.yaml')).toContain('No changes')
    }
  },

  [sample]: {
    'One flow of ten, for a sensor': async (reader, apply = '') => {
      await reader.lab.startListener('suricata')
      await reader.write('sample.yaml', fileIn({ document: sample, heading: 'One flow of ten, for a sensor' }))
      await reader.run(apply)
      const flows = makeFlows(500)
      const [heard = []] = await hear(reader, ['suricata'], [...flows.flat(), question])
      const taken = flows.filter((flow) => heard.includes(flow[0]?.toString('hex') ?? ''))
      expect(heard.sort()).toEqual(hex([...taken.flat(), question]))
      expect(taken.length).toBeGreaterThan(20)
      expect(taken.length).toBeLessThan(100)
    },

    'One frame of a thousand, for statistics': async (reader, apply = '') => {
      await reader.lab.startListener('ntopng')
      await reader.write(
        'frames.yaml',
        fileIn({ document: sample, heading: 'One frame of a thousand, for statistics' })
      )
      await reader.run(apply)
      const container = reader.lab.docker.getContainer('ntopng')
      const capture = await listenBeside(reader.lab, container)
      for (let round = 0; round < 20; round++) await reader.lab.send(makeFlows(500).flat())
      const { frames } = await capture.stop()
      // 20 are to be expected.
      expect(frames.length).toBeGreaterThan(2)
      expect(frames.length).toBeLessThan(60)
    }
  }
}
