import { createHash } from 'node:crypto'
import { decodeJwt } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { TokenChange } from '../../local/identity-provider/identity-provider.ts'
import { shopPage } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { ecKey, rsaKey } from '../unit/provider/provider-server.ts'
import { attemptAnew, isSignedIn } from './hostile-request.ts'

type Claims = Readonly<Record<string, unknown>>

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
})
afterEach(() => {
  stack.identityProvider.changeTokenResponse()
})
afterAll(() => stack.close())

const now = () => Math.floor(Date.now() / 1000)
const without = (name: string) => (claims: Claims) =>
  Object.fromEntries(Object.entries(claims).filter(([other]) => other !== name))

/** The provider answers with an ID token of the same claims, changed, and signed with its own key. */
function withClaims(change: (claims: Claims) => Claims): void {
  withToken(({ answer, signIdToken }) => signIdToken(change(decodeJwt(answer.id_token as string))))
}

function withToken(make: (change: TokenChange) => string | Promise<string>): void {
  stack.identityProvider.changeTokenResponse(async (change) => ({ ...change.answer, id_token: await make(change) }))
}

describe('an ID token of the provider', () => {
  it('signs a person in when it is signed again without a change', async () => {
    withClaims((claims) => claims)

    expect(isSignedIn(await attemptAnew(stack))).toBe(true)
  })

  it.each<[string, (claims: Claims) => Claims]>([
    ['of another issuer', (claims) => ({ ...claims, iss: 'https://login.example/v2.0' })],
    ['whose issuer differs by a slash', ({ iss, ...rest }) => ({ ...rest, iss: `${String(iss)}/` })],
    [
      'whose issuer differs by case',
      ({ iss, ...rest }) => ({ ...rest, iss: String(iss).replace('localhost', 'Localhost') }),
    ],
    ['for another application', (claims) => ({ ...claims, aud: '44444444-4444-4444-8444-444444444444' })],
    ['without an audience', without('aud')],
    ['for the broker and another audience', ({ aud, ...rest }) => ({ ...rest, aud: [aud, 'stranger'] })],
    ['made for another party', (claims) => ({ ...claims, azp: 'stranger' })],
    ['of another sign-in', (claims) => ({ ...claims, nonce: 'stolen' })],
    ['without a nonce', without('nonce')],
    ['without an expiry', without('exp')],
    ['that has expired', (claims) => ({ ...claims, exp: now() - 400 })],
    ['whose expiry is a string', (claims) => ({ ...claims, exp: String(now() + 3600) })],
    ['without an issue time', without('iat')],
    ['issued tomorrow', (claims) => ({ ...claims, iat: now() + 86_400 })],
    ['not valid yet', (claims) => ({ ...claims, nbf: now() + 400 })],
    ['of another tenant', (claims) => ({ ...claims, tid: '99999999-9999-4999-8999-999999999999' })],
    ['without a tenant', without('tid')],
    ['without a subject', without('sub')],
    ['with an empty subject', (claims) => ({ ...claims, sub: '' })],
    ['without an object id', without('oid')],
    ['beside another access token', (claims) => ({ ...claims, at_hash: hashOf('another') })],
  ])('%s signs no person in, and the next honest token does', async (_what, change) => {
    withClaims(change)
    const refused = await attemptAnew(stack)

    expect(refused.status).toBe(502)
    expect(refused.json).toMatchObject({ code: 'id_token_refused' })
    expect(refused.cookies.some((cookie) => cookie.startsWith('__Host-session-'))).toBe(false)

    stack.identityProvider.changeTokenResponse()
    expect(isSignedIn(await attemptAnew(stack))).toBe(true)
  })

  it.each<[string, (claims: Claims, accessToken: string) => Claims]>([
    ['for an audience list with the broker only', ({ aud, ...rest }) => ({ ...rest, aud: [aud] })],
    ['that names the broker as its authorized party', (claims) => ({ ...claims, azp: claims.aud })],
    ['of a clock that is four minutes ahead', (claims) => ({ ...claims, iat: now() + 240, nbf: now() + 240 })],
    ['that has just expired', (claims) => ({ ...claims, exp: now() - 240 })],
    ['beside its own access token', (claims, accessToken) => ({ ...claims, at_hash: hashOf(accessToken) })],
  ])('%s signs a person in', async (_what, change) => {
    withToken(({ answer, signIdToken }) =>
      signIdToken(change(decodeJwt(answer.id_token as string), answer.access_token as string)),
    )

    expect(isSignedIn(await attemptAnew(stack))).toBe(true)
  })

  it.each<[string, (change: TokenChange) => string | Promise<string>]>([
    ['is not signed', ({ answer, signIdToken }) => signIdToken(claimsOf(answer), { alg: 'none' })],
    ['is cut', ({ answer }) => (answer.id_token as string).replace(/\.[^.]+$/, '.')],
    ['has the signature of another content', ({ answer }) => swapPayload(answer.id_token as string)],
    [
      'is signed with a key of another party',
      ({ answer, signIdToken }) => signIdToken(claimsOf(answer), {}, rsaKey().privateKey),
    ],
    [
      'brings its own key',
      ({ answer, signIdToken }) => {
        const own = rsaKey()
        return signIdToken(claimsOf(answer), { jwk: own.publicKey.export({ format: 'jwk' }) }, own.privateKey)
      },
    ],
    [
      'is signed with a secret',
      ({ answer, signIdToken }) => signIdToken(claimsOf(answer), { alg: 'HS256' }, Buffer.alloc(32, 'client-id')),
    ],
    [
      'has an algorithm of another family than the key that it names',
      ({ answer, signIdToken }) => signIdToken(claimsOf(answer), { alg: 'ES256' }, ecKey().privateKey),
    ],
    ['is not a token', () => 'not-a-token'],
  ])('that %s signs no person in, and the next honest token does', async (_what, make) => {
    withToken(make)
    const refused = await attemptAnew(stack)

    expect(refused.json).toMatchObject({ code: 'id_token_refused', status: 502 })
    stack.identityProvider.changeTokenResponse()
    expect(isSignedIn(await attemptAnew(stack))).toBe(true)
  })

  it('identifies a person by tid and oid, with any name in it', async () => {
    const signInAs = async (name: string) => {
      const person = stack.person()
      withClaims((claims) => ({ ...claims, preferred_username: name, email: name, upn: name, unique_name: name }))
      await person.signIn({ frontend: 'shop', return_url: 'http://localhost:3000/' })
      return (await person.script(shopPage, '/session')).json
    }
    const honest = await signInAs('ada@contoso.example')

    for (const name of ['grace@contoso.example', 'a@x@y', 'root＠contoso.example']) {
      const { subject, object_id, tenant_id } = await signInAs(name)
      expect({ subject, object_id, tenant_id }).toEqual({
        subject: honest.subject,
        object_id: honest.object_id,
        tenant_id: honest.tenant_id,
      })
    }
  })

  it('that was rejected leads to a page with links, and the page contains nothing of the token', async () => {
    withClaims((claims) => ({ ...claims, iss: 'https://login.example/secret-of-the-token' }))

    const page = await stack.person().signIn({ frontend: 'shop', return_url: 'http://localhost:3000/orders' })

    expect(page.status).toBe(502)
    expect(page.headers.get('content-type')).toContain('text/html')
    expect(page.text).toContain('id_token_refused')
    expect(page.text).toContain('Try again')
    expect(page.text).toContain('http://localhost:3000/orders')
    expect(`${page.text}${stack.log()}`).not.toContain('secret-of-the-token')
  })
})

function claimsOf(answer: TokenChange['answer']): Claims {
  return decodeJwt(answer.id_token as string)
}

function swapPayload(token: string): string {
  const [header, , signature] = token.split('.')
  const payload = Buffer.from(JSON.stringify({ ...decodeJwt(token), oid: 'other' })).toString('base64url')
  return `${header}.${payload}.${signature}`
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest().subarray(0, 16).toString('base64url')
}
