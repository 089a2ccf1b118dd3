import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Fault } from '../../local/identity-provider/identity-provider.ts'
import { shopPage } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { attemptAnew, isSignedIn, toShop } from './hostile-request.ts'

type Changes = Readonly<Record<string, unknown>>

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
})
afterEach(() => {
  stack.identityProvider.changeTokenResponse()
  stack.identityProvider.faults.clear()
  stack.identityProvider.resetRequests()
})
afterAll(() => stack.close())

/** The value undefined removes the member. */
function withAnswer(changes: Changes): void {
  stack.identityProvider.changeTokenResponse(({ answer }) => ({ ...answer, ...changes }))
}

const redemptions = () => stack.identityProvider.requests.filter(({ endpoint }) => endpoint === 'token').length

describe('a token answer of the provider', () => {
  it.each<[string, Changes]>([
    ['has no ID token', { id_token: undefined }],
    ['has an empty ID token', { id_token: '' }],
    ['has no access token', { access_token: undefined }],
    ['has an empty access token', { access_token: '' }],
    ['has an access token that is no text', { access_token: 7 }],
    ['has no type', { token_type: undefined }],
    ['is of another type', { token_type: 'mac' }],
    ['has a lifetime that is a word', { expires_in: 'soon' }],
    ['has a lifetime of no time', { expires_in: 0 }],
    ['has a negative lifetime', { expires_in: -3600 }],
    ['is larger than 256 KB', { note: 'n'.repeat(256 * 1024) }],
  ])('that %s signs no person in, and the next honest answer does', async (_what, changes) => {
    withAnswer(changes)
    const refused = await attemptAnew(stack)

    expect(refused.status).toBe(503)
    expect(refused.json).toMatchObject({ code: 'provider_answer_invalid' })
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/)
    expect(refused.cookies.some((cookie) => cookie.startsWith('__Host-session-'))).toBe(false)
    expect(redemptions()).toBe(1)

    stack.identityProvider.changeTokenResponse()
    expect(isSignedIn(await attemptAnew(stack))).toBe(true)
  })

  it.each<[string, Changes]>([
    ['spell Bearer in any case', { token_type: 'bearer' }],
    ['name its lifetime by digits in a text', { expires_in: '3600' }],
    ['name no lifetime', { expires_in: undefined }],
  ])('may %s', async (_what, changes) => {
    withAnswer(changes)

    expect(isSignedIn(await attemptAnew(stack))).toBe(true)
  })

  it('with a lifetime of ten years is used for one day', async () => {
    withAnswer({ expires_in: 315_360_000 })
    const person = stack.person()
    await person.signIn(toShop)

    const token = await person.sessionToken(shopPage, { api: 'orders' })

    expect(token.status).toBe(200)
    expect(token.json.expires_in).toBeGreaterThan(80_000)
    expect(token.json.expires_in).toBeLessThanOrEqual(86_400)
  })

  it.each<[string, Omit<Fault, 'endpoint'>, number, string]>([
    ['HTML', { body: '<h1>Hello</h1>', contentType: 'text/html' }, 503, 'provider_answer_invalid'],
    ['broken JSON', { body: '{"access_token":', contentType: 'application/json' }, 503, 'provider_answer_invalid'],
    ['a list', { body: [] }, 503, 'provider_answer_invalid'],
    ['an empty object', { body: {} }, 503, 'provider_answer_invalid'],
    ['JSON with the content type of text', { body: '{}', contentType: 'text/plain' }, 503, 'provider_answer_invalid'],
    ['a redirect', { status: 302, body: {} }, 503, 'provider_answer_invalid'],
    ['a redirect that keeps the body', { status: 307, body: {} }, 503, 'provider_answer_invalid'],
    ['a refusal without an error', { status: 400, body: {} }, 503, 'provider_answer_invalid'],
  ])('that is %s signs no person in, and the code is sent once', async (_what, fault, status, code) => {
    stack.identityProvider.faults.add({ endpoint: 'token', ...fault })
    const refused = await attemptAnew(stack)

    expect(refused.status).toBe(status)
    expect(refused.json).toMatchObject({ code })
    expect(redemptions()).toBe(1)

    stack.identityProvider.faults.clear()
    expect(isSignedIn(await attemptAnew(stack))).toBe(true)
  })

  it('without tokens fails a refresh, and the session stays', async () => {
    const person = stack.person()
    await person.signIn(toShop)
    const narrower = { api: 'orders', scope: 'api://demo/orders.read' }
    withAnswer({ access_token: undefined })
    const refused = await person.sessionToken(shopPage, narrower)

    expect(refused.status).toBe(503)
    expect(refused.json).toMatchObject({ code: 'provider_answer_invalid' })
    expect((await person.script(shopPage, '/session')).status).toBe(200)

    stack.identityProvider.changeTokenResponse()
    expect((await person.sessionToken(shopPage, narrower)).status).toBe(200)
  })
})
