import { expect, test } from 'vitest'
import { unitCommand } from '../../../src/host/transient-unit.ts'

test('a unit is started by arguments alone; the command afterwards is quoted as systemd reads it', () => {
  const argv = unitCommand({
    name: 'spanplan-window-0a1b2c3d.service',
    description: 'a window',
    argv: ['/opt/a node', 'window', '0a1b2c3d'],
    afterwards: ['/opt/a "node"', 'back\\slash', 'recover'],
    environment: { PATH: '/bin:$HOME' }
  })
  expect(argv).toEqual([
    ...['systemd-run', '--quiet', '--collect', '--no-ask-password', '--service-type=exec'],
    '--unit=spanplan-window-0a1b2c3d.service',
    '--description=a window',
    '--setenv=PATH=/bin:$HOME',
    '--property=SyslogIdentifier=spanplan',
    '--property=KillMode=mixed',
    '--property=TimeoutStopSec=600',
    '--property=After=docker.service',
    '--property=ExecStopPost=:"/opt/a \\"node\\"" "back\\\\slash" "recover"',
    ...['--', '/opt/a node', 'window', '0a1b2c3d']
  ])
})
