import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { localDefaults } from '../../local/local-defaults.ts'
import { certificateName, quickly, rollUntil, runRoll, until, versionsAt } from '../certificate/rolling.ts'
import { adfsClientId, adfsProvider } from '../setup/adfs-provider.ts'
import type { AdfsProvider } from '../setup/adfs-provider.ts'
import { bundledProgram } from '../setup/bundled-programs.ts'
import { app, refresh, signInByCode } from '../setup/client.ts'
import { clockAhead } from '../setup/clock.ts'
import { withoutEntra } from '../setup/mock-provider.ts'
import { ada, deskPage, shopPage } from '../setup/person.ts'
import type { Person } from '../setup/person.ts'
import { expectBegun, expectPage } from '../setup/refusals.ts'
import { desk, shop, startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { warmUp } from '../setup/warm-up.ts'
import { trust } from '../setup/trust.ts'

const returnUrl = 'http://localhost:3000/orders'
const query = { frontend: 'shop', return_url: returnUrl }
/** Granted only by a sign-in that requests it. */
const bills = { name: 'bills', scopes: ['api://bills/read'] }

/** AD FS puts the claims of its rules into the ID token where the request has this scope. */
const withClaims = {
  ...desk,
  claims: ['group', 'upn'],
  apis: [{ name: 'orders', scopes: ['api://demo/orders.read', 'allatclaims'] }],
}

const adfs = adfsProvider()
let stack: Stack
let provider: AdfsProvider
/** The time at which tokens of ten minutes have expired. */
let later: string
beforeAll(async () => {
  stack = await startStack({
    provider: adfs.start,
    settings: quickly,
    frontEnds: [{ ...shop, apis: [...shop.apis, bills] }, withClaims, app],
  })
  provider = adfs.get()
  provider.behaviour.clockToleranceSeconds = 3600
  trust(stack.cloud.ca)
  await warmUp(stack)
  later = (await stack.startInstance(clockAhead(700))).url
  // It reads metadata and keys before a test changes them.
  await stack.person().signIn(query, undefined, { at: later })
})
beforeEach(() => {
  Object.assign(provider.behaviour, { release: 2019, accessTokenSeconds: 600, refreshTokens: true })
  provider.behaviour.refreshTokensExpired = false
  provider.changeTokenResponse()
  provider.faults.clear()
  provider.resetRequests()
})
afterAll(() => stack.close())

const tokenRequests = () => provider.requests.filter(({ endpoint }) => endpoint === 'token')
const lastForm = () => tokenRequests().at(-1)?.form ?? {}
const isSignedIn = async (person: Person) => (await person.script(shopPage, '/session')).status === 200
const signedIn = async (): Promise<Person> => {
  const person = stack.person()
  const done = await person.signIn(query)
  expect(done.location, done.text).toBe(returnUrl)
  provider.resetRequests()
  return person
}

describe('a sign-in at AD FS', () => {
  it('signs a person in by issuer and subject, with one request to the provider and two to the store', async () => {
    await signedIn()
    const person = stack.person()
    const begun = await person.begin(query)
    const answer = await person.atProvider(begun.location ?? '')
    provider.resetRequests()
    stack.store.resetRequests()

    expect((await person.callback(answer)).location).toBe(returnUrl)

    expect(provider.requests.map(({ endpoint }) => endpoint)).toEqual(['token'])
    // Every second an instance here reads the certificate's row as well.
    const ofPeople = stack.store.requests.filter(({ table }) => table !== 'service')
    expect(ofPeople.map(({ operation }) => operation)).toEqual(['insert', 'insert'])
    const { json } = await person.script(shopPage, '/session')
    expect(json).toMatchObject({ username: ada })
    expect(json).not.toHaveProperty('object_id')
  })

  it('requests the resource in the scope, no offline_access, and a code by form_post with PKCE', async () => {
    const requested = Object.fromEntries(expectBegun(await stack.person().begin(query)))

    expect(requested.scope?.split(' ')).toEqual([
      'openid',
      'profile',
      'api://demo/orders.read',
      'api://demo/orders.write',
    ])
    expect(requested).toMatchObject({
      response_type: 'code',
      response_mode: 'form_post',
      code_challenge_method: 'S256',
    })
    expect(requested).not.toHaveProperty('resource')
  })

  it('proves the client by an assertion as AD FS wants it', async () => {
    await stack.person().signIn(query)

    const assertion = lastForm().client_assertion ?? ''
    const { header } = { header: decodeProtectedHeader(assertion) }
    expect(Object.keys(header).sort()).toEqual(['alg', 'kid', 'typ', 'x5t'])
    expect(header).toMatchObject({ alg: 'RS256', typ: 'JWT' })
    expect(
      Buffer.from(header.x5t ?? '', 'base64url')
        .toString('hex')
        .toUpperCase(),
    ).toBe(header.kid)
    expect(decodeJwt(assertion)).toMatchObject({ iss: adfsClientId, sub: adfsClientId, aud: provider.tokenUrl })
    const { keys } = (await stack.person().open('/.well-known/jwks.json')).json as { keys: object[] }
    expect(keys).toMatchObject([{ kid: header.kid, x5t: header.x5t, alg: 'RS256' }])
  })

  it('returns access tokens of the other issuer of AD FS, for the resource', async () => {
    const person = await signedIn()

    const { json } = await person.sessionToken(shopPage, { api: 'orders' })

    const { payload } = await jwtVerify(String(json.access_token), createRemoteJWKSet(new URL(provider.jwksUrl)))
    expect(payload).toMatchObject({ aud: 'api://demo', iss: provider.accessTokenIssuer })
    expect(provider.accessTokenIssuer).toMatch(/^http:.*\/adfs\/services\/trust$/)
  })

  it('refuses an access token of AD FS in the place of the ID token', async () => {
    provider.changeTokenResponse(({ answer }) => ({ ...answer, id_token: answer.access_token }))
    expectPage(await stack.person().signIn(query), 'id_token_refused')

    // Also where the resource has the identifier of the client, and the token the nonce.
    provider.changeTokenResponse(async ({ answer, signIdToken }) => ({
      ...answer,
      id_token: await signIdToken({
        ...decodeJwt(String(answer.access_token)),
        aud: adfsClientId,
        nonce: decodeJwt(String(answer.id_token)).nonce,
      }),
    }))
    expectPage(await stack.person().signIn(query), 'id_token_refused')
    expect(stack.log()).toContain('"detail":"iss"')
  })

  it('reads the claims of rules by the scope allatclaims, at a sign-in and at a renewal', async () => {
    const person = stack.person()
    await person.signIn({ frontend: 'desk' })
    const claims = async () => (await person.script(deskPage, '/session')).json.claims

    expect(await claims()).toEqual({ group: [expect.any(String), expect.any(String)], upn: ada })
    const renewed = await person.sessionToken(
      deskPage,
      { api: 'orders', scope: 'api://demo/orders.read allatclaims' },
      {
        at: later,
      },
    )
    expect(renewed.status, renewed.text).toBe(200)
    expect(await claims()).toMatchObject({ upn: ada })
  })

  it('sends a choice of the account as a new sign-in, and passes none on', async () => {
    const begin = async (more: Readonly<Record<string, string>>) =>
      expectBegun(await stack.person().begin({ ...query, ...more })).get('prompt')

    expect(await begin({ prompt: 'select_account' })).toBe('login')
    expect(await begin({ prompt: 'login' })).toBe('login')
    expect(await begin({})).toBeNull()
  })
})

describe('AD FS of Windows Server 2016', () => {
  it('receives no person, and the log names the reason', async () => {
    provider.behaviour.release = 2016
    const { url: at } = await stack.startInstance()

    expectPage(await stack.person().begin(query, { at }), 'provider_unsuitable')

    expect((await stack.person().open('/health/ready', { at })).text).toBe('provider')
    expect(stack.log()).toContain('AD FS of Windows Server 2019 or later is required')
    expect(provider.requests.filter(({ endpoint }) => endpoint === 'authorize')).toEqual([])
  })
})

describe('a renewal at AD FS', () => {
  it('repeats the scope, and keeps the first refresh token where no further one is issued', async () => {
    const person = await signedIn()

    for (let i = 0; i < 2; i++) {
      const { status, json } = await person.sessionToken(
        shopPage,
        { api: 'orders', scope: 'api://demo/orders.read' },
        {
          at: later,
        },
      )
      expect(status, JSON.stringify(json)).toBe(200)
    }

    const forms = tokenRequests().map(({ form }) => form ?? {})
    expect(forms.length).toBeGreaterThan(0)
    expect(new Set(forms.map((form) => form.refresh_token)).size).toBe(1)
    expect(forms[0]?.scope?.split(' ').sort()).toEqual(['api://demo/orders.read', 'openid', 'profile'])
  })

  it('serves another resource by the same refresh token', async () => {
    const person = await signedIn()

    const { status, json } = await person.sessionToken(shopPage, { api: 'bills' })

    expect(status, JSON.stringify(json)).toBe(200)
    expect(decodeJwt(String(json.access_token))).toMatchObject({ aud: 'api://bills', scp: 'read openid' })
  })

  it('without a refresh token leaves the session, and requires a sign-in once the token has ended', async () => {
    provider.behaviour.refreshTokens = false
    const person = await signedIn()

    expect((await person.sessionToken(shopPage, { api: 'orders' })).status).toBe(200)
    const over = await person.sessionToken(shopPage, { api: 'orders' }, { at: later })
    expect(over.json).toMatchObject({ code: 'interaction_required' })
    expect(await isSignedIn(person)).toBe(true)
  })

  it('serves an OAuth client too', async () => {
    const { refreshToken } = await signInByCode(stack.person(), stack.url)

    const renewed = await refresh(stack.url, refreshToken, { scope: 'api://demo/orders.read' })

    expect(renewed.status, renewed.text).toBe(200)
  })

  it.each([
    ['has expired', () => void (provider.behaviour.refreshTokensExpired = true)],
    ['was revoked', () => provider.revokeRefreshTokens(ada)],
  ])('with a refresh token that %s ends the session', async (_, end) => {
    const person = await signedIn()
    end()

    expect((await person.sessionToken(shopPage, { api: 'bills' })).status).toBe(401)
    expect(await isSignedIn(person)).toBe(false)
  })

  it.each<[string, string, number, string]>([
    ['invalid_client', 'MSIS9622: Client authentication failed.', 503, 'client_refused'],
    ['invalid_grant', 'MSIS9622: Client authentication failed.', 503, 'client_refused'],
    [
      'access_denied',
      'MSIS9605: The client is not allowed to access the requested resource.',
      503,
      'app_registration_invalid',
    ],
    ['invalid_resource', "MSIS9602: The received 'resource' parameter is invalid.", 503, 'app_registration_invalid'],
  ])('that is refused by %s, "%s", signs no person out', async (error, error_description, status, code) => {
    const person = await signedIn()
    provider.nextTokenError({ error, error_description, times: 2 })

    const refused = await person.sessionToken(shopPage, { api: 'bills' })

    expect([refused.status, refused.json.code]).toEqual([status, code])
    expect(await isSignedIn(person)).toBe(true)
    provider.faults.clear()
    expect((await person.sessionToken(shopPage, { api: 'bills' })).status).toBe(200)
  })
})

describe('a refusal of AD FS', () => {
  const answerOf = async (changes: Readonly<Record<string, string>>) => {
    const person = stack.person()
    const begun = await person.begin(query)
    const url = new URL(begun.location ?? '')
    for (const [name, value] of Object.entries(changes)) url.searchParams.set(name, value)
    return { person, answer: await person.atProvider(url.href) }
  }

  it.each([
    ['a missing permission', { scope: 'openid api://demo/orders.delete' }, 'app_registration_invalid'],
    ['a session that is missing', { prompt: 'none' }, 'login_required'],
  ])('because of %s is reported as such', async (_, changes, code) => {
    const { person, answer } = await answerOf(changes)

    expectPage(await person.callback(answer), code as 'login_required')
  })

  it('because of a certificate that is not registered there is reported with its number', async () => {
    const [client] = provider.clients
    const registered = client!.certificates
    client!.certificates = []

    expectPage(await stack.person().signIn(query), 'client_refused')
    expect(stack.log()).toContain('MSIS9622: register the certificate')

    client!.certificates = registered
    expect((await stack.person().signIn(query)).location).toBe(returnUrl)
  })

  it('of a code with another verifier comes from AD FS itself', async () => {
    const { person, answer } = await answerOf({ code_challenge: 'x'.repeat(43) })

    expectPage(await person.callback(answer), 'code_refused')
    expect(await isSignedIn(person)).toBe(false)
  })
})

describe('a sign-out at AD FS', () => {
  const signOut = async (person: Person) =>
    String(
      (
        await person.script(shopPage, '/logout', {
          method: 'POST',
          body: '{}',
          headers: { accept: 'application/json' },
        })
      ).json.url,
    )

  it('goes by GET with the ID token, and comes back', async () => {
    const person = await signedIn()

    const url = await signOut(person)
    const back = await person.visitor.signOut(url)

    expect(new URL(url).searchParams.get('post_logout_redirect_uri')).toBe(`${stack.url}/logout/done`)
    expect((await person.open(back ?? '')).location).toBe('http://localhost:3000/')
    expect(provider.requests.findLast(({ endpoint }) => endpoint === 'logout')?.method).toBe('GET')
    expect(await isSignedIn(person)).toBe(false)
  })

  it('omits an ID token that is too long for a URL: the person stays on the page of AD FS', async () => {
    provider.changeTokenResponse(async ({ answer, signIdToken }) => ({
      ...answer,
      id_token: await signIdToken({ ...decodeJwt(String(answer.id_token)), groups: 'g'.repeat(8000) }),
    }))
    const person = await signedIn()

    const url = await signOut(person)

    expect(new URL(url).searchParams.has('id_token_hint')).toBe(false)
    expect(new URL(url).pathname).toBe('/adfs/oauth2/logout')
    expect(await person.visitor.signOut(url)).toBeUndefined()
    expect(await isSignedIn(person)).toBe(false)
  })

  it('that began at another application ends the session of the browser that sends its cookie in the frame', async () => {
    let sid = ''
    provider.changeTokenResponse(({ answer }) => {
      sid = String(decodeJwt(String(answer.id_token)).sid)
      return answer
    })
    const [person, other] = [await signedIn(), await signedIn()]
    // AD FS documents the parameter sid alone: the Windows SID of the person.
    expect(sid).toMatch(/^S-1-5-21-/)
    const path = `/logout/frontchannel?${new URLSearchParams({ sid }).toString()}`
    const inFrame = (site: string) => ({ headers: { 'sec-fetch-site': site, 'sec-fetch-dest': 'iframe' } })

    // A stranger who knows the SID, and a frame on another site, whose request carries no cookie.
    expect((await stack.person().open(path)).status).toBe(200)
    expect((await person.call(path, inFrame('cross-site'))).status).toBe(200)
    // A link of another site: the browser sends its Lax cookies with it.
    const followed = { headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'document' } }
    expect((await person.open(path, followed)).status).toBe(200)
    expect([await isSignedIn(person), await isSignedIn(other)]).toEqual([true, true])
    // The SID of a colleague, with the cookie of this browser.
    const ofAnother = path.replace(/\d+$/, '9999')
    expect((await person.call(ofAnother, inFrame('same-site'))).status).toBe(200)
    expect(await isSignedIn(person)).toBe(true)

    const framed = await person.call(path, inFrame('same-site'))

    expect(framed.status).toBe(200)
    expect([await isSignedIn(person), await isSignedIn(other)]).toEqual([false, true])
  })
})

describe('a certificate at AD FS', () => {
  const newest = () => stack.vault.publicCertificates(certificateName).at(-1)!
  const broker = () => stack.brokers[0]!

  const certificateStatus = async (): Promise<string> => {
    const child = spawn(process.execPath, [await bundledProgram('certificate'), 'status'], {
      env: {
        PATH: process.env.PATH,
        ...localDefaults,
        ...stack.cloud.settings,
        ...provider.settings,
        ...quickly,
        Broker__TableServiceUri: stack.store.url,
        Broker__TablePrefix: stack.tablePrefix,
      },
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (output += text))
    }
    await once(child, 'close')
    return output
  }

  it('is registered by hand after a renewal, and signs once AD FS accepts it', async () => {
    await runRoll(broker())
    expect(Object.values(await versionsAt(broker()))).toMatchObject([{ status: 'accepted', signs: true }])
    const next = await stack.vault.renewCertificate(certificateName)
    await rollUntil(
      broker(),
      () => versionsAt(broker()),
      (versions) => versions[next.version] !== undefined,
    )
    expect((await stack.person().signIn(query)).location).toBe(returnUrl)

    // The command names what an administrator of AD FS runs.
    const status = await certificateStatus()
    expect(status).toContain(`Version ${next.version} is to be registered by hand`)
    expect(status).toContain(`Set-AdfsServerApplication -TargetIdentifier ${adfsClientId}`)
    const [client] = provider.clients
    client!.certificates = [...client!.certificates, newest().der]
    const reported = await fetch(`${stack.url}/certificate/${next.version}/registered`, {
      method: 'POST',
      headers: { 'x-functions-key': broker().functionKey },
    })
    expect(reported.status).toBe(202)

    await until(
      async () => {
        expect((await stack.person().signIn(query)).location).toBe(returnUrl)
        return decodeProtectedHeader(lastForm().client_assertion ?? '').x5t
      },
      (x5t) => x5t === createHash('sha1').update(newest().der).digest('base64url'),
    )
    expect(stack.graph.requests).toEqual([])
  })
})

describe('the hybrid flow at AD FS', () => {
  it('signs a person in, with two ID tokens whose pwd_exp differs', async () => {
    const { url: at } = await stack.startInstance({ Broker__ResponseType: 'code id_token' })
    const person = stack.person()
    const begun = await person.begin(query, { at })
    expect(expectBegun(begun).get('response_type')).toBe('code id_token')
    const answer = await person.atProvider(begun.location ?? '')
    let back = {}
    provider.changeTokenResponse(({ answer: tokens }) => {
      back = decodeJwt(String(tokens.id_token))
      return tokens
    })

    const done = await person.callback(answer, { at })

    expect(done.location, done.text).toBe(returnUrl)
    const front = decodeJwt(answer.fields.id_token ?? '')
    expect(front).toMatchObject({ upn: ada, c_hash: expect.any(String) as string })
    expect(back).not.toMatchObject({ pwd_exp: front.pwd_exp })
  })

  it('refuses the code of another sign-in', async () => {
    const { url: at } = await stack.startInstance({ Broker__ResponseType: 'code id_token' })
    const [victim, attacker] = [stack.person(), stack.person()]
    const own = await attacker.atProvider((await attacker.begin(query, { at })).location ?? '')
    const answer = await victim.atProvider((await victim.begin(query, { at })).location ?? '')
    const { code = '' } = own.fields

    expectPage(await victim.callback({ ...answer, fields: { ...answer.fields, code } }, { at }), 'id_token_refused')
  })
})

describe('AD FS beside Entra ID', () => {
  it('signs people in with its own assertion, and each key has the ids by which either provider finds it', async () => {
    const entry = {
      id: 'partner',
      kind: 'adfs',
      name: 'Partner staff',
      clientId: adfsClientId,
      authority: provider.issuer,
      responseType: 'code id_token',
    }
    const frontEnd = { ...shop, providers: ['primary', 'partner'] }
    const { url: at } = await stack.startInstance({
      ...Object.fromEntries(Object.keys(withoutEntra).map((name) => [name, localDefaults[name]])),
      ...stack.cloud.settings,
      AzureAd__ClientId: localDefaults.AzureAd__ClientId,
      Broker__Authority: '',
      Broker__ProviderKind: '',
      Broker__TableServiceUri: stack.store.url,
      Broker__Providers: JSON.stringify([entry]),
      Broker__FrontEnds: JSON.stringify([frontEnd]),
    })
    const signInBy = async (id: string) => {
      const person = stack.person()
      const begun = await person.begin({ ...query, provider: id }, { at })
      const done = await person.callback(await person.atProvider(begun.location ?? ''), { at })
      expect(done.location, done.text).toBe(returnUrl)
      return (await person.script(shopPage, '/session', { at })).json
    }

    expect(await signInBy('partner')).not.toHaveProperty('tenant_id')
    expect(decodeProtectedHeader(lastForm().client_assertion ?? '')).toMatchObject({ alg: 'RS256' })
    expect(decodeProtectedHeader(lastForm().client_assertion ?? '')).not.toHaveProperty('x5t#S256')
    expect(await signInBy('primary')).toHaveProperty('tenant_id')

    const { keys } = (await stack.person().open('/.well-known/jwks.json', { at })).json as { keys: { kid: string }[] }
    expect(new Set(keys.map(({ kid }) => kid)).size).toBe(keys.length)
    expect(keys.map(({ kid }) => kid)).toContain(decodeProtectedHeader(lastForm().client_assertion ?? '').kid)
    const sha256 = createHash('sha256').update(stack.vault.publicCertificates(certificateName)[0]!.der).digest()
    expect(keys.map(({ kid }) => kid)).toContain(sha256.toString('base64url'))
  })
})
