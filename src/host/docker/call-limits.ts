import type { IncomingMessage } from 'node:http'
import type Dockerode from 'dockerode'
import { diagnostic, SpanplanError } from '../../errors.ts'

/** How much time and memory one answer of the daemon may take. */
export interface CallLimits {
  /** From the request to the end of the answer; for a stream, such as events, to its beginning. */
  readonly milliseconds: number
  readonly bytes: number
  /** Ends each call. */
  readonly signal?: AbortSignal
}

/**
 * Limits of one call. Docker answers in less than 100 ms, but a slow disk may delay it when it connects a container. Its
 * description of 10,000 containers has some 30 MB.
 */
export const defaultLimits: CallLimits = { milliseconds: 60_000, bytes: 128 * 1024 * 1024 }

type Dial = Dockerode['modem']['dial']
type Request = Parameters<Dial>[0]
type Answer = NonNullable<Parameters<Dial>[1]>

/** Has the client accept every status: what a status means is decided here. */
const everyStatus: Readonly<Record<number, true>> = Object.fromEntries(
  Array.from({ length: 500 }, (_, index) => [index + 100, true] as const)
)

/**
 * Limits each call of a client. The client's own time limit is on silence alone: a daemon that sends a byte every second, or
 * never stops sending, would be read for ever.
 */
export function limitCalls(docker: Dockerode, limits: CallLimits): Dockerode {
  const { modem } = docker
  const dial: Dial = modem.dial.bind(modem)
  modem.dial = (request, answer: Answer = () => undefined) => {
    callWithLimits(dial, request, limits).then(
      (data) => answer(null, data),
      (error) => answer(error, null)
    )
  }
  return docker
}

/** Returns what the client itself would: a stream if the request asks for one, else the parsed JSON or the text. */
async function callWithLimits(
  dial: Dial,
  request: Request,
  { milliseconds, bytes, signal }: CallLimits
): Promise<object> {
  const stop = new AbortController()
  const name = `${request.method} ${request.path.replace(/\?.*$/s, '')}`
  const late = () => stop.abort(limitExceeded(name, `did not end within ${milliseconds / 1000} s`))
  const timer = setTimeout(late, milliseconds)
  const abortSignal = AbortSignal.any([stop.signal, signal ?? [], request.abortSignal ?? []].flat())
  try {
    const unjudged = { ...request, abortSignal, isStream: true, statusCodes: everyStatus }
    const response = await openAnswer(dial, unjudged)
    const meaning = request.statusCodes?.[response.statusCode ?? 0]
    const isExpected = meaning === true
    if (isExpected && request.isStream) return response
    const text = await readAll(response, bytes)
    abortSignal.throwIfAborted()
    if (text === null) throw limitExceeded(name, `is larger than ${bytes / 1024 / 1024} MB`)
    const body = parseJson(text) ?? Buffer.from(text)
    if (isExpected) return body
    throw statusError(response.statusCode, meaning, body)
  } catch (error) {
    throw abortSignal.aborted ? abortSignal.reason : error
  } finally {
    clearTimeout(timer)
  }
}

/** Sends a request for a stream, and gives the answer as it begins. */
export function openAnswer(dial: Dial, request: Request): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    dial(request, (error, response) => (isMessage(response) ? resolve(response) : reject(error)))
  })
}

/** Asked without the class: to load node:http takes 2 ms, and a host without Docker does not need it. */
function isMessage(value: unknown): value is IncomingMessage {
  return typeof value === 'object' && value !== null && 'headers' in value
}

/** null: the answer is larger than that. */
async function readAll(response: IncomingMessage, bytes: number): Promise<string | null> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response) {
    length += chunk.length
    if (length > bytes) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

/** null: the text is not JSON, or not an object. */
function parseJson(text: string): object | null {
  try {
    const json: unknown = JSON.parse(text)
    return typeof json === 'object' ? json : null
  } catch {
    return null
  }
}

/** The daemon's own message, or what the client itself would say. */
function statusError(statusCode: number | undefined, reason: unknown, body: object): Error {
  const message =
    'message' in body ? `${body.message}` : `(HTTP code ${statusCode}) ${reason ?? 'unexpected'} - ${body}`
  return Object.assign(new Error(message), { statusCode })
}

function limitExceeded(name: string, how: string): SpanplanError {
  const message = `Docker's answer to ${name} ${how}, so spanplan gave up`
  return new SpanplanError(diagnostic('DOCKER_FAILED', message, 'see what Docker does: journalctl --unit docker'))
}
