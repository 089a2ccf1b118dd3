import { createCipheriv, createHmac, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { toRingKey } from '../../../shared/crypto/ring-key.ts'
import type { KeyRing } from '../../../shared/crypto/key-ring.ts'
import { openToken, sealToken } from '../../../shared/crypto/sealed-token.ts'
import { seal } from '../../../shared/crypto/sealing.ts'

const secret = randomBytes(32)
const key = toRingKey('2031-05', secret)
const other = toRingKey('2031-06', randomBytes(32))
const requested: string[] = []
const ring = {
  find: (id: string) => {
    requested.push(id)
    return Promise.resolve([key, other].find((one) => one.id === id))
  },
} as unknown as KeyRing

describe('a sealed token', () => {
  it('opens to the value that was sealed, in the context that it was sealed for', async () => {
    const token = sealToken({ a: [1, 'é'], b: null }, '__Host-one', key)

    expect(await openToken(token, '__Host-one', ring)).toEqual({ a: [1, 'é'], b: null })
    expect(await openToken(token, '__Host-two', ring)).toBeUndefined()
  })

  it('is AES-256-GCM under HKDF-Expand of the ring key, as an instance of the previous release makes it', async () => {
    // By hand, from RFC 5869 §2.3 and NIST SP 800-38D.
    const derived = createHmac('sha256', secret).update('transaction\0\x01').digest()
    const iv = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', derived, iv).setAAD(Buffer.from('name'))
    const sealed = Buffer.concat([iv, cipher.update('{"old":true}'), cipher.final(), cipher.getAuthTag()])

    expect(await openToken(`${key.id}.${sealed.toString('base64url')}`, 'name', ring)).toEqual({ old: true })
  })

  it('does not open where any of its characters is changed', async () => {
    const token = sealToken('content', 'name', key)
    const [id, sealed] = token.split('.') as [string, string]
    const bytes = Buffer.from(sealed, 'base64url')

    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes)
      changed[at]! ^= 1
      expect(await openToken(`${id}.${changed.toString('base64url')}`, 'name', ring)).toBeUndefined()
    }
    for (let length = 0; length < token.length; length++) {
      expect(await openToken(token.slice(0, length), 'name', ring)).toBeUndefined()
    }
    expect(await openToken(token, 'name', ring)).toBe('content')
  })

  it('does not open under another key of the ring, nor by a key of another purpose', async () => {
    const [, sealed] = sealToken('content', 'name', key).split('.')
    const session = seal(key.session, '"content"', 'name').toString('base64url')

    expect(await openToken(`${other.id}.${sealed}`, 'name', ring)).toBeUndefined()
    expect(await openToken(`${key.id}.${session}`, 'name', ring)).toBeUndefined()
  })

  it.each<[string, string | undefined]>([
    ['no value', undefined],
    ['an empty text', ''],
    ['no key id', '.AAAA'],
    ['no ciphertext', '2031-05-0a1b2c3d.'],
    ['a third part', '2031-05-0a1b2c3d.AAAA.AAAA'],
    ['padding', '2031-05-0a1b2c3d.AAA='],
    ['another alphabet', '2031-05-0a1b2c3d.AA+/'],
    ['a line break at the end', '2031-05-0a1b2c3d.AAAA\n'],
    ['a key id in another form', '2031-5-0a1b2c3d.AAAA'],
    ['more than a cookie holds', `2031-05-0a1b2c3d.${'A'.repeat(4096)}`],
  ])('of another form (%s) is refused before the ring is read', async (_, token) => {
    requested.length = 0

    expect(await openToken(token, 'name', ring)).toBeUndefined()

    expect(requested).toEqual([])
  })
})
