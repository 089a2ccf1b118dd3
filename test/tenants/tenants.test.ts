/** Three organizations at a provider for many tenants: listed ones, and those that signed up. */
import { createHash } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { fabrikam, litware } from '../../local/identity-provider/people.ts'
import { localDefaults } from '../../local/local-defaults.ts'
import { tokenExchangeAudience } from '../../local/managed-identity/access-tokens.ts'
import { localIdentity } from '../../local/managed-identity/managed-identity.ts'
import type { HostProcess } from '../../local/functions-host/process.ts'
import { logged, runRoll, until, versionsAt } from '../certificate/rolling.ts'
import {
  app,
  authorizationRequest,
  authorize,
  newPkce,
  ordersRead,
  redeem,
  refresh,
  signInByCode,
} from '../setup/client.ts'
import { localBeside } from '../setup/beside-providers.ts'
import { runAsOperator } from '../setup/operator-command.ts'
import { sendRaw } from '../setup/raw-http.ts'
import { ada, deskPage, shopPage } from '../setup/person.ts'
import type { Person, Reply } from '../setup/person.ts'
import { runTenantsCommand } from '../../tools/tenants/tenants-command.ts'
import { desk, shop, startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

const contoso = localDefaults.AzureAd__TenantId!
const [rosalind, francis] = ['rosalind@fabrikam.example', 'francis@fabrikam.example']
const [lise, otto, visitor] = ['lise@litware.example', 'otto@litware.example', 'visitor@partner.example']
const returnUrl = 'http://localhost:3000/a'
const query = { frontend: 'shop', return_url: returnUrl }
const many = { AzureAd__TenantId: 'organizations', Broker__HomeTenantId: contoso }
const forLitware = { ...desk, tenants: [litware] }

const codeOf = ({ text, status }: Reply) => (status < 400 ? 'none' : (/Code: (\w+)/.exec(text)?.[1] ?? text))
const urlsOf = ({ text }: Reply) =>
  [...text.matchAll(/class="way" href="([^"]*)">([^<]*)</g)].map(([, href = '', label = '']) => [
    label,
    href.replaceAll('&#38;', '&'),
  ])

describe('listed tenants', () => {
  let stack: Stack
  beforeAll(async () => {
    const listed = `${contoso}:contoso.example,${litware}:litware.example`
    stack = await startStack({
      settings: { ...many, Broker__Tenants: listed },
      frontEnds: [shop, { ...desk, tenants: [litware] }, app],
    })
  })
  afterAll(() => stack.close())
  afterEach(() => stack.identityProvider.changeTokenResponse())

  const sessionOf = async (person: Person, page = shopPage) => (await person.script(page, '/session')).json

  it('sign in by one registration, each person as one of their own tenant', async () => {
    const [first, second] = [stack.person(), stack.person()]
    expect((await first.signIn(query, ada)).location).toBe(returnUrl)
    expect((await second.signIn(query, otto)).location).toBe(returnUrl)

    const [atContoso, atLitware] = [await sessionOf(first), await sessionOf(second)]
    expect(atContoso).toMatchObject({ tenant_id: contoso, username: ada })
    expect(atLitware).toMatchObject({ tenant_id: litware, username: otto })
    expect(atContoso.subject).not.toBe(atLitware.subject)
  })

  it('renew access tokens at the same authority, with the one assertion', async () => {
    const person = stack.person()
    await person.signIn(query, otto)
    stack.identityProvider.resetRequests()

    const answer = await person.sessionToken(shopPage, { api: 'orders', scope: 'api://demo/orders.write' })

    expect(answer.status).toBe(200)
    const [request] = stack.identityProvider.requests
    expect(request).toMatchObject({ path: '/organizations/oauth2/v2.0/token', grantType: 'refresh_token', status: 200 })
  })

  it('let the certificate prove itself at the tenant of the app registration, which alone issues such tokens', async () => {
    const ownTokens = () =>
      stack.identityProvider.requests.filter(({ grantType }) => grantType === 'client_credentials')
    await until(
      async () => {
        await runRoll(stack.brokers[0]!)
        return ownTokens().at(-1)
      },
      (request) => request !== undefined,
    )
    expect(ownTokens().at(-1)).toMatchObject({ path: `/${contoso}/oauth2/v2.0/token`, status: 200 })
    const [version] = Object.values(await versionsAt(stack.brokers[0]!))
    expect(version).toMatchObject({ status: 'accepted', signs: true })
  })

  it('cost one request to the provider and two to the store, as one tenant does', async () => {
    await stack.person().signIn(query, otto)
    stack.identityProvider.resetRequests()
    stack.store.resetRequests()
    stack.vault.resetRequests()

    await stack.person().signIn(query, ada)

    expect(stack.identityProvider.requests.filter(({ endpoint }) => endpoint === 'token')).toHaveLength(1)
    expect(stack.store.requests.map(({ operation, table }) => `${operation} ${table}`)).toEqual([
      'insert states',
      'insert sessions',
    ])
    expect(stack.vault.requests).toEqual([])
  })

  it('exclude every other organization: a page says so, and links to another account', async () => {
    const person = stack.person()
    const refused = await person.signIn(query, rosalind)

    expect([refused.status, codeOf(refused)]).toEqual([403, 'tenant_not_allowed'])
    expect(refused.text).toContain('Your organization has no access to this application.')
    const [[label, href]] = urlsOf(refused) as [[string, string]]
    expect(label).toBe('Sign in with another account')
    expect(Object.fromEntries(new URL(href).searchParams)).toEqual({ ...query, prompt: 'select_account' })
    expect((await person.script(shopPage, '/session')).status).toBe(401)

    // The link works: the same browser, another account.
    const begun = await person.open(href)
    expect((await person.callback(await person.atProvider(begun.location!, otto))).location).toBe(returnUrl)
  })

  it('exclude guests, and the page names the organization of the account', async () => {
    const refused = await stack.person().signIn(query, 'margaret@partner.example')

    expect([refused.status, codeOf(refused)]).toEqual([403, 'guest_not_allowed'])
    expect(refused.text).toContain('This account belongs to partner.example.')
  })

  it('may be fewer at one front end, whose page names the right organization', async () => {
    const forDesk = { frontend: 'desk' }
    const refused = await stack.person().signIn(forDesk, ada)

    expect([refused.status, codeOf(refused)]).toEqual([403, 'tenant_not_allowed'])
    expect(refused.text).toContain('Sign in with an account of litware.example.')
    const person = stack.person()
    expect((await person.signIn(forDesk, otto)).status).toBe(303)
    expect(await sessionOf(person, deskPage)).toMatchObject({ tenant_id: litware })
  })

  it('are not chosen by a hint: it leads to a tenant, and the token alone decides', async () => {
    for (const hint of [{ domain_hint: 'litware.example' }, { login_hint: 'leo@litware.example' }]) {
      const person = stack.person()
      const begun = await person.begin({ ...query, ...hint })
      expect(new URL(begun.location!).searchParams.get(Object.keys(hint)[0]!)).toBe(Object.values(hint)[0])
      expect(new URL(begun.location!).pathname).toBe('/organizations/oauth2/v2.0/authorize')

      const refused = await person.callback(await person.atProvider(begun.location!, francis))
      expect(codeOf(refused)).toBe('tenant_not_allowed')
    }
  })

  it('sign in by the hybrid flow too, where both ID tokens name the tenant', async () => {
    const { url: at } = await stack.startInstance({ Broker__ResponseType: 'code id_token' })
    const answerFor = async (person: Person, username: string) => {
      const begun = await person.begin(query, { at })
      return person.atProvider(begun.location!, username)
    }
    const person = stack.person()
    expect((await person.callback(await answerFor(person, otto), { at })).location).toBe(returnUrl)
    expect(await sessionOf(person)).toMatchObject({ tenant_id: litware })

    const stranger = stack.person()
    expect(codeOf(await stranger.callback(await answerFor(stranger, rosalind), { at }))).toBe('tenant_not_allowed')

    // The front channel's token of another tenant, whose nonce and code are not those of this sign-in.
    const [here, there] = [stack.person(), stack.person()]
    const [own, foreign] = [await answerFor(here, otto), await answerFor(there, ada)]
    const mixed = { ...own, fields: { ...own.fields, id_token: foreign.fields.id_token! } }
    expect(codeOf(await here.callback(mixed, { at }))).toBe('id_token_refused')
  })

  it('sign in at OAuth clients too; a person of another tenant is reported to the client', async () => {
    const tokens = await signInByCode(stack.person(), stack.url)
    expect((await refresh(stack.url, tokens.refreshToken)).status).toBe(200)

    const answer = await stack.person().signIn(authorizationRequest(newPkce()), rosalind)
    expect(new URL(answer.location!).searchParams.get('error')).toBe('access_denied')
  })

  describe('meet a token', () => {
    type Claims = Readonly<Record<string, unknown>>
    /** The next ID token has these claims instead, signed by the provider's own key. */
    const nextIdToken = (change: (claims: Claims) => Claims) =>
      stack.identityProvider.changeTokenResponse(async ({ answer, signIdToken }) => {
        const claims = JSON.parse(Buffer.from(String(answer.id_token).split('.')[1]!, 'base64url').toString()) as Claims
        return { ...answer, id_token: await signIdToken(change(claims)) }
      })
    const origin = () => new URL(stack.identityProvider.issuer).origin

    it.each<[string, (claims: Claims) => Claims]>([
      ['of another tenant in `tid` than in its issuer', (claims) => ({ ...claims, tid: litware })],
      [
        'of another tenant in its issuer than in `tid`',
        (claims) => ({ ...claims, iss: `${origin()}/${litware}/v2.0` }),
      ],
      ['whose issuer is the template', (claims) => ({ ...claims, iss: `${origin()}/{tenantid}/v2.0` })],
      ['whose issuer is the authority', (claims) => ({ ...claims, iss: `${origin()}/organizations/v2.0` })],
      ['without a tenant', (claims) => ({ ...claims, tid: undefined })],
    ])('%s: refused at the sign-in', async (_, change) => {
      nextIdToken(change)
      expect(codeOf(await stack.person().signIn(query, ada))).toBe('id_token_refused')

      nextIdToken((claims) => claims)
      expect(codeOf(await stack.person().signIn(query, ada))).toBe('none')
    })

    it.each<[string, (claims: Claims) => Claims]>([
      ['another tenant', (claims) => ({ ...claims, tid: litware, iss: `${origin()}/${litware}/v2.0` })],
      ['a tenant that is not allowed', (claims) => ({ ...claims, tid: fabrikam, iss: `${origin()}/${fabrikam}/v2.0` })],
      ['no tenant that fits its issuer', (claims) => ({ ...claims, tid: litware })],
    ])('of %s at a renewal: its access token is not handed out', async (_, change) => {
      const person = stack.person()
      await person.signIn(query, ada)
      const renew = () => person.sessionToken(shopPage, { api: 'orders', scope: 'api://demo/orders.write' })

      nextIdToken(change)
      expect(await renew()).toMatchObject({ status: 502, json: { code: 'id_token_refused' } })

      nextIdToken((claims) => claims)
      const other = stack.person()
      await other.signIn(query, ada)
      expect((await other.sessionToken(shopPage, { api: 'orders', scope: 'api://demo/orders.write' })).status).toBe(200)
    })

    it('for logout: of an allowed tenant it ends the session of that person, of another tenant it is refused', async () => {
      let [sub, sid] = ['', '']
      let signIdToken: ((payload: Claims) => Promise<string>) | undefined
      const signedIn = async () => {
        const person = stack.person()
        stack.identityProvider.changeTokenResponse((change) => {
          const claims = JSON.parse(
            Buffer.from(String(change.answer.id_token).split('.')[1]!, 'base64url').toString(),
          ) as Claims
          sub = claims.sub as string
          sid = claims.sid as string
          signIdToken = change.signIdToken
          return change.answer
        })
        await person.signIn(query, otto)
        return person
      }
      const person = await signedIn()
      const now = Math.floor(Date.now() / 1000)
      const logout = async (tenant: string, more: Claims = {}) => {
        const token = await signIdToken!({
          iss: `${origin()}/${tenant}/v2.0`,
          aud: localDefaults.AzureAd__ClientId,
          iat: now,
          exp: now + 60,
          jti: `${tenant} ${Math.random()}`,
          sub,
          events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
          ...more,
        })
        return person.call('/logout/backchannel', {
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams({ logout_token: token }).toString(),
        })
      }

      // The same `sub` of another issuer is another person.
      expect((await logout(fabrikam)).status).toBe(400)
      expect((await logout(contoso)).status).toBe(200)
      expect((await logout(litware, { tid: contoso })).status).toBe(400)
      expect((await logout(litware, { iss: `${origin()}/{tenantid}/v2.0` })).status).toBe(400)
      expect((await person.script(shopPage, '/session')).status).toBe(200)

      expect((await logout(litware)).status).toBe(200)
      expect((await person.script(shopPage, '/session')).status).toBe(401)

      // In a frame of the provider's page, which may name the issuer or leave it out.
      for (const iss of [`${origin()}/${litware}/v2.0`, undefined]) {
        const framed = await signedIn()
        const inFrame = (query: Readonly<Record<string, string>>) =>
          framed.call(`/logout/frontchannel?${new URLSearchParams(query).toString()}`)
        expect((await inFrame({ iss: `https://login.evil.example/${litware}/v2.0`, sid })).status).toBe(200)
        expect((await inFrame({ iss: `${origin()}/${litware}/v2.0`, sid: 'a guess' })).status).toBe(200)
        expect((await framed.script(shopPage, '/session')).status).toBe(200)

        expect((await inFrame({ sid, ...(iss === undefined ? {} : { iss }) })).status).toBe(200)
        expect((await framed.script(shopPage, '/session')).status).toBe(401)
      }
    })
  })

  it('end their sessions, and the codes under way, where the settings no longer list their tenant', async () => {
    const person = stack.person()
    await person.signIn(query, otto)
    const codeFor = async (username: string) => {
      const pkce = newPkce()
      const code = (await authorize(stack.person(), authorizationRequest(pkce), username)).get('code')!
      return (url: string) => redeem(url, code, pkce)
    }
    const without = await stack.startInstance({
      Broker__Tenants: contoso,
      Broker__FrontEnds: JSON.stringify([shop, app]),
    })

    const [ofOtto, ofAda] = [await codeFor(otto), await codeFor(ada)]
    const refused = await ofOtto(without.url)
    expect(refused).toMatchObject({ status: 400, json: { error: 'invalid_grant' } })
    expect(refused.json).not.toHaveProperty('access_token')
    expect((await ofAda(without.url)).status).toBe(200)
    expect((await ofOtto(stack.url)).status).toBe(200)

    expect((await person.script(shopPage, '/session')).status).toBe(200)
    const over = await person.script(shopPage, '/session', { at: without.url })
    expect(over).toMatchObject({ status: 401, json: { code: 'signed_out' } })
    // It is over at every instance: its row is gone.
    expect((await person.script(shopPage, '/session')).status).toBe(401)
  })
})

describe('tenants that sign up', () => {
  let stack: Stack
  let invited: HostProcess
  beforeAll(async () => {
    stack = await startStack({
      settings: { ...many, Broker__Tenants: 'signed-up' },
      frontEnds: [shop, forLitware, app],
    })
    invited = await stack.startInstance({
      Broker__Invitations: 'fabrikam.example',
      Broker__SignUpRole: 'Broker.SignUp',
    })
    // Its own start reads the store; the counts below are of the first instance.
    await stack.person().signIn(query, otto, { at: invited.url })
  })
  afterAll(() => stack.close())

  const operate = async (action: string, body: object = {}, broker = stack.brokers[0]!) => {
    const response = await fetch(`${broker.url}/operator/tenants/${action}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-functions-key': broker.functionKey },
      body: JSON.stringify(body),
    })
    return { status: response.status, json: (await response.json()) as Record<string, unknown> }
  }
  const removeAll = async () => {
    for (const tenant of [fabrikam, litware, contoso]) await operate('remove', { tenant })
  }
  afterEach(removeAll)

  /** An administrator consents. @returns the answer that the provider sends the browser with */
  const consent = async (person: Person, username: string, { frontend = 'shop', at = stack.url } = {}) => {
    const begun = await person.open(`/signup?frontend=${frontend}`, { at })
    expect([begun.status, codeOf(begun)]).toEqual([303, 'none'])
    const { fields } = await person.atProvider(begun.location!, username)
    return new URLSearchParams(fields)
  }
  const goOn = async (person: Person, answer: URLSearchParams, username: string, at = stack.url) => {
    const consented = await person.open(`/signup/consented?${answer.toString()}`, { at })
    if (consented.location === null) return consented
    return person.callback(await person.atProvider(consented.location, username), { at })
  }
  const signUp = async (username: string, options: { frontend?: string; at?: string } = {}) => {
    const person = stack.person()
    return { person, done: await goOn(person, await consent(person, username, options), username, options.at) }
  }
  const tenants = async () =>
    ((await operate('list')).json.tenants as { tenant: string; state: string }[]).map(({ tenant }) => tenant)

  it('are admitted by their administrator, who is signed in at once; then their people sign in', async () => {
    expect(codeOf(await stack.person().signIn(query, francis))).toBe('tenant_not_allowed')

    const { person, done } = await signUp(rosalind)

    expect(done.location).toBe('http://localhost:3000/')
    expect((await person.script(shopPage, '/session')).json).toMatchObject({ tenant_id: fabrikam, username: rosalind })
    expect((await operate('list')).json.tenants).toEqual([
      expect.objectContaining({
        tenant: fabrikam,
        state: 'active',
        signed_up_by: 'bbbbbbbb-0001-4000-8000-000000000001',
        domain: 'fabrikam.example',
      }),
    ])
    // The state was read before the sign-up, at this instance, which wrote the row; other tenants stay unknown.
    expect(codeOf(await stack.person().signIn(query, otto))).toBe('tenant_not_allowed')
    expect((await stack.person().signIn(query, francis)).location).toBe(returnUrl)
  })

  it('give their consent to the scopes of the front end', async () => {
    await signUp(lise)

    expect(stack.identityProvider.consents.at(-1)).toEqual({
      tenantId: litware,
      scopes: ['openid', 'profile', 'offline_access', 'api://demo/orders.read', 'api://demo/orders.write'],
    })
  })

  it('sign up once: a second administrator, or the same one again, changes nothing', async () => {
    await signUp(rosalind)
    const before = (await operate('list')).json
    stack.identityProvider.changePerson(francis, { claims: { wids: ['9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3'] } })

    const person = stack.person()
    const answer = new URLSearchParams({
      ...Object.fromEntries(await consent(person, rosalind)),
    })
    expect((await goOn(person, answer, francis)).location).toBe('http://localhost:3000/')

    expect((await operate('list')).json).toEqual(before)
    stack.identityProvider.changePerson(francis, { claims: { wids: ['729827e3-9c14-49f7-bb1b-9608f156bbb8'] } })
  })

  it('sign up once where two administrators do so at the same moment, at two instances', async () => {
    const role = (wid: string) =>
      stack.identityProvider.changePerson(francis, { claims: { wids: [wid], upn: francis } })
    role('9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3')
    const begun = await Promise.all(
      [
        { username: rosalind, at: stack.url },
        { username: francis, at: invited.url },
      ].map(async (one) => {
        const person = stack.person()
        const consented = await person.open(
          `/signup/consented?${(await consent(person, rosalind, one)).toString()}`,
          one,
        )
        return { ...one, person, answer: await person.atProvider(consented.location!, one.username) }
      }),
    )

    const done = await Promise.all(begun.map(({ person, answer, at }) => person.callback(answer, { at })))
    role('729827e3-9c14-49f7-bb1b-9608f156bbb8')

    expect(done.map(({ location }) => location)).toEqual(['http://localhost:3000/', 'http://localhost:3000/'])
    const [only, ...more] = (await operate('list')).json.tenants as { signed_up_by: string }[]
    expect(more).toEqual([])
    expect(only?.signed_up_by).toMatch(/^bbbbbbbb-000[12]-4000-8000-00000000000[12]$/)
    // Both instances know the same row, whichever wrote it.
    expect((await operate('list', {}, invited)).json.tenants).toEqual([only])
    for (const { person, at } of begun) {
      expect((await person.script(shopPage, '/session', { at })).json).toMatchObject({ tenant_id: fabrikam })
    }
  })

  it('may sign up for an OAuth client: the administrator comes to its page, without a session', async () => {
    const { done } = await signUp(lise, { frontend: 'app' })

    expect(done.location).toBe('http://127.0.0.1:5173/')
    expect(done.cookies.filter((cookie) => cookie.startsWith('__Host-session'))).toEqual([])
    expect(await tenants()).toEqual([litware])
  })

  it('need no request to the store at a sign-in beside its own two', async () => {
    await signUp(rosalind)
    await stack.person().signIn(query, francis)
    stack.store.resetRequests()
    stack.vault.resetRequests()

    await stack.person().signIn(query, francis)

    expect(stack.store.requests.map(({ operation, table }) => `${operation} ${table}`)).toEqual([
      'insert states',
      'insert sessions',
    ])
    expect(stack.vault.requests).toEqual([])
  })

  describe('are not admitted', () => {
    afterEach(async () => {
      expect(await tenants()).toEqual([])
    })

    it('by a person who is no administrator, although an administrator consented', async () => {
      for (const member of [francis, otto]) {
        const person = stack.person()
        const answer = await consent(person, rosalind)
        answer.set('tenant', member === francis ? fabrikam : litware)
        const refused = await goOn(person, answer, member)

        expect([refused.status, codeOf(refused)]).toEqual([403, 'sign_up_not_permitted'])
        expect(urlsOf(refused)).toEqual([
          ['Sign up again', `${stack.url}/signup?frontend=shop`],
          ['Back to the application', 'http://localhost:3000/'],
        ])
        expect((await person.script(shopPage, '/session')).status).toBe(401)
      }
    })

    it('by the consent of another tenant: the answer is not authenticated, and the token decides', async () => {
      const person = stack.person()
      const answer = await consent(person, rosalind)
      answer.set('tenant', litware)

      expect(codeOf(await goOn(person, answer, rosalind))).toBe('sign_up_mismatch')
    })

    it('by a guest with the role of an administrator', async () => {
      const person = stack.person()
      const answer = await consent(person, lise)

      expect(codeOf(await goOn(person, answer, visitor))).toBe('guest_not_allowed')
    })

    it('at a front end that is limited to other tenants', async () => {
      const { done } = await signUp(rosalind, { frontend: 'desk' })
      expect([done.status, codeOf(done)]).toEqual([403, 'tenant_not_allowed'])
      expect(await tenants()).toEqual([])

      expect((await signUp(lise, { frontend: 'desk' })).done.location).toBe('http://localhost:4200/')
      await removeAll()
    })

    it('without the consent: cancelled, denied beside `admin_consent=True`, or not named', async () => {
      const person = stack.person()
      const begun = await person.open('/signup?frontend=shop')
      const { fields } = await person.atProvider(begun.location!, rosalind, { cancelAt: 'consent' })
      expect(fields.admin_consent).toBe('True')
      const refused = await person.open(`/signup/consented?${new URLSearchParams(fields).toString()}`)
      expect([refused.status, codeOf(refused)]).toEqual([403, 'consent_refused'])

      for (const change of [{ admin_consent: 'False' }, { admin_consent: undefined }]) {
        const again = stack.person()
        const answer = await consent(again, rosalind)
        for (const [name, value] of Object.entries(change)) {
          if (value === undefined) answer.delete(name)
          else answer.set(name, value)
        }
        expect(codeOf(await again.open(`/signup/consented?${answer.toString()}`))).toBe('consent_refused')
      }
    })

    it('by an answer of another browser, a made-up one, or one that came before', async () => {
      const [person, other] = [stack.person(), stack.person()]
      const answer = await consent(person, rosalind)
      const path = `/signup/consented?${answer.toString()}`

      expect(codeOf(await other.open(path))).toBe('sign_in_unknown')
      expect(codeOf(await person.open('/signup/consented?admin_consent=True&state=x.shop'))).toBe('sign_in_unknown')
      expect(codeOf(await person.open(`${path}&tenant=${litware}`))).toBe('answer_invalid')

      const again = await consent(person, rosalind)
      expect((await person.open(`/signup/consented?${again.toString()}`)).status).toBe(303)
      expect(codeOf(await person.open(`/signup/consented?${again.toString()}`))).toBe('sign_in_unknown')
    })

    it('by a usual sign-in of an administrator, or by the answer of a sign-in in a sign-up', async () => {
      const person = stack.person()
      expect(codeOf(await person.signIn(query, rosalind))).toBe('tenant_not_allowed')

      const begun = await person.begin(query)
      const state = new URL(begun.location!).searchParams.get('state')!
      const forged = new URLSearchParams({ admin_consent: 'True', tenant: fabrikam, state })
      expect(codeOf(await person.open(`/signup/consented?${forged.toString()}`))).toBe('sign_in_unknown')
    })

    it('where they are not invited; the invited one is, by its domain', async () => {
      const at = invited.url
      expect(codeOf((await signUp(lise, { at })).done)).toBe('sign_up_not_invited')
      expect((await signUp(rosalind, { at })).done.location).toBe('http://localhost:3000/')
      await removeAll()
    })
  })

  it('may be signed up by a person with the app role of the settings', async () => {
    const at = invited.url
    stack.identityProvider.changePerson(francis, { claims: { roles: ['Broker.SignUp'], upn: francis } })
    const person = stack.person()
    const answer = await consent(person, rosalind, { at })

    expect((await goOn(person, answer, francis, at)).location).toBe('http://localhost:3000/')
    stack.identityProvider.changePerson(francis, { claims: {} })
  })

  it('are suspended and removed by an operator: sessions end at the next read, and a page says so', async () => {
    const { person } = await signUp(rosalind)
    const tokens = await signInByCode(stack.person(), stack.url, { scope: `openid ${ordersRead}` }, rosalind)
    const userinfo = () => person.call('/userinfo', { headers: { authorization: `Bearer ${tokens.accessToken}` } })
    expect((await userinfo()).json).toMatchObject({ tid: fabrikam })
    expect((await person.script(shopPage, '/session')).status).toBe(200)

    expect(await operate('suspend', { tenant: fabrikam.toUpperCase() })).toMatchObject({
      status: 200,
      json: { tenants: [{ tenant: fabrikam, state: 'suspended' }], effective_within: 60 },
    })
    expect((await person.script(shopPage, '/session')).json).toMatchObject({ code: 'signed_out' })
    expect((await person.sessionToken(shopPage, { api: 'orders' })).json).toMatchObject({ code: 'signed_out' })
    expect((await userinfo()).status).toBe(401)
    expect((await refresh(stack.url, tokens.refreshToken)).json).toMatchObject({ error: 'invalid_grant' })
    const refused = await stack.person().signIn(query, francis)
    expect(codeOf(refused)).toBe('tenant_suspended')
    expect(refused.text).toContain('The access of your organization to this application is suspended.')
    // A sign-up does not resume it.
    expect(codeOf((await signUp(rosalind)).done)).toBe('tenant_suspended')

    expect((await operate('resume', { tenant: fabrikam })).status).toBe(200)
    expect((await stack.person().signIn(query, francis)).location).toBe(returnUrl)
    expect((await operate('remove', { tenant: fabrikam })).json).toEqual({ tenants: [], effective_within: 60 })
    expect(codeOf(await stack.person().signIn(query, francis))).toBe('tenant_not_allowed')
  })

  it('are added by an operator, who alone may do so', async () => {
    expect((await operate('add', { tenant: litware, domain: 'litware.example' })).status).toBe(200)
    expect((await stack.person().signIn({ frontend: 'desk' }, otto)).status).toBe(303)

    for (const [action, body, status] of [
      ['add', { tenant: 'common' }, 400],
      ['add', { tenant: litware, domain: '<b>' }, 400],
      ['add', {}, 400],
      ['suspend', { tenant: fabrikam }, 404],
      ['remove', { tenant: fabrikam }, 404],
      ['destroy', { tenant: litware }, 400],
    ] as const) {
      expect((await operate(action, body)).status, `${action} ${JSON.stringify(body)}`).toBe(status)
    }
    for (const key of ['', 'wrong']) {
      const response = await fetch(`${stack.url}/operator/tenants/list`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-functions-key': key },
        body: '{}',
      })
      expect(response.status).toBe(401)
    }
  })

  it('are listed and changed by the command of operators', async () => {
    const run = (...args: string[]) => runAsOperator(runTenantsCommand, stack.brokers[0]!, ...args)
    await signUp(rosalind)

    expect((await run('add', litware.toUpperCase(), '--domain', 'Litware.Example')).printed).toEqual([
      expect.stringMatching(`^  ${litware}  active     litware.example  signed up .* by operator$`),
      'It has effect at every instance within 60 seconds.',
    ])
    expect((await run('suspend', fabrikam)).code).toBe(0)
    expect((await run('list')).printed).toEqual([
      '2 tenants.',
      expect.stringMatching(
        `^  ${fabrikam}  suspended  fabrikam.example  signed up .* by bbbbbbbb-0001-4000-8000-000000000001$`,
      ),
      expect.stringMatching(`^  ${litware}  active `),
    ])
    expect((await run('resume', fabrikam)).code).toBe(0)
    expect((await run('remove', litware, '--json')).printed).toEqual(['{"tenants":[],"effective_within":60}'])
    expect(stack.log()).toMatch(/"event":"tenant signed up".*"tenant":"77777777/)
    // The fingerprint of the key that docs/operations.md describes.
    const key = createHash('sha256').update(stack.brokers[0]!.functionKey).digest('hex').slice(0, 8)
    const changes = logged(stack, 'tenant changed by an operator').filter((line) => line.key === key)
    expect(changes.map(({ action, tenant }) => [action, tenant])).toEqual(
      expect.arrayContaining([
        ['suspend', fabrikam],
        ['remove', litware],
      ]),
    )
    expect(logged(stack, 'tenants listed by an operator').at(-1)).toMatchObject({ key })

    for (const wrong of [['destroy'], ['add'], ['list', litware], ['suspend', litware, fabrikam]]) {
      await expect(run(...wrong)).rejects.toMatchObject({ exitCode: 2 })
    }
    await expect(run('suspend', litware)).rejects.toThrow(/answered 404/)
    await expect(run('add', 'contoso.com')).rejects.toThrow(/not the id of a tenant/)
  })

  it('are listed in the name of the key that the host checked, however it was sent', async () => {
    const { url, functionKey } = stack.brokers[0]!
    const fingerprint = createHash('sha256').update(functionKey).digest('hex').slice(0, 8)
    const list = async (query: string, ...keys: string[]) => {
      const headers = [
        ['Host', new URL(url).host],
        ['Content-Type', 'application/json'],
        ['Content-Length', '2'],
        ...keys.map((key) => ['x-functions-key', key] as const),
      ] as const
      const target = `/operator/tenants/list${query}`
      const { status } = await sendRaw(url, { method: 'POST', target, headers, body: '{}' })
      return [status, logged(stack, 'tenants listed by an operator').at(-1)?.key]
    }

    expect(await list('', functionKey)).toEqual([200, fingerprint])
    // The text behind the key would choose another fingerprint, and 2³² of them are soon tried.
    expect(await list('', functionKey, 'of a colleague')).toEqual([200, fingerprint])
    expect(await list(`?code=${encodeURIComponent(functionKey)}`)).toEqual([200, fingerprint])
    expect((await list('', 'of a colleague', functionKey))[0]).toBe(401)
  })

  it('accept the sign-up route’s own parameters only, and registered addresses', async () => {
    const person = stack.person()
    const open = (path: string) => person.open(path)

    expect(codeOf(await open('/signup?frontend=nobody'))).toBe('front_end_unknown')
    expect(codeOf(await open('/signup?frontend=shop&return_url=https://evil.example/'))).toBe(
      'return_url_not_registered',
    )
    for (const other of ['tenant=contoso', 'ui_locales=de', 'prompt=consent']) {
      expect(codeOf(await open(`/signup?frontend=shop&${other}`)), other).toBe('parameter_invalid')
    }
    expect(codeOf(await open('/signup?frontend=shop&domain_hint=a/b'))).toBe('parameter_invalid')
    expect((await open('/signup?frontend=shop&utm_source=mail')).status).toBe(303)
    expect(codeOf(await open('/signup?frontend=shop&frontend=shop'))).toBe('parameter_repeated')
    const begun = await open('/signup?frontend=shop&login_hint=a%40b&domain_hint=fabrikam.example')
    const url = new URL(begun.location!)
    expect(url.pathname).toBe('/organizations/v2.0/adminconsent')
    expect(Object.fromEntries(url.searchParams)).toMatchObject({ login_hint: 'a@b', domain_hint: 'fabrikam.example' })
    expect((await person.call('/signup?frontend=shop', { method: 'POST' })).status).toBe(405)
  })
})

describe('tenants of a further provider', () => {
  const local = localBeside('customers', {
    tenantId: 'organizations',
    homeTenantId: contoso,
    tenants: 'signed-up',
    managedIdentityClientId: localIdentity.clientId,
    claims: ['roles'],
  })
  const frontEnds = [
    { ...shop, providers: ['primary', 'customers'], claims: ['roles', 'department'] },
    { ...forLitware, providers: ['customers'] },
  ]
  const atCustomers = { ...query, provider: 'customers' }
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ frontEnds, provider: local.start, localProviderId: 'customers' })
  })
  afterAll(() => stack.close())
  afterEach(() => stack.vault.faults.clear())

  const run = (...args: string[]) => runAsOperator(runTenantsCommand, stack.brokers[0]!, ...args)
  const sessionOf = async (person: Person, page = shopPage) => (await person.script(page, '/session')).json

  it('sign up there, sign in and renew, and are suspended there', async () => {
    expect(codeOf(await stack.person().signIn(atCustomers, lise))).toBe('tenant_not_allowed')
    const admin = stack.person()
    const { fields } = await admin.atProvider((await admin.open('/signup?frontend=shop')).location!, lise)
    const consented = await admin.open(`/signup/consented?${new URLSearchParams(fields).toString()}`)
    const sent = new URL(consented.location!).searchParams
    expect(sent.get('redirect_uri')).toBe(`${stack.url}/callback/customers`)

    const done = await admin.callback(await admin.atProvider(consented.location!, lise))

    expect(done.location).toBe('http://localhost:3000/')
    const session = await sessionOf(admin)
    expect(session).toMatchObject({ provider: 'customers', tenant_id: litware, username: lise })
    expect(session.subject).toMatch(/\.customers$/)
    const renewed = await admin.sessionToken(shopPage, { api: 'orders', scope: 'api://demo/orders.write' })
    expect(renewed.status).toBe(200)
    expect(stack.identityProvider.requests.at(-1)).toMatchObject({
      path: '/organizations/oauth2/v2.0/token',
      grantType: 'refresh_token',
    })
    expect(codeOf(await stack.person().signIn(atCustomers, rosalind))).toBe('tenant_not_allowed')
    expect((await run('list')).printed[1]).toContain(litware)
    expect((await run('list', '--provider', 'customers')).printed[0]).toBe('1 tenant.')
    await expect(run('list', '--provider', 'primary')).rejects.toThrow(/provider no provider at which tenants sign up/)

    await run('suspend', litware, '--provider', 'customers')

    expect(codeOf(await stack.person().signIn(atCustomers, otto))).toBe('tenant_suspended')
    expect((await admin.script(shopPage, '/session')).status).toBe(401)
    await run('remove', litware)
  })

  it('can repeat a sign-up that failed at the same provider, with the same page to return to', async () => {
    const page = 'http://localhost:3000/team'
    const again = (reply: Reply) => {
      const [[label, url] = []] = urlsOf(reply)
      expect([label, new URL(url!).pathname]).toEqual(['Sign up again', '/signup'])
      return Object.fromEntries(new URL(url!).searchParams)
    }
    const expected = { frontend: 'shop', return_url: page, provider: 'customers' }
    const begin = async (person: Person) =>
      (await person.open(`/signup?${new URLSearchParams({ frontend: 'shop', return_url: page }).toString()}`)).location!
    const consentedBy = (person: Person, fields: Readonly<Record<string, string>>) =>
      person.open(`/signup/consented?${new URLSearchParams(fields).toString()}`)

    const cancelled = stack.person()
    const { fields } = await cancelled.atProvider(await begin(cancelled), lise, { cancelAt: 'consent' })
    expect(again(await consentedBy(cancelled, fields))).toEqual(expected)

    const member = stack.person()
    const consented = await consentedBy(member, (await member.atProvider(await begin(member), lise)).fields)
    const refused = await member.callback(await member.atProvider(consented.location!, otto))
    expect(codeOf(refused)).toBe('sign_up_not_permitted')
    expect(again(refused)).toEqual(expected)

    expect(again(await stack.person().open('/signup?frontend=shop&provider=customers&prompt=login'))).toEqual({
      frontend: 'shop',
      provider: 'customers',
    })
    // The person who is refused may have another account at the other provider.
    const [[, other] = []] = urlsOf(await stack.person().signIn(atCustomers, rosalind))
    expect(new URL(other!).searchParams.has('provider')).toBe(false)
  })

  it('start a sign-in by their issuer, whether they signed up or not: the route does not reveal it', async () => {
    await run('add', litware)
    for (const tenant of [litware, fabrikam]) {
      const iss = `${new URL(stack.identityProvider.tokenUrl).origin}/${tenant}/v2.0`
      const { location } = await stack.person().begin({ frontend: 'shop', iss })
      expect(location).toBe(`${stack.url}/login?frontend=shop&provider=customers`)
    }
    await run('remove', litware)
  })

  it('are limited by a front end, and people of the primary provider sign in beside them', async () => {
    await run('add', litware)
    await run('add', contoso)
    const [one, two] = [stack.person(), stack.person()]

    expect((await one.signIn({ frontend: 'desk' }, otto)).status).toBe(303)
    expect(await sessionOf(one, deskPage)).toMatchObject({ provider: 'customers', tenant_id: litware })
    expect(codeOf(await stack.person().signIn({ frontend: 'desk' }, ada))).toBe('tenant_not_allowed')
    expect((await stack.person().signIn(atCustomers, ada)).location).toBe(returnUrl)
    expect((await two.signIn({ ...query, provider: 'primary' })).location).toBe(returnUrl)
    expect(await sessionOf(two)).not.toHaveProperty('tenant_id')
    for (const tenant of [litware, contoso]) await run('remove', tenant)
  })

  it('sign in by the managed identity, where the app registration trusts it and the vault does not sign', async () => {
    const [application] = stack.graph.applications.all
    stack.graph.applications.trust(application!, {
      name: 'broker-managed-identity',
      issuer: stack.managedIdentity.issuer.exchangeIssuer,
      subject: localIdentity.principalId,
      audiences: [tokenExchangeAudience],
    })
    await run('add', litware)
    stack.vault.faults.add({ operation: 'sign', status: 403 })
    const cold = await stack.startInstance()

    expect((await stack.person().signIn(atCustomers, otto, { at: cold.url })).location).toBe(returnUrl)

    expect(logged(stack, 'second credential used').at(-1)).toMatchObject({
      code: 'vault_forbidden',
      provider: 'customers',
    })
    // The primary provider trusts the certificate alone.
    expect(codeOf(await stack.person().signIn({ ...query, provider: 'primary' }, undefined, { at: cold.url }))).toBe(
      'vault_forbidden',
    )
    stack.vault.faults.clear()
    await run('remove', litware)
  })
})

it('offers no sign-up where one tenant signs in', async () => {
  const stack = await startStack()
  const person = stack.person()

  for (const path of ['/signup?frontend=shop', '/signup/consented?admin_consent=True&state=x.shop']) {
    const refused = await person.open(path)
    expect([refused.status, codeOf(refused)]).toEqual([404, 'sign_up_closed'])
  }
  expect((await person.signIn(query)).location).toBe(returnUrl)
  await stack.close()
})
