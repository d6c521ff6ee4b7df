import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, test } from 'vitest'
import { parseListenAddress } from '../../../src/cli/shared-flags.ts'
import { isLoopback, isOwnHost } from '../../../src/watch/serve/host-header.ts'
import {
  type HttpListener,
  listen,
  type Page,
  plainPage,
  writeListenAddress
} from '../../../src/watch/serve/http-listener.ts'

describe('an address to listen at', () => {
  test.each([
    ['127.0.0.1:9477', '127.0.0.1', 9477, true],
    ['127.1.2.3:1', '127.1.2.3', 1, true],
    ['[::1]:9477', '::1', 9477, true],
    ['[::ffff:127.0.0.1]:80', '::ffff:127.0.0.1', 80, true],
    ['192.0.2.7:65535', '192.0.2.7', 65_535, false],
    ['0.0.0.0:9477', '0.0.0.0', 9477, false],
    ['[::]:9477', '::', 9477, false],
    ['[fe80::1%ens192]:9477', 'fe80::1%ens192', 9477, false]
  ])('%s', (text, host, port, local) => {
    const address = parseListenAddress(text)
    expect(address).toEqual({ host, port })
    expect(isLoopback(host)).toBe(local)
    expect(writeListenAddress(address)).toBe(text)
  })

  test.each([
    [':9477', 'The address is missing'],
    ['9477', 'an address and a port'],
    ['127.0.0.1', 'an address and a port'],
    ['::1:9477', 'an address and a port'],
    ['[127.0.0.1]:9477', 'an address and a port'],
    ['localhost:9477', 'localhost is not an address'],
    ['256.0.0.1:9477', '256.0.0.1 is not an address'],
    ['127.0.0.1:0', 'from 1 to 65535'],
    ['127.0.0.1:65536', 'from 1 to 65535'],
    ['127.0.0.1:-1', 'an address and a port'],
    ['', 'an address and a port']
  ])('not %s', (text, reason) => {
    expect(() => parseListenAddress(text)).toThrow(reason)
  })
})

describe('the server', () => {
  const loopback = { host: '127.0.0.1', port: 0 }
  let listener: HttpListener | null = null
  let asked = 0
  afterEach(() => listener?.close())

  async function serve(pages: Record<string, () => Promise<Page>> = {}, longest?: number): Promise<void> {
    asked = 0
    const hello = async () => {
      asked += 1
      return plainPage(200, 'hello')
    }
    listener = await listen(loopback, new Map(Object.entries({ '/hello': hello, ...pages })), longest)
  }

  async function dial(): Promise<Socket> {
    const socket = connect(listener?.port ?? 0, loopback.host)
    // The server may end the connection while we still write.
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    return socket
  }

  /** However it was closed. */
  async function closed(socket: Socket): Promise<void> {
    if (!socket.destroyed) await new Promise((resolve) => socket.resume().once('close', resolve))
  }

  /** Sends it all, and gives what came until the connection ended. */
  async function converse(request: string | Buffer): Promise<string> {
    const socket = await dial()
    socket.write(request)
    return text(socket).catch(() => '')
  }

  const get = (path: string, method = 'GET') => converse(`${method} ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)

  test('answers GET and HEAD, once a connection', async () => {
    await serve()
    const answer = await get('/hello')
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\nContent-Type: text\/plain; charset=utf-8\r\nContent-Length: 6\r\n/)
    expect(answer).toContain('Connection: close')
    expect(answer.endsWith('\r\n\r\nhello\n')).toBe(true)
    expect(await get('/hello?debug=1')).toContain('hello')
    const head = await get('/hello', 'HEAD')
    expect(head).toContain('Content-Length: 6\r\n')
    expect(head.endsWith('\r\n\r\n')).toBe(true)
    expect(await converse('GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')).toContain('hello')
  })

  test('answers who is slow to ask, beside clients that wait for a slow page', async () => {
    let waiting = 0
    const slow = () => {
      waiting += 1
      return new Promise<Page>(() => {})
    }
    await serve({ '/slow': slow })
    const ask = async () => {
      const socket = await dial()
      socket.write('GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n')
    }
    for (let count = 0; count < 64; count++) await ask()
    await expect.poll(() => waiting).toBe(64)
    const probe = await dial()
    for (let count = 0; count < 10; count++) await ask()
    await expect.poll(() => waiting).toBe(74)
    probe.write('GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n')
    expect(await text(probe).catch(() => '')).toContain('hello')
  })

  test('answers to the names of this host, whatever the port, and to no other', async () => {
    await serve()
    const ask = async (host: string) => (await converse(`GET /hello HTTP/1.1\r\nHost: ${host}\r\n\r\n`)).slice(9, 12)
    const own = [
      '127.0.0.1',
      '127.0.0.1:80',
      'localhost',
      'LocalHost.:1',
      '[::1]:9477',
      '[::ffff:127.0.0.1]',
      hostname()
    ]
    for (const host of own) expect([host, await ask(host)]).toEqual([host, '200'])
    const others = [
      'attacker.example',
      'localhost.attacker.example',
      '192.0.2.1',
      '[2001:db8::1]',
      'a@localhost',
      '[localhost]',
      ''
    ]
    for (const host of others) expect([host, await ask(host)]).toEqual([host, '421'])
    expect(asked).toBe(own.length)
    // Behind 0.0.0.0, it is the address to which the client has connected.
    listener?.close()
    listener = await listen({ host: '0.0.0.0', port: 0 }, new Map([['/hello', async () => plainPage(200, 'hello')]]))
    expect(await ask('127.0.0.1')).toBe('200')
    expect(await ask('attacker.example')).toBe('421')
    expect(isOwnHost('192.0.2.7:9477', ['0.0.0.0', '192.0.2.7'])).toBe(true)
    expect(isOwnHost('[fe80::1]', ['fe80::1%ens192', '::'])).toBe(true)
  })

  test('refuses what else there is', async () => {
    await serve({ '/broken': () => Promise.reject(new Error('made up')) })
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PATCH']) {
      const answer = await get('/hello', method)
      expect(answer).toContain('HTTP/1.1 405 ')
      expect(answer).toContain('Allow: GET, HEAD\r\n')
    }
    for (const path of ['/', '/hello/', '//hello', '/__proto__', '/constructor', '/../hello', 'http://a/hello', '*']) {
      expect(await get(path)).toContain('HTTP/1.1 404 ')
    }
    expect(await get('/broken')).toContain('HTTP/1.1 500 ')
    expect(await get('a:1', 'CONNECT')).toBe('')
    expect(asked).toBe(0)
  })

  test('refuses garbage, and what is too large', async () => {
    await serve()
    expect(await converse('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03')).toContain('400 Bad Request')
    expect(await converse('GET /hello HTTP/1.1\r\n\r\n')).toContain('400 Bad Request')
    expect(await converse('GET /hello HTTP/9.9\r\nHost: localhost\r\n\r\n')).toContain('400 Bad Request')
    expect(await converse(`GET /hello HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}`)).toContain('431 ')
    expect(await converse(`GET /${'x'.repeat(20_000)}`)).toContain('431 ')
    expect(await converse(Buffer.alloc(1_000_000))).not.toContain('200')
    expect(asked).toBe(0)
    expect(await get('/hello')).toContain('hello')
  })

  test('answers the first of many requests sent at once, and a body that never ends', async () => {
    await serve()
    for (const version of ['1.1', '1.0']) {
      asked = 0
      const request = `GET /hello HTTP/${version}\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n`
      const answers = await converse(request.repeat(2000))
      expect(answers.match(/200 OK/g) ?? []).toHaveLength(1)
      expect(asked).toBe(1)
    }
    expect(await converse('GET /hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\nx')).toContain(
      'hello'
    )
  })

  test('lives through a thousand clients that say nothing, and through those that go away', async () => {
    await serve()
    const silent: Socket[] = []
    for (let count = 0; count < 1000; count++) silent.push(await dial())
    // The last 64 hold their places until they go; each of the others has made room for one.
    await Promise.all(silent.slice(0, -64).map(closed))
    expect(silent.slice(-64).filter(({ destroyed }) => destroyed)).toEqual([])
    expect(await get('/hello')).toContain('hello')
    for (const socket of silent) socket.resetAndDestroy()
    const answers = Array.from({ length: 50 }, async () => {
      const socket = await dial()
      socket.write('GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n')
      socket.resetAndDestroy()
    })
    await Promise.all(answers)
    await expect.poll(() => get('/hello')).toContain('hello')
  })

  test('answers whoever asks, among more that say nothing, half of a request, or ask for what takes for ever', async () => {
    await serve({ '/endless': () => new Promise(() => undefined) })
    const words = ['', 'GET /hello HTTP/1.1\r\nHost:', 'GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n']
    for (const word of words) {
      const others = await Promise.all(Array.from({ length: 100 }, dial))
      for (const other of others) other.write(word)
      expect(await get('/hello')).toContain('hello')
      for (const other of others) other.resetAndDestroy()
    }
  })

  test('answers whoever asks in the middle of a flood that waits to be accepted, all at once', async () => {
    await serve()
    const folder = await mkdtemp(join(tmpdir(), 'spanplan-unit-'))
    const sent = join(folder, 'sent')
    const script = `
const { connect } = require('node:net')
const flood = () => { for (let n = 0; n < 200; n++) connect(${listener?.port}, '127.0.0.1').on('error', () => undefined) }
flood()
let heard = ''
connect(${listener?.port}, '127.0.0.1')
  .on('data', (data) => (heard += data))
  .on('error', () => undefined)
  .on('close', () => { process.stdout.write(heard); process.exit() })
  .write('GET /hello HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n', () => require('node:fs').writeFileSync('${sent}', ''))
flood()`
    const client = spawn(process.execPath, ['--eval', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    // This process accepts nothing for as long as it does not come to it.
    while (countWaiting() < 401 || !existsSync(sent));
    expect(await text(client.stdout)).toContain('hello')
    await rm(folder, { recursive: true })
  })

  /** Connections that wait to be accepted: proc_net_tcp(5) has them as the receive queue. */
  function countWaiting(): number {
    const port = (listener?.port ?? 0).toString(16).toUpperCase().padStart(4, '0')
    const row = new RegExp(`: 0100007F:${port} \\S+ 0A \\w+:(\\w+)`).exec(readFileSync('/proc/net/tcp', 'utf8'))
    return Number.parseInt(row?.[1] ?? '0', 16)
  }

  test('gives no client longer than its time, whatever it does', async () => {
    const large = plainPage(200, 'x'.repeat(50_000_000))
    await serve({ '/large': async () => large, '/endless': () => new Promise(() => undefined) }, 200)
    const silent = await dial()
    const slow = await dial()
    const drip = setInterval(() => slow.write('X'), 20)
    const halfOpen = await dial()
    halfOpen.end('GET /hello HTTP/1.1\r\n')
    const waiting = await dial()
    waiting.write('GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n')
    const deaf = await dial()
    deaf.write('GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n')
    deaf.pause()
    await Promise.all([silent, slow, halfOpen, waiting].map(closed))
    clearInterval(drip)
    await expect.poll(() => get('/hello')).toContain('hello')
    expect((await text(deaf).catch(() => '')).length).toBeLessThan(large.body.length)
  })

  test('ends with its connections', async () => {
    await serve()
    const socket = await dial()
    socket.write('GET /hello HTTP/1.1\r\nHost:')
    listener?.close()
    await closed(socket)
    await expect(dial()).rejects.toThrow('ECONNREFUSED')
  })

  test('says why it cannot listen', async () => {
    await serve()
    const port = listener?.port ?? 0
    const taken = `cannot listen at 127.0.0.1:${port}: another program already listens there`
    await expect(listen({ ...loopback, port }, new Map())).rejects.toThrow(taken)
    await expect(listen({ host: '192.0.2.7', port: 0 }, new Map())).rejects.toThrow('this host has no such address')
  })
})
