import { decodeJwt } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { createVisitor } from '../../../local/identity-provider/browser.ts'
import {
  billsRead,
  clientId,
  makeCertificate,
  ordersRead,
  redirectUri,
  startWorld,
} from './identity-provider-fixture.ts'
import type { World } from './identity-provider-fixture.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterEach(() => world.reset())
afterAll(() => world.close())

describe('the token endpoint', () => {
  it('accepts a code once', async () => {
    const signedIn = await world.signIn()

    const answers = [await world.redeem(signedIn), await world.redeem(signedIn)]

    expect(answers.map(({ status }) => status)).toEqual([200, 400])
    expect(answers[1]?.json).toMatchObject({ error: 'invalid_grant', error_codes: [54005] })
  })

  it('accepts a code once when it is sent twice at the same moment', async () => {
    const signedIn = await world.signIn()

    const answers = await Promise.all([world.redeem(signedIn), world.redeem(signedIn)])

    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400])
  })

  it('ends only the sign-in of the code that was sent twice', async () => {
    const visitor = createVisitor()
    const [first, second] = [await world.signIn({}, { visitor }), await world.signIn({}, { visitor })]
    const [ended, kept] = [await world.redeem(first), await world.redeem(second)]

    await world.redeem(first)

    expect((await world.refresh(ended.json['refresh_token'])).json).toMatchObject({ error: 'invalid_grant' })
    expect((await world.refresh(kept.json['refresh_token'])).status).toBe(200)
  })

  it.each([
    ['an unknown code', { code: 'nobody' }, 70000],
    ['another verifier', { code_verifier: 'x'.repeat(43) }, 501481],
    ['another redirect URI', { redirect_uri: 'http://localhost:7071/other' }, 500112],
  ])('refuses %s', async (_what, form, code) => {
    const { status, json } = await world.redeem(await world.signIn(), form)

    expect(status).toBe(400)
    expect(json).toMatchObject({ error: 'invalid_grant', error_codes: [code] })
  })

  it('distinguishes an expired code from an unknown one', async () => {
    world.provider.settings.codeSeconds = 60
    const signedIn = await world.signIn()
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 120_000 })
    onTestFinished(() => void vi.useRealTimers())

    const { json } = await world.redeem(signedIn)

    expect(json).toMatchObject({ error: 'invalid_grant', error_codes: [70008] })
  })

  it('describes an error as Entra does', async () => {
    const { json, headers } = await world.redeem(await world.signIn(), { code: 'nobody' })

    expect(json).toEqual({
      error: 'invalid_grant',
      error_description: expect.stringMatching(
        /^AADSTS70000: .* Trace ID: .* Correlation ID: .* Timestamp: /,
      ) as string,
      error_codes: [70000],
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$/) as string,
      trace_id: expect.any(String) as string,
      correlation_id: expect.any(String) as string,
      error_uri: 'https://login.microsoftonline.com/error?code=70000',
    })
    expect(headers['cache-control']).toBe('no-store')
  })

  it('answers over https only', async () => {
    const signedIn = await world.signIn()
    const plain = new URL(world.provider.tokenUrl)
    const answer = await fetch(`http://127.0.0.1:${plain.port}${plain.pathname}`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: clientId, client_assertion: await world.assertion() }),
    })

    expect(answer.status).toBe(400)
    expect((await world.redeem(signedIn)).status).toBe(200)
  })
})

describe('the client assertion', () => {
  const answerTo = async (
    changes: Parameters<World['assertion']>[0],
    certificate?: Awaited<ReturnType<typeof makeCertificate>>,
  ) => world.redeem(await world.signIn(), { client_assertion: await world.assertion(changes, certificate) })

  it('is accepted with PS256 and with RS256, and with the older thumbprint', async () => {
    const { createHash } = await import('node:crypto')
    const sha1 = createHash('sha1').update(world.certificate.der).digest('base64url')

    expect((await answerTo({})).status).toBe(200)
    expect((await answerTo({ header: { alg: 'RS256' } })).status).toBe(200)
    expect((await answerTo({ header: { 'x5t#S256': undefined, x5t: sha1 } })).status).toBe(200)
  })

  it('is refused when its certificate is not registered', async () => {
    const { status, json } = await answerTo({}, await makeCertificate())

    expect(status).toBe(401)
    expect(json).toMatchObject({ error: 'invalid_client', error_codes: [700027] })
  })

  it('is refused when another key signed it in the name of a registered certificate', async () => {
    const { privateKey } = await makeCertificate()

    const { json } = await answerTo({}, { ...world.certificate, privateKey })

    expect(json).toMatchObject({ error: 'invalid_client', error_codes: [700027] })
  })

  const now = () => Math.floor(Date.now() / 1000)
  it.each([
    ['for another audience', () => ({ aud: 'https://localhost/other' }), 700023],
    ['with a second audience', () => ({ aud: [world.provider.tokenUrl, 'https://other.example'] }), 700023],
    ['of another application', () => ({ iss: 'other' }), 700021],
    ['that has ended', () => ({ exp: now() - 600 }), 700024],
    ['that begins later', () => ({ nbf: now() + 3600, exp: now() + 7200 }), 700024],
    ['without an end', () => ({ exp: undefined }), 700024],
  ])('is refused %s', async (_what, claims, code) => {
    const { status, json } = await answerTo({ claims: claims() })

    expect(status).toBe(401)
    expect(json).toMatchObject({ error: 'invalid_client', error_codes: [code] })
  })

  it('is refused when it is missing, and the request names its application', async () => {
    const form = { grant_type: 'authorization_code', code: 'x', redirect_uri: redirectUri }

    expect((await world.post({ ...form, client_id: clientId })).json).toMatchObject({ error_codes: [7000218] })
    expect((await world.post({ ...form, client_id: 'stranger' })).json).toMatchObject({ error_codes: [700016] })
  })

  it('may be sent again, as at Entra, unless the provider is configured as strict', async () => {
    const redeem = async (client_assertion: string) => world.redeem(await world.signIn(), { client_assertion })
    const [first, second] = [await world.assertion(), await world.assertion()]

    expect([(await redeem(first)).status, (await redeem(first)).status]).toEqual([200, 200])

    world.provider.settings.refuseRepeatedJti = true
    const answers = [await redeem(second), await redeem(second)]
    expect(answers.map(({ status }) => status)).toEqual([200, 401])
    expect(answers[1]?.json).toMatchObject({ error: 'invalid_client' })
    expect(answers[1]?.json).not.toHaveProperty('error_codes')
  })

  it('names the issuer as its audience at a provider that requires it', async () => {
    world.provider.settings.assertionAudience = 'issuer'

    expect((await answerTo({})).json).toMatchObject({ error_codes: [700023] })
    expect((await answerTo({ claims: { aud: world.provider.issuer } })).status).toBe(200)
  })

  it('is refused by a certificate that is no longer valid, though registered', async () => {
    const expired = await makeCertificate(-2, -1)
    const other = await startWorld({}, (own) => [own.pem, expired.der])
    try {
      const redeem = async (certificate = other.certificate) =>
        other.redeem(await other.signIn(), { client_assertion: await other.assertion({}, certificate) })

      expect((await redeem()).status).toBe(200)
      expect((await redeem(expired)).json).toMatchObject({ error: 'invalid_client', error_codes: [700027] })
    } finally {
      await other.close()
    }
  })

  it('counts from the moment its certificate is registered', async () => {
    const registered: string[] = []
    const other = await startWorld({}, () => registered)
    try {
      const signedIn = await other.signIn()

      const before = await other.redeem(signedIn)
      registered.push(other.certificate.pem)
      const after = await other.redeem(signedIn)

      expect([before.status, after.status]).toEqual([401, 200])
    } finally {
      await other.close()
    }
  })
})

describe('a refresh token', () => {
  const signedIn = async () => (await world.redeem(await world.signIn())).json['refresh_token']

  it('is not issued without offline_access', async () => {
    const { json } = await world.redeem(await world.signIn({ scope: `openid ${ordersRead}` }))

    expect(json).toHaveProperty('access_token')
    expect(json).not.toHaveProperty('refresh_token')
    expect(await signedIn()).toEqual(expect.any(String))
  })

  it('returns new tokens and a new refresh token, and stays valid', async () => {
    const first = await signedIn()

    const answers = [await world.refresh(first), await world.refresh(first)]

    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect(answers[0]?.json['refresh_token']).not.toBe(first)
    expect(decodeJwt(String(answers[0]?.json['access_token'])).aud).toBe('api://demo')
    expect(answers[0]?.json).toHaveProperty('id_token')
  })

  it('is accepted once where the provider is configured so, and its reuse ends the family', async () => {
    world.provider.settings.singleUseRefreshTokens = true
    const first = await signedIn()
    const second = (await world.refresh(first)).json['refresh_token']
    const third = (await world.refresh(second)).json['refresh_token']

    const reused = await world.refresh(first)

    expect(reused.json).toMatchObject({ error: 'invalid_grant', error_codes: [70000] })
    expect((await world.refresh(third)).json).toMatchObject({ error: 'invalid_grant' })
  })

  it('succeeds for one of two requests at the same time', async () => {
    world.provider.settings.singleUseRefreshTokens = true
    const token = await signedIn()

    const answers = await Promise.all([world.refresh(token), world.refresh(token)])

    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400])
  })

  it("returns a token for another API when the request has that API's scope", async () => {
    const token = await signedIn()

    const { json } = await world.refresh(token, { scope: `openid offline_access ${billsRead}` })

    expect(await world.verify(json['access_token'], 'api://bills')).toMatchObject({ scp: 'read' })
    expect(json['scope']).toBe(billsRead)
    expect((await world.refresh(token, { scope: 'api://nobody/read' })).json).toMatchObject({ error_codes: [500011] })
  })

  it('returns access tokens with the configured lifetime, in both places that state it', async () => {
    world.provider.settings.accessTokenSeconds = 30

    const { json } = await world.refresh(await signedIn())

    const { exp, iat } = decodeJwt(String(json['access_token']))
    expect([json['expires_in'], Number(exp) - Number(iat)]).toEqual([30, 30])
  })

  it('is refused once the account is disabled, and the person cannot sign in again', async () => {
    const visitor = createVisitor()
    const token = (await world.redeem(await world.signIn({}, { visitor }))).json['refresh_token']
    expect((await world.refresh(token)).status).toBe(200)

    world.provider.disablePerson('ada@contoso.example')

    expect((await world.refresh(token)).json).toMatchObject({ error: 'invalid_grant', error_codes: [50057] })
    await expect(world.signIn({}, { visitor })).rejects.toThrow(/disabled/)
  })

  it("is refused once the person's sessions are revoked, while those of others are accepted", async () => {
    const ada = await signedIn()
    const grace = (await world.redeem(await world.signIn({}, { as: 'grace@contoso.example' }))).json['refresh_token']

    world.provider.revokeRefreshTokens('ada@contoso.example')

    expect((await world.refresh(ada)).json).toMatchObject({ error: 'invalid_grant', error_codes: [50173] })
    expect((await world.refresh(grace)).status).toBe(200)
  })

  it('stays valid after a sign-out in the browser', async () => {
    const visitor = createVisitor()
    const token = (await world.redeem(await world.signIn({}, { visitor }))).json['refresh_token']

    await visitor.signOut(world.signOutUrl({ logout_hint: 'ada@contoso.example' }))

    expect((await world.refresh(token)).status).toBe(200)
  })
})
