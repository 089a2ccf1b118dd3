import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createFrontEnds } from '../../../shared/front-ends/front-ends.ts'
import type { FrontEnd } from '../../../shared/front-ends/front-ends.ts'
import { createSignOut } from '../../../shared/sign-out/sign-out.ts'
import type { ProviderMetadata } from '../../../shared/provider/provider.ts'
import type { Store } from '../../../shared/store/store.ts'
import { providersOf } from '../provider/provider-server.ts'
import {
  createClock,
  openRing,
  openSessions,
  adaIdentity,
  startSessionParts,
  useSessionParts,
} from '../session/parts.ts'
import type { SessionParts, TestClock } from '../session/parts.ts'
import { noFlowEvents } from '../../../shared/telemetry/flow-events.ts'

const page = 'http://localhost:3000/bye'
const metadata = { endSessionEndpoint: 'https://localhost:7171/tenant/oauth2/v2.0/logout' } as ProviderMetadata
const providers = providersOf({
  clientId: 'client',
  postLogoutRedirectUri: 'http://localhost:7071/logout/done',
  metadata: () => Promise.resolve(metadata),
})

const shop: FrontEnd = {
  id: 'shop',
  kind: 'session',
  origins: ['http://localhost:3000'],
  returnUrls: undefined,
  redirectUris: [],
  singleSignOn: false,
  signedOutUrls: [page],
  prompts: [],
  apis: [],
}

describe('a sign-out at an instance that cannot read the key of the session', () => {
  let own: { parts: SessionParts; store: Store; clock: TestClock; faults: unknown[] }
  useSessionParts('2031-05-10T12:00:00Z', (parts) => void (own = parts))
  const newInstance = () => {
    const { parts, store, clock, faults } = own
    const ring = openRing({ store, vault: parts.newVault(), clock })
    const sessions = openSessions({ store, ring, clock })
    const others = { providers, frontEnds: createFrontEnds([shop]), flowEvents: noFlowEvents }
    const onFault = (error: unknown) => void faults.push(error)
    return { sessions, signOut: createSignOut({ sessions, store, ring, clock, onFault, ...others }) }
  }

  it('ends the session of the cookie, and no other one', async () => {
    const warm = newInstance()
    const cookie = await warm.sessions.begin('shop', adaIdentity, { refreshToken: 'r', accessTokens: {} })
    const keyOf = (value: string) => warm.sessions.keyOf('shop', new Map([['__Host-session-shop', value]]))!
    own.parts.setWrappingKeyEnabled(false)
    const cold = newInstance().signOut

    // In the partition of the session, with a secret of another one.
    expect(await cold.begin(shop, keyOf(`${cookie.slice(0, 16)}${'A'.repeat(32)}`), page)).toBe(page)
    expect(await warm.sessions.find(keyOf(cookie))).toBeDefined()

    expect(await cold.begin(shop, keyOf(cookie), page)).toBe(page)
    expect(await warm.sessions.find(keyOf(cookie))).toBeUndefined()
    expect(own.faults).toMatchObject([{ code: 'vault_forbidden' }])
  })
})

describe('a sign-out that comes back late', () => {
  let parts: SessionParts
  beforeAll(async () => {
    parts = await startSessionParts()
  })
  afterAll(() => parts.close())

  it('redirects for an hour, and afterwards is a page with a link', async () => {
    const clock = createClock('2031-05-10T12:00:00Z')
    const store = (await parts.newTables()).connect()
    const ring = openRing({ store, vault: parts.newVault(), clock })
    const sessions = openSessions({ store, ring, clock })
    const frontEnds = createFrontEnds([shop])
    const options = {
      sessions,
      store,
      ring,
      providers,
      frontEnds,
      clock,
      flowEvents: noFlowEvents,
      onFault: () => undefined,
    }
    const signOut = createSignOut(options)
    const cookie = await sessions.begin('shop', adaIdentity, { refreshToken: 'r', accessTokens: {} })
    const key = sessions.keyOf('shop', new Map([['__Host-session-shop', cookie]]))

    const url = new URL(await signOut.begin(frontEnds.find('shop')!, key, page))
    const state = url.searchParams.get('state')!

    clock.advance(3600)
    expect(await signOut.complete(state)).toEqual({ redirectTo: page, frontEndId: 'shop' })
    clock.advance(1)
    const links = [{ text: 'Back to the application', url: page }]
    expect(await signOut.complete(state)).toEqual({ frontEndId: 'shop', links })
    expect(await signOut.complete(undefined)).toEqual({ links })
    await expect(signOut.complete('made-up')).rejects.toMatchObject({ code: 'sign_out_unknown', links })

    const moved = { ...frontEnds.find('shop')!, signedOutUrls: ['http://localhost:3000/new'] }
    const changed = createSignOut({ ...options, frontEnds: createFrontEnds([moved, { ...moved, id: 'desk' }]) })
    await expect(changed.complete(state)).rejects.toMatchObject({
      code: 'return_url_not_registered',
      links: [{ text: 'Back to the application', url: 'http://localhost:3000/new' }],
    })
  })
})
