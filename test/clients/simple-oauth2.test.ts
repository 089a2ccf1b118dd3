import { decodeJwt } from 'jose'
import { generators } from 'openid-client-5'
import { AuthorizationCode } from 'simple-oauth2'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { application, client as registration, followSignIn, scope } from './person.ts'

let stack: Stack
beforeAll(async () => void (stack = await startStack({ frontEnds: [registration] })))
afterAll(() => stack.close())

it('simple-oauth2 signs in with PKCE of the application, reads the name, renews and revokes', async () => {
  const client = new AuthorizationCode({
    client: { id: 'app', secret: '' },
    auth: { tokenHost: stack.url, tokenPath: '/token', authorizePath: '/login', revokePath: '/revoke' },
  })
  const codeVerifier = generators.codeVerifier()
  const request = {
    redirect_uri: `${application}/callback`,
    scope,
    state: 'of-the-application',
    code_challenge: generators.codeChallenge(codeVerifier),
    code_challenge_method: 'S256',
  }
  const url = client.authorizeURL(request)

  const answer = (await followSignIn(stack.person(), url)).searchParams
  const redemption = {
    code: answer.get('code')!,
    redirect_uri: `${application}/callback`,
    code_verifier: codeVerifier,
  }
  const accessToken = await client.getToken(redemption)
  expect(decodeJwt(accessToken.token.id_token as string)).toMatchObject({ name: 'Ada Lovelace' })

  const renewed = await accessToken.refresh()
  expect(decodeJwt(renewed.token.id_token as string)).toMatchObject({ name: 'Ada Lovelace' })

  await renewed.revoke('refresh_token')
  await expect(renewed.refresh()).rejects.toMatchObject({ data: { payload: { error: 'invalid_grant' } } })
})
