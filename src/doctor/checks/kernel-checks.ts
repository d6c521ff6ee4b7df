import { findModuleFault } from '../../host/tunnels/kernel-modules.ts'
import { type Check, orOk, problem, unknown } from '../finding.ts'

export const modules: Check = ({ modules, architecture }) => {
  const findings = [...modules].flatMap(([name, reading]) => {
    if ('unknown' in reading) return unknown(reading.unknown)
    const fault = findModuleFault(name, reading.known, architecture)
    return fault ? problem(fault.message, fault.command) : []
  })
  return orOk(
    findings,
    [...modules].map(([name, reading]) => `${name} ${'known' in reading ? reading.known : ''}`).join(', ')
  )
}
