import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startDemoApi } from '../../../local/demo/api.ts'
import type { DemoApi } from '../../../local/demo/api.ts'
import { createSigningKey } from '../../../local/identity-provider/signing-keys.ts'
import { billsRead, everyScope, startWorld, tenantId } from './identity-provider-fixture.ts'
import type { World } from './identity-provider-fixture.ts'

const frontEnd = 'http://localhost:7175'

let world: World
let api: DemoApi

beforeAll(async () => {
  world = await startWorld()
  const { issuer, jwksUrl } = world.provider
  api = await startDemoApi({
    port: 0,
    issuer,
    jwksUrl,
    ca: world.ca,
    audience: 'api://demo',
    corsOrigins: () => [frontEnd],
  })
})
afterEach(() => world.provider.changeTokenResponse())
afterAll(async () => {
  await api.close()
  await world.close()
})

const tokenFor = async (scope = everyScope) =>
  String((await world.redeem(await world.signIn({ scope }))).json['access_token'])

const call = (
  token?: string,
  { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {},
) =>
  fetch(api.url, { method, headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...headers } })

describe('the demo API', () => {
  it('returns the caller’s identity from the token', async () => {
    const answer = await call(await tokenFor())

    expect(answer.status).toBe(200)
    expect(await answer.json()).toEqual({
      caller: { name: 'Ada Lovelace', oid: 'aaaaaaaa-0001-4000-8000-000000000001', tid: tenantId },
      scopes: ['orders.read'],
      orders: expect.any(Array) as unknown[],
    })
  })

  it('requires a token where there is none, and names no error in that case', async () => {
    const answer = await call()

    expect(answer.status).toBe(401)
    expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="demo"')
  })

  it('refuses a token for another API', async () => {
    const answer = await call(await tokenFor(`openid ${billsRead}`))

    expect(answer.status).toBe(401)
    expect(answer.headers.get('www-authenticate')).toContain('error="invalid_token"')
  })

  it('refuses a token that another key signed, and one of another issuer', async () => {
    const { privateKey } = await createSigningKey()
    const spoil = (claims: object, key?: typeof privateKey) => {
      world.provider.changeTokenResponse(async ({ answer, signIdToken }) => {
        const [, payload = ''] = String(answer['access_token']).split('.')
        const original = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object
        return { ...answer, access_token: await signIdToken({ ...original, ...claims }, {}, key) }
      })
      return tokenFor()
    }

    expect((await call(await spoil({}, privateKey))).status).toBe(401)
    expect((await call(await spoil({ iss: 'https://localhost/other' }))).status).toBe(401)
    expect((await call(await spoil({ exp: 1 }))).status).toBe(401)
    expect((await call(await spoil({}))).status).toBe(200)
  })

  it('requires the scope of the operation', async () => {
    const reader = await tokenFor()
    const writer = await tokenFor('openid api://demo/orders.read api://demo/orders.write')

    const refused = await call(reader, { method: 'POST' })

    expect(refused.status).toBe(403)
    expect(refused.headers.get('www-authenticate')).toContain('error="insufficient_scope"')
    expect(refused.headers.get('www-authenticate')).toContain('scope="orders.write"')
    expect((await call(writer, { method: 'POST' })).status).toBe(200)
  })

  it('accepts tokens of a key that rolled a moment ago', async () => {
    expect((await call(await tokenFor())).status).toBe(200)

    await world.provider.rotateKeys()

    expect((await call(await tokenFor())).status).toBe(200)
  })

  it('lets registered front ends call from a browser, and no others', async () => {
    const preflight = (origin: string) =>
      call(undefined, {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'GET', 'access-control-request-headers': 'authorization' },
      })

    const allowed = await preflight(frontEnd)
    const refused = await preflight('http://localhost:7175.example')

    expect(allowed.headers.get('access-control-allow-origin')).toBe(frontEnd)
    expect(allowed.headers.get('access-control-allow-headers')).toContain('authorization')
    expect(refused.headers.has('access-control-allow-origin')).toBe(false)
    expect(allowed.headers.get('vary')).toBe('Origin')
  })

  it('answers no other path and no other method', async () => {
    expect((await fetch(`${api.url}/1`)).status).toBe(404)
    expect((await call(await tokenFor(), { method: 'DELETE' })).status).toBe(405)
  })
})
