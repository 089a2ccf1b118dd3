import { mkdtemp, open } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { LocalError } from '../../../local/http-server.ts'
import { failureText, reportFailure } from '../../../local/program-failure.ts'
import { SettingsError } from '../../../shared/settings/settings-error.ts'

const systemError = (code: string, syscall = 'open') =>
  Object.assign(new Error(`${code}: reason, ${syscall} '/a/file'`), { code, syscall })

describe('the text of a failure', () => {
  it.each([
    ['EACCES', 'as a user who may do this'],
    ['EROFS', 'in a folder that can be written'],
    ['ENOSPC', 'Free space on the disks'],
    ['EMFILE', 'ulimit -n'],
  ])('is, for the system error %s, its message and the remedy', (code, remedy) => {
    expect(failureText(systemError(code))).toMatch(new RegExp(`^${code}: reason, open '/a/file'\\. .*${remedy}`))
  })

  it('is the message alone of a system error without a known remedy', async () => {
    const error: unknown = await open('/no/such/folder/file').catch((reason: unknown) => reason)
    expect(failureText(error)).toBe("ENOENT: no such file or directory, open '/no/such/folder/file'")
  })

  it('names TMPDIR where a temporary folder cannot be made', async () => {
    const error: unknown = await mkdtemp('/no/such/folder/broker-').catch((reason: unknown) => reason)
    expect(failureText(error)).toMatch(/^ENOENT: .*\/no\/such\/folder.*\. Set TMPDIR /)
  })

  it('is the whole error where it is unexpected', () => {
    const error = new TypeError('x is not a function')
    expect(failureText(error)).toBe(error)
  })
})

it.each([
  [new LocalError('a sentence'), 1],
  [new LocalError('a sentence', 2), 2],
  [new SettingsError([{ setting: 'A', problem: 'is missing', fix: 'Set it.' }]), 2],
  [systemError('ENOSPC'), 1],
  [new TypeError('x is not a function'), 1],
])('a program that fails with %s ends with code %d', (error, code) => {
  const { error: print } = console
  console.error = () => undefined
  try {
    expect(reportFailure(error)).toBe(code)
  } finally {
    console.error = print
  }
})
