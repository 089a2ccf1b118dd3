import { describe, expect, it } from 'vitest'
import { sealToken } from '../../../shared/crypto/sealed-token.ts'
import type { KeyRing } from '../../../shared/crypto/key-ring.ts'
import { createFrontEnds } from '../../../shared/front-ends/front-ends.ts'
import type { FrontEnd } from '../../../shared/front-ends/front-ends.ts'
import { newGrantRow, newGrantSecret } from '../../../shared/oauth/grant-key.ts'
import { createUserinfo } from '../../../shared/oauth/userinfo.ts'
import type { Userinfo } from '../../../shared/oauth/userinfo.ts'
import { partitionOf } from '../../../shared/session/session-row.ts'
import type { RowKey, Store } from '../../../shared/store/store.ts'
import { openSessions, adaIdentity, useSessionParts } from '../session/parts.ts'
import type { TestClock } from '../session/parts.ts'

const client: FrontEnd = {
  id: 'app',
  kind: 'oauth',
  origins: ['http://localhost:3000'],
  returnUrls: undefined,
  redirectUris: [],
  singleSignOn: false,
  signedOutUrls: [],
  prompts: [],
  apis: [],
}

describe('the userinfo endpoint', () => {
  let store: Store
  let ring: KeyRing
  let clock: TestClock
  let userinfo: Userinfo
  useSessionParts('2031-05-10T12:00:00Z', (own) => {
    ;({ store, clock, ring } = own)
    userinfo = createUserinfo({
      store,
      ring,
      clock,
      providers: { accepts: () => true },
      isTenantAllowed: () => Promise.resolve(true),
      frontEnds: createFrontEnds([client]),
    })
  })

  /** A session of the client, and its grant. */
  const begin = async () => {
    const rowKey: RowKey = { partition: partitionOf(adaIdentity, await ring.current()), row: newGrantRow() }
    const key = { frontEndId: client.id, rowKey, secret: newGrantSecret() }
    await openSessions({ store, ring, clock }).beginGrant(
      key,
      adaIdentity,
      { refreshToken: 'r', accessTokens: {} },
      {
        grantedScopes: [],
      },
    )
    return { clientId: client.id, identity: adaIdentity, scopes: ['openid'], claimNames: undefined, rowKey }
  }
  const ofProvider = (token: string, seconds: number) => ({
    token,
    scope: 'orders.read',
    obtainedAt: clock(),
    expires: clock() + seconds * 1000,
  })

  it('refuses a token after the idle end of its session, although the row is still stored', async () => {
    const grant = await begin()
    await userinfo.register(ofProvider('at', 7200), grant)
    const own = (await userinfo.issue(grant)).token

    clock.advance(3599)
    for (const token of ['at', own])
      expect(await userinfo.read(token, undefined)).toMatchObject({ sub: adaIdentity.subject })
    clock.advance(1)
    for (const token of ['at', own]) {
      await expect(userinfo.read(token, undefined)).rejects.toThrow(
        expect.objectContaining({ code: 'access_token_invalid' }),
      )
    }
  })

  it('finds the session of a token for its own client, in a token and in a row', async () => {
    const grant = await begin()
    await userinfo.register(ofProvider('at', 3600), grant)
    const own = (await userinfo.issue(grant)).token
    // Claims of this size do not fit a token.
    const large = { ...adaIdentity, claims: { values: { groups: ['g'.repeat(8000)] }, omitted: [] } }
    const long = (await userinfo.issue({ ...grant, identity: large, claimNames: ['groups'] })).token
    expect(long.length).toBeLessThan(own.length)

    for (const token of ['at', own, long]) {
      expect(await userinfo.findSession(token, client.id)).toEqual(grant.rowKey)
      expect(await userinfo.findSession(token, 'other')).toBeUndefined()
      expect(await userinfo.findSession(`${token}x`, client.id)).toBeUndefined()
    }
  })

  it('refuses a token whose row was moved, and a value that was sealed for another purpose', async () => {
    const grant = await begin()
    await userinfo.register(ofProvider('first', 3600), grant)
    await userinfo.register(ofProvider('second', 3600), grant)
    const rows = await store.listWhere('codes', 'format', ['1'])
    const [one, other] = await Promise.all(rows.map((row) => store.find('codes', row)))
    await store.replace('codes', { ...other!, values: one!.values }, other!.etag)

    const outcomes = await Promise.allSettled(['first', 'second'].map((token) => userinfo.read(token, undefined)))
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])

    const kept = { clientId: client.id, claims: { sub: 'mallory' }, rowKey: grant.rowKey, expires: clock() + 1000 }
    for (const context of ['sign-out', '__Host-known-app', '__Host-session-app']) {
      const token = sealToken(kept, context, await ring.current())
      await expect(userinfo.read(token, undefined)).rejects.toThrow(
        expect.objectContaining({ code: 'access_token_invalid' }),
      )
    }
  })
})
