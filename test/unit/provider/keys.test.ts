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
