import { canNameInterfaces, interfaceOption } from '../host/docker/docker-names.ts'
import { indexHost } from '../host/host-index.ts'
import type { Container } from '../host/snapshot.ts'
import { type PlanView, planTarget } from '../plan/plan-view.ts'
import type { Target } from '../plan/target.ts'
import { findReconnected, type ListenedInterface, readListened } from './listening.ts'

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
  const host = indexHost({ ...view.host, docker: { ...docker, containers: docker.containers.map(complete) } })
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
