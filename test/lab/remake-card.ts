import { setTimeout as sleep } from 'node:timers/promises'
import type { Lab } from './lab.ts'

/**
 * Makes the lab's first card and its cable anew, as when a driver is loaded anew, or a virtual machine's card is plugged again.
 *
 * @param pause milliseconds without the card.
 */
export async function remakeCard(lab: Lab, pause: number): Promise<void> {
  const [cable] = lab.cables
  if (cable === undefined) throw new Error('the lab has no cable')
  const { card, cardMac, port, portMac, mtu } = cable
  await lab.run(['ip', 'link', 'del', 'dev', card])
  await sleep(pause)
  const end = (name: string, mac: string) => ['name', name, 'address', mac, 'mtu', String(mtu)]
  await lab.run([
    ...(['ip', 'link', 'add', ...end(card, cardMac), 'type', 'veth'] as const),
    ...['peer', ...end(port, portMac), 'netns', `${lab.name}-sw`]
  ])
  await lab.run(['ip', 'link', 'set', 'dev', card, 'addrgenmode', 'none'])
  await lab.run(['ip', 'link', 'set', 'dev', port, 'addrgenmode', 'none'], { on: 'switch' })
  await lab.run(['ip', 'link', 'set', 'dev', port, 'up'], { on: 'switch' })
}
