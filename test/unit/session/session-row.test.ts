import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toRingKey } from '../../../shared/crypto/ring-key.ts'
import type { RingKey } from '../../../shared/crypto/key-ring.ts'
import {
  fromCookieValue,
  newSessionKey,
  openOwner,
  openProviderSession,
  openTokens,
  ringKeyIdOf,
  toCookieValue,
  toRow,
} from '../../../shared/session/session-row.ts'
import type { Session } from '../../../shared/session/session-row.ts'
import type { StoredRow, Values } from '../../../shared/store/store.ts'
import { adaIdentity } from './parts.ts'

const aRingKey = (id: string): RingKey => ({ ...toRingKey(id, randomBytes(32)), id })
const ringKey = aRingKey('2031-05')

function aSession(frontEndId = 'shop'): Session {
  const absoluteEnd = 2_000_000_000_000
  return {
    key: newSessionKey(frontEndId, adaIdentity, ringKey),
    owner: { identity: adaIdentity, signedInAt: 1, idleEnd: absoluteEnd - 1, absoluteEnd, grantedScopes: [] },
    tokens: {
      refreshToken: 'the-refresh-token',
      accessTokens: { 'api://demo/orders.read': { token: 't', scope: 's', obtainedAt: 1, expires: 2 } },
    },
  }
}

const stored = (session: Session): StoredRow => ({ ...toRow(session, ringKey), etag: 'e' })
const withValues = (row: StoredRow, values: Values): StoredRow => ({ ...row, values: { ...row.values, ...values } })

describe('a session’s row', () => {
  it('opens with the cookie and the ring’s key, and returns the stored content', () => {
    const session = aSession()
    const row = stored(session)
    const key = fromCookieValue(toCookieValue(session.key), 'shop')!

    expect(ringKeyIdOf(row)).toBe('2031-05')
    expect(key.rowKey).toEqual({ partition: row.partition, row: row.row })
    expect(openOwner(row, key, ringKey)).toEqual(session.owner)
    expect(openTokens(row, key, ringKey)).toEqual(session.tokens)
  })

  it('does not open with only one of them', () => {
    const session = aSession()
    const row = stored(session)

    expect(openOwner(row, { ...session.key, secret: randomBytes(24) }, ringKey)).toBeUndefined()
    expect(openOwner(row, session.key, aRingKey('2031-05'))).toBeUndefined()
  })

  it.each(['owner', 'tokens'] as const)('has no byte in its %s that may be changed', (part) => {
    const session = aSession()
    const row = stored(session)
    const sealed = row.values[part] as Uint8Array
    const openPart = part === 'owner' ? openOwner : openTokens

    for (let at = 0; at < sealed.length; at++) {
      const changed = Buffer.from(sealed)
      changed[at]! ^= 1
      expect(openPart(withValues(row, { [part]: changed }), session.key, ringKey), `byte ${at}`).toBeUndefined()
    }
    expect(openPart(row, session.key, ringKey)).toBeDefined()
  })

  it.each<[string, (row: StoredRow) => StoredRow]>([
    ['with another format', (row) => withValues(row, { format: '2' })],
    ['without a format', (row) => withValues(row, { format: '' })],
    ['with a format of another kind', (row) => withValues(row, { format: Buffer.from('1') })],
    ['with a later absolute end', (row) => withValues(row, { absoluteEnd: '2000000000001' })],
    ['with the same end written otherwise', (row) => withValues(row, { absoluteEnd: '2e12' })],
    ['without an absolute end', (row) => withValues(row, { absoluteEnd: Buffer.alloc(0) })],
    ['with an empty seal', (row) => withValues(row, { owner: Buffer.alloc(0), tokens: Buffer.alloc(0) })],
    ['with a text in place of the seal', (row) => withValues(row, { owner: '{"identity":{}}', tokens: '{}' })],
    ['with its parts exchanged', (row) => withValues(row, { owner: row.values.tokens!, tokens: row.values.owner! })],
    ['without anything', (row) => ({ ...row, values: {} })],
  ])('is no session %s', (_, change) => {
    const session = aSession()
    const row = change(stored(session))

    expect(openOwner(row, session.key, ringKey)).toBeUndefined()
    expect(openTokens(row, session.key, ringKey)).toBeUndefined()
  })

  it('keeps the hint for a sign-out by ID token for an OpenID grant alone, which opens in this row alone', () => {
    const session = aSession('app')
    const openid: Session = {
      ...session,
      owner: { ...session.owner, openid: ['openid'], identity: { ...adaIdentity, loginHint: 'a hint' } },
      tokens: { ...session.tokens, idToken: 'a.b.c' },
    }
    const row = stored(openid)
    const { frontEndId, rowKey } = openid.key
    const name = { frontEndId, rowKey }

    expect(openProviderSession(row, name, ringKey)).toEqual({
      issuer: adaIdentity.issuer,
      idToken: 'a.b.c',
      logoutHint: 'a hint',
    })
    expect(stored(session).values.providerSession).toBeUndefined()
    expect(openProviderSession(stored(session), name, ringKey)).toBeUndefined()
    const other = stored({ ...openid, key: newSessionKey('app', adaIdentity, ringKey) })
    const moved = [
      openProviderSession({ ...other, ...rowKey }, name, ringKey),
      openProviderSession(row, { ...name, frontEndId: 'shop' }, ringKey),
      openProviderSession(row, name, aRingKey('2031-05')),
      openProviderSession(withValues(row, { absoluteEnd: '2000000000001' }), name, ringKey),
      openProviderSession(withValues(row, { providerSession: row.values.tokens! }), name, ringKey),
      openProviderSession(withValues(row, { providerSession: Buffer.alloc(0) }), name, ringKey),
    ]
    expect(moved).toEqual(moved.map(() => undefined))
    expect(openTokens(withValues(row, { tokens: row.values.providerSession! }), openid.key, ringKey)).toBeUndefined()
  })

  it('is no session under another key of the ring, although that one’s name was put into it', () => {
    const session = aSession()
    const row = withValues(stored(session), { ringKey: '2031-06' })

    expect(openOwner(row, session.key, { ...ringKey, id: '2031-06' })).toBeUndefined()
  })

  it('is no session in another row, another partition or at another front end', () => {
    const session = aSession()
    const { key } = session
    const row = stored(session)
    const moved = [
      { ...key, rowKey: { ...key.rowKey, row: newSessionKey('shop', adaIdentity, ringKey).rowKey.row } },
      { ...key, rowKey: { ...key.rowKey, partition: 'QkJCQkJCQkJCQkJC' } },
      { ...key, frontEndId: 'desk' },
    ]

    for (const other of moved) expect(openOwner(row, other, ringKey)).toBeUndefined()
    expect(openOwner(row, key, ringKey)).toBeDefined()
  })

  it('is no session with the sealed parts of another session', () => {
    const [mine, theirs] = [aSession(), aSession()]
    const { owner, tokens } = toRow(theirs, ringKey).values

    const row = withValues(stored(mine), { owner: owner!, tokens: tokens! })

    expect(openOwner(row, mine.key, ringKey)).toBeUndefined()
    expect(openTokens(row, mine.key, ringKey)).toBeUndefined()
  })

  it('reveals neither the person nor the tokens', () => {
    const { sweepAfter, values, ...rowKey } = toRow(aSession(), ringKey)

    const bytes = Buffer.concat([
      Buffer.from(JSON.stringify(rowKey)),
      ...Object.values(values).map((value) => Buffer.from(value)),
    ]).toString('latin1')

    expect(sweepAfter).toBeInstanceOf(Date)
    for (const reported of [
      'Ada Lovelace',
      'ada@contoso',
      'subject-of',
      'aaaaaaaa',
      'refresh-token',
      'orders',
      'shop',
    ]) {
      expect(bytes).not.toContain(reported)
    }
  })
})

describe('a session cookie', () => {
  it('is new and random at each sign-in, 192 bits of it', () => {
    const values = Array.from({ length: 200 }, () => toCookieValue(newSessionKey('shop', adaIdentity, ringKey)))
    const secrets = values.map((value) => Buffer.from(fromCookieValue(value, 'shop')!.secret).toString('hex'))

    expect(new Set(secrets).size).toBe(200)
    expect(secrets.every((secret) => secret.length === 48)).toBe(true)
  })

  it('cannot be made from the row’s name', () => {
    const key = newSessionKey('shop', adaIdentity, ringKey)

    expect(Buffer.from(key.rowKey.row, 'base64url').equals(Buffer.from(key.secret))).toBe(false)
    expect(toCookieValue(key)).not.toContain(key.rowKey.row.slice(0, 20))
  })

  it('is ignored unless it has the exact form, for any other content', () => {
    const value = toCookieValue(newSessionKey('shop', adaIdentity, ringKey))
    const wrong = [undefined, '', value.slice(1), `${value}A`, `${value.slice(0, 47)}=`, `${value.slice(0, 47)}+`]
    for (const one of wrong) expect(fromCookieValue(one, 'shop')).toBeUndefined()

    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!/^[\w-]{48}$/.test(text))
        expect(fromCookieValue(text, 'shop')).toBeUndefined()
      }),
    )
    expect(fromCookieValue(value, 'shop')).toBeDefined()
  })
})
