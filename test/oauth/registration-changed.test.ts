import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { almostSignedIn, plant } from '../setup/answers.ts'
import {
  app,
  authorizationRequest,
  authorize,
  newPkce,
  redeem,
  redirectUri,
  refresh,
  signInByCode,
} from '../setup/client.ts'
import { expectPage } from '../setup/refusals.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

/** The same client after an operator has changed its registration. */
const withoutApi = { ...app, apis: app.apis.filter(({ name }) => name === 'bills') }
const withoutRedirectUri = { ...app, id: 'moved', redirectUris: ['https://app.example.net/new'] }
const withoutOrigin = { ...app, id: 'narrowed', origins: ['https://app.example.net'] }

describe('an OAuth client whose registration has changed', () => {
  let stack: Stack
  let changedUrl: string
  beforeAll(async () => {
    const before = [app, { ...app, id: 'moved' }, { ...app, id: 'narrowed' }]
    stack = await startStack({ frontEnds: before })
    const after = [withoutApi, withoutRedirectUri, withoutOrigin]
    changedUrl = (await stack.startInstance({ Broker__FrontEnds: JSON.stringify(after) })).url
  })
  afterAll(() => stack.close())

  it.each([
    ['it names the scope', { scope: 'api://demo/orders.read' }],
    ['it names none', {}],
  ])('gets no more tokens for an API that it no longer has, where %s', async (_, fields) => {
    const { refreshToken } = await signInByCode(stack.person(), stack.url)

    const refused = await refresh(changedUrl, refreshToken, fields)

    expect([refused.status, refused.json.error]).toEqual([400, 'invalid_scope'])
    expect(refused.json).not.toHaveProperty('access_token')
    expect((await refresh(stack.url, refreshToken, fields)).status).toBe(200)
  })

  it.each([
    ['an API', 'app', 'invalid_scope'],
    ['its redirect URI', 'moved', 'invalid_grant'],
    ['its origin', 'narrowed', 'invalid_request'],
  ])(
    'receives no token for a code that was issued before it lost %s, and the code stays unused',
    async (_, id, error) => {
      const pkce = newPkce()
      const code = (await authorize(stack.person(), authorizationRequest(pkce, { client_id: id }))).get('code')!

      const refused = await redeem(changedUrl, code, pkce, { client_id: id, redirect_uri: redirectUri })

      expect([refused.status, refused.json.error]).toEqual([400, error])
      expect(refused.json).not.toHaveProperty('access_token')
      expect((await redeem(stack.url, code, pkce, { client_id: id })).status).toBe(200)
    },
  )

  it('whose redirect URI was removed receives no code of a sign-in that began before: it ends on a page', async () => {
    const query = authorizationRequest(newPkce(), { client_id: 'moved' })
    const { person, answer, transaction } = await almostSignedIn(stack, query)

    expectPage(await person.callback(answer, { at: changedUrl }), 'redirect_uri_not_registered')

    await plant(person, stack.url, transaction)
    expect((await person.callback(answer)).location).toContain(`${redirectUri}?code=`)
  })
})
