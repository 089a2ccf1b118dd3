import { randomUUID } from 'node:crypto'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { checkLogoutToken } from '../../../shared/provider/logout-token.ts'
import { createProviders } from '../../../shared/provider/registry.ts'
import type { Providers } from '../../../shared/provider/provider.ts'
import type { Store } from '../../../shared/store/store.ts'
import { clientId, jwk, rsaKey, startProviderServer } from './provider-server.ts'
import type { ProviderServer } from './provider-server.ts'

const key = rsaKey()
const event = 'http://schemas.openid.net/event/backchannel-logout'
let server: ProviderServer
let providers: Providers
beforeAll(async () => {
  server = await startProviderServer()
  server.publishes(jwk(key, { kid: 'current' }))
})
beforeEach(() => {
  providers = createProviders(server.cold())
})
afterAll(() => server.close())

const rows = new Set<string>()
/** The two operations that a check uses. */
const store = {
  find: (_, { row }) => Promise.resolve(rows.has(row) ? { partition: '', row, etag: '', values: {} } : undefined),
  insert: (_, { row }) => {
    rows.add(row)
    return Promise.resolve('etag')
  },
} as Pick<Store, 'find' | 'insert'> as Store

const token = (claims: object = {}, header: object = {}) =>
  new SignJWT({
    iss: server.authority,
    aud: clientId,
    iat: Math.floor(server.now.value / 1000),
    jti: randomUUID(),
    sid: 'session',
    events: { [event]: {} },
    ...claims,
  })
    .setProtectedHeader({ alg: 'RS256', kid: 'current', ...header })
    .sign(key.privateKey)
const check = async (text: string | Promise<string>) =>
  checkLogoutToken(await text, { providers, store, clock: () => server.now.value })
const refused = (detail: string) => ({ code: 'logout_token_refused', detail })

describe('a logout token', () => {
  it.each(['logout+jwt', 'application/logout+jwt', 'LOGOUT+JWT', 'JWT', 'jwt', 'application/jwt', '', null, undefined])(
    'is accepted with the type %j',
    async (typ) => {
      expect(await check(token({}, { typ }))).toMatchObject({ issuer: server.authority, sessionId: 'session' })
    },
  )

  it.each(['at+jwt', 'application/at+jwt', 'secevent+jwt', 'JWE', 7])('is refused with the type %j', async (typ) => {
    await expect(check(token({}, { typ }))).rejects.toMatchObject(refused('typ'))
  })

  it.each<[string, object, string]>([
    ['a nonce, as an ID token', { nonce: 'n' }, 'nonce'],
    ['no event, as an ID token', { events: undefined }, 'events'],
    ['another event', { events: { 'http://schemas.openid.net/event/other': {} } }, 'events'],
    ['another audience', { aud: 'another' }, 'aud'],
    ['other audiences', { aud: ['another', 'account'] }, 'aud'],
    ['an unknown issuer', { iss: 'https://login.example' }, 'iss'],
    ['an issuer that is no text', { iss: [1] }, 'iss'],
  ])('is refused with %s', async (_, claims, detail) => {
    await expect(check(token(claims, { typ: 'JWT' }))).rejects.toMatchObject(refused(detail))
    await expect(check(token({}, { typ: 'JWT' }))).resolves.toBeDefined()
  })

  it('is accepted for a list of audiences that names this client', async () => {
    expect(await check(token({ aud: [clientId] }))).toMatchObject({ sessionId: 'session' })
    for (const aud of [
      [clientId, 'account'],
      ['account', clientId],
    ]) {
      expect(await check(token({ aud, azp: clientId }))).toMatchObject({ sessionId: 'session' })
      await expect(check(token({ aud }))).rejects.toMatchObject(refused('aud'))
    }
  })

  it('is refused a second time once its sessions have ended', async () => {
    const text = await token()
    const first = await check(text)
    await expect(check(text)).resolves.toBeDefined()

    await first.remember()

    await expect(check(text)).rejects.toMatchObject(refused('jti came before'))
  })
})
