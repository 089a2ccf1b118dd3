import type { Request } from 'express'
import { decodeJwt } from 'jose'
import { Strategy } from 'passport-oauth2'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { application, client as registration, followSignIn, scope } from './person.ts'

let stack: Stack
beforeAll(async () => void (stack = await startStack({ frontEnds: [registration] })))
afterAll(() => stack.close())

interface User {
  readonly name: unknown
  readonly refreshToken: string
}

it('passport-oauth2 signs in with PKCE and reads the name from the ID token', async () => {
  const strategy = new Strategy(
    {
      authorizationURL: `${stack.url}/login`,
      tokenURL: `${stack.url}/token`,
      clientID: 'app',
      clientSecret: '',
      callbackURL: `${application}/callback`,
      scope: scope.split(' '),
      pkce: true,
      state: true,
    },
    (_access: string, refreshToken: string, answer: { id_token: string }, _profile: unknown, done: Done) =>
      done(null, { name: decodeJwt(answer.id_token).name, refreshToken }),
  )
  const session = {}
  // Passport augments a strategy with these functions for each request.
  const authenticate = (query: Readonly<Record<string, string>>) =>
    new Promise<string | User>((resolve, reject) => {
      Object.assign(Object.create(strategy) as typeof strategy, {
        redirect: resolve,
        success: resolve,
        fail: reject,
        error: reject,
      }).authenticate({ query, body: {}, session, headers: {} } as unknown as Request)
    })

  const link = (await authenticate({})) as string
  const answer = await followSignIn(stack.person(), link)
  const user = (await authenticate(Object.fromEntries(answer.searchParams))) as User

  expect(user.name).toBe('Ada Lovelace')
  const renewed = await new Promise<string>((resolve, reject) => {
    strategy['_oauth2'].getOAuthAccessToken(
      user.refreshToken,
      { grant_type: 'refresh_token' },
      (error, _access, next) => (error ? reject(new Error(JSON.stringify(error))) : resolve(next!)),
    )
  })
  expect(renewed).not.toBe(user.refreshToken)
})

type Done = (error: null, user: User) => void
