/** What tools say is read from files and servers that whoever controls the sensor may make anything of. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { linkSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createSocketServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { readTools } from '../../../src/host/tool-stats/read-tools.ts'
import { findProgram } from '../../lab/programs.ts'

const folder = mkdtempSync(join(tmpdir(), 'spanplan-tools-'))
afterAll(() => rmSync(folder, { recursive: true }))

const path = (name: string) => join(folder, name)
const event = (uptime: number) =>
  `${JSON.stringify({
    timestamp: '2026-01-01T00:00:00.000000+0000',
    event_type: 'stats',
    stats: { uptime, capture: { kernel_packets: uptime } }
  })}\n`

/** What is told of an eve.json at a path. */
async function read(file: string) {
  const [reading] = await readTools([{ kind: 'eve', path: file }])
  return reading?.told
}

describe('a file', () => {
  test('that is there, and one that is not', async () => {
    writeFileSync(path('eve.json'), event(8) + event(16))
    expect(await read(path('eve.json'))).toMatchObject({ latest: { received: 16 }, before: { received: 8 } })
    expect(await read(path('missing.json'))).toEqual({ problem: 'it does not exist' })
    expect(await read(path('eve.json/more'))).toEqual({ problem: 'a part of the path is no folder' })
    expect(await readTools([])).toEqual([])
    writeFileSync(path('empty.json'), '')
    expect(await read(path('empty.json'))).toMatchObject({ problem: 'nothing is in it yet' })
  })

  test('whose last line is half written, and whose first one is not read whole', async () => {
    writeFileSync(path('half.json'), event(8) + event(16).slice(0, -10))
    expect(await read(path('half.json'))).toMatchObject({ latest: { received: 8 }, before: null })
    // The last MiB begins within a stats event, and has nothing else.
    const filler = `${'x'.repeat(1023)}\n`
    writeFileSync(path('cut.json'), event(8) + filler.repeat(1024))
    expect(await read(path('cut.json'))).toMatchObject({ problem: expect.stringContaining('in its last MiB') })
    writeFileSync(path('long.json'), filler.repeat(5000) + event(8) + filler.repeat(1000))
    expect(await read(path('long.json'))).toMatchObject({ latest: { received: 8 } })
  })

  test('with holes, of a terabyte', async () => {
    writeFileSync(path('huge.json'), event(8))
    truncateSync(path('huge.json'), 2 ** 40)
    expect(await read(path('huge.json'))).toMatchObject({ problem: expect.any(String) })
  })

  test('in which bytes are no text', async () => {
    writeFileSync(path('bytes.json'), Buffer.concat([Buffer.from([0xff, 0xfe, 0, 10]), Buffer.from(event(8))]))
    expect(await read(path('bytes.json'))).toMatchObject({ latest: { received: 8 } })
  })

  test('through a symbolic link, wherever it is in the path, is not read', async () => {
    mkdirSync(path('real/logs'), { recursive: true })
    writeFileSync(path('real/logs/eve.json'), event(8))
    expect(await read(path('real/logs/eve.json'))).toMatchObject({ latest: { received: 8 } })
    symlinkSync(path('real'), path('link'))
    symlinkSync('eve.json', path('real/logs/other.json'))
    const linked = (name: string) => ({
      problem: `${name} is a symbolic link, and none is followed: write the path that it leads to`
    })
    expect(await read(path('link/logs/eve.json'))).toEqual(linked(path('link')))
    expect(await read(path('real/logs/other.json'))).toEqual(linked('it'))
    symlinkSync('/nowhere', path('dangling'))
    expect(await read(path('dangling'))).toEqual(linked('it'))
    // The folders of processes are links, too: nobody comes into a container by them.
    expect(await read('/proc/self/root/etc/passwd')).toEqual(linked('/proc/self'))
    expect(await read(`/proc/${process.pid}/root/etc/passwd`)).toEqual(linked(`/proc/${process.pid}/root`))
  })

  test('that is none: a pipe, a socket, a device, a folder', async () => {
    execFileSync('sh', ['-c', 'mkfifo "$0"', path('fifo')])
    const server = createSocketServer().listen(path('socket'))
    await once(server, 'listening')
    const none = { problem: 'it is not a regular file' }
    try {
      for (const one of [path('fifo'), path('socket'), '/dev/zero', '/dev/null', folder])
        expect(await read(one)).toEqual(none)
    } finally {
      server.close()
    }
  })

  test('on which another program has a lease is not waited for', async () => {
    writeFileSync(path('leased'), event(8))
    // F_SETLEASE and F_WRLCK of fcntl(2).
    const script =
      'open(F, "+<", $ARGV[0]) or die; $SIG{IO} = "IGNORE"; fcntl(F, 1024, 1) or die; print "x\\n"; <STDIN>'
    const holder = spawn(findProgram('perl'), ['-e', `$| = 1; ${script}`, path('leased')])
    try {
      await once(holder.stdout, 'data')
      expect(await read(path('leased'))).toEqual({
        problem: 'another program holds the file',
        hint: expect.stringContaining('/proc/locks')
      })
    } finally {
      holder.stdin.end()
    }
  })

  test('that is replaced all the time is one of those', async () => {
    writeFileSync(path('first'), event(8))
    symlinkSync('/etc/passwd', path('second'))
    let isOver = false
    const swap = async () => {
      for (let round = 0; !isOver; round++) {
        rmSync(path('new'), { force: true })
        if (round % 2 === 0) linkSync(path('first'), path('new'))
        else symlinkSync('/etc/passwd', path('new'))
        renameSync(path('new'), path('swapped'))
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    const swapping = swap()
    const said = new Set<string>()
    for (let round = 0; round < 100; round++) said.add(JSON.stringify(await read(path('swapped'))))
    isOver = true
    await swapping
    const possible = [await read(path('first')), { problem: expect.stringContaining('is a symbolic link') }]
    for (const one of said) expect(possible).toContainEqual(JSON.parse(one))
  })
})

describe('a server', () => {
  const good = 'received 7\ndropped 1\n'

  /** What is told of a server that answers so. */
  async function ask(answer: RequestListener, suffix = '/metrics') {
    const server = createServer(answer).listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      return await askAt((server.address() as AddressInfo).port, suffix)
    } finally {
      server.closeAllConnections()
      server.close()
    }
  }

  async function askAt(port: number, suffix = '/metrics', host = '127.0.0.1') {
    const url = `http://${host}:${port}${suffix}`
    const [reading] = await readTools([{ kind: 'prometheus', url, received: 'received', dropped: 'dropped' }])
    return reading?.told
  }

  /** The same of one that says whatever it likes. */
  async function askRaw(answer: (socket: Socket) => void) {
    const sockets = new Set<Socket>()
    const server = createSocketServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => undefined)
      answer(socket)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      return await askAt((server.address() as AddressInfo).port)
    } finally {
      for (const socket of sockets) socket.destroy()
      server.close()
    }
  }

  test('that answers, by its address and as localhost', async () => {
    const told = { latest: { received: 7, dropped: 1 }, before: null }
    expect(await ask((_, response) => response.end(good))).toMatchObject(told)
    const server = createServer((_, response) => response.end(good)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    expect(await askAt((server.address() as AddressInfo).port, '/', 'localhost')).toMatchObject(told)
    server.close()
  })

  test('is asked without credentials, for nothing compressed', async () => {
    let asked = ''
    await ask(({ method, url, headers }, response) => {
      asked = JSON.stringify([method, url, headers['accept-encoding'], headers.authorization ?? null])
      response.end(good)
    }, '/metrics?all=1')
    expect(asked).toBe('["GET","/metrics?all=1","identity",null]')
  })

  test('that redirects is not followed', async () => {
    let count = 0
    const told = await ask((_, response) => {
      count++
      response.writeHead(302, { location: '/other' }).end(good)
    })
    expect([told, count]).toEqual([{ problem: 'it answers with the status 302, and not with 200' }, 1])
  })

  test('that says too much, for ever, or in its headers', async () => {
    expect(await ask((_, response) => response.end('x'.repeat(2 * 1024 * 1024)))).toEqual({
      problem: 'its answer is longer than a MiB'
    })
    const header = await ask((_, response) => response.writeHead(200, { more: 'x'.repeat(100_000) }).end(good))
    expect(header).toEqual({ problem: 'its answer is not HTTP' })
    const endless = await askRaw((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      const more = () => {
        if (!socket.destroyed) socket.write('x'.repeat(64 * 1024), more)
      }
      more()
    })
    expect(endless).toEqual({ problem: 'its answer is longer than a MiB' })
  })

  test('that speaks no HTTP, or breaks off', async () => {
    expect(await askRaw((socket) => socket.end('\u001b[2J EVIL\r\n'))).toEqual({ problem: 'its answer is not HTTP' })
    const half = await askRaw((socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nreceived'))
    expect(half).toEqual({ problem: 'it closed the connection before its answer was whole' })
    expect(await askRaw((socket) => socket.destroy())).toEqual({
      problem: 'it closed the connection before its answer was whole'
    })
  })

  test('that is not there', async () => {
    const server = createSocketServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    await once(server, 'close')
    expect(await askAt(port)).toEqual({ problem: 'nobody listens there' })
    expect(await askAt(port, '/', 'localhost')).toEqual({ problem: 'nobody listens there' })
  })

  test('that says nothing, or a byte now and then, is given up, and costs the others nothing', async () => {
    writeFileSync(path('beside.json'), event(8))
    const timers: NodeJS.Timeout[] = []
    const servers = await Promise.all(
      [() => undefined, (socket: Socket) => timers.push(setInterval(() => socket.write('H'), 100))].map(
        async (answer) => {
          const server = createSocketServer((socket) => {
            socket.on('error', () => undefined)
            answer(socket)
          }).listen(0, '127.0.0.1')
          await once(server, 'listening')
          return server
        }
      )
    )
    const readings = await readTools([
      ...servers.map((server) => ({
        kind: 'prometheus' as const,
        url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
        received: 'received',
        dropped: 'dropped'
      })),
      { kind: 'eve', path: path('beside.json') }
    ])
    for (const timer of timers) clearInterval(timer)
    for (const server of servers) server.close()
    expect(readings.map(({ told }) => told)).toMatchObject([
      { problem: 'it took longer than 2 s' },
      { problem: expect.stringMatching(/^it took longer than 2 s$|^its answer is not HTTP$/) },
      { latest: { received: 8 } }
    ])
  })
})
