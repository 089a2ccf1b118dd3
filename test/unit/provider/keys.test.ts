import { describe, expect, it } from 'vitest'
import { makeSelfSigned } from '../../../local/vault/self-signed.ts'
import type { KeyObject } from 'node:crypto'
import { keysThatFit, parseKeys } from '../../../shared/provider/keys.ts'
import { ecKey, edwardsKey, jwk, rsaKey } from './provider-server.ts'
import type { KeyPair } from './provider-server.ts'

const [one, two] = [rsaKey(), rsaKey()]
const chosen = (entries: readonly unknown[], kid: string | undefined, algorithm: string): readonly KeyObject[] =>
  keysThatFit(parseKeys({ keys: entries }), kid, algorithm)
const isOnly = (keys: readonly KeyObject[], { publicKey }: { publicKey: KeyObject }) =>
  keys.length === 1 && keys[0]!.equals(publicKey)

describe('one key id', () => {
  it('may name one key under several algorithms', () => {
    const entries = ['RS256', 'RS384', 'RS512'].map((alg) => jwk(one, { kid: 'same', alg }))

    for (const alg of ['RS256', 'RS384', 'RS512']) expect(isOnly(chosen(entries, 'same', alg), one)).toBe(true)
    expect(chosen(entries, 'same', 'PS256')).toEqual([])
  })

  it('may name different keys, each for an algorithm of its own', () => {
    const entries = [jwk(one, { kid: 'same', alg: 'RS256' }), jwk(two, { kid: 'same', alg: 'PS256' })]

    expect(isOnly(chosen(entries, 'same', 'RS256'), one)).toBe(true)
    expect(isOnly(chosen(entries, 'same', 'PS256'), two)).toBe(true)
  })

  it('may be listed twice, with the same key', () => {
    for (const again of [jwk(one, { kid: 'same' }), jwk(one, { kid: 'same', alg: 'RS256' })]) {
      const keys = chosen([jwk(one, { kid: 'same' }), again], 'same', 'RS256')
      expect(keys.map((key) => key.equals(one.publicKey))).toEqual([true, true])
    }
  })

  it('may name keys of several types (RFC 7517 §4.5)', () => {
    const [curve, large, edwards] = [ecKey(), ecKey('P-384'), edwardsKey('ed25519')]
    const entries = [one, curve, large, edwards].map((pair) => jwk(pair, { kid: 'same' }))

    expect(isOnly(chosen(entries, 'same', 'RS256'), one)).toBe(true)
    expect(isOnly(chosen(entries, 'same', 'ES256'), curve)).toBe(true)
    expect(isOnly(chosen(entries, 'same', 'ES384'), large)).toBe(true)
    expect(isOnly(chosen(entries, 'same', 'EdDSA'), edwards)).toBe(true)
  })

  it.each(['EdDSA', 'Ed25519', 'Ed448', undefined])('names a key for each name of its algorithm (alg %s)', (alg) => {
    const [small, large] = [edwardsKey('ed25519'), edwardsKey('ed448')]
    const entries = [small, large].map((pair) => jwk(pair, { kid: 'same', ...(alg === undefined ? {} : { alg }) }))

    expect(isOnly(chosen(entries, 'same', 'Ed25519'), small)).toBe(true)
    expect(isOnly(chosen(entries, 'same', 'Ed448'), large)).toBe(true)
    expect(chosen(entries, 'same', 'EdDSA').map((key) => key.asymmetricKeyType)).toEqual(['ed25519', 'ed448'])
    expect(chosen(entries, 'same', 'ES256')).toEqual([])
    expect(chosen([jwk(small, { alg: 'ES256' })], undefined, 'Ed25519')).toEqual([])
  })

  it('may name two keys of one type, and then each counts', () => {
    const entries = [jwk(one, { kid: 'same' }), jwk(two, { kid: 'same' })]

    expect(chosen(entries, 'same', 'RS256').map((key) => key.equals(one.publicKey))).toEqual([true, false])
    expect(isOnly(chosen([...entries, jwk(two, { kid: 'two' })], 'two', 'RS256'), two)).toBe(true)
  })

  it('that no key has may be of a key without an id', () => {
    expect(isOnly(chosen([jwk(one)], 'some', 'RS256'), one)).toBe(true)
    expect(isOnly(chosen([jwk(one), jwk(two, { kid: 'some' })], 'some', 'RS256'), two)).toBe(true)
    expect(chosen([jwk(one, { kid: 'other' })], 'some', 'RS256')).toEqual([])
  })
})

describe('optional members of a key', () => {
  it.each([
    { use: '' },
    { alg: '' },
    { use: null },
    { alg: null },
    { key_ops: [] },
    { use: undefined },
    { d: null, k: null },
  ])('count as absent where they are empty: %j', (members) =>
    expect(isOnly(chosen([jwk(one, { kid: 'k', ...members })], 'k', 'RS256'), one)).toBe(true),
  )

  it.each([{ use: 'enc' }, { alg: 'RSA-OAEP' }, { key_ops: ['encrypt'] }, { use: 7 }])(
    'are obeyed where they name another use: %j',
    (members) => expect(chosen([jwk(one, { kid: 'k', ...members })], 'k', 'RS256')).toEqual([]),
  )

  it('leave the key without an id where that is empty', () => {
    expect(isOnly(chosen([jwk(one, { kid: '' })], undefined, 'RS256'), one)).toBe(true)
  })
})

/** A certificate that has expired: its dates decide nothing. */
async function certificateOf(pair: KeyPair): Promise<string> {
  const [notBefore, notAfter] = [new Date('2020-01-01'), new Date('2021-01-01')]
  const usage = { keyUsage: [], extendedKeyUsage: [] }
  return (await makeSelfSigned({ ...pair, ...usage, subject: 'CN=signing', notBefore, notAfter })).toString('base64')
}

/** Self-signed, for a key of P-256. It ends on 1 December 2026: its dates decide nothing either. */
const ecCertificate =
  'MIIBejCCAR+gAwIBAgIUQ2JLPyEct/CosZUQQpXtn6PoFkcwCgYIKoZIzj0EAwIwEjEQMA4GA1UEAwwHc2lnbmluZzAeFw0yNjExMzAwMzU2MzZaFw0yNjEyMDEwMzU2MzZaMBIxEDAOBgNVBAMMB3NpZ25pbmcwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAT9DT/Un2JTKpQmDwMlpnHfARFbp7mi01NOtuRW0B0x5FC0o3wnCSgpa376e/ZOrUCV9xFGMC4ds8iU0uThWGPmo1MwUTAdBgNVHQ4EFgQUrUvXuh5nGxe6jC1PHIUBigQcIYIwHwYDVR0jBBgwFoAUrUvXuh5nGxe6jC1PHIUBigQcIYIwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEA2sXsFIcJqMTZmp4kpUWa5VDW0D55uqPJN95/SvlmBZACIQDBeAtykZgmNJwEj+2P2DNoDpLLQMjVs7+Cz0cMO0e1eQ=='

describe('a key that is published as a certificate', () => {
  it('counts without the public members (RFC 7517 §4.7)', async () => {
    const x5c = [await certificateOf(one)]

    for (const more of [{}, { n: '', e: null }, { x5t: 'thumbprint', alg: 'RS256' }]) {
      expect(isOnly(chosen([{ kty: 'RSA', use: 'sig', kid: 'k', x5c, ...more }], 'k', 'RS256'), one)).toBe(true)
    }
    // Without an id, as a server publishes it whose tokens have only x5t.
    expect(isOnly(chosen([{ kty: 'RSA', x5c }], undefined, 'PS256'), one)).toBe(true)
  })

  it('counts by the first certificate of a chain, also with line breaks', async () => {
    const [own, issuer] = [await certificateOf(one), await certificateOf(two)]

    expect(isOnly(chosen([{ kty: 'RSA', x5c: [own, issuer] }], undefined, 'RS256'), one)).toBe(true)
    const lines = own.replaceAll(/(.{64})/g, '$1\r\n')
    expect(isOnly(chosen([{ kty: 'RSA', x5c: [lines] }], undefined, 'RS256'), one)).toBe(true)
  })

  it('counts beside the public members of the same key alone', async () => {
    const [own, foreign] = [await certificateOf(one), await certificateOf(two)]
    const curve = ecKey()

    expect(isOnly(chosen([jwk(one, { x5c: [own] })], undefined, 'RS256'), one)).toBe(true)
    expect(chosen([jwk(one, { x5c: [foreign] })], undefined, 'RS256')).toEqual([])
    // A certificate of another type of key.
    expect(chosen([jwk(curve, { x5c: [own] })], undefined, 'ES256')).toEqual([])
    expect(isOnly(chosen([jwk(curve)], undefined, 'ES256'), curve)).toBe(true)
  })

  it('has the limits of every key', async () => {
    const weak = rsaKey(1024)
    const [small, own] = [await certificateOf(weak), await certificateOf(one)]

    expect(chosen([{ kty: 'RSA', x5c: [small] }], undefined, 'RS256')).toEqual([])
    // The type of the entry is that of the key, and a use that is not for signatures counts here too.
    for (const more of [
      { kty: 'EC' },
      { kty: 'oct' },
      { kty: undefined },
      { use: 'enc' },
      { d: 'AQAB' },
      { alg: 'ES256' },
    ]) {
      expect(chosen([{ kty: 'RSA', x5c: [own], ...more }], undefined, 'RS256')).toEqual([])
    }
    expect(chosen([{ kty: 'RSA', x5c: [own] }], undefined, 'ES256')).toEqual([])
  })

  it('of an elliptic curve counts for the algorithm of that curve', () => {
    const named = { kty: 'EC', x5c: [ecCertificate] }

    expect(chosen([named], undefined, 'ES256')).toHaveLength(1)
    expect(chosen([{ ...named, crv: 'P-256' }], undefined, 'ES256')).toHaveLength(1)
    expect(chosen([{ ...named, crv: 'P-384' }], undefined, 'ES256')).toEqual([])
    expect(chosen([named], undefined, 'ES384')).toEqual([])
    expect(chosen([{ ...named, kty: 'RSA' }], undefined, 'RS256')).toEqual([])
  })

  it.each([[[]], [['']], [['bm90IGEgY2VydGlmaWNhdGU=']], [[7]], ['text'], [{}], [null]])(
    'is left out where the certificate cannot be read, and its public members still count: %j',
    (x5c) => {
      expect(chosen([{ kty: 'RSA', x5c }], undefined, 'RS256')).toEqual([])
      expect(isOnly(chosen([jwk(one, { x5c })], undefined, 'RS256'), one)).toBe(true)
    },
  )

  it('is left out where its public members cannot be read', async () => {
    const x5c = [await certificateOf(one)]

    for (const members of [{ n: 'AQAB' }, { n: 7, e: 'AQAB' }, { e: 'AQAB' }]) {
      expect(chosen([{ kty: 'RSA', x5c, ...members }], undefined, 'RS256')).toEqual([])
    }
  })
})
