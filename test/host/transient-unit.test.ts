import { expect, test } from 'vitest'
import { unitCommand } from '../../src/host/transient-unit.ts'

test('a unit is started by arguments alone, whatever they are', () => {
  const argv = unitCommand({
    name: 'spanplan-window-0a1b2c3d.service',
    description: 'a window',
    argv: ['/opt/a node', 'window', '--x; "$y"'],
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
    '--property=Restart=on-abnormal',
    '--property=RestartForceExitStatus=70',
    '--property=After=docker.service',
    ...['--', '/opt/a node', 'window', '--x; "$y"']
  ])
})
