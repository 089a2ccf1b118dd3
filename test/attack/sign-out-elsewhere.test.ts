import { decodeJwt } from 'jose'
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TokenChange } from '../../local/identity-provider/identity-provider.ts'
import { send } from '../setup/client.ts'
import { shopPage } from '../setup/person.ts'
import type { Person } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

describe('a sign-out at the provider', () => {
  let stack: Stack
  let sign: TokenChange['signIdToken']
  beforeAll(async () => {
    stack = await startStack()
  })
  afterAll(() => stack.close())

  /** The ID token names no session: many providers do this, and Entra does unless the claim is configured. */
  const signIn = async (person: Person, withSession: boolean) => {
    let claims: Record<string, unknown> = {}
    stack.identityProvider.changeTokenResponse(async ({ answer, signIdToken }) => {
      sign = signIdToken
      claims = decodeJwt(answer.id_token as string)
      if (withSession) return answer
      delete claims.sid
      return { ...answer, id_token: await signIdToken(claims) }
    })
    await person.signIn({ frontend: 'shop' })
    return claims as { sid?: string; sub: string; aud: string }
  }
  const isSignedIn = async (person: Person) => (await person.script(shopPage, '/session')).status === 200
  const logoutToken = (changes: object) =>
    sign(
      {
        iss: stack.identityProvider.issuer,
        iat: Math.floor(Date.now() / 1000),
        jti: randomUUID(),
        events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
        ...changes,
      },
      { typ: 'logout+jwt' },
    )
  const post = (token: string) =>
    send('/logout/backchannel', new URLSearchParams({ logout_token: token }), { url: stack.url })

  it('through a frame does not use a person’s subject as a session, if the provider names no session', async () => {
    const person = stack.person()
    const { sub, aud } = await signIn(person, false)

    await stack.person().open(`/logout/frontchannel?sid=${sub}`)

    expect(await isSignedIn(person)).toBe(true)
    expect((await post(await logoutToken({ sub, aud }))).status).toBe(200)
    expect(await isSignedIn(person)).toBe(false)
  })

  it('with a logout token that a fault interrupted is not lost: the same token ends the session, once', async () => {
    const person = stack.person()
    const { sid, aud } = await signIn(person, true)
    const token = await logoutToken({ sid, aud })

    stack.store.addFault({ operation: 'list', table: 'sessions', status: 500 })
    const failed = await post(token)
    stack.store.clearFaults()

    expect(failed.status).toBe(503)
    expect(await isSignedIn(person)).toBe(true)
    expect((await post(token)).status).toBe(200)
    expect(await isSignedIn(person)).toBe(false)
    expect((await post(token)).status).toBe(400)
  })
})
