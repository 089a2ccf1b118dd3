import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { BrokerError } from '../../../shared/errors/errors.ts'
import { createRefreshHandles, newGrantRow, newGrantSecret } from '../../../shared/oauth/refresh-tokens.ts'
import type { RefreshHandles } from '../../../shared/oauth/refresh-tokens.ts'
import { accessTokenKey, createAccessTokens } from '../../../shared/session/access-tokens.ts'
import { partitionOf } from '../../../shared/session/session-row.ts'
import type { Store } from '../../../shared/store/store.ts'
import type { TokenEndpoint } from '../../../shared/provider/token-endpoint.ts'
import { createClock, openRing, openSessions, somebody, startSessionParts } from '../session/parts.ts'
import type { SessionParts } from '../session/parts.ts'
import { createEndForReuse } from '../../../shared/oauth/reuse.ts'
import { providersOf } from '../provider/provider-server.ts'
import { noFunnel } from '../../../shared/telemetry/flow-events.ts'

const start = '2031-05-10T12:00:00.000Z'
const hour = 3600
const scopes = ['api://demo/orders.read']

describe('a refresh handle', () => {
  let parts: SessionParts
  let store: Store
  let clock: ReturnType<typeof createClock>
  let handles: RefreshHandles
  let provider: TokenEndpoint['refresh']
  let begin: (accessTokenSeconds?: number) => Promise<string>

  beforeAll(async () => {
    parts = await startSessionParts()
  })
  beforeEach(async () => {
    store = (await parts.newTables()).connect()
    clock = createClock(start)
    const ring = openRing({ store, wrapper: parts.newWrapper(), clock })
    const sessions = openSessions({ store, ring, clock })
    provider = () => {
      const accessTokenExpires = clock() + hour * 1000
      return Promise.resolve({ accessToken: 'renewed', accessTokenExpires, scope: scopes[0]!, refreshToken: 'r2' })
    }
    const tokenEndpoint = { refresh: (...asked: Parameters<typeof provider>) => provider(...asked) } as TokenEndpoint
    const accessTokens = createAccessTokens({
      sessions,
      providers: providersOf({ tokenEndpoint: () => Promise.resolve(tokenEndpoint) }),
      clock,
      idleSeconds: hour,
      funnel: noFunnel,
      onFault: () => undefined,
    })
    handles = createRefreshHandles({
      store,
      ring,
      sessions,
      accessTokens,
      endForReuse: createEndForReuse(sessions, noFunnel),
      clock,
    })
    begin = async (accessTokenSeconds = 12 * hour) => {
      const place = { partition: partitionOf(somebody, await ring.current()), row: newGrantRow() }
      const key = { frontEndId: 'app', place, secret: newGrantSecret() }
      const expires = clock() + accessTokenSeconds * 1000
      const token = { token: 'access-token-of-ada', scope: scopes[0]!, obtainedAt: clock(), expires }
      const tokens = { refreshToken: 'refresh-of-ada', accessTokens: { [accessTokenKey(scopes)]: token } }
      await sessions.beginGrant(key, somebody, tokens, scopes)
      return handles.first(key)
    }
  })
  afterAll(() => parts.close())

  const use = (handle: string, by = 'app') =>
    handles.use(handle, { id: by, apis: [{ name: 'orders', scopes }] }, undefined)
  const outcome = (handle: string) =>
    use(handle).then(
      ({ handle: next }) => next,
      (error: unknown) => (error as BrokerError).code,
    )

  it('that comes again before its grace is over gets the same answer', async () => {
    const first = await begin()
    const used = await use(first)

    clock.advance(29.999)

    expect(await use(first)).toEqual(used)
    expect((await use(used.handle)).token.token).toBe('access-token-of-ada')
  })

  it('that comes again after its grace ends the family', async () => {
    const first = await begin()
    const used = await use(first)

    clock.advance(30)

    expect(await outcome(first)).toBe('grant_invalid')
    expect(await outcome(used.handle)).toBe('grant_invalid')
  })

  it('that was used long ago still ends the family', async () => {
    const first = await begin()
    let last = first
    for (let i = 0; i < 20; i++) last = (await use(last)).handle
    clock.advance(60)

    expect(await outcome(first)).toBe('grant_invalid')
    expect(await outcome(last)).toBe('grant_invalid')
  })

  it('lives on by use, and not beyond the absolute end', async () => {
    let handle = await begin(24 * hour)
    for (let i = 0; i < 12; i++) {
      clock.advance(hour - 60)
      handle = (await use(handle)).handle
    }

    clock.set(Date.parse(start) + 12 * hour * 1000 - 1)
    handle = (await use(handle)).handle
    clock.set(Date.parse(start) + 12 * hour * 1000)
    expect(await outcome(handle)).toBe('grant_invalid')
  })

  it('ends where it is not used', async () => {
    const handle = await begin()

    clock.advance(hour)

    expect(await outcome(handle)).toBe('grant_invalid')
  })

  it('gives a token that is still good while the provider fails, and stays good itself', async () => {
    const handle = await begin(1000)
    const up = provider
    provider = () => Promise.reject(new BrokerError('provider_unavailable'))
    clock.advance(850) // near its end, with more than two minutes left

    const used = await use(handle)
    const again = await use(handle)
    provider = up
    clock.advance(20)
    const after = await use(used.handle)

    expect([used, again].map(({ token }) => token.token)).toEqual(['access-token-of-ada', 'access-token-of-ada'])
    expect(after.token.token).toBe('renewed')
  })

  it('is nothing at another front end, and does not end there', async () => {
    const handle = await begin()

    await expect(use(handle, 'other')).rejects.toMatchObject({ code: 'grant_invalid' })
    expect(await handles.findKey(handle, 'other')).toBeUndefined()
    expect(await outcome(handle)).not.toBe('grant_invalid')
  })

  it('leaves a row that says nothing of the person, the tokens or itself', async () => {
    const used = await use(await begin())
    const key = await handles.findKey(used.handle, 'app')

    const row = await store.find('sessions', key!.place)

    const values = Object.values(row!.values).map((value) => Buffer.from(value as Uint8Array).toString('latin1'))
    const secret = Buffer.from(key!.secret)
    for (const text of ['ada', 'Ada', 'refresh-of', secret.toString('latin1'), secret.toString('base64url')]) {
      for (const value of values) expect(value).not.toContain(text)
    }
  })
})
