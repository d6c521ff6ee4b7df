import type { Attachment } from '../../host/host-index.ts'
import type { Link } from '../../host/snapshot.ts'
import type { TcHook } from '../../spec/spec.ts'
import type { SourceId } from '../desired-state.ts'

/** What the host receives on its end of a veth is what the container sends. */
export function seenFromInside(tcHook: TcHook): TcHook {
  return tcHook === 'ingress' ? 'egress' : 'ingress'
}

/** What one interface of a container is called as a source: an interface's own name says nothing, and changes with each start. */
export function containerSourceId({ container, endpoint }: Attachment, { name }: Pick<Link, 'name'>): SourceId {
  return [container.name, endpoint?.network ?? name]
}
