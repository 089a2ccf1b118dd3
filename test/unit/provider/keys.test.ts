import { describe, expect, it } from 'vitest'
import type { KeyObject } from 'node:crypto'
import { keysThatFit, parseKeys } from '../../../shared/provider/keys.ts'
import { ecKey, edwardsKey, jwk, rsaKey } from './provider-server.ts'

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
    expect(isOnly(chosen([jwk(one, { kid: 'same' }), jwk(one, { kid: 'same' })], 'same', 'RS256'), one)).toBe(true)
    expect(
      isOnly(chosen([jwk(one, { kid: 'same' }), jwk(one, { kid: 'same', alg: 'RS256' })], 'same', 'RS256'), one),
    ).toBe(true)
  })

  it('may name keys of several types (RFC 7517 §4.5)', () => {
    const [curve, large, edwards] = [ecKey(), ecKey('P-384'), edwardsKey('ed25519')]
    const entries = [one, curve, large, edwards].map((pair) => jwk(pair, { kid: 'same' }))

    expect(isOnly(chosen(entries, 'same', 'RS256'), one)).toBe(true)
    expect(isOnly(chosen(entries, 'same', 'ES256'), curve)).toBe(true)
    expect(isOnly(chosen(entries, 'same', 'ES384'), large)).toBe(true)
    expect(isOnly(chosen(entries, 'same', 'EdDSA'), edwards)).toBe(true)
  })

  it('names no usable key where it names two of one type, since the choice would be a guess', () => {
    const entries = [jwk(one, { kid: 'same' }), jwk(two, { kid: 'same' })]

    expect(chosen(entries, 'same', 'RS256')).toEqual([])
    expect(chosen([...entries, jwk(two, { kid: 'two' })], 'two', 'RS256')).toHaveLength(1)
  })
})

describe('optional members of a key', () => {
  it.each([{ use: '' }, { alg: '' }, { use: null }, { alg: null }, { key_ops: [] }, { use: undefined }])(
    'count as absent where they are empty: %j',
    (members) => expect(isOnly(chosen([jwk(one, { kid: 'k', ...members })], 'k', 'RS256'), one)).toBe(true),
  )

  it.each([{ use: 'enc' }, { alg: 'RSA-OAEP' }, { key_ops: ['encrypt'] }, { use: 7 }])(
    'are obeyed where they name another use: %j',
    (members) => expect(chosen([jwk(one, { kid: 'k', ...members })], 'k', 'RS256')).toEqual([]),
  )

  it('leave the key without an id where that is empty', () => {
    expect(isOnly(chosen([jwk(one, { kid: '' })], undefined, 'RS256'), one)).toBe(true)
  })
})
