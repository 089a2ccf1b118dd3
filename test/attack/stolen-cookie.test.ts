import { decodeJwt } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { clockAhead } from '../setup/clock.ts'
import { deskPage, shopPage } from '../setup/person.ts'
import type { Call, FrontEndPage, Person } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

describe('a thief of a session cookie', () => {
  let stack: Stack
  let owner: Person
  let cookie: string
  beforeAll(async () => {
    stack = await startStack({ instances: 2 })
  })
  beforeEach(async () => {
    owner = stack.person()
    await owner.signIn({ frontend: 'shop', return_url: 'http://localhost:3000/' })
    cookie = (await owner.cookies())['__Host-session-shop']!
    stack.identityProvider.resetRequests()
  })
  afterAll(() => stack.close())

  /** Sends headers that a script cannot set: a thief uses their own program. */
  const thief = (page: FrontEndPage, path: string, call: Call = {}) =>
    stack.person().script(page, path, {
      ...call,
      headers: { cookie: `__Host-session-${page.id}=${cookie}`, ...call.headers },
    })
  const token = (page: FrontEndPage, body: object, call: Call = {}) =>
    thief(page, '/session/token', { ...call, method: 'POST', body: JSON.stringify(body) })

  it('gets the session and that front end’s access tokens, as its owner', async () => {
    const session = await thief(shopPage, '/session')
    const { json } = await token(shopPage, { api: 'orders' })

    expect(session.json.username).toBe('ada@contoso.example')
    expect(decodeJwt(json.access_token as string)).toMatchObject({ aud: 'api://demo' })
  })

  it('gets no refresh token in any answer, and nothing that renews one', async () => {
    const answers = [
      await thief(shopPage, '/session'),
      await token(shopPage, { api: 'orders' }),
      await token(shopPage, { api: 'orders', scope: 'api://demo/orders.read' }),
      await thief(shopPage, '/logout', { method: 'POST', body: '{}' }),
    ]

    const [used] = stack.identityProvider.requests.map(({ form }) => form).filter(Boolean)
    const all = answers.map(({ text, headers }) => text + JSON.stringify([...headers])).join('\n')
    expect(used).toHaveProperty('refresh_token')
    for (const secret of [used!.refresh_token!, used!.client_assertion!]) expect(all).not.toContain(secret)
    for (const { json } of answers) {
      expect(json).not.toHaveProperty('refresh_token')
      expect(json).not.toHaveProperty('id_token')
    }
  })

  it('gets nothing from another front end: no session, no API, no scope', async () => {
    const attempts = [
      await thief(deskPage, '/session'),
      await token(deskPage, { api: 'bills' }),
      await token(shopPage, { api: 'bills' }),
      await token(shopPage, { api: 'orders', scope: 'api://bills/read' }),
      await thief({ id: 'desk', origin: shopPage.origin }, '/session'),
    ]

    expect(attempts.map(({ status }) => status)).toEqual([401, 401, 403, 400, 400])
    expect((await token(shopPage, { api: 'orders' })).status).toBe(200)
  })

  it('cannot use it as a refresh token, a code or a state', async () => {
    const post = (path: string, fields: Record<string, string>) =>
      stack.person().call(path, {
        method: 'POST',
        body: new URLSearchParams(fields),
        headers: { accept: 'application/json' },
      })

    const attempts = [
      await post('/token', { grant_type: 'refresh_token', client_id: 'shop', refresh_token: cookie }),
      await post('/token', { grant_type: 'authorization_code', client_id: 'shop', code: cookie }),
      await post('/callback', { state: cookie, code: cookie }),
      await stack.person().call(`/logout/done?state=${cookie}`),
    ]

    for (const { status, text, location } of attempts) {
      expect(status).toBeGreaterThanOrEqual(400)
      expect(status).toBeLessThan(500)
      expect(location).toBeNull()
      expect(text).not.toContain(cookie)
    }
    expect((await thief(shopPage, '/session')).status).toBe(200)
  })

  it('can use it until its owner signs out, and not afterwards, on any instance', async () => {
    expect((await thief(shopPage, '/session')).status).toBe(200)

    await owner.script(shopPage, '/logout', { method: 'POST' })

    for (const { url: at } of stack.brokers) {
      expect((await thief(shopPage, '/session', { at })).status).toBe(401)
      expect((await token(shopPage, { api: 'orders' }, { at })).status).toBe(401)
    }
  })

  it('can use it until its owner signs in again', async () => {
    await owner.signIn({ frontend: 'shop', return_url: 'http://localhost:3000/' })

    expect((await thief(shopPage, '/session')).status).toBe(401)
    expect((await owner.script(shopPage, '/session')).status).toBe(200)
  })

  it('cannot extend it beyond its idle end by reading the session, or beyond its absolute end by using it', async () => {
    const first = (await thief(shopPage, '/session')).json
    const idleOver = await stack.startInstance(clockAhead(3601))
    const nearAbsolute = await stack.startInstance({ ...clockAhead(43_190), Broker__SessionIdleSeconds: '43200' })

    expect((await thief(shopPage, '/session')).json).toEqual(first)
    expect((await thief(shopPage, '/session', { at: idleOver.url })).status).toBe(401)
    expect((await token(shopPage, { api: 'orders' }, { at: idleOver.url })).status).toBe(401)
    expect((await thief(shopPage, '/session', { at: nearAbsolute.url })).status).toBe(401)
    expect((await token(shopPage, { api: 'orders' })).status).toBe(200)
    expect((await thief(shopPage, '/session')).json.expires_at).toBe(first.expires_at)
  })
})
