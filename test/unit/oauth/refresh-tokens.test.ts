import { describe, expect, it } from 'vitest'
import { BrokerError } from '../../../shared/errors/errors.ts'
import { newGrantRow, newGrantSecret } from '../../../shared/oauth/grant-key.ts'
import { createRefreshTokens } from '../../../shared/oauth/refresh-tokens.ts'
import type { RefreshTokens } from '../../../shared/oauth/refresh-tokens.ts'
import { createAccessTokens } from '../../../shared/session/access-tokens.ts'
import { accessTokenKey } from '../../../shared/session/kept-access-token.ts'
import { partitionOf } from '../../../shared/session/session-row.ts'
import type { Store } from '../../../shared/store/store.ts'
import type { TokenEndpoint } from '../../../shared/provider/token-endpoint.ts'
import { openSessions, adaIdentity, useSessionParts } from '../session/parts.ts'
import type { TestClock } from '../session/parts.ts'
import { createEndForReuse } from '../../../shared/oauth/reuse.ts'
import { providersOf } from '../provider/provider-server.ts'
import { noFlowEvents } from '../../../shared/telemetry/flow-events.ts'

const start = '2031-05-10T12:00:00.000Z'
const hour = 3600
const scopes = ['api://demo/orders.read']

describe('a refresh token', () => {
  let store: Store
  let clock: TestClock
  let refreshTokens: RefreshTokens
  let newInstance: (untilReady?: () => Promise<void>) => RefreshTokens
  let provider: TokenEndpoint['refresh']
  let prepare: () => Promise<void>
  let begin: (accessTokenSeconds?: number) => Promise<string>

  useSessionParts(start, (own) => {
    ;({ store, clock } = own)
    const { ring } = own
    const sessions = openSessions({ store, ring, clock })
    prepare = () => Promise.resolve()
    provider = () => {
      const accessTokenExpires = clock() + hour * 1000
      return Promise.resolve({ accessToken: 'renewed', accessTokenExpires, scope: scopes[0]!, refreshToken: 'r2' })
    }
    const tokenEndpoint = {
      refresh: (...requested: Parameters<typeof provider>) => provider(...requested),
    } as TokenEndpoint
    const accessTokens = createAccessTokens({
      sessions,
      providers: providersOf({ tokenEndpoint: () => Promise.resolve(tokenEndpoint) }),
      frontEnds: { find: () => undefined },
      clock,
      idleSeconds: hour,
      flowEvents: noFlowEvents,
      onFault: () => undefined,
    })
    newInstance = (untilReady = () => Promise.resolve()) =>
      createRefreshTokens({
        store,
        ring,
        sessions,
        accessTokens: { get: (...requested) => untilReady().then(() => accessTokens.get(...requested)) },
        endForReuse: createEndForReuse(sessions, noFlowEvents),
        clock,
      })
    refreshTokens = newInstance()
    begin = async (accessTokenSeconds = 12 * hour) => {
      const rowKey = { partition: partitionOf(adaIdentity, await ring.current()), row: newGrantRow() }
      const key = { frontEndId: 'app', rowKey, secret: newGrantSecret() }
      const expires = clock() + accessTokenSeconds * 1000
      const token = { token: 'access-token-of-ada', scope: scopes[0]!, obtainedAt: clock(), expires }
      const tokens = { refreshToken: 'refresh-of-ada', accessTokens: { [accessTokenKey(scopes)]: token } }
      await sessions.beginGrant(key, adaIdentity, tokens, { grantedScopes: scopes })
      return refreshTokens.first(key)
    }
  })

  const use = (refreshToken: string, by = 'app', origin = 'https://app.example.net', instance = refreshTokens) =>
    instance.use({
      refreshToken,
      client: { id: by, apis: [{ name: 'orders', scopes }] },
      scopes: undefined,
      origin,
      prepare: () => prepare(),
    })
  const outcome = (refreshToken: string, origin?: string, instance?: RefreshTokens) =>
    use(refreshToken, 'app', origin, instance).then(
      ({ refreshToken: next }) => next,
      (error: unknown) => (error as BrokerError).code,
    )

  it('that is repeated within its grace period receives the same answer', async () => {
    const first = await begin()
    const used = await use(first)

    clock.advance(29.999)

    expect(await use(first)).toEqual({ ...used, isRepeat: true })
    expect((await use(used.refreshToken)).token.token).toBe('access-token-of-ada')
  })

  it('that is repeated a second time within its grace period ends the family: a lost answer is repeated once', async () => {
    const first = await begin()
    const used = await use(first)
    expect(await outcome(first)).toBe(used.refreshToken)

    expect(await outcome(first)).toBe('grant_invalid')
    expect(await outcome(used.refreshToken)).toBe('grant_invalid')
  })

  it('is never repeated by two instances at the same moment, since the repeat is stored first', async () => {
    const first = await begin()
    await use(first)

    const repeats = await Promise.all([outcome(first), outcome(first, undefined, newInstance())])

    // The second repeat ends the family, which may end the first one's answer too.
    expect(repeats.filter((one) => one !== 'grant_invalid').length).toBeLessThanOrEqual(1)
    expect(await outcome(first)).toBe('grant_invalid')
  })

  it.each([
    ['another web origin', 'https://evil.example'],
    ['no web origin', ''],
  ])('that is repeated within its grace period from %s ends the family', async (_, origin) => {
    const [first, again] = [await begin(), await begin()]
    const used = await use(first)
    await use(again)

    expect(await outcome(first, origin)).toBe('grant_invalid')
    expect(await outcome(used.refreshToken)).toBe('grant_invalid')
    expect((await use(again)).isRepeat).toBe(true)
  })

  it('is used once by twenty requests at the same time, and its repeat stays available', async () => {
    const first = await begin()

    const at = await Promise.all(Array.from({ length: 20 }, () => use(first)))

    expect(new Set(at.map(({ refreshToken }) => refreshToken)).size).toBe(1)
    expect(at.every(({ isRepeat }) => !isRepeat)).toBe(true)
    expect(await use(first)).toMatchObject({ refreshToken: at[0]!.refreshToken, isRepeat: true })
  })

  it('that another instance used while this request was under way is no repeat', async () => {
    const first = await begin()
    let release: () => void = () => undefined
    const held = new Promise<void>((resolve) => (release = resolve))
    const slow = use(
      first,
      'app',
      undefined,
      newInstance(() => held),
    )
    clock.advance(1)
    const quick = await use(first)
    release()

    expect(await slow).toMatchObject({ refreshToken: quick.refreshToken, isRepeat: false })
    expect(await use(first)).toMatchObject({ refreshToken: quick.refreshToken, isRepeat: true })
  })

  it('reveals a thief who repeats each one that the owner uses, and lets an owner repeat now and then', async () => {
    let mine = await begin()
    const refreshes: string[] = []
    for (let i = 0; i < 10 && mine !== 'grant_invalid'; i++) {
      const next = await outcome(mine)
      refreshes.push(await outcome(mine)) // the thief, a moment later
      mine = next
      clock.advance(600)
    }
    expect(refreshes.indexOf('grant_invalid')).toBe(2)
    expect(await outcome(mine)).toBe('grant_invalid')

    let honest = await begin()
    for (let i = 0; i < 36; i++) {
      const next = await outcome(honest)
      if (i % 9 === 0) expect(await outcome(honest)).toBe(next) // an answer was lost
      honest = next
      clock.advance(600)
    }
    expect(await outcome(honest)).not.toBe('grant_invalid')
  })

  it('that is repeated after its grace period ends the family', async () => {
    const first = await begin()
    const used = await use(first)

    clock.advance(30)

    expect(await outcome(first)).toBe('grant_invalid')
    expect(await outcome(used.refreshToken)).toBe('grant_invalid')
  })

  it('that was used long ago still ends the family', async () => {
    const first = await begin()
    let last = first
    for (let i = 0; i < 20; i++) last = (await use(last)).refreshToken
    clock.advance(60)

    expect(await outcome(first)).toBe('grant_invalid')
    expect(await outcome(last)).toBe('grant_invalid')
  })

  it('is extended by use, but not beyond the absolute end', async () => {
    let handle = await begin(24 * hour)
    for (let i = 0; i < 12; i++) {
      clock.advance(hour - 60)
      handle = (await use(handle)).refreshToken
    }

    clock.set(Date.parse(start) + 12 * hour * 1000 - 1)
    handle = (await use(handle)).refreshToken
    clock.set(Date.parse(start) + 12 * hour * 1000)
    expect(await outcome(handle)).toBe('grant_invalid')
  })

  it('ends where it is not used', async () => {
    const handle = await begin()

    clock.advance(hour)

    expect(await outcome(handle)).toBe('grant_invalid')
  })

  it('returns a token that is still good while the provider fails, and stays good itself', async () => {
    const handle = await begin(1000)
    const up = provider
    provider = () => Promise.reject(new BrokerError('provider_unavailable'))
    clock.advance(850) // near its end, with more than two minutes left

    const used = await use(handle)
    const again = await use(handle)
    provider = up
    clock.advance(20)
    const after = await use(used.refreshToken)

    expect([used, again].map(({ token }) => token.token)).toEqual(['access-token-of-ada', 'access-token-of-ada'])
    expect(after.token.token).toBe('renewed')
  })

  it('stays unused while its answer cannot be prepared, and so does its repeat: a fault ends no session', async () => {
    const first = await begin()
    const fails = () => Promise.reject(new BrokerError('vault_forbidden'))

    prepare = fails
    for (let i = 0; i < 4; i++) expect(await outcome(first)).toBe('vault_forbidden')
    clock.advance(60)
    prepare = () => Promise.resolve()
    const used = await use(first)
    expect(used).toMatchObject({ isRepeat: false })

    prepare = fails
    for (let i = 0; i < 4; i++) expect(await outcome(first)).toBe('vault_forbidden')
    prepare = () => Promise.resolve()
    expect(await use(first)).toEqual({ ...used, isRepeat: true })
    expect(await outcome(first)).toBe('grant_invalid')
  })

  it('has one spelling: another one of the same bytes, or with more bytes, is refused, and the token stays valid', async () => {
    const handle = await begin()
    const bytes = Buffer.from(handle, 'base64url')
    // The last character has spare bits, which a decoder ignores.
    const spare = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const last = spare[spare.indexOf(handle.at(-1)!) + 1]!
    const others = [`${handle.slice(0, -1)}${last}`, bytes.toString('base64'), `${handle}AAAA`]

    expect(others.slice(0, 2).map((one) => Buffer.from(one, 'base64url'))).toEqual([bytes, bytes])
    for (const other of others) expect(await outcome(other)).toBe('grant_invalid')
    expect(await outcome(handle)).not.toBe('grant_invalid')
  })

  it('is refused at another front end, and does not end there', async () => {
    const handle = await begin()

    await expect(use(handle, 'other')).rejects.toMatchObject({ code: 'grant_invalid' })
    expect(await refreshTokens.findKey(handle, 'other')).toBeUndefined()
    expect(await outcome(handle)).not.toBe('grant_invalid')
  })

  it('leaves a row that reveals neither the person nor any token', async () => {
    const used = await use(await begin())
    const key = await refreshTokens.findKey(used.refreshToken, 'app')

    const row = await store.find('sessions', key!.rowKey)

    const values = Object.values(row!.values).map((value) => Buffer.from(value as Uint8Array).toString('latin1'))
    const secret = Buffer.from(key!.secret)
    for (const text of [
      'ada@contoso',
      'Ada Lovelace',
      'refresh-of',
      secret.toString('latin1'),
      secret.toString('base64url'),
    ]) {
      for (const value of values) expect(value).not.toContain(text)
    }
  })
})
