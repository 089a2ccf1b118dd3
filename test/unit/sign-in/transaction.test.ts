import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { BrokerError } from '../../../shared/errors/errors.ts'
import type { LoginParameters } from '../../../shared/front-ends/login-parameters.ts'
import type { RequestCookies } from '../../../shared/http/cookies.ts'
import type { KeyRing } from '../../../shared/crypto/key-ring.ts'
import { openIdProfile } from '../../../shared/provider/openid.ts'
import type { IdentityProvider } from '../../../shared/provider/provider.ts'
import { createProviders } from '../../../shared/provider/registry.ts'
import { createSignInStart } from '../../../shared/sign-in/sign-in-start.ts'
import {
  checkTransaction,
  endOldest,
  frontEndIdOf,
  newState,
  openTransaction,
  sealTransaction,
  transactionCookieName,
} from '../../../shared/sign-in/transaction.ts'
import { noFlowEvents } from '../../../shared/telemetry/flow-events.ts'
import { randomText } from '../../../shared/crypto/pkce.ts'
import type { Transaction } from '../../../shared/sign-in/transaction.ts'
import { registered } from '../front-ends/registered.ts'
import { createClock, openRing, startSessionParts } from '../session/parts.ts'
import type { SessionParts } from '../session/parts.ts'

const lifetimeSeconds = 300
const clock = createClock('2026-11-05T12:00:00Z')
const shop = { id: 'shop', origins: ['https://shop.example.com'] }
const current = { frontEnds: registered(shop), lifetimeSeconds, clock }

let parts: SessionParts
let ring: KeyRing
/** Of another deployment. */
let otherRing: KeyRing
beforeAll(async () => {
  parts = await startSessionParts()
  const [{ connect }, other] = [await parts.newTables(), await parts.newTables()]
  ring = openRing({ store: connect(), vault: parts.newVault(), clock })
  otherRing = openRing({ store: other.connect(), vault: parts.newVault(), clock })
})
afterAll(() => parts.close())

function begin(more: Partial<Transaction> = {}): Transaction {
  return {
    state: newState('shop'),
    nonce: randomText(),
    codeVerifier: randomText(),
    issuer: 'https://login.example.com/tenant/v2.0',
    issuerInAnswers: true,
    clientId: '22222222-2222-4222-8222-222222222222',
    frontEndId: 'shop',
    returnUrl: 'https://shop.example.com/orders#last',
    responseMode: 'form_post',
    scopes: ['openid', 'profile'],
    replaces: undefined,
    begunAt: clock(),
    ...more,
  }
}

async function sealed(transaction: Transaction, by: KeyRing = ring): Promise<[name: string, value: string]> {
  const { name, value } = sealTransaction(transaction, await by.current(), lifetimeSeconds)
  return [name, value]
}

const cookies = (...all: [string, string][]): RequestCookies => new Map(all)

const code = async (work: () => unknown): Promise<string> => {
  try {
    await work()
  } catch (error) {
    return (error as BrokerError).code
  }
  return 'none'
}

describe('a state', () => {
  it('has 256 random bits and the front end’s name behind them', () => {
    const states = Array.from({ length: 200 }, () => newState('my-shop'))

    for (const state of states) {
      expect(state).toMatch(/^[\w-]{43}\.my-shop$/)
      expect(frontEndIdOf(state)).toBe('my-shop')
    }
    expect(new Set(states).size).toBe(200)
    expect(new Set(states.map(transactionCookieName)).size).toBe(200)
  })
})

describe('a transaction', () => {
  it('is found complete by its state', async () => {
    const transaction = begin({ replaces: { partition: 'a', row: 'b' } })

    const opened = await openTransaction(transaction.state, cookies(await sealed(transaction)), ring)

    expect(opened).toEqual(transaction)
  })

  it('reveals no content to a holder of the cookie', async () => {
    const transaction = begin()
    const { value, sameSite, maxAge } = sealTransaction(transaction, await ring.current(), lifetimeSeconds)

    expect(value).toMatch(/^2026-11-[0-9a-f]{8}\.[\w-]+$/)
    expect({ sameSite, maxAge }).toEqual({ sameSite: 'None', maxAge: lifetimeSeconds })
    const bytes = Buffer.from(value.split('.')[1] ?? '', 'base64url').toString('latin1')
    for (const secret of [transaction.state, transaction.nonce, transaction.codeVerifier, 'shop']) {
      expect(bytes).not.toContain(secret)
    }
    const [, again] = await sealed(transaction)
    expect(again).not.toBe(value)
  })

  it('is opened by no other state, under no other name and by no other deployment', async () => {
    const [transaction, other] = [begin(), begin()]
    const [[name, value], [otherName, otherValue]] = [await sealed(transaction), await sealed(other)]
    const open = (state: string, by: KeyRing, ...all: [string, string][]) =>
      code(() => openTransaction(state, cookies(...all), by))

    expect(await open(transaction.state, ring, [name, value])).toBe('none')
    expect(await open(transaction.state, ring)).toBe('sign_in_unknown')
    expect(await open(other.state, ring, [name, value])).toBe('sign_in_unknown')
    expect(await open(other.state, ring, [otherName, value])).toBe('sign_in_unknown')
    expect(await open(transaction.state, ring, [name, otherValue])).toBe('sign_in_unknown')
    expect(await open(transaction.state, otherRing, [name, value])).toBe('sign_in_unknown')
    expect(await open(`${transaction.state.slice(0, 43)}.desk`, ring, [name, value])).toBe('sign_in_unknown')
  })

  it('does not open with one character changed', async () => {
    const transaction = begin()
    const [name, value] = await sealed(transaction)
    const start = value.indexOf('.') + 1
    const bytes = Buffer.from(value.slice(start), 'base64url')

    for (let at = 0; at < bytes.length; at += 7) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ 1
      const cookie: [string, string] = [name, value.slice(0, start) + changed.toString('base64url')]
      expect(await code(() => openTransaction(transaction.state, cookies(cookie), ring))).toBe('sign_in_unknown')
    }
    for (const length of [0, 1, 12, 27, 28, bytes.length - 1]) {
      const cookie: [string, string] = [name, value.slice(0, start) + bytes.subarray(0, length).toString('base64url')]
      expect(await code(() => openTransaction(transaction.state, cookies(cookie), ring))).toBe('sign_in_unknown')
    }
  })

  it('that began in the last minute of a month can be completed in the next', async () => {
    const month = createClock('2026-11-30T23:59:30Z')
    const { connect } = await parts.newTables()
    const here = openRing({ store: connect(), vault: parts.newVault(), clock: month })
    const transaction = begin({ begunAt: month() })
    const cookie = await sealed(transaction, here)
    month.advance(60)
    await here.current()

    const opened = await openTransaction(transaction.state, cookies(cookie), here)

    expect(cookie[1]).toMatch(/^2026-11-/)
    expect(checkTransaction(opened, { ...current, clock: month })).toEqual(transaction)
  })

  it('is valid to its last millisecond, and expired after it', async () => {
    const start = createClock('2026-11-05T12:00:00Z')
    const transaction = begin({ begunAt: start() })
    const check = () => code(() => checkTransaction(transaction, { ...current, clock: start }))

    expect(await check()).toBe('none')
    start.advance(lifetimeSeconds)
    expect(await check()).toBe('none')
    start.advance(0.001)
    expect(await check()).toBe('sign_in_expired')
    start.advance(365 * 24 * 3600)
    expect(await check()).toBe('sign_in_expired')
  })

  it('is valid for a front end and a return URL that are still registered, and for no other', async () => {
    const check = (...frontEnds: object[]) =>
      code(() => checkTransaction(begin(), { ...current, frontEnds: registered(...frontEnds) }))

    expect(await check(shop)).toBe('none')
    expect(await check({ ...shop, returnUrls: ['https://shop.example.com/orders'] })).toBe('none')
    expect(await check({ ...shop, returnUrls: ['https://shop.example.com/other'] })).toBe('return_url_not_registered')
    expect(await check({ ...shop, origins: ['https://new.example.com'] })).toBe('return_url_not_registered')
    expect(await check({ ...shop, id: 'desk' })).toBe('front_end_unknown')
    expect(await check()).toBe('front_end_unknown')
  })

  it('that a browser would drop for its size is not started', async () => {
    const returnUrl = `https://shop.example.com/${'a'.repeat(1000)}`
    const scopes = (length: number) => [`api://orders/${'a'.repeat(length)}`]

    const [name, value] = await sealed(begin({ returnUrl, scopes: scopes(800) }))
    expect(name.length + value.length).toBeLessThanOrEqual(4096)
    expect(await code(() => sealed(begin({ returnUrl, scopes: scopes(2000) })))).toBe('parameter_invalid')
  })

  it('keeps the parameters of its link as far as they fit into the cookie, the shortest first', async () => {
    const kept = async (repeated: LoginParameters) => {
      const transaction = begin({ repeated })
      const [name, value] = await sealed(transaction)
      expect(name.length + value.length).toBeLessThanOrEqual(4096)
      return (await openTransaction(transaction.state, cookies([name, value]), ring)).repeated
    }
    const conditions = { prompt: 'login', max_age: '0' }
    const hints = { login_hint: 'ada@contoso.example', ui_locales: 'de' }

    expect(await kept({ ...hints, ...conditions })).toEqual({ ...hints, ...conditions })
    // A challenge may have 4,096 characters. The link must not lose the new sign-in with it.
    expect(await kept({ ...hints, claims: 'a'.repeat(4000), ...conditions })).toEqual({ ...hints, ...conditions })
    const long = { login_hint: '\u{1f600}'.repeat(256), acr_values: 'a'.repeat(512), domain_hint: 'b'.repeat(255) }
    expect(await kept({ claims: 'a'.repeat(2000), ...long, ...conditions })).toEqual({ ...long, ...conditions })
    expect(await kept({ login_hint: 'a'.repeat(4000) })).toEqual({})
  })
})

describe('a sign-in that an instance of the previous release may finish', () => {
  it('requests the scope phone at the provider, and keeps only scopes that this release knows', async () => {
    const issuer = 'https://op.example.com'
    const profile = openIdProfile({ authority: issuer })
    const metadata = profile.checkMetadata({
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      jwks_uri: `${issuer}/keys`,
      scopes_supported: ['openid', 'phone', 'address', 'offline_access'],
    })
    const names = { id: 'primary', issuer, clientId: 'broker', redirectUri: 'https://login.example.com/callback' }
    const provider = { ...names, profile, metadata: () => Promise.resolve(metadata) } as IdentityProvider
    const apis = [{ name: 'orders', scopes: ['api://orders/read'] }]
    const start = createSignInStart({
      ...current,
      frontEnds: registered({ ...shop, apis, claims: ['phone_number', 'address'] }),
      providers: createProviders(provider),
      sessions: { keyOf: () => undefined },
      ring,
      baseUrl: 'https://login.example.com',
      flowEvents: noFlowEvents,
    })

    const begun = await start.begin(new URLSearchParams(), {
      origin: undefined,
      cookies: new Map(),
      isNavigation: true,
    })

    if (!('url' in begun)) throw new Error('there is one provider')
    const { searchParams: sent } = new URL(begun.url)
    const [cookie] = begun.cookies
    const { scopes } = await openTransaction(sent.get('state')!, cookies([cookie!.name, cookie!.value]), ring)
    expect(sent.get('scope')).toBe('openid profile address phone offline_access api://orders/read')
    // The release before the scopes of claims counts `phone` as a scope of an API.
    expect(scopes).toEqual(['openid', 'profile', 'offline_access', 'api://orders/read'])
  })
})

describe('a browser with unfinished sign-ins', () => {
  it('loses those that no longer open, then the oldest, so that a new one is one of three', async () => {
    const [old, middle, young] = [begin({ begunAt: 1000 }), begin({ begunAt: 2000 }), begin({ begunAt: 3000 })]
    const [oldest, next, last] = [await sealed(old), await sealed(middle), await sealed(young)]
    const broken: [string, string] = ['__Host-signin-AAAAAAAA', '2026-11.AAAA']
    const session: [string, string] = ['__Host-session-shop', 'a']
    const ended = async (...all: [string, string][]) =>
      (await endOldest(cookies(...all), ring)).map(({ name, maxAge, value }) => {
        expect({ maxAge, value }).toEqual({ maxAge: 0, value: '' })
        return name
      })

    expect(await ended()).toEqual([])
    expect(await ended(last, oldest, session)).toEqual([])
    expect(await ended(last, oldest, next, session)).toEqual([oldest[0]])
    expect(await ended(last, broken, next, session)).toEqual([broken[0]])
    expect(await ended(next, last, oldest, broken, session)).toEqual([broken[0], oldest[0]])
  })

  it('has no cookie deleted whose name the broker did not set', async () => {
    const planted = ['', 'a b c d e', 'a(b)c{d}', '<script>', 'AAAAAAAAA'].map((name): [string, string] => [
      `__Host-signin-${name}`,
      '2026-11.AAAA',
    ])
    const own: [string, string][] = ['AAAAAAAA', 'BBBBBBBB', '--__--__'].map((name) => [
      `__Host-signin-${name}`,
      '2026-11.AAAA',
    ])

    expect(await endOldest(cookies(...planted), ring)).toEqual([])
    expect(await endOldest(cookies(...planted, ...own), ring)).toMatchObject([{ name: '__Host-signin-AAAAAAAA' }])
  })
})
