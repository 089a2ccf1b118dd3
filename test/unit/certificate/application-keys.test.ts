import { describe, expect, it } from 'vitest'
import { createGraphApplicationKeys } from '../../../shared/certificate/application-keys.graph.ts'
import { BrokerError } from '../../../shared/errors/errors.ts'

const by = { version: 'a'.repeat(32), thumbprint: 'o'.repeat(43), expires: Date.now() + 86_400_000 }

/** What the log is told of a refusal in these words. */
async function detailOf(code: unknown): Promise<string | undefined> {
  const keys = createGraphApplicationKeys({
    graphUrl: 'https://localhost',
    objectId: '44444444-4444-4444-8444-444444444444',
    vault: {
      readCertificate: () => Promise.resolve(new Uint8Array(8)),
      signRs256: () => Promise.resolve(new Uint8Array(8)),
    },
    network: () => Promise.resolve({ status: 400, headers: {}, json: { error: { code, message: 'quotes' } } }),
    token: () => Promise.resolve('token'),
    clock: Date.now,
  })
  const error: unknown = await keys.add(new Uint8Array(8), by).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(BrokerError)
  return (error as BrokerError).detail
}

describe('a refusal by Graph', () => {
  it.each(['Request_BadRequest', 'Authorization_RequestDenied', 'TooManyRequests'])(
    'is told by its code %s',
    async (code) => {
      expect(await detailOf(code)).toBe(`addKey answered 400 ${code}`)
    },
  )

  it.each([
    ['a token', 'eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhIn0.c2lnbmF0dXJl'],
    ['a part of one', 'eyJhbGciOiJSUzI1NiJ9'],
    ['a secret', 'jW8Q~this-is-no-real-secret'],
    ['a long word', 'a'.repeat(61)],
    ['two words', 'Request Denied'],
    ['no text', { code: 'x' }],
    ['nothing', undefined],
  ])('whose code is %s is told without it', async (_what, code) => {
    expect(await detailOf(code)).toBe('addKey answered 400 ?')
  })
})
