import { generateCodeVerifier, OAuth2Client } from '@badgateway/oauth2-client'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { application, client as registration, followSignIn, ordersRead } from './person.ts'

let stack: Stack
beforeAll(async () => void (stack = await startStack({ frontEnds: [registration] })))
afterAll(() => stack.close())

it('@badgateway/oauth2-client signs in, reads the name, renews and revokes', async () => {
  const client = new OAuth2Client({
    server: `${stack.url}/`,
    clientId: 'app',
    discoveryEndpoint: '/.well-known/oauth-authorization-server',
  })
  const codeVerifier = await generateCodeVerifier()
  const redirectUri = `${application}/callback`
  const url = await client.authorizationCode.getAuthorizeUri({
    redirectUri,
    state: 'some-string',
    codeVerifier,
    scope: ['openid', 'profile', ordersRead],
  })

  const answer = await followSignIn(stack.person(), url)
  const token = await client.authorizationCode.getTokenFromCodeRedirect(answer, {
    redirectUri,
    state: 'some-string',
    codeVerifier,
  })
  expect(decodeJwt(token.idToken!)).toMatchObject({ name: 'Ada Lovelace' })

  const renewed = await client.refreshToken(token)
  expect(renewed.refreshToken).not.toBe(token.refreshToken)
  expect(decodeJwt(renewed.idToken!)).toMatchObject({ name: 'Ada Lovelace' })

  await client.revoke(renewed, 'refresh_token')
  await expect(client.refreshToken(renewed)).rejects.toMatchObject({ oauth2Code: 'invalid_grant' })
})
