import { createHmac, createSecretKey, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { deriveKey, open, seal } from '../../../shared/crypto/sealing.ts'
import { anyText } from '../../setup/arbitrary-text.ts'

const key = createSecretKey(randomBytes(32))
const text = anyText()

describe('sealing', () => {
  it('returns any text that was sealed for this context', () => {
    fc.assert(
      fc.property(text, text, (plain, place) => {
        expect(open(key, seal(key, plain, place), place)).toBe(plain)
      }),
    )
  })

  it('does not open in another context', () => {
    fc.assert(
      fc.property(text, text, text, (plain, place, other) => {
        fc.pre(place !== other)
        expect(open(key, seal(key, plain, place), other)).toBeUndefined()
      }),
    )
  })

  it('does not open with another key, or with the same root’s key for another purpose', () => {
    const sealed = seal(deriveKey(key, 'salt', 'session'), 'text', 'place')

    expect(open(deriveKey(key, 'salt', 'session'), sealed, 'place')).toBe('text')
    expect(open(createSecretKey(randomBytes(32)), sealed, 'place')).toBeUndefined()
    expect(open(deriveKey(key, 'salt', 'transaction'), sealed, 'place')).toBeUndefined()
    expect(open(deriveKey(key, 'other', 'session'), sealed, 'place')).toBeUndefined()
    expect(open(deriveKey(key, 'onsalt', 'sessi'), sealed, 'place')).toBeUndefined()
    expect(open(deriveKey(createSecretKey(randomBytes(32)), 'salt', 'session'), sealed, 'place')).toBeUndefined()
  })

  it('opens only with a key that HKDF-Expand makes of the same parts (RFC 5869 §2.3)', () => {
    const prk = randomBytes(32)
    const okm = createHmac('sha256', prk).update('session\0secret\x01').digest()

    const sealed = seal(deriveKey(createSecretKey(prk), 'secret', 'session'), 'text', 'place')

    expect(open(createSecretKey(okm), sealed, 'place')).toBe('text')
  })

  it('does not open after a single bit was changed', () => {
    const sealed = seal(key, 'a text that an attacker would like to change', 'place')

    for (let at = 0; at < sealed.length; at++) {
      for (const bit of [1, 128]) {
        const changed = Buffer.from(sealed)
        changed[at]! ^= bit
        expect(open(key, changed, 'place'), `byte ${at}`).toBeUndefined()
      }
    }
    expect(open(key, sealed, 'place')).toBeDefined()
  })

  it('does not open a text that was cut, extended or made up', () => {
    const sealed = seal(key, 'text', 'place')

    for (let length = 0; length < sealed.length; length++) {
      expect(open(key, sealed.subarray(0, length), 'place'), `${length} bytes`).toBeUndefined()
    }
    expect(open(key, Buffer.concat([sealed, Buffer.alloc(1)]), 'place')).toBeUndefined()
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(open(key, bytes, 'place')).toBeUndefined()
      }),
    )
  })

  it('differs each time, so that two rows of equal content do not look equal', () => {
    const sealed = Array.from({ length: 50 }, () => seal(key, 'same', 'place').toString('hex'))

    expect(new Set(sealed).size).toBe(50)
    expect(new Set(sealed.map((one) => one.slice(0, 24))).size).toBe(50)
  })
})
