import { systemReason } from '../../errors.ts'
import type { NotTold } from './tool-count.ts'

/**
 * Asks for a page by HTTP. No redirect is followed, no proxy is asked, and nothing compressed is taken.
 *
 * @param most bytes of the page.
 * @param signal ends it.
 */
export async function askMetrics(url: string, most: number, signal: AbortSignal): Promise<{ page: string } | NotTold> {
  const { get } = await import('node:http')
  return new Promise((resolve) => {
    const fail = (error: Error) => resolve({ problem: reasonOf(error) })
    const headers = { accept: 'text/plain', 'accept-encoding': 'identity', connection: 'close' }
    const request = get(url, { agent: false, signal, headers }, (answer) => {
      answer.on('error', fail)
      if (answer.statusCode !== 200) {
        resolve({ problem: `it answers with the status ${answer.statusCode}, and not with 200` })
        request.destroy()
        return
      }
      const chunks: Buffer[] = []
      let size = 0
      answer.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        size += chunk.length
        if (size <= most) return
        resolve({ problem: 'its answer is longer than a MiB' })
        request.destroy()
      })
      answer.on('end', () => resolve({ page: Buffer.concat(chunks).toString() }))
    })
    request.on('error', fail)
  })
}

/** Without what the other end has sent. */
function reasonOf(error: Error): string {
  const code = 'code' in error ? String(error.code) : ''
  if (/^HPE_/.test(code)) return 'its answer is not HTTP'
  return systemReason(error, {
    ECONNREFUSED: 'nobody listens there',
    ECONNRESET: 'it closed the connection before its answer was whole',
    EHOSTUNREACH: 'no host has that address',
    ENETUNREACH: 'no route leads there',
    ABORT_ERR: 'it took too long'
  })
}
