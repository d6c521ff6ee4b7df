/** Before the first test and after the last: what tests do stays within their labs. */

import { existsSync, readdirSync } from 'node:fs'
import { listStaleLabs } from './sweep.ts'

/**
 * Docker's own names for what it makes: on a machine that is used, its containers come and go. And what the kernel itself makes, once
 * anybody uses ip_gre.
 */
const comesAndGoes = /^(?:veth|br-|(?:gre|gretap|erspan)0$)/

/** Places where something of tests could stand that is in no lab. */
function listTraces(): string[] {
  // The kernel's bonding has a file there, which is no interface.
  const links = readdirSync('/sys/class/net').filter((name) => !comesAndGoes.test(name) && name !== 'bonding_masters')
  // Where spanplan keeps what it remembers, unless a test says otherwise; and where ebpf programs are pinned.
  const folders = ['/run/spanplan', '/sys/fs/bpf'].flatMap((folder) =>
    existsSync(folder) ? [folder, ...readdirSync(folder).map((name) => `${folder}/${name}`)] : []
  )
  return [
    ...links.map((name) => `the interface ${name}`),
    ...folders,
    ...listStaleLabs().map((lab) => `the lab ${lab}`)
  ]
}

/** vitest's globalSetup; what it gives is called at the end. */
export default function watchOutside(): () => void {
  const before = new Set(listTraces())
  return () => {
    const left = listTraces().filter((trace) => !before.has(trace))
    if (left.length === 0) return
    // For vitest, what is thrown here is no failure.
    process.exitCode = 1
    throw new Error(`tests have left behind, outside their labs: ${left.join(', ')}`)
  }
}
