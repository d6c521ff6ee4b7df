import { describe, expect, test } from 'vitest'
import { compileCommand, parseCompiled } from '../../../../src/host/parsers/pcap.ts'

describe('tcpdump', () => {
  test('an expression stays one, whatever it begins with', () => {
    expect(compileCommand('-i evil')).toEqual(['tcpdump', '-ddd', '-y', 'EN10MB', '--', '-i evil'])
    expect(compileCommand('tcp and VLAN 10')).toEqual(['tcpdump', '-ddd', '-p', '-i', 'lo', '--', 'tcp and VLAN 10'])
  })

  test('a program, an error, a right that is missing', () => {
    const failed = (stderr: string) => ({ stdout: '', stderr, status: 1 })
    expect(parseCompiled('ip', { stdout: '1\n6 0 0 262144\n', stderr: '', status: 0 })).toEqual({
      state: 'compiled',
      program: '1,6 0 0 262144'
    })
    expect(parseCompiled('ipp', failed("tcpdump: can't parse filter expression: syntax error\n"))).toEqual({
      state: 'invalid',
      message: "can't parse filter expression: syntax error"
    })
    const forbidden = failed("tcpdump: lo: You don't have permission to perform this capture on that device\n")
    expect(parseCompiled('vlan 10', forbidden)).toEqual({ state: 'forbidden' })
    expect(parseCompiled('ip', forbidden)).toMatchObject({ state: 'invalid' })
  })
})
