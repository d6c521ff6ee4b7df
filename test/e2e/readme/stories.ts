/** What README.md says to do, done; and whether what it promises has come true. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { expect } from 'vitest'
import { parse } from 'yaml'
import * as z from 'zod'
import { betweenSamples } from '../between.ts'
import { BROADCAST, ether, filler } from '../frames.ts'
import type { SpanplanOptions } from '../lab.ts'
import { spansYaml, under } from './document.ts'
import { frame, type Reader } from './reader.ts'

const manifest = z
  .object({ version: z.string(), scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(readFileSync('package.json', 'utf8')))
/**
 * What status says of 1,000 frames, of which every tenth is too large for the span: somebody has since told the card and
 * the switch to take larger ones. Both sensors listen.
 */
async function showJumbo(reader: Reader, command: string): Promise<string> {
  const { lab } = reader
  const setMtu = async (mtu: string) => {
    await lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'mtu', mtu])
    await lab.run(['ip', 'link', 'set', 'dev', 'sw0', 'mtu', mtu], { on: 'switch' })
  }
  const listen = (name: string) => lab.capture(lab.docker.getContainer(name), 'eth0', { expression: 'port 9' })
  const captures = await Promise.all(['suricata', 'zeek'].map(listen))
  const jumbo = ether(BROADCAST, '02:00:00:00:0a:01', filler(3000))
  const frames = Array.from({ length: 1000 }, (_, index) => (index % 10 === 0 ? jumbo : frame))
  await setMtu('9000')
  try {
    const run = ({ env }: SpanplanOptions) =>
      reader.run(`${command} || [ $? = 2 ]`, { PATH: `${join(reader.root, 'bin')}:${env?.PATH}` })
    return await betweenSamples(lab, run, () => lab.send(frames))
  } finally {
    await setMtu('1500')
    for (const capture of captures) await capture.stop()
  }
}

/** Without what is another each time: the names that Docker gives to ports, times, rates, and the room that they take. */
function withoutChance(text: string): string {
  return text
    .replace(/veth[0-9a-f]+/g, 'veth')
    .replace(/\b(?:\d+[hms])+\b/g, 'TIME')
    .replace(/ +([\d,]+) +[\d,]+ +(?:[\d.]+ [kM]?B)? +([\d,]+)$/gm, ' $1 RATE $2')
    .trim()
}

/** One for each heading that has commands: runs them, and looks whether what the text promises has come true. */
export const stories: Readonly<Record<string, (reader: Reader) => Promise<void>>> = {
  spanplan: async () => {
    expect(under('spanplan')).toEqual(['sudo npm run demo\nsudo npm test\n'])
    // This test is what the one starts; the other is this, after test/setup.
    const { stdout } = await execa(process.execPath, ['dist/demo.cjs'])
    expect(stdout).toContain('sent 10, arrived 9, each once, byte for byte')
    expect(stdout).toContain('All of it was as shown, and all of it is cleaned up.')
    const { scripts } = manifest
    expect(scripts.demo).toBe('bash test/setup && bash test/aside node dist/demo.cjs')
    expect(scripts.test).toBe('bash test/setup && bash test/run host')
  },

  'In short': async (reader) => {
    await reader.lab.startSensor('suricata')
    for (const block of under('In short')) {
      let shown = ''
      for (const line of block.split('\n')) {
        if (line.startsWith('$ ')) shown += `${line}\n${await reader.run(line.slice(2))}\n`
      }
      expect(shown).toBe(block)
    }
    await reader.expectFrames('suricata')
  },

  Install: async (reader) => {
    const [install = '', completion = ''] = under('Install')
    const bin = join(reader.root, 'usr/bin')
    // The stand-in would hide what is installed.
    await rm(join(reader.root, 'bin/spanplan'))
    try {
      const PATH = `${bin}:${join(reader.root, 'bin')}:/usr/local/bin:/usr/bin:/bin`
      const output = await reader.run(install, { PATH })
      expect(output.split('\n').at(-1)).toBe(manifest.version)
      const folder = join(reader.root, 'usr/lib/node_modules/spanplan')
      expect(readdirSync(folder)).not.toContain('node_modules')
      expect(readdirSync(folder)).toEqual(expect.arrayContaining(['README.md', 'LICENSE', 'examples', 'schemas']))
      // Nothing of the sources is anywhere around.
      const away = join(reader.lab.files, 'away')
      await mkdir(away)
      const valid = await reader.run(`cd ${away} && spanplan validate -f ${folder}/examples/minimal.yaml`, { PATH })
      expect(valid).toContain('valid, 1 span.')
      expect(await reader.run(`cd ${away} && spanplan plan -f ${folder}/examples/minimal.yaml`, { PATH })).toContain(
        'Plan:'
      )
      await reader.run(completion, { PATH })
      expect(await readFile(join(reader.root, 'etc/bash_completion.d/spanplan'), 'utf8')).toContain(
        '-F _spanplan spanplan'
      )
    } finally {
      await reader.standInSpanplan()
    }
  },

  Uninstall: async (reader) => {
    const before = await reader.lab.snapshotText()
    await reader.run('spanplan apply')
    for (const block of under('Uninstall')) await reader.run(block)
    expect(await reader.lab.snapshotText()).toBe(before)
    expect(existsSync(join(reader.root, 'usr/lib/node_modules/spanplan'))).toBe(false)
  },

  'Start at boot, with systemd': async (reader) => {
    await reader.lab.startSensor('suricata')
    const [watch = '', once = ''] = under('Start at boot, with systemd')
    await reader.run(watch)
    await reader.awaitConverged()
    await reader.lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress'])
    await reader.awaitConverged()
    await reader.expectFrames('suricata')
    await reader.endWatch()
    await reader.lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress'])
    await reader.run(once)
    await reader.expectConverged()
  },

  'Start at boot, with ifupdown': async (reader) => {
    const [stanza = '', scripts = ''] = under('Start at boot, with ifupdown')
    await reader.run(stanza)
    const plan = await reader.run('spanplan plan -f /etc/spanplan')
    expect(plan).toContain('Plan: 1 to create, 0 to change, 0 to replace, 0 to remove; 2 wait')
    expect(plan).toContain('+   network    span0')
    // An interface must come up whatever the file is like.
    await writeFile(join(reader.root, 'etc/spanplan/spans.yaml'), 'nonsense\n')
    await reader.run('sudo ifup ens192')
    await writeFile(join(reader.root, 'etc/spanplan/spans.yaml'), spansYaml)
    await reader.run(scripts)
    const missing = 'spanplan plan -f /etc/spanplan | grep "+   mirror" || true'
    expect(await reader.run(missing)).toBe('')
    const hook = (folder: string, phase: string) =>
      `as-hook IFACE=ens192 PHASE=${phase} /etc/network/${folder}/spanplan`
    await reader.run(hook('if-down.d', 'pre-down'))
    expect(await reader.run(missing)).toContain('+   mirror     ens192')
    await reader.run(hook('if-up.d', 'post-up'))
    expect(await reader.run(missing)).toBe('')
  },

  'Start at boot, with NetworkManager': async (reader) => {
    await reader.run('mkdir /etc/spanplan && cp spans.yaml /etc/spanplan/')
    for (const block of under('Start at boot, with NetworkManager')) await reader.run(block)
    const dispatch = (script: string, action: string) =>
      reader.run(`as-hook /etc/NetworkManager/dispatcher.d/${script} ens192 ${action}`)
    const plan = 'spanplan plan -f /etc/spanplan'
    await dispatch('spanplan', 'up')
    expect(await reader.run(plan)).toContain('Plan: 1 to create, 0 to change')
    await dispatch('pre-down.d/spanplan', 'pre-down')
    expect(await reader.run(plan)).toContain('+   mirror     ens192')
    await dispatch('spanplan', 'up')
  },

  GitOps: async (reader) => {
    const [install = '', byHand = '', check = ''] = under('GitOps')
    const work = join(reader.lab.files, 'work')
    const bare = join(reader.lab.files, 'spans.git')
    const commit = async (text: string) => {
      await writeFile(join(work, 'spans.yaml'), text)
      const author = '-c user.name=a -c user.email=a@example.com'
      await reader.run(`cd ${work} && git add . && git ${author} commit -qm change && git push -q ${bare} HEAD:main`)
    }
    await reader.run(`git init -q --bare -b main ${bare} && git init -q -b main ${work}`)
    await reader.lab.startSensor('suricata')
    await commit(spansYaml)
    await reader.run(install)
    await reader.awaitConverged()
    await commit(spansYaml.replace('not port 22', 'not port 23'))
    await reader.run('sudo systemctl enable --now spanplan-pull.timer')
    await reader.awaitConverged()
    expect(await reader.run('cat /etc/spanplan/spans.yaml')).toContain('not port 23')
    await reader.endWatch()
    await commit(spansYaml.replace('not port 22', 'not port 24'))
    expect(await reader.run(byHand)).toContain('0 created, 2 changed, 0 replaced, 0 removed')
    expect(await reader.run(check)).not.toContain('exit status')
    await reader.lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'promisc', 'off'])
    expect(await reader.run(check)).toContain('exit status 2')
  },

  'Try it, and have it rolled back': async (reader) => {
    const [block = ''] = under('Try it, and have it rolled back')
    const applied = reader.run(block)
    const confirmed = await reader.run('until spanplan confirm 2>/dev/null; do sleep 0.1; done')
    expect(confirmed).toContain('Confirmed: it stays.')
    expect(await applied).toContain('all is in sync')
    expect(await reader.run('spanplan plan')).toContain('No changes')
  },

  'Plan now, apply later': async (reader) => {
    const [plan = '', apply = ''] = under('Plan now, apply later')
    await reader.lab.startSensor('suricata')
    const shown = await reader.run(plan)
    expect(shown).toContain('+   sensor     suricata → span0')
    expect(await reader.run(`cat plan.txt`)).toBe(shown)
    // The night is long enough for another container, and a bridge of somebody else's.
    await reader.lab.startSensor('stranger')
    await reader.lab.run(['ip', 'link', 'add', 'other', 'type', 'bridge'])
    expect(await reader.run(apply)).toContain('Checked: all is in sync.')
    expect(await reader.run('spanplan plan')).toContain('No changes')
    await reader.expectFrames('suricata')
    const again = await reader.run(`{ ${apply.trim()}; } 2>&1 || echo "exit status $?"`)
    expect(again).toContain('span0/bridge: was to be created, needs nothing now')
    expect(again).toContain('exit status 3')
    await reader.lab.run(['ip', 'link', 'del', 'dev', 'other'])
  },

  'Without root': async (reader) => {
    await reader.lab.startSensor('suricata')
    // Somebody of the group that Docker's socket belongs to, who may read the sources wherever they are.
    const [user, group] = ['65534', '65533']
    await chown(reader.lab.dockerHost.replace('unix://', ''), 0, Number(group))
    for (const block of under('Without root')) {
      const known = block
        .replace('--reuid ops --regid ops --init-groups', `--reuid ${user} --regid ${user} --groups ${group}`)
        .replace('install -d -o ops', `install -d -o ${user}`)
        .replaceAll('+net_admin', '+net_admin,+dac_read_search')
      expect(await reader.run(known)).toContain('Applied:')
    }
    const refused = await reader.run(
      'SPANPLAN_RUN_DIR=/run/spanplan-ops spanplan pause --for 1h 2>&1 || echo "exit status $?"'
    )
    expect(refused).toMatch(/the run directory .*spanplan-ops cannot be used: .*exit status 77/s)
    expect(await reader.run('spanplan plan')).toContain('No changes')
    await reader.expectFrames('suricata')
  },

  'Compose, with Suricata and Zeek': async (reader) => {
    for (const block of under('Compose, with Suricata and Zeek')) await reader.run(block)
    await reader.expectConverged()
    await reader.expectFrames('ids-suricata-1', 'ids-zeek-1')
  },

  'Taking over an existing tap': async (reader) => {
    const sensor = await reader.lab.startSensor('suricata')
    await reader.lab.run(['ip', 'link', 'add', 'dev', 'tap0', 'type', 'bridge'])
    await reader.lab.run(['ip', 'link', 'set', 'dev', 'tap0', 'up'])
    const network = await reader.lab.docker.createNetwork({
      Name: 'ids',
      Internal: true,
      Options: { 'com.docker.network.bridge.name': 'tap0' },
      IPAM: { Config: [{ Subnet: '198.18.7.0/24' }] }
    })
    await (await reader.lab.docker.getNetwork('none')).disconnect({ Container: sensor.id })
    await network.connect({ Container: sensor.id })
    await reader.lab.run(['tc', 'qdisc', 'add', 'dev', 'ens192', 'ingress'])
    const mirror = 'u32 match ip src 192.0.2.0/24 action mirred egress mirror dev tap0'.split(' ')
    await reader.lab.run(['tc', 'filter', 'add', 'dev', 'ens192', 'ingress', 'protocol', 'ip', ...mirror])
    const [make = '', take = ''] = under('Taking over an existing tap')
    expect(await reader.run(make)).toContain('valid, 1 span')
    const text = await reader.run('cat imported.yaml')
    expect(parse(text)).toEqual({
      version: 1,
      spans: {
        tap0: {
          sources: [{ interface: 'ens192', direction: 'ingress', filter: 'ip src net 192.0.2.0/24 and not vlan' }],
          network: { name: 'ids', subnet: '198.18.7.0/24' },
          sensors: ['suricata']
        }
      }
    })
    const taken = await reader.run(take)
    expect(taken).toMatch(/ = +network +ids /)
    expect(taken).toContain('all is in sync')
    expect(await reader.run('spanplan plan -f imported.yaml')).toContain('No changes')
    await reader.run('spanplan destroy -f imported.yaml')
    await reader.lab.run(['ip', 'link', 'del', 'dev', 'tap0'])
  },

  'Is it working?': async (reader) => {
    await reader.lab.startSensor('suricata')
    await reader.lab.startSensor('zeek')
    await reader.run('spanplan apply')
    const [example = '', commands = ''] = under('Is it working?')
    const [command = '', ...lines] = example.split('\n')
    expect(withoutChance(await showJumbo(reader, command.slice(2)))).toBe(withoutChance(lines.join('\n')))
    const output = await reader.run(commands)
    for (const text of ['RX:', ' bytes 1000 pkt', 'ageing_time 0', 'master span0', 'eth0:']) {
      expect(output).toContain(text)
    }
  },

  'Look at what a sensor sees': async (reader) => {
    await reader.run('spanplan apply')
    // Twenty are asked for first; whoever is not ended by a count is by a reader who has gone.
    for (const block of under('Look at what a sensor sees')) {
      let over = false
      const shown = reader.run(block).finally(() => {
        over = true
      })
      shown.catch(() => undefined)
      while (!over) await reader.lab.send(Array.from({ length: 100 }, () => frame))
      expect(await shown).toMatch(block.includes('span0.pcap') ? /^$/ : /02:00:00:00:0a:01 > ff:ff:ff:ff:ff:ff/)
    }
    expect(await reader.run('tcpdump -r span0.pcap --count')).toContain('1000 packets')
  },

  'Have it left alone while you debug': async (reader) => {
    await reader.run('spanplan apply')
    const [pause = '', resume = ''] = under('Have it left alone while you debug')
    await reader.lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'promisc', 'off'])
    await reader.run(pause)
    const hook = 'IFACE=ens192 PHASE=up spanplan hook -f spans.yaml --strict 2>&1'
    expect(await reader.run(hook)).toContain('span0 is paused until')
    expect(await reader.run('spanplan status || true')).toContain('paused until')
    await reader.run(resume)
    expect(await reader.run(hook)).toContain('promiscuous: off → on')
    expect(await reader.run('spanplan status || true')).not.toContain('paused')
  },

  'Metrics, for Prometheus': async (reader) => {
    await reader.lab.startSensor('suricata')
    const [watch = '', ask = ''] = under('Metrics, for Prometheus')
    const ready = 'until curl --silent http://127.0.0.1:9477/readyz | grep -q ^ready; do sleep 0.1; done'
    const output = await reader.run(`${watch.trim()} 2>/dev/null &\n${ready}\n${ask}kill $!\nwait $!`)
    for (const text of ['spanplan_healthy{span="span0"} 0', 'spanplan_waiting{span="span0"} 1', 'alive: ', 'ready: ']) {
      expect(output).toContain(text)
    }
  }
}
