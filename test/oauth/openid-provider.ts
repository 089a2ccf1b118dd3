/** The broker as OpenID provider of several OAuth clients, at two instances. */
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { afterAll, beforeAll } from 'vitest'
import { app, authorizationRequest, authorize, newPkce, ordersRead, redeem } from '../setup/client.ts'
import { ada } from '../setup/person.ts'
import { desk, startStack } from '../setup/stack.ts'
import type { Registration } from '../setup/stack.ts'

export const scope = `openid profile email offline_access ${ordersRead}`
const modern: Registration = { ...app, id: 'modern', idTokenAlgorithm: 'ES256' }
/** A client that signs people in, and calls no API. */
const bare: Registration = { ...app, id: 'bare', apis: [] }
/** The only client with these pages after a sign-out, also as a native application. */
const solo: Registration = {
  ...app,
  id: 'solo',
  signedOutUrls: ['https://solo.example.net/bye', 'com.example.solo:/bye', 'http://127.0.0.1/bye'],
}
const other: Registration = { ...app, id: 'other', origins: ['https://other.example.net'] }

type OpenIdProvider = Awaited<ReturnType<typeof startOpenIdProvider>>

/** Starts it for a test file, and ends it. @returns an object that is empty until the tests run */
export function useOpenIdProvider(): OpenIdProvider {
  const provider = {} as OpenIdProvider
  beforeAll(async () => void Object.assign(provider, await startOpenIdProvider()))
  afterAll(() => provider.stack.close())
  return provider
}

async function startOpenIdProvider() {
  const stack = await startStack({ frontEnds: [desk, app, modern, bare, other, solo], instances: 2 })
  const [here, there] = stack.brokers.map(({ url }) => url) as [string, string]

  const signIn = async (
    changes: Readonly<Record<string, string | undefined>> = {},
    person = stack.person(),
    username = ada,
  ) => {
    const pkce = newPkce()
    const request = authorizationRequest(pkce, { scope, nonce: 'n-of-the-client', ...changes })
    const answer = await authorize(person, request, username)
    const code = answer.get('code')!
    const tokens = await redeem(here, code, pkce, { client_id: request.client_id })
    return { person, answer, tokens: tokens.json as Record<string, string>, status: tokens.status }
  }
  const verify = async (idToken: string, audience = 'app') => {
    const { jwks_uri } = (await (await fetch(`${here}/.well-known/openid-configuration`)).json()) as {
      jwks_uri: string
    }
    return jwtVerify(idToken, createRemoteJWKSet(new URL(jwks_uri)), { issuer: here, audience })
  }
  return { stack, here, there, signIn, verify }
}
