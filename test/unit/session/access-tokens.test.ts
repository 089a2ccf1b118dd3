import { describe, expect, it } from 'vitest'
import { BrokerError } from '../../../shared/errors/errors.ts'
import { createAccessTokens } from '../../../shared/session/access-tokens.ts'
import { accessTokenKey } from '../../../shared/session/kept-access-token.ts'
import { isRenewing } from '../../../shared/session/session-row.ts'
import type { AccessTokens } from '../../../shared/session/access-tokens.ts'
import type { AccessToken, SessionKey } from '../../../shared/session/session-row.ts'
import type { FrontEnd } from '../../../shared/front-ends/front-ends.ts'
import type { Sessions } from '../../../shared/session/sessions.ts'
import type { Store } from '../../../shared/store/store.ts'
import type { IdentityProvider, ProviderProfile } from '../../../shared/provider/provider.ts'
import type { ProviderTokens } from '../../../shared/provider/token-endpoint.ts'
import type { TableProxy } from '../../setup/table-proxy.ts'
import { openSessions, adaIdentity, useSessionParts } from './parts.ts'
import type { TestClock } from './parts.ts'
import { providersOf } from '../provider/provider-server.ts'
import { noFlowEvents } from '../../../shared/telemetry/flow-events.ts'

const start = '2031-05-10T12:00:00.000Z'
const scopes = ['api://demo/orders.read']
const name = accessTokenKey(scopes)

/** A function replaces the provider here, so that the test controls its clock; test/session covers a real one. */
describe('access tokens', () => {
  let network: TableProxy
  let store: Store
  let clock: TestClock
  let sessions: Sessions
  let accessTokens: AccessTokens
  let faults: unknown[]
  let refreshed: string[]
  let refresh: () => Promise<Partial<ProviderTokens>>
  let readsChallenges: boolean
  let providerIds: readonly string[]
  let key: SessionKey
  useSessionParts(start, async (own) => {
    ;({ network, store, clock, faults } = own)
    sessions = openSessions({ store, clock, ring: own.ring })
    refreshed = []
    refresh = () => Promise.resolve({})
    readsChallenges = true
    providerIds = ['primary']
    accessTokens = open()
    key = await begin({ [name]: aToken('first', 3600) })
    network.resetRequests()
  })

  const open = (by = sessions): AccessTokens =>
    createAccessTokens({
      sessions: by,
      clock,
      idleSeconds: 3600,
      flowEvents: noFlowEvents,
      onFault: (error) => faults.push(error),
      frontEnds: { find: () => ({ id: 'shop' }) as FrontEnd },
      providers: { ...provider(), ofFrontEnd: () => providerIds.map((id) => ({ id }) as IdentityProvider) },
    })
  const provider = () =>
    providersOf({
      id: 'primary',
      profile: { refreshesByChallenge: readsChallenges } as ProviderProfile,
      tokenEndpoint: () =>
        Promise.resolve({
          redeemCode: () => Promise.reject(new Error('not requested')),
          refresh: async (refreshToken) => {
            refreshed.push(refreshToken)
            const n = refreshed.length
            return {
              accessToken: `renewed-${n}`,
              accessTokenExpires: clock() + 3600_000,
              scope: name,
              refreshToken: `refresh-${n}`,
              ...(await refresh()),
            }
          },
        }),
    })
  const aToken = (token: string, seconds: number): AccessToken => ({
    token,
    scope: name,
    obtainedAt: clock(),
    expires: clock() + seconds * 1000,
  })
  const begin = async (tokens: Record<string, AccessToken>) => {
    const cookie = await sessions.begin('shop', adaIdentity, { refreshToken: 'refresh-0', accessTokens: tokens })
    return sessions.keyOf('shop', new Map([['__Host-session-shop', cookie]]))!
  }
  const get = async (by = accessTokens) => (await by.get(key, scopes)).token
  const writes = () => network.requests.filter(({ operation }) => operation === 'replace').length
  const kept = async () => (await sessions.find(key))!.session

  it('are used until five minutes before their end, and then renewed', async () => {
    clock.advance(3300 - 1)
    expect(await get()).toBe('first')
    clock.advance(2)
    expect(await get()).toBe('renewed-1')
    expect(refreshed).toEqual(['refresh-0'])
  })

  it('of which the provider rotated the refresh token are stored although the clock passes the end of the lease', async () => {
    clock.advance(3301)
    refresh = () => {
      // A machine that was paused, or whose clock was set.
      clock.advance(60)
      return Promise.resolve({})
    }
    expect(await get()).toBe('renewed-1')
    expect((await kept()).tokens.refreshToken).toBe('refresh-1')
    expect(faults).toEqual([])
  })

  it('of a short life are renewed in the last fifth of it', async () => {
    key = await begin({ [name]: aToken('short', 100) })

    clock.advance(79)
    expect(await get()).toBe('short')
    clock.advance(2)
    expect(await get()).toBe('renewed-1')
  })

  it('of a long life are renewed when the provider is due to be heard, and served until their end where it fails', async () => {
    key = await begin({ [name]: { ...aToken('long', 86_400), renewAfter: clock() + 3600_000 } })

    clock.advance(3599)
    expect(await get()).toBe('long')
    clock.advance(2)
    refresh = () => Promise.reject(new BrokerError('provider_unavailable'))
    expect(await get()).toBe('long')
    clock.advance(60)
    refresh = () => Promise.resolve({ accessTokenExpires: clock() + 86_400_000, renewAfter: clock() + 3600_000 })
    expect(await get()).toBe('renewed-2')
    clock.advance(3599)
    expect(await get()).toBe('renewed-2')
  })

  describe('that the API rejects by a challenge', () => {
    const challenge = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'

    it('are renewed with it although they are fresh; the new one answers the same challenge for half a minute', async () => {
      expect(await get()).toBe('first')
      expect((await accessTokens.get(key, scopes, challenge)).token).toBe('renewed-1')
      clock.advance(29)
      expect((await accessTokens.get(key, scopes, challenge)).token).toBe('renewed-1')
      expect(await get()).toBe('renewed-1')
      clock.advance(2)
      expect((await accessTokens.get(key, scopes, challenge)).token).toBe('renewed-2')
      expect((await accessTokens.get(key, scopes, '{"access_token":{}}')).token).toBe('renewed-3')
    })

    it('are not served where the provider fails, since the API has rejected them', async () => {
      refresh = () => Promise.reject(new BrokerError('provider_unavailable'))

      await expect(accessTokens.get(key, scopes, challenge)).rejects.toMatchObject({ code: 'provider_unavailable' })
      expect(await get()).toBe('first')
    })

    it('need the person where the provider reads no challenge at a refresh; the error names the challenge', async () => {
      readsChallenges = false

      const refused = open().get(key, scopes, challenge)

      await expect(refused).rejects.toMatchObject({ code: 'interaction_required', members: { claims: challenge } })
      expect(refreshed).toEqual([])
      expect(await get()).toBe('first')
    })

    it('need the person at the provider of the session, where the front end accepts several', async () => {
      refresh = () => Promise.reject(new BrokerError('interaction_required', { members: { claims: '{}' } }))
      const requested = () =>
        accessTokens.get(key, scopes, challenge).catch((error: unknown) => (error as BrokerError).members)

      expect(await requested()).toEqual({ claims: '{}' })
      providerIds = ['primary', 'partner']
      expect(await requested()).toEqual({ claims: '{}', provider: 'primary' })
    })
  })

  it('are renewed by the newest refresh token each time, or by the previous one where none was issued', async () => {
    for (const n of [1, 2, 3]) {
      clock.advance(3400)
      expect(await get()).toBe(`renewed-${n}`)
      refresh = () => Promise.resolve(n === 1 ? { refreshToken: undefined } : {})
    }

    expect(refreshed).toEqual(['refresh-0', 'refresh-1', 'refresh-1'])
  })

  describe('extend the session', () => {
    it('by one write in each tenth of the idle time, and not at each use', async () => {
      for (let minute = 0; minute < 5; minute++) {
        clock.advance(60)
        await get()
      }
      expect(writes()).toBe(0)

      clock.advance(61)
      await get()
      await get()
      expect(writes()).toBe(1)
      expect((await kept()).owner.idleEnd).toBe(clock() + 3600_000)
    })

    it('never past the absolute end', async () => {
      for (let hour = 0; hour < 12; hour += 0.5) {
        await get()
        clock.advance(1800)
      }

      await expect(get()).rejects.toMatchObject({ code: 'signed_out' })
    })

    it('not over a write that happened in the meantime', async () => {
      clock.advance(600)
      const other: Sessions = {
        ...sessions,
        replace: async (read, ...rest) => {
          await sessions.end(key)
          return sessions.replace(read, ...rest)
        },
      }

      expect(await get(open(other))).toBe('first')
      await expect(get()).rejects.toMatchObject({ code: 'signed_out' })
    })
  })

  describe('while another instance renews', () => {
    const lease = async (until: number) => {
      const read = (await sessions.find(key))!
      await sessions.replace(read, read.session, { lease: { id: 'another-instance', end: until } })
    }

    it('are served as long as they are good', async () => {
      clock.advance(3400)
      await lease(clock() + 15_000)

      expect(await get()).toBe('first')
      expect(refreshed).toEqual([])
    })

    it('are renewed when the time of its lease is over', async () => {
      clock.advance(3400)
      await lease(clock() + 15_000)
      clock.advance(16)

      expect(await get()).toBe('renewed-1')
    })

    it('do not wait for an instance whose clock is far ahead', async () => {
      clock.advance(3400)
      await lease(clock() + 3_600_000)

      expect(await get()).toBe('renewed-1')
    })

    it.each([
      ['', Infinity],
      ['another-instance', NaN],
      ['another-instance', Infinity],
      ['another-instance', -1],
    ])('are not blocked by a malformed lease: "%s" until %d', async (id, end) => {
      clock.advance(3400)
      const read = (await sessions.find(key))!
      await sessions.replace(read, read.session, { lease: { id, end } })

      expect(await get()).toBe('renewed-1')
    })

    it('are renewed at once by the instance whose lease lost every answer, though the lease is in the row', async () => {
      let lost = 0
      const losing: Sessions = {
        ...sessions,
        replace: async (read, next, state) => {
          const written = await sessions.replace(read, next, state)
          if (state?.lease === undefined || lost++ > 0) return written
          throw new BrokerError('store_unavailable')
        },
      }
      const other = open(losing)
      clock.advance(3599) // the token is over: a lease that stays would mean a wait of 15 seconds

      await expect(get(other)).rejects.toMatchObject({ code: 'store_unavailable' })
      expect(isRenewing((await sessions.find(key))!.row, clock())).toBe(true)

      expect(await get(other)).toBe('renewed-1')
    })

    it('are those that it received, where the old ones had expired', async () => {
      clock.advance(3599)
      await lease(clock() + 15_000)
      const waiting = get()
      const read = (await sessions.find(key))!
      await sessions.replace(read, {
        ...read.session,
        tokens: { refreshToken: 'theirs', accessTokens: { [name]: aToken('theirs', 3600) } },
      })

      expect(await waiting).toBe('theirs')
      expect(refreshed).toEqual([])
    })
  })

  describe('when the provider fails', () => {
    const fault = new BrokerError('provider_unavailable')

    it('are served as long as they are good, and the provider is not called for a while', async () => {
      refresh = () => Promise.reject(fault)
      clock.advance(3400)

      expect([await get(), await get(), await get()]).toEqual(['first', 'first', 'first'])
      expect(refreshed).toHaveLength(1)
      expect(faults).toEqual([fault.with({ provider: 'primary' })])

      refresh = () => Promise.resolve({})
      clock.advance(16)
      expect(await get()).toBe('renewed-2')
    })

    it('are refused when they have expired, and requested again by the next call', async () => {
      refresh = () => Promise.reject(fault)
      clock.advance(3599)

      await expect(get()).rejects.toEqual(fault.with({ provider: 'primary' }))
      refresh = () => Promise.resolve({})
      expect(await get()).toBe('renewed-2')
    })

    it('with an unknown error are served as well', async () => {
      refresh = () => Promise.reject(new TypeError('a bug'))
      clock.advance(3400)

      expect(await get()).toBe('first')
      expect(faults).toMatchObject([{ code: 'internal' }])
    })
  })

  it('that the provider’s refusal has ended do not remove newer tokens of another instance', async () => {
    clock.advance(3400)
    refresh = async () => {
      const read = (await sessions.find(key))!
      await sessions.replace(read, {
        ...read.session,
        tokens: { refreshToken: 'theirs', accessTokens: { [name]: aToken('theirs', 3600) } },
      })
      throw new BrokerError('signed_out')
    }

    expect(await get()).toBe('theirs')
    expect((await kept()).tokens.refreshToken).toBe('theirs')
  })

  it('that could be fetched but not written are returned, and the fault is reported', async () => {
    clock.advance(3400)
    refresh = () => {
      network.addFault({ operation: 'replace', status: 503 })
      return Promise.resolve({})
    }

    expect(await get()).toBe('renewed-1')
    network.clearFaults()

    expect(faults.at(-1)).toMatchObject({
      code: 'store_unavailable',
      detail: expect.stringContaining('renewed') as string,
    })
  })

  it('are written although others write all the time', async () => {
    clock.advance(3400)
    let others = 3
    const crowded: Sessions = {
      ...sessions,
      replace: async (read, next, extra) => {
        if (refreshed.length > 0 && others-- > 0) {
          const theirs = (await sessions.find(key))!
          await sessions.replace(theirs, sessions.touched(theirs.session))
        }
        return sessions.replace(read, next, extra)
      },
    }

    expect(await get(open(crowded))).toBe('renewed-1')
    expect((await kept()).tokens.refreshToken).toBe('refresh-1')
  })

  it('are kept for sixteen sets of scopes, and the newest stay', async () => {
    for (let n = 0; n < 20; n++) {
      clock.advance(1)
      await accessTokens.get(key, [`api://demo/${n}`])
    }

    const names = Object.keys((await kept()).tokens.accessTokens)
    expect(names).toHaveLength(16)
    expect(names).toContain('api://demo/19')
    expect(names).not.toContain('api://demo/0')
  })

  it('without a refresh token are served until their end, and then require a sign-in', async () => {
    const cookie = await sessions.begin('shop', adaIdentity, {
      refreshToken: undefined,
      accessTokens: { [name]: aToken('only', 3600) },
    })
    key = sessions.keyOf('shop', new Map([['__Host-session-shop', cookie]]))!

    clock.advance(3590)
    expect(await get()).toBe('only')
    clock.advance(9)
    await expect(get()).rejects.toMatchObject({ code: 'interaction_required' })
    expect(await sessions.findOwner(key)).toBeDefined()
  })

  it('are not returned without a session', async () => {
    await expect(accessTokens.get(undefined, scopes)).rejects.toMatchObject({ code: 'signed_out' })
    await expect(accessTokens.get({ ...key, frontEndId: 'desk' }, scopes)).rejects.toMatchObject({ code: 'signed_out' })
    await expect(accessTokens.get({ ...key, secret: Buffer.alloc(24) }, scopes)).rejects.toMatchObject({
      code: 'signed_out',
    })
    expect(await get()).toBe('first')
  })
})
