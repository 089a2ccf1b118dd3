import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { app, authorizationRequest, newPkce, ordersRead, redeem, refresh, signInByCode } from '../setup/client.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

const acrs = { essential: true, value: 'c1' }
const claims = JSON.stringify({ access_token: { acrs } })
/** As the provider receives it. */
const withCapability = JSON.stringify({ access_token: { acrs, xms_cc: { values: ['cp1'] } } })

describe('a client whose person must complete a further step', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ frontEnds: [app] })
    stack.identityProvider.settings.accessTokenSeconds = 4 // each refresh sends a request to the provider
  })
  afterAll(() => stack.close())

  it.each([
    ['a second factor', { error: 'invalid_grant', suberror: 'basic_action', error_codes: [50076], claims }],
    ['a consent', { error: 'invalid_grant', suberror: 'consent_required', error_codes: [65001] }],
  ])('is sent to request exactly that, %s, and the browser returns to its own redirect URI', async (_, requested) => {
    const person = stack.person()
    const { refreshToken } = await signInByCode(person, stack.url)
    stack.identityProvider.nextTokenError({ ...requested, grantType: 'refresh_token' })
    const reported = await refresh(stack.url, refreshToken)
    expect([reported.status, reported.json.error]).toEqual([400, 'interaction_required'])

    const pkce = newPkce()
    const url = new URL(reported.json.sign_in_url as string)
    const added = authorizationRequest(pkce, { client_id: undefined, scope: undefined })
    for (const [name, value] of Object.entries(added)) url.searchParams.set(name, value)
    const begun = await person.open(`${url.pathname}${url.search}`)
    const done = await person.callback(await person.atProvider(begun.location!))

    const sent = new URL(begun.location!)
    expect(sent.searchParams.get('scope')).toBe(`openid profile offline_access ${ordersRead}`)
    expect(sent.searchParams.get('claims')).toBe(
      'claims' in requested ? withCapability : '{"access_token":{"xms_cc":{"values":["cp1"]}}}',
    )
    const code = new URL(done.location!).searchParams.get('code')!
    expect((await redeem(stack.url, code, pkce)).status).toBe(200)
  })

  it('keeps its session in the meantime', async () => {
    const { refreshToken } = await signInByCode(stack.person(), stack.url)
    stack.identityProvider.nextTokenError({
      error: 'interaction_required',
      error_codes: [50079],
      grantType: 'refresh_token',
    })

    const reported = await refresh(stack.url, refreshToken)
    const after = await refresh(stack.url, refreshToken)

    expect([reported.json.error, after.status]).toEqual(['interaction_required', 200])
  })

  it('passes on a challenge of its API, and no claims about the person', async () => {
    const requested = await stack.person().begin(authorizationRequest(newPkce(), { claims }))
    const refused = await stack
      .person()
      .begin(authorizationRequest(newPkce(), { claims: '{"access_token":{"email":null}}' }))

    expect(new URL(requested.location!).searchParams.get('claims')).toBe(withCapability)
    expect(new URL(refused.location!).searchParams.get('error')).toBe('invalid_request')
  })
})
