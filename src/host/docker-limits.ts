import { IncomingMessage } from 'node:http'
import type Dockerode from 'dockerode'
import { SpanplanError } from '../errors.ts'

/** How much a daemon may take of us with one answer. */
export interface Limits {
  /** From the request to the end of the answer; of one that goes on, as events do, to its beginning. */
  readonly milliseconds: number
  readonly bytes: number
}

type Dial = Dockerode['modem']['dial']
type Request = Parameters<Dial>[0]
type Answer = NonNullable<Parameters<Dial>[1]>

/** All of them: what a status means is decided here. */
const everyStatus: Readonly<Record<number, true>> = Object.fromEntries(
  Array.from({ length: 500 }, (_, index) => [index + 100, true] as const)
)

/**
 * Limits each call of a client, as a whole. The client's own limits are on silence alone, so that who sends a byte every
 * second, or never stops sending, would be heard for ever.
 */
export function limitCalls(docker: Dockerode, limits: Limits): Dockerode {
  const { modem } = docker
  const dial: Dial = modem.dial.bind(modem)
  modem.dial = (request, answer: Answer = () => undefined) => {
    carryOut(dial, request, limits).then(
      (data) => answer(null, data),
      (error) => answer(error, null)
    )
  }
  return docker
}

/** The answer, as the client gives it: a stream where it goes on, else what its JSON says, or its text. */
async function carryOut(dial: Dial, request: Request, { milliseconds, bytes }: Limits): Promise<object> {
  const stop = new AbortController()
  const what = `${request.method} ${request.path.replace(/\?.*$/s, '')}`
  const timer = setTimeout(() => stop.abort(tooMuch(what, `did not end within ${milliseconds / 1000} s`)), milliseconds)
  const end = () => stop.abort(request.abortSignal?.reason)
  request.abortSignal?.addEventListener('abort', end)
  try {
    const response = await begin(dial, { ...request, abortSignal: stop.signal })
    response.once('close', () => request.abortSignal?.removeEventListener('abort', end))
    const meaning = request.statusCodes?.[response.statusCode ?? 0]
    const isGood = meaning === true
    if (isGood && request.isStream) return response
    const text = await readAll(response, bytes, stop.signal)
    if (text === null) throw tooMuch(what, `is larger than ${bytes / 1024 / 1024} MB`)
    const said = parseJson(text) ?? Buffer.from(text)
    if (isGood) return said
    throw refused(response.statusCode ?? 0, meaning, said)
  } catch (error) {
    throw stop.signal.aborted ? stop.signal.reason : error
  } finally {
    clearTimeout(timer)
  }
}

function begin(dial: Dial, request: Request): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    dial({ ...request, isStream: true, statusCodes: everyStatus }, (error, response) =>
      response instanceof IncomingMessage ? resolve(response) : reject(error)
    )
  })
}

/** null: there is more than that. */
async function readAll(response: IncomingMessage, bytes: number, signal: AbortSignal): Promise<string | null> {
  const end = () => response.destroy(new Error('aborted'))
  signal.addEventListener('abort', end, { once: true })
  try {
    const chunks: Buffer[] = []
    let length = 0
    for await (const chunk of response) {
      length += chunk.length
      if (length > bytes) return null
      chunks.push(chunk)
    }
    return Buffer.concat(chunks).toString()
  } finally {
    signal.removeEventListener('abort', end)
  }
}

/** null: it is none, or none of an object. */
function parseJson(text: string): object | null {
  try {
    const json: unknown = JSON.parse(text)
    return typeof json === 'object' ? json : null
  } catch {
    return null
  }
}

/** As the client words it, with what it gives of an answer. */
function refused(statusCode: number, reason: unknown, json: object): Error {
  const said = 'message' in json ? json.message : json
  return Object.assign(new Error(`(HTTP code ${statusCode}) ${reason ?? 'unexpected'} - ${said}`), { statusCode, json })
}

function tooMuch(what: string, how: string): SpanplanError {
  return new SpanplanError({
    code: 'DOCKER_FAILED',
    message: `Docker's answer to ${what} ${how}, and was given up`,
    hint: 'see what Docker does: journalctl --unit docker'
  })
}
