import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'

/** What bash would offer for the last of the words. */
function complete(...words: string[]): string[] {
  const script = execFileSync('node', ['bin/spanplan.js', 'completion', 'bash'], { encoding: 'utf8' })
  const list = words.map((word) => `'${word}'`).join(' ')
  const ask = `${script}\nCOMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _spanplan; printf '%s\\n' "\${COMPREPLY[@]}"`
  return execFileSync('bash', ['-euc', ask], { encoding: 'utf8' }).trim().split('\n')
}

test('bash completes commands', () => {
  expect(complete('spanplan', '')).toEqual([
    'plan',
    'apply',
    'destroy',
    'confirm',
    'rollback',
    'hook',
    'watch',
    'pause',
    'resume',
    'watch',
    'status',
    'capture',
    'validate',
    'import',
    'completion'
  ])
  expect(complete('spanplan', 'de')).toEqual(['destroy'])
})

test('bash completes the flags of a command, and the values that are known', () => {
  expect(complete('spanplan', 'plan', '--de')).toEqual(['--defer-docker', '--detailed-exitcode'])
  expect(complete('spanplan', 'plan', '--color', 'a')).toEqual(['auto', 'always'])
  expect(complete('spanplan', 'completion', '')).toEqual(['bash', 'zsh', 'fish'])
})

test('bash completes file names, with spaces too', () => {
  expect(complete('spanplan', 'plan', '-f', 'package')).toEqual(expect.arrayContaining(['package.json']))
})

test.each(['zsh', 'fish'])('%s gets every command and flag', (shell) => {
  const script = execFileSync('node', ['bin/spanplan.js', 'completion', shell], { encoding: 'utf8' })
  for (const word of [
    'plan',
    'apply',
    'destroy',
    'validate',
    'import',
    'completion',
    'detailed-exitcode',
    'defer-docker'
  ]) {
    expect(script).toContain(word)
  }
})

test('another shell is wrong usage', () => {
  expect(() => execFileSync('node', ['bin/spanplan.js', 'completion', 'csh'], { stdio: 'pipe' })).toThrow(
    expect.objectContaining({ status: 64 })
  )
})
