/** The tutorial, from its first command to its last: it ends where it began. */
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { until } from '../../lab/spans.ts'
import type { Stories } from './document.ts'
import type { Reader } from './reader.ts'

let before = ''

export const tutorial: Stories<Reader> = {
  'docs/tutorial.md': {
    'A switch with one port': async (reader, block = '') => {
      before = await reader.lab.snapshotText()
      await rm(join(reader.clone, 'spans.yaml'))
      await reader.needSuricata()
      await reader.run(block)
    },

    'The file': async (reader, block = '') => {
      expect(await reader.run(block)).toContain('valid, 1 span.')
    },

    'Plan and apply': async (reader, plan = '', apply = '') => {
      await reader.show(plan)
      await reader.run(apply)
    },

    'Two containers': async (reader, start = '', seal = '') => {
      await reader.run(start)
      await reader.show(seal, (command) => reader.runWithBpf(command))
    },

    'The first alert': async (reader, wait = '', hello = '', look = '') => {
      await until('Suricata has started', async () =>
        (await reader.run('docker logs suricata 2>&1')).includes('started')
      )
      await reader.run(wait)
      await reader.run(hello)
      const { docker } = reader.lab
      await until('the alert is written', async () => {
        const { stdout } = await reader.lab.exec(docker.getContainer('suricata'), ['cat', '/var/log/suricata/fast.log'])
        return stdout !== ''
      })
      const output = await reader.run(`{ ${look}\n} 2>&1`)
      expect(output).toMatch(
        /\[\*\*\] \[1:1000001:1\] Somebody says hello \[\*\*\] .* \{UDP\} 192\.0\.2\.1:\d+ -> 192\.0\.2\.2:9999/
      )
      expect(output).toMatch(/IP 192\.0\.2\.1\.\d+ > 192\.0\.2\.2\.9999: UDP, length 6/)
    },

    'What does status say?': (reader, block = '') =>
      reader.show(block, async (command) => {
        let output = ''
        // The switch's end of the cable has IPv6, and asks for a router now and then.
        await until('nothing comes while status counts', async () => {
          output = await reader.run(command)
          return /interface mon0 +0 /.test(output)
        })
        return output
      }),

    'Clean up': async (reader, block = '') => {
      await reader.run(block)
      expect(existsSync(join(reader.clone, 'spans.yaml'))).toBe(false)
      expect(await reader.lab.snapshotText()).toBe(before)
    }
  }
}
