import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { errorCatalogue } from '../../../shared/errors/catalogue.ts'
import { asBrokerError, BrokerError } from '../../../shared/errors/errors.ts'
import type { ErrorCode } from '../../../shared/errors/catalogue.ts'
import { createLog, describeError } from '../../../shared/telemetry/log.ts'
import type { LogFields } from '../../../shared/telemetry/log.ts'
import { anyText } from '../../setup/arbitrary-text.ts'

function written(work: (log: ReturnType<typeof createLog>) => void): readonly string[] {
  const lines: string[] = []
  work(createLog((level, line) => lines.push(`${level} ${line}`)))
  return lines
}

describe('the log', () => {
  it('has the event and the fields that it knows', () => {
    const lines = written((log) => log('warn', 'fault', { reference: 'abc', code: 'signed_out', removed: 3 }))

    expect(lines).toEqual(['warn {"event":"fault","reference":"abc","code":"signed_out","removed":3}'])
  })

  it.each(['token', 'cookie', 'username', 'email', 'claims', 'headers', 'body', '__proto__'])(
    'drops the field %s from any caller',
    (name) => {
      const fields = Object.fromEntries([[name, 'the-secret']]) as LogFields

      expect(written((log) => log('info', 'refused', fields)).join()).not.toContain('the-secret')
    },
  )

  it('leaves out undefined fields', () => {
    expect(written((log) => log('info', 'refused', { reference: undefined, detail: undefined }))).toEqual([
      'info {"event":"refused"}',
    ])
  })

  it('is one line of JSON, with any text in a detail', () => {
    fc.assert(
      fc.property(anyText(), (detail) => {
        const [line = ''] = written((log) => log('info', 'refused', { detail: `${detail}\r\nforged {"event":"x"}` }))
        const text = line.slice('info '.length)
        expect(line).not.toMatch(/[\r\n]/)
        expect(JSON.parse(text)).toMatchObject({ event: 'refused' })
      }),
    )
  })
})

describe('the log entry of an error', () => {
  it('contains its code, the responsible party, and the broker’s own detail', () => {
    expect(describeError(new BrokerError('provider_unavailable', { detail: 'status 503' }))).toEqual({
      code: 'provider_unavailable',
      responsible: 'provider',
      detail: 'status 503',
    })
  })

  it('names the responsible of each code, so that an alert reaches the party that can repair it', () => {
    for (const code of Object.keys(errorCatalogue) as ErrorCode[]) {
      expect(describeError(new BrokerError(code))).toMatchObject({
        code,
        responsible: errorCatalogue[code].responsible,
      })
    }
  })

  it('contains no part of the message of an unknown error', () => {
    const thrown = Object.assign(new TypeError('cannot read the-secret of undefined'), { code: 'ERR_X' })

    const described = JSON.stringify(describeError(asBrokerError(thrown)))

    expect(described).not.toContain('the-secret')
    expect(described).toMatch(/"code":"internal".*TypeError ERR_X at /)
  })

  it('contains no part of a message that has lines like those of a stack', () => {
    const described = describeError(
      asBrokerError(new Error('Unexpected token\n    at the-secret (x.ts:1:1)\nat the-secret')),
    )

    expect(described.detail).not.toContain('the-secret')
    expect(described.detail).toContain('log.test.ts')
  })

  it.each([
    ['a text', 'the-secret'],
    ['an object', { message: 'the-secret' }],
    ['undefined', undefined],
  ])('contains no part of %s that was thrown', (_, thrown) => {
    const described = describeError(asBrokerError(thrown))

    expect(described).toEqual({ code: 'internal', responsible: 'operator', detail: undefined })
  })

  it('contains none of the members, which are for the reader of the answer', () => {
    const error = new BrokerError('parameter_invalid', { members: { parameter: 'the-secret' } })

    expect(JSON.stringify(describeError(error))).not.toContain('the-secret')
  })
})
