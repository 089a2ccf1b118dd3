import { UnsecuredJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { entraProfile } from '../../../shared/provider/entra.ts'
import { openIdProfile } from '../../../shared/provider/openid.ts'
import { keptIdToken, newerIdToken } from '../../../shared/session/kept-id-token.ts'
import type { Session } from '../../../shared/session/session-row.ts'

const openId = { profile: openIdProfile({ authority: 'https://login.example.com' }) }
const entra = { profile: entraProfile({ instance: 'https://login.example.com/', tenantId: 't' }) }
const idToken = (claims: object) => new UnsecuredJWT({ sub: 'person-1', ...claims }).encode()
const old = idToken({ iat: 1 })

describe('the ID token of a session', () => {
  it('is kept for a provider that needs it, and for no other', () => {
    expect(keptIdToken(openId, 'a.b.c')).toBe('a.b.c')
    expect(keptIdToken(openId, 't'.repeat(12_001))).toBeUndefined()
    expect(keptIdToken(entra, 'a.b.c')).toBeUndefined()
  })
})

describe('the ID token of a renewal', () => {
  const after = (renewed: string | undefined, sessionId?: string, provider = openId) =>
    newerIdToken({ owner: { identity: { sessionId } }, tokens: { idToken: old } } as Session, renewed, provider)

  it('replaces the one of the sign-in: some providers refuse a hint that has expired', () => {
    const newer = idToken({ iat: 2 })
    expect(after(newer)).toBe(newer)

    const ofSession = idToken({ iat: 2, sid: 'session-1' })
    expect(after(ofSession, 'session-1')).toBe(ofSession)
  })

  it.each<[string, string | undefined, string | undefined]>([
    ['is missing', undefined, undefined],
    ['cannot be read', 'not-a-token', undefined],
    ['is too long', idToken({ groups: 'g'.repeat(12_000) }), undefined],
    ['names no session of the provider', idToken({ iat: 2 }), 'session-1'],
    ['names another session', idToken({ iat: 2, sid: 'session-2' }), 'session-1'],
    ['names a session where the sign-in named none', idToken({ iat: 2, sid: 'session-1' }), undefined],
  ])('does not replace it where it %s', (_what, renewed, sessionId) => {
    expect(after(renewed, sessionId)).toBe(old)
  })

  it('is not kept for a provider that needs none', () => {
    expect(newerIdToken({ owner: { identity: {} }, tokens: {} } as Session, idToken({}), entra)).toBeUndefined()
  })
})
