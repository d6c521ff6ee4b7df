/** What the how-tos say to do, done; and whether what they promise has come true. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { parse } from 'yaml'
import * as z from 'zod'
import { ether, filler } from '../../lab/frames/frames.ts'
import { expectFrames, interfacesOf, listen } from '../../lab/spans.ts'
import { comingFrom } from './coming-from.ts'
import { blocks, type Stories, type Story, spansYaml } from './document.ts'
import { moveToSpanplan } from './move-to-spanplan.ts'
import { conversations, frame, type Reader } from './reader.ts'
import { shareASpan } from './share-a-span.ts'

const manifest = z.object({ version: z.string() }).parse(JSON.parse(readFileSync('package.json', 'utf8')))

const showsFrames: Story<Reader> = async (reader, block = '') => {
  await reader.run('spanplan apply')
  expect(await reader.runUnderTraffic(block)).toMatch(/02:00:00:00:0a:01 > ff:ff:ff:ff:ff:ff/)
}

/** The network that Compose makes for a project. */
async function makeShop({ lab }: Reader): Promise<void> {
  const labels = { 'com.docker.compose.project': 'shop', 'com.docker.compose.network': 'default' }
  await lab.docker.createNetwork({ Name: 'shop_default', Labels: labels })
}

const newName = 'docs/howto/new-name.md'

export const howtos: Stories<Reader> = {
  ...moveToSpanplan,
  ...shareASpan,

  ...comingFrom,

  'docs/howto/install.md': {
    // Installing the package is the part of test/packages/debian.long.test.ts.
    'The Debian package': async (reader, ...blocks) => {
      const [init = ''] = blocks.filter((block) => block.includes('spanplan init'))
      await reader.run('mkdir /etc/spanplan')
      const stop = await reader.lab.stream(conversations, 100)
      const said = await reader.run(init).finally(stop)
      expect(said).toContain(`Wrote ${join(reader.root, 'etc/spanplan/spans.yaml')}: span0 with the source ens192.`)
      await reader.run('spanplan apply -f /etc/spanplan')
      await reader.expectConverged()
    },

    'With npm': async (reader, install = '') => {
      const bin = join(reader.root, 'usr/bin')
      // The stand-in would hide what is installed.
      await rm(join(reader.root, 'bin/spanplan'))
      try {
        const PATH = `${bin}:${join(reader.root, 'bin')}:/usr/local/bin:/usr/bin:/bin`
        const output = await reader.run(install, { PATH })
        expect(output.split('\n').at(-1)).toBe(manifest.version)
        const folder = join(reader.root, 'usr/lib/node_modules/spanplan')
        expect(readdirSync(folder)).not.toContain('node_modules')
        expect(readdirSync(folder)).toEqual(
          expect.arrayContaining(['README.md', 'LICENSE', 'docs', 'examples', 'schemas'])
        )
        // Nothing of the sources is anywhere around.
        const away = join(reader.lab.files, 'away')
        await mkdir(away)
        const valid = await reader.run(`cd ${away} && spanplan validate -f ${folder}/examples/minimal.yaml`, { PATH })
        expect(valid).toContain('valid, 1 span.')
        expect(await reader.run(`cd ${away} && spanplan plan -f ${folder}/examples/minimal.yaml`, { PATH })).toContain(
          'Plan:'
        )
      } finally {
        await reader.standInSpanplan()
      }
    },

    'Complete commands in the shell': async (reader, completion = '') => {
      await reader.run(completion)
      const script = await readFile(join(reader.root, 'etc/bash_completion.d/spanplan'), 'utf8')
      expect(script).toContain('-F _spanplan spanplan')
    },

    Uninstall: async (reader, ...blocks) => {
      const before = await reader.lab.snapshotText()
      await reader.run('spanplan apply')
      for (const block of blocks) await reader.run(block)
      expect(await reader.lab.snapshotText()).toBe(before)
      expect(existsSync(join(reader.root, 'usr/lib/node_modules/spanplan'))).toBe(false)
    }
  },

  'docs/howto/boot.md': {
    'With systemd': async (reader, watch = '') => {
      await reader.lab.startSensor('suricata')
      await reader.run(watch)
      await reader.awaitConverged()
      await reader.lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress'])
      await reader.awaitConverged()
      await reader.expectFrames('suricata')
    },

    'Once at boot, without a watch': async (reader, once = '') => {
      await reader.run('mkdir /etc/spanplan && cp spans.yaml /etc/spanplan/')
      await reader.run(once)
      await reader.expectConverged()
    },

    'With ifupdown': async (reader, stanza = '', scripts = '') => {
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

    'With NetworkManager': async (reader, ...blocks) => {
      await reader.run('mkdir /etc/spanplan && cp spans.yaml /etc/spanplan/')
      for (const block of blocks) await reader.run(block)
      const dispatch = (script: string, action: string) =>
        reader.run(`as-hook /etc/NetworkManager/dispatcher.d/${script} ens192 ${action}`)
      const plan = 'spanplan plan -f /etc/spanplan'
      await dispatch('spanplan', 'up')
      expect(await reader.run(plan)).toContain('Plan: 1 to create, 0 to change')
      await dispatch('pre-down.d/spanplan', 'pre-down')
      expect(await reader.run(plan)).toContain('+   mirror     ens192')
      await dispatch('spanplan', 'up')
    }
  },

  'docs/howto/new-name.md': {
    'Change the name': async (reader, commands = '') => {
      await reader.lab.startListener('suricata')
      const file = blocks.find(({ document, language }) => document === newName && language === 'yaml')?.text ?? ''
      await reader.write('spans.yaml', file.replace(/^(name|formerly): .*\n/gm, ''))
      await reader.run('spanplan apply')
      await reader.write('spans.yaml', file)
      const said = await reader.run(commands)
      expect(said).toContain('mark: name default → sensor-7')
      expect(said).toMatch(/Plan: 0 to create, \d to change, 0 to replace, 0 to remove\./)
      expect(await reader.run('spanplan plan')).toContain('No changes')
      // The stories that follow have the usual name.
      await reader.run('spanplan destroy --yes')
    },

    'How long "formerly" is needed': async (reader, list = '') => {
      await reader.write('spans.yaml', 'version: 1\nspans: {span0: {sources: [{interface: ens192}], network: span0}}\n')
      await reader.run('spanplan apply')
      expect(await reader.run(list)).toBe('span0 default')
      await reader.write('spans.yaml', spansYaml)
    }
  },

  'docs/howto/gitops.md': {
    'Pull every five minutes': async (reader, install = '', byHand = '') => {
      const work = join(reader.lab.files, 'work')
      const bare = join(reader.lab.files, 'spans.git')
      const commit = async (text: string) => {
        await writeFile(join(work, 'spans.yaml'), text)
        const author = '-c user.name=a -c user.email=a@example.com'
        const signing = `-c gpg.format=ssh -c user.signingKey=${key} -c commit.gpgSign=true`
        const commands = ['git add .', `git ${author} ${signing} commit -qm change`, `git push -q ${bare} HEAD:main`]
        await reader.run([`cd ${work}`, ...commands].join(' && '))
      }
      const key = join(reader.lab.files, 'key')
      await reader.run(`ssh-keygen -q -t ed25519 -N '' -f ${key}`)
      await reader.run(`echo "ops@example.com $(cat ${key}.pub)" >allowed_signers`)
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
      expect(await reader.run(byHand)).toContain('Applied and verified: 2 changed')
    },

    'Check files in CI, and drift on the host': async (reader, check = '') => {
      await reader.run('mkdir /etc/spanplan && cp spans.yaml /etc/spanplan/ && spanplan apply')
      expect(await reader.run(check)).not.toContain('exit status')
      await reader.lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'promisc', 'off'])
      expect(await reader.run(check)).toContain('exit status 2')
    },

    'Plan now, apply later': async (reader, plan = '', apply = '') => {
      await reader.lab.startSensor('suricata')
      const shown = await reader.run(plan)
      expect(shown).toContain('+   sensor     suricata → span0')
      expect(await reader.run(`cat plan.txt`)).toBe(shown)
      // The night is long enough for another container, and a bridge of somebody else's.
      await reader.lab.startSensor('stranger')
      await reader.lab.run(['ip', 'link', 'add', 'other', 'type', 'bridge'])
      expect(await reader.run(apply)).toContain('Applied and verified: ')
      expect(await reader.run('spanplan plan')).toContain('No changes')
      await reader.expectFrames('suricata')
      const again = await reader.run(`{ ${apply.trim()}; } 2>&1 || echo "exit status $?"`)
      expect(again).toContain('bridge span0: was to be created, needs nothing now')
      expect(again).toContain('exit status 3')
      await reader.lab.run(['ip', 'link', 'del', 'dev', 'other'])
    },

    'Have a change rolled back by itself': async (reader, block = '') => {
      const applied = reader.run(block)
      const confirmed = await reader.run('until spanplan confirm 2>/dev/null; do sleep 0.1; done')
      expect(confirmed).toContain('Confirmed: the changes stay.')
      expect(await applied).toContain('Applied and verified: ')
      expect(await reader.run('spanplan plan')).toContain('No changes')
    }
  },

  'docs/howto/adopt.md': {
    'Import it, and take it over': async (reader, make = '', take = '') => {
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
      expect(taken).toContain('Applied and verified: ')
      expect(await reader.run('spanplan plan -f imported.yaml')).toContain('No changes')
      await reader.run('spanplan destroy -f imported.yaml')
      await reader.lab.run(['ip', 'link', 'del', 'dev', 'tap0'])
    }
  },

  'docs/howto/fleet.md': {
    'With Salt, Puppet and others': async (reader, script = '') => {
      const block = script.replace('/srv/spans/spans.yaml', 'spans.yaml')
      await reader.run('mkdir /etc/spanplan')
      expect(await reader.run(block)).toMatch(/Applied and verified: /)
      expect(await reader.run('diff spans.yaml /etc/spanplan/spans.yaml')).toBe('')
      expect(await reader.run(block)).not.toContain('Applied')
    }
  },

  'docs/howto/without-root.md': {
    'Run spanplan without root': async (reader, ...blocks) => {
      await reader.lab.startSensor('suricata')
      // Somebody of the group that Docker's socket belongs to, who may read the sources wherever they are.
      const [user, group] = ['65534', '65533']
      await chown(reader.lab.dockerHost.replace('unix://', ''), 0, Number(group))
      for (const block of blocks) {
        const known = block
          .replace('--reuid ops --regid ops --init-groups', `--reuid ${user} --regid ${user} --groups ${group}`)
          .replace('install -d -o ops', `install -d -o ${user}`)
          .replaceAll('+net_admin', '+net_admin,+dac_read_search')
        expect(await reader.run(known)).toContain('Applied and verified: ')
      }
      const refused = await reader.run(
        'SPANPLAN_RUN_DIR=/run/spanplan-ops spanplan pause --for 1h 2>&1 || echo "exit status $?"'
      )
      expect(refused).toMatch(/the run directory .*spanplan-ops cannot be used: .*exit status 77/s)
      // What ops could not do, and no more.
      const rest = (await reader.run('spanplan plan')).match(/^ {2}[-+~=].*$/gm)
      expect(rest).toEqual([
        expect.stringMatching(/^ {2}~ +stack +suricata → span0 +closed: no → yes$/),
        expect.stringMatching(/^ {2}~ +port +\S+ \(veth\w+\) → span0 +marked as a container's: no → yes$/)
      ])
      await reader.expectFrames('suricata')
    }
  },

  'docs/howto/compose.md': {
    'Use Compose, with Suricata and Zeek': async (reader, ...blocks) => {
      for (const block of blocks) await reader.run(block)
      await reader.expectConverged()
      await reader.expectFrames('ids-suricata-1', 'ids-zeek-1')
    }
  },

  'docs/howto/tap-compose.md': {
    'Choose what is copied': async (reader, list = '') => {
      await makeShop(reader)
      expect(await reader.run(list)).toContain('shop_default')
    },

    'Apply it': async (reader, block = '') => {
      await makeShop(reader)
      const sensor = await reader.lab.startListener('suricata')
      const file = blocks.find(
        ({ document, language }) => document === 'docs/howto/tap-compose.md' && language === 'yaml'
      )
      await reader.write('shop.yaml', file?.text ?? '')
      expect(await reader.run(block)).toContain('shop_default')
      const api = await reader.lab.startSensor('shop-api-1', { NetworkMode: 'shop_default' })
      const web = await reader.lab.startSensor('shop-web-1', { NetworkMode: 'shop_default' })
      await reader.run(block)
      const [{ mac = '' } = {}] = await interfacesOf(web)
      const said = ether(mac, '02:00:00:00:57:01', filler(200))
      const capture = await listen(reader.lab, sensor, { expression: 'ether src 02:00:00:00:57:01' })
      await reader.lab.sendFrom(api, 'eth0', [said])
      await expectFrames(capture, { said })
    }
  },

  'docs/howto/rename.md': {
    'Keep the bridge': async (reader, block = '') => {
      const [renamed] = blocks.filter(({ document }) => document === 'docs/howto/rename.md').map(({ text }) => text)
      for (const name of ['suricata', 'zeek']) await reader.lab.startListener(name)
      await reader.run('spanplan apply')
      const before = await reader.lab.snapshotText()
      await writeFile(join(reader.clone, 'spans.yaml'), renamed ?? '')
      const shown = await reader.run(block)
      expect(shown).toContain('No changes. 1 span matches spans.yaml.')
      expect(shown).toMatch(/^healthy +core-switch-mirror-port /m)
      expect(await reader.lab.snapshotText()).toBe(before)
      await reader.write('spans.yaml', spansYaml)
    }
  },

  'docs/howto/wireshark.md': {
    'On the terminal': showsFrames,

    'In Wireshark': showsFrames,

    'In a file': async (reader, block = '') => {
      await reader.run('spanplan apply')
      expect(await reader.runUnderTraffic(block)).toBe('')
      expect(await reader.run('tcpdump -r span0.pcap --count')).toContain('1000 packets')
    }
  },

  'docs/howto/probe.md': {
    'Prove that each sensor is fed': async (reader, block = '') => {
      await Promise.all(['suricata', 'zeek'].map((name) => reader.lab.startListener(name)))
      await reader.run('spanplan apply')
      await reader.show(block)
    },

    'Probe all the time': async (reader, watch = '') => {
      await reader.lab.startListener('suricata')
      const often = watch.trim().replace('1m', '1s')
      const got =
        'until curl --silent http://127.0.0.1:9477/metrics | grep ^spanplan_probe_received; do sleep 0.1; done'
      const output = await reader.run(`${often} 2>/dev/null &\n${got}\nkill $!\nwait $!`)
      expect(output).toMatch(/^spanplan_probe_received\{span="span0",interface="veth\w+",sensor="suricata"\} 1$/m)
    }
  },

  'docs/howto/monitoring.md': {
    'Read the status': async (reader, block = '') => {
      expect(await reader.run(`${block.trim()} || [ $? = 2 ]`)).toContain('span0')
    },

    'See when it went silent last night': async (reader, commands = '') => {
      await reader.lab.startSensor('suricata')
      const counted = `until spanplan status --since 1h --json 2>/dev/null | grep -q '"began":"'; do sleep 0.1; done`
      const output = await reader.run(`spanplan watch 2>/dev/null &\n${counted}\n${commands}kill $!\nwait $!`)
      expect(output).toMatch(
        /^span0\n {2}nothing was counted yet[\s\S]*\n\nhost\n {2}\d\d:\d\d {2}start +default keeps/
      )
    },

    'Read the losses': async (reader, commands = '') => {
      await reader.lab.startSensor('suricata')
      await reader.run('spanplan apply')
      await reader.lab.send(Array.from({ length: 1000 }, () => frame))
      const output = await reader.run(commands)
      for (const text of ['RX:', ' bytes 1000 pkt', 'ageing_time 0', 'master span0', 'eth0:']) {
        expect(output).toContain(text)
      }
    },

    'Scrape with Prometheus': async (reader, watch = '', ask = '') => {
      await reader.lab.startSensor('suricata')
      const ready = 'until curl --silent http://127.0.0.1:9477/readyz | grep -q ^ready; do sleep 0.1; done'
      const output = await reader.run(`${watch.trim()} 2>/dev/null &\n${ready}\n${ask}kill $!\nwait $!`)
      for (const text of [
        'spanplan_healthy{span="span0"} 0',
        'spanplan_waiting{span="span0"} 1',
        'alive: ',
        'ready: '
      ]) {
        expect(output).toContain(text)
      }
    },

    "Read the watch's log": async (reader, commands = '') => {
      await reader.lab.startSensor('suricata')
      const changed = "until spanplan events 2>/dev/null | grep -q 'mirror ens192'; do sleep 0.1; done"
      const output = await reader.run(`spanplan watch 2>/dev/null &\n${changed}\n${commands}kill $!\nwait $!`)
      expect(output).toMatch(/ start +default keeps the spans of this name in sync\n/)
      // Both commands have it.
      expect(output.match(/ start +span0 +\+ mirror ens192 ingress → span0 /g)).toHaveLength(2)
    }
  }
}
