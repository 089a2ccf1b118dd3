import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { deskPage, shopPage } from '../setup/person.ts'
import type { Person } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

describe('a front end that requests the resources of another front end', () => {
  let stack: Stack
  let person: Person
  beforeAll(async () => {
    stack = await startStack()
    person = stack.person()
    await person.signIn({ frontend: 'desk', return_url: 'http://localhost:4200/' })
    await person.signIn({ frontend: 'shop', return_url: 'http://localhost:3000/' })
  })
  afterAll(() => stack.close())

  it('gets no token for the other’s API, whether or not the person is signed in at both', async () => {
    const own = await person.sessionToken(shopPage, { api: 'orders' })
    const others = await person.sessionToken(shopPage, { api: 'bills' })
    const theirs = await person.sessionToken(deskPage, { api: 'bills' })

    expect(own.status).toBe(200)
    expect(decodeJwt(own.json.access_token as string).aud).toBe('api://demo')
    expect(others.status).toBe(403)
    expect(others.json).toMatchObject({ code: 'api_unknown', responsible: 'front end' })
    expect(theirs.status).toBe(200)
    expect(decodeJwt(theirs.json.access_token as string).aud).toBe('api://bills')
  })

  it.each([
    'api://bills/read',
    'api://demo/orders.read api://bills/read',
    'api://demo/.default',
    'API://DEMO/ORDERS.READ',
    'openid',
    'offline_access',
  ])('gets no token for the scope %s', async (scope) => {
    stack.identityProvider.resetRequests()

    const reply = await person.sessionToken(shopPage, { api: 'orders', scope })

    expect(reply.status).toBe(400)
    expect(reply.json.code).toBe('scope_not_registered')
    expect(stack.identityProvider.requests).toEqual([])
    expect((await person.sessionToken(shopPage, { api: 'orders', scope: 'api://demo/orders.read' })).status).toBe(200)
  })

  it.each(['', 'Orders', '__proto__', 'orders ', 'constructor'])('knows no API called "%s"', async (api) => {
    expect((await person.sessionToken(shopPage, { api })).json.code).toBe('api_unknown')
  })

  it.each(['/session', '/session/token', '/logout'])('is rejected at %s under the other’s name', async (path) => {
    const method = path === '/session' ? 'GET' : 'POST'
    const body = method === 'POST' ? { body: JSON.stringify(path === '/logout' ? {} : { api: 'bills' }) } : {}

    const reply = await person.script({ id: 'desk', origin: shopPage.origin }, path, { method, ...body })

    expect(reply.status).toBe(400)
    expect(reply.json.code).toBe('front_end_conflict')
    expect((await person.script(deskPage, '/session')).status).toBe(200)
  })

  it('cannot send its own sign-in to the other’s page', async () => {
    const reply = await stack.person().begin({ frontend: 'shop', return_url: 'http://localhost:4200/' })

    expect(reply.status).toBe(400)
    expect(reply.text).toContain('return_url_not_registered')
    expect(reply.text).not.toContain('localhost:4200')
  })

  it('cannot request the other’s scopes at a sign-in', async () => {
    const begin = (scope: string) =>
      stack.person().begin({ frontend: 'shop', return_url: 'http://localhost:3000/', scope })

    expect((await begin('api://bills/read')).text).toContain('scope_not_registered')
    expect((await begin('api://demo/orders.read')).status).toBe(303)
  })

  it('cannot send its own sign-out to the other’s page', async () => {
    const reply = await person.script(shopPage, '/logout', {
      method: 'POST',
      body: JSON.stringify({ return_url: 'http://localhost:4200/' }),
    })

    expect(reply.status).toBe(400)
    expect(reply.json.code).toBe('return_url_not_registered')
    expect((await person.script(shopPage, '/session')).status).toBe(200)
  })

  it('that is not registered receives the line that registers it', async () => {
    const reply = await person.script({ id: 'my-new-app', origin: 'http://localhost:9999' }, '/session')

    expect(reply.status).toBe(400)
    expect(reply.json.code).toBe('front_end_unknown')
    expect(JSON.parse(reply.json.registration as string)).toMatchObject({
      id: 'my-new-app',
      origins: ['http://localhost:9999'],
    })
    expect(reply.headers.get('access-control-allow-origin')).toBeNull()
  })
})
