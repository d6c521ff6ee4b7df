/** What README.md says to do, done; and whether what it promises has come true. */
import { readFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { expect } from 'vitest'
import * as z from 'zod'
import { SURICATA_IMAGE } from '../../lab/docker/sensor-images.ts'
import { until } from '../../lab/spans.ts'
import { type Stories, spansYaml } from './document.ts'
import { conversations, type Reader } from './reader.ts'

const { scripts } = z
  .object({ scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(readFileSync('package.json', 'utf8')))

export const readme: Stories<Reader> = {
  'README.md': {
    'From nothing to packets in Suricata': async (reader, commands = '', look = '') => {
      await reader.needSuricata()
      const change = `--change 'ENTRYPOINT ["suricata"]'`
      await reader.run(`docker commit ${change} $(docker create ${SURICATA_IMAGE} sh) jasonish/suricata:8.0`)
      await rm(join(reader.clone, 'spans.yaml'))
      // Nobody is asked, where it looks like a mirror port and there is no terminal.
      const stop = await reader.lab.stream(conversations, 100)
      try {
        await reader.run(commands)
        expect(await reader.run('cat spans.yaml')).toContain('      - interface: ens192\n')
        await reader.run(`spanplan plan --detailed-exitcode`)
        await until('Suricata counts packets', async () =>
          /capture\.kernel_packets .*[1-9]/.test(await reader.run(`${look.trim()} || true`))
        )
      } finally {
        await stop()
        await reader.run('docker rm --force suricata')
        await writeFile(join(reader.clone, 'spans.yaml'), spansYaml)
      }
    },

    'Plan, apply and status': async (reader, apply = '', status = '') => {
      await reader.lab.startListener('suricata')
      await reader.show(apply)
      await reader.expectFrames('suricata')
      await until('it listens', async () => (await reader.run('spanplan status || true')).includes('listens on'))
      await reader.show(status)
    },

    'See it work, and contribute': async (_, block = '') => {
      const commands = block.trim().split('\n')
      expect(commands.map((line) => line.replace(/ +#.*/, ''))).toEqual(['sudo npm run demo', 'sudo npm test'])
      // This test is what the one starts; the other is this, after test/setup.
      const { stdout } = await execa(process.execPath, ['dist/demo.cjs'])
      expect(stdout).toContain('sent 10, arrived 9, each once, byte for byte')
      expect(stdout).toContain('All of it was as shown, and all of it is cleaned up.')
      expect(scripts.demo).toBe('bash test/setup && bash test/aside node dist/demo.cjs')
      expect(scripts.test).toBe('bash test/setup && bash test/run host')
    }
  }
}
