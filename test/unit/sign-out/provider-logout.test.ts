import { describe, expect, it } from 'vitest'
import { createProviderLogout } from '../../../shared/sign-out/provider-logout.ts'
import type { ProviderMetadata, ProviderProfile } from '../../../shared/provider/provider.ts'
import type { Store } from '../../../shared/store/store.ts'
import { noFlowEvents } from '../../../shared/telemetry/flow-events.ts'
import { providersOf } from '../provider/provider-server.ts'
import { openRing, openSessions, adaIdentity, useSessionParts } from '../session/parts.ts'
import type { SessionParts, TestClock } from '../session/parts.ts'

const { issuer, sessionId } = adaIdentity
const metadata = { issuer, authorizationEndpoint: `${issuer}/authorize` } as ProviderMetadata
const profile = { issuer, isTokenIssuer: () => false, isPublicSessionId: () => false } as unknown as ProviderProfile
const otherSite = { cookies: new Map<string, string>(), isSentByOtherSite: true }

describe('a sign-out that the provider reports', () => {
  let own: { parts: SessionParts; store: Store; clock: TestClock }
  useSessionParts('2031-05-31T12:00:00Z', (parts) => void (own = parts))

  it('ends the sessions that it can find while another key of the ring cannot be read, and reports that', async () => {
    const { parts, store, clock } = own
    await openRing({ store, vault: parts.newVault(), clock }).current()
    const may = (await store.find('service', { partition: 'key-ring', row: '2031-05' }))!
    await parts.rotateWrappingKey()
    clock.set('2031-06-02T12:00:00Z')
    const ring = openRing({ store, vault: parts.newVault(), clock })
    const sessions = openSessions({ store, ring, clock })
    const logout = createProviderLogout({
      store,
      ring,
      sessions,
      clock,
      frontEnds: { all: [] },
      tenantsOf: () => undefined,
      providers: providersOf({ profile, issuer, metadata: () => Promise.resolve(metadata) }),
      flowEvents: noFlowEvents,
    })
    const begin = async () => {
      const cookie = await sessions.begin('shop', adaIdentity, { refreshToken: 'r', accessTokens: {} })
      return sessions.keyOf('shop', new Map([['__Host-session-shop', cookie]]))!
    }
    const session = await begin()
    parts.vault.setKeyEnabled('broker-key-ring', String(may.values.wrappingVersion), false)

    await expect(logout.byFrame(issuer, sessionId, otherSite)).rejects.toMatchObject({ code: 'vault_forbidden' })
    expect(await sessions.find(session)).toBeUndefined()

    const later = await begin()
    parts.setWrappingKeyEnabled(true)
    clock.advance(6)
    expect(await logout.byFrame(issuer, sessionId, otherSite)).toEqual([new URL(issuer).origin])
    expect(await sessions.find(later)).toBeUndefined()
  })
})
