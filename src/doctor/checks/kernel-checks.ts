import { shellLine } from '../../host/quote-command.ts'
import { type Check, type Finding, orOk, problem, unknown } from '../finding.ts'
import type { ModuleName, ModuleState } from '../gather/kernel-modules.ts'

/** What is wrong with a module that the kernel does not have; null: nothing. */
const faults: Readonly<Record<ModuleState, ((name: ModuleName, architecture: string) => Finding) | null>> = {
  'built in': null,
  loaded: null,
  loadable: null,
  blocked: (name) =>
    problem(
      `modprobe is configured not to load ${name}: see "install ${name}" in /etc/modprobe.d`,
      `sed -i '/^ *install  *${name} /d' /etc/modprobe.d/*.conf`
    ),
  locked: (name) =>
    problem(
      `the kernel no longer loads modules (kernel.modules_disabled), and ${name} is not loaded: load it at boot, and restart the host`,
      `echo ${name} >>/etc/modules-load.d/spanplan.conf`
    ),
  missing: (name, architecture) =>
    problem(
      `the running kernel has no ${name}: install a kernel that has it, and restart the host`,
      shellLine(['apt-get', 'install', `linux-image-${architecture}`])
    )
}

export const modules: Check = ({ modules, architecture }) => {
  const findings = [...modules].flatMap(([name, reading]) =>
    'unknown' in reading ? unknown(reading.unknown) : (faults[reading.known]?.(name, architecture) ?? [])
  )
  return orOk(
    findings,
    [...modules].map(([name, reading]) => `${name} ${'known' in reading ? reading.known : ''}`).join(', ')
  )
}
