import { messageOf } from '../../errors.ts'
import { type Argv, commandFailed, run } from '../../host/exec.ts'
import { type Firewall, parseFirewall } from '../../host/nftables/firewall.ts'
import { parseToolJson } from '../../host/parsers/tool-json.ts'
import type { Known } from '../known.ts'

const command: Argv = ['nft', '-j', 'list', 'ruleset']

/** Milliseconds, and bytes: sets of addresses may be long. */
const limits = { milliseconds: 5000, bytes: 32 * 1024 * 1024 }

/** Reads the chains of nftables that what comes to this host, and what it sends, goes through. */
export async function readFirewall(): Promise<Known<Firewall>> {
  try {
    const output = await run(command, '', limits)
    if (output.status !== 0) throw commandFailed(command, output)
    return { known: parseFirewall(parseToolJson(output.stdout)) }
  } catch (error) {
    return { unknown: `what the host's firewall lets in and out is not known: ${messageOf(error)}` }
  }
}
