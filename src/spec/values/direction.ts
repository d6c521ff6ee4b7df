/** Whether a source receives or sends a frame, as the source itself sees it: of a container's interface, the host sees the opposite. */
export type Direction = 'received' | 'sent'

/** How a file says which directions are copied, and what it means. */
export const directionKeys = {
  ingress: ['received'],
  egress: ['sent'],
  both: ['received', 'sent']
} as const satisfies Record<string, readonly Direction[]>

/** Writes directions as a file says them. */
export function writeDirections([first, second]: readonly Direction[]): keyof typeof directionKeys {
  if (second !== undefined) return 'both'
  return first === 'sent' ? 'egress' : 'ingress'
}

/** A direction in the words of the file, which are also those of texts, JSON and metrics. */
export function writeDirection(direction: Direction): string {
  return writeDirections([direction])
}
