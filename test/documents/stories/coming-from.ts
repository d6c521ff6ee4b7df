/** What the page for who comes from another tool says, done: their way goes on beside a span, and ends without it. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { blocks, type Stories, spansYaml } from './document.ts'
import { conversations, frame, type Reader } from './reader.ts'

const DOCUMENT = 'docs/howto/coming-from.md'
const [file] = blocks.filter(({ document, language }) => document === DOCUMENT && language === 'yaml')

export const comingFrom: Stories<Reader> = {
  [DOCUMENT]: {
    'From Security Onion': async (reader, block = '') => {
      const { lab } = reader
      // Not every kernel has bonds.
      await lab.run(['ip', 'link', 'add', 'bond0', 'up', 'type', 'veth', 'peer', 'name', 'bond0-in'])
      await lab.run(['ip', 'link', 'set', 'dev', 'bond0-in', 'up'])
      await reader.run('rm spans.yaml')
      try {
        await reader.run(block)
        const said = await reader.run('spanplan status || true')
        expect(said).toContain('mirror    bond0 ingress')
        await reader.run('spanplan destroy')
      } finally {
        await lab.run(['ip', 'link', 'del', 'dev', 'bond0'])
        await writeFile(join(reader.clone, 'spans.yaml'), spansYaml)
      }
    },

    'From a macvlan': async (reader, before = '', after = '') => {
      const { lab } = reader
      const [make = '', start = ''] = before.trim().split('\n')
      expect(start).toMatch(/^docker run -d --name zeek --network ids /)
      await reader.run(make)
      const zeek = await lab.startListener('zeek', { NetworkMode: 'ids' })
      const hears = async (device: string) => {
        const capture = await lab.capture(zeek, device)
        await lab.send([...conversations, frame])
        return (await capture.stop({ seconds: 1 })).frames
      }
      // The frames between others do not come, also to who listens promiscuously; the broadcast does.
      expect((await hears('eth0')).filter((one) => !one.equals(frame))).toEqual([])
      await writeFile(join(reader.clone, 'spans.yaml'), file?.text ?? '')
      try {
        const [apply = '', ...remove] = after.trim().split('\n')
        await reader.run(apply)
        expect(await hears('eth1')).toEqual([...conversations, frame])
        await reader.run(remove.join('\n'))
        expect(await hears('eth1')).toEqual([...conversations, frame])
        await reader.run('spanplan plan --detailed-exitcode')
      } finally {
        await zeek.remove({ force: true })
        await reader.run('spanplan destroy --yes\ndocker network rm ids 2>/dev/null || true')
        await writeFile(join(reader.clone, 'spans.yaml'), spansYaml)
      }
    }
  }
}
