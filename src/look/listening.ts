import { type Diagnostic, diagnostic } from '../errors.ts'
import { canNameInterfaces, interfaceOption } from '../host/docker/docker-names.ts'
import { readInterfaceNames } from '../host/docker/interface-names.ts'
import { type HostIndex, indexHost } from '../host/host-index.ts'
import { shellLine } from '../host/quote-command.ts'
import type { Container, ContainerInterface } from '../host/snapshot.ts'
import type { PlannedChange } from '../plan/plan.ts'
import { type PlanView, planTarget } from '../plan/plan-view.ts'
import type { Target } from '../plan/target.ts'
import { printable } from '../printable.ts'

/** An interface of a running sensor, which something in the sensor may listen on by its name. */
export interface ListenedInterface extends ContainerInterface {
  readonly container: string
  /** The Docker network. */
  readonly network: string
  /** The index of the host's end. */
  readonly port: number
  /** null: it cannot be read. */
  readonly name: string | null
}

/** The running sensors that changes disconnect and connect again: on the same network, or from one to another. */
export function findReconnected(changes: readonly PlannedChange[]): ReadonlySet<string> {
  const sensors = (action: PlannedChange['action']) =>
    changes.flatMap(({ kind, action: its, container }) =>
      kind === 'sensor' && its === action ? (container ?? []) : []
    )
  const created = new Set(sensors('create'))
  const moved = sensors('remove').filter((container) => created.has(container))
  return new Set([...changes.flatMap(({ disconnects }) => disconnects), ...moved])
}

/** Reads the interfaces of some containers, by Docker and the kernel alone. */
export async function readListened(host: HostIndex, containers: ReadonlySet<string>): Promise<ListenedInterface[]> {
  const found = [...containers].flatMap((name) => {
    const { sandbox = null, endpoints = [] } = host.containerOf(name) ?? {}
    return endpoints.flatMap(({ network, port }) =>
      sandbox === null || typeof port === 'string'
        ? []
        : [{ container: name, network, sandbox, index: port.inside, port: port.host }]
    )
  })
  const names = await readInterfaceNames(found)
  return found.map((one) => ({ ...one, name: names.get(one) ?? null }))
}

/** Tells which sensors have to be restarted, because they have exited, or an interface has another name by now. */
export async function findRestarts(before: readonly ListenedInterface[], now: HostIndex): Promise<Diagnostic[]> {
  const containers = new Set(before.map(({ container }) => container))
  const isRunning = (name: string) => now.containerOf(name)?.running === true
  const running = new Set([...containers].filter(isRunning))
  const exited = [...containers].filter((name) => now.containerOf(name)?.running === false)
  const after = await readListened(now, running)
  const lost = before.filter(({ container, network, port, name }) => {
    const others = after.filter((one) => one.container === container)
    const again = others.find((one) => one.network === network)
    if (!running.has(container) || again?.port === port) return false
    return again === undefined ? others.every((one) => one.name !== name) : name === null || again.name !== name
  })
  return [
    ...exited.map((name) =>
      diagnostic(
        'SENSOR_STOPPED',
        `the sensor ${printable(name)} ran before its interface was taken away, and has exited`,
        `start it: ${shellLine([now.engine, 'start', name])}`
      )
    ),
    ...lost.map(({ container, network, name }) => {
      const again = after.find((one) => one.container === container && one.network === network)
      const known = new Set(before.map(({ port }) => port))
      const isBack = after.some((one) => one.container === container && !known.has(one.port))
      const old = name === null ? 'its interface' : `its interface ${printable(name)}`
      const fresh = again?.name == null ? 'another one' : printable(again.name)
      const outcome = isBack ? `has ${fresh} now` : 'is not connected again'
      return diagnostic(
        'INTERFACE_RENAMED',
        `the sensor ${printable(container)} has lost ${old} on ${printable(network)}, and ${outcome}: what listens on the old name hears nothing`,
        `${isBack ? '' : 'once it is connected, '}restart it: ${shellLine([now.engine, 'restart', container])}`
      )
    })
  ]
}

/**
 * Completes a plan that disconnects running sensors and connects them again: the interfaces get the names that they have now,
 * where this Docker can give names.
 */
export async function keepNames(target: Target, view: PlanView): Promise<PlanView> {
  const { docker } = view.host
  if (docker.state !== 'read' || !canNameInterfaces(docker)) return view
  const containers = findReconnected(view.plan.changes)
  if (containers.size === 0) return view
  const reconnected = new Set(
    view.plan.changes.flatMap(({ kind, action, before }) =>
      kind === 'sensor' && action === 'replace' ? (before?.id ?? []) : []
    )
  )
  const listened = await readListened(view.host, containers)
  const complete = (container: Container): Container => {
    const isOne = ({ container: name, network }: ListenedInterface) =>
      name === container.name && reconnected.has(`${network}/${name}`)
    const names = chooseNames(container, listened.filter(isOne))
    return {
      ...container,
      endpoints: container.endpoints.map((endpoint) => {
        const keptName = names.get(endpoint.network)
        return keptName === undefined ? endpoint : { ...endpoint, keptName }
      })
    }
  }
  const host = indexHost({ ...view.host.snapshot, docker: { ...docker, containers: docker.containers.map(complete) } })
  return planTarget(target, { host, filters: view.filters })
}

/**
 * The names that can be given, by network. Docker makes names of its own, from eth0 on, for the interfaces that get none; a
 * container whose names collide does not start. So a name is given only if Docker cannot come to it.
 *
 * @param interfaces that the container loses and gets again.
 */
export function chooseNames(
  { endpoints }: Pick<Container, 'endpoints'>,
  interfaces: readonly Pick<ListenedInterface, 'network' | 'name'>[]
): ReadonlyMap<string, string> {
  const indexOf = (name: string | null | undefined) =>
    Number(/^eth(0|[1-9]\d{0,3})$/.exec(name ?? '')?.[1] ?? Number.NaN)
  const given = endpoints.flatMap(({ driverOptions }) => driverOptions[interfaceOption.key] ?? [])
  const open = new Map(
    interfaces.flatMap(({ network, name }) => {
      const hasName = endpoints.some(
        (one) => one.network === network && one.driverOptions[interfaceOption.key] !== undefined
      )
      return hasName || name === null || Number.isNaN(indexOf(name)) ? [] : [[network, name] as const]
    })
  )
  for (;;) {
    const automatic = endpoints.length - given.length - open.size
    const names = [...given, ...open.values()]
    const collides = [...open].find(([, name]) => {
      const lower = names.filter((other) => indexOf(other) < indexOf(name)).length
      return indexOf(name) < automatic + lower || names.filter((other) => other === name).length > 1
    })
    if (collides === undefined) return open
    open.delete(collides[0])
  }
}
