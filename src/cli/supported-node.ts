import { isAtLeast } from '../versions.ts'

/** `engines` in package.json. */
export const supportedNode = '20.19'

/** The error for a Node.js that is too old; null: it is new enough. */
export function explainOldNode(version: string): string | null {
  if (isAtLeast(version, supportedNode)) return null
  return `error: Node.js ${version} is too old: spanplan needs ${supportedNode} or newer\n  install a newer one (https://nodejs.org/en/download), or the package of spanplan that has one of its own; which one runs: command -v node\n`
}
