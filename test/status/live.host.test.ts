/** status --live and graph --live, on a terminal of its own. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ether, filler } from '../lab/frames/frames.ts'
import { createLab, type Lab, type SpanplanOptions } from '../lab/lab.ts'
import { spanplan, until, writeSpans } from '../lab/spans.ts'

/** Control sequences: of another screen and back from it, of a picture's begin, and of a colour. */
const codes = { enter: '\u001b[?1049h', leave: '\u001b[?1049l', home: '\u001b[H', colour: '\u001b[3' } as const

let lab: Lab

beforeAll(async () => {
  lab = await createLab()
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
  await spanplan(lab, ['apply'])
})
afterAll(() => lab?.close())

const file = (name: string) => join(lab.files, name)
const readText = (name: string) => readFile(file(name), 'utf8')
const send = (count: number) =>
  lab.send(Array.from({ length: count }, () => ether('02:00:00:00:0a:02', '02:00:00:00:0a:01', filler(200))))

/** Notes how the terminal was before and after; or else runs it in the shell's place, under the number that is noted. */
const ways = {
  whole: `$*; code=\\$?; stty -g >after; exit \\$code`,
  alone: 'exec $*'
} as const

/** Starts it on a terminal of 80 by 24, and waits for the first picture. */
async function openView(way: keyof typeof ways = 'whole', { env = {} }: SpanplanOptions = {}, command = 'status') {
  const line = `stty rows 24 cols 80; stty -g >before; tty >tty; echo \\$\\$ >pid; ${ways[way]}`
  const process = lab.startSpanplan([command, '--live'], {
    through: ['sh', '-c', `exec script -qec "${line}" /dev/null`, 'sh'],
    env: { SHELL: '/bin/sh', ...env }
  })
  let output = ''
  process.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  const picture = () => (output.split(codes.home).at(-1) ?? '').replaceAll('\r', '')
  await until('there is a picture', async () => picture().includes('press q to quit'))
  return { process, picture, output: () => output }
}

describe('a view that refreshes', () => {
  test('shows what was lost since it began, and ends with q as if it had not been there', async () => {
    const view = await openView()
    expect(view.output()).toContain(codes.enter)
    expect(view.picture()).toMatch(/span0.*: .*healthy[\s\S]*mirror +ens192 ingress +0 +0 +0 B +0\n/)
    await send(5)
    await until('they are counted', async () => view.picture().includes('5 lost: no sensor is connected'))
    await send(5)
    await until('all are counted', async () => view.picture().includes('10 lost: no sensor is connected'))
    expect(view.picture()).toMatch(
      /span0: healthy[\s\S]*No watch runs\.\n.*losses counted since \d\d:\d\d:\d\d; press q to quit/
    )
    view.process.stdin.write('q')
    expect(await view.process).toMatchObject({ exitCode: 0 })
    expect(view.output().endsWith(codes.leave)).toBe(true)
    expect(await readText('after')).toBe(await readText('before'))
  })

  test('ends with ^C, and tells by its exit status what it showed last', async () => {
    await lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'promisc', 'off'])
    const view = await openView()
    view.process.stdin.write('\u0003')
    expect(await view.process).toMatchObject({ exitCode: 2 })
    expect(view.output().endsWith(codes.leave)).toBe(true)
    expect(await readText('after')).toBe(await readText('before'))
    await spanplan(lab, ['apply'])
  })

  test('keeps what sums it up in sight, however small the terminal becomes', async () => {
    const view = await openView()
    const linesOf = () => view.picture().split('\n').length - 1
    const whole = linesOf()
    const resize = async (rows: number) => lab.run(['stty', '-F', (await readText('tty')).trim(), 'rows', String(rows)])
    await resize(6)
    await until('it is smaller', async () => linesOf() === 5)
    expect(view.picture()).toMatch(/^\S*span0: healthy[\s\S]*…[\s\S]*No watch runs[\s\S]*press q to quit/)
    await resize(40)
    await until('it is whole again', async () => linesOf() === whole)
    view.process.stdin.write('q')
    await view.process
  })

  test('ends with its terminal', async () => {
    const view = await openView('alone')
    const pid = Number(await readText('pid'))
    view.process.kill('SIGKILL')
    await until('it has ended', async () => !(await isRunning(pid)))
  })

  test('goes on with what is live while the file is broken', async () => {
    const view = await openView()
    await writeSpans(lab, 'nonsense')
    const words = () => view.picture().replace(/\s+/g, ' ')
    await until('the file is not healthy', async () =>
      /file: .*NOT HEALTHY.*spans\.yaml:.*is shown, by its marks[\s\S]*span0: .*healthy/.test(words())
    )
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
    await until('it is healthy again', async () => !words().includes('NOT HEALTHY') && /span0: .*healthy/.test(words()))
    view.process.stdin.write('q')
    expect(await view.process).toMatchObject({ exitCode: 0 })
    expect(await readText('after')).toBe(await readText('before'))
  })

  test.each([
    [{}, true],
    [{ NO_COLOR: '1' }, false]
  ])('has colours unless nobody wants them: %j', async (env, isColoured) => {
    const view = await openView('whole', { env })
    expect(view.picture().includes(codes.colour)).toBe(isColoured)
    view.process.stdin.write('q')
    await view.process
  })
})

describe('graph --live', () => {
  const openGraph = () => openView('whole', { env: { NO_COLOR: '1' } }, 'graph')

  test('draws the spans with the rates of each second, and ends with q as if it had not been there', async () => {
    const view = await openGraph()
    expect(view.picture()).toMatch(
      /span0 \(mtu 9000, sealed\)[\s\S]*└─ from[\s\S]*1 span, in sync with the file\.\n.*frames\/s of the last second; press q to quit/
    )
    const end = await lab.keepSending(ether('02:00:00:00:0a:02', '02:00:00:00:0a:01', filler(200)))
    await until('the rate is drawn', async () => /ens192 .*every frame, (9|1\d) frames\/s/.test(view.picture()))
    await end()
    await until('it is none again', async () => /every frame, 0 frames\/s/.test(view.picture()))
    await lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'promisc', 'off'])
    await until('what is broken is drawn', async () => view.picture().includes('1 span: 1 is broken'))
    await spanplan(lab, ['apply'])
    await until('it is whole again', async () => view.picture().includes('in sync with the file'))
    view.process.stdin.write('q')
    expect(await view.process).toMatchObject({ exitCode: 0 })
    expect(view.output().endsWith(codes.leave)).toBe(true)
    expect(await readText('after')).toBe(await readText('before'))
  })

  test('draws what is live while the file is broken, and tells that by its exit status', async () => {
    const view = await openGraph()
    await writeSpans(lab, 'nonsense')
    await until('it is told', async () => view.picture().includes('the host has a problem'))
    view.process.stdin.write('\u0003')
    expect(await view.process).toMatchObject({ exitCode: 2 })
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
  })

  test('is refused where there is no terminal, and beside what draws once', async () => {
    const { stderr } = await spanplan(lab, ['graph', '--live'], 64)
    expect(stderr).toContain('stdout is not a terminal\n  leave it out, or use --for 10s')
    for (const option of [['--for', '1s'], ['--file-only'], ['--format', 'svg']]) {
      const refused = await spanplan(lab, ['graph', '--live', ...option], 64)
      expect(refused.stderr).toMatch(/'--live' cannot be used with option '--f/)
    }
  })
})

async function isRunning(pid: number): Promise<boolean> {
  return readFile(`/proc/${pid}/stat`, 'utf8').then(
    (stat) => !stat.includes(') Z '),
    () => false
  )
}

test('is refused where there is no terminal', async () => {
  const { stderr } = await spanplan(lab, ['status', '--live'], 64)
  expect(stderr).toContain('stdout is not a terminal\n  leave it out, or use --json')
})
