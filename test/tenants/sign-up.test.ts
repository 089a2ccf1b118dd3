/** Tenants that their administrators sign up, and that operators manage. */
import { createHash } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { HostProcess } from '../../local/functions-host/process.ts'
import { fabrikam, litware } from '../../local/identity-provider/people.ts'
import { runTenantsCommand } from '../../tools/tenants/tenants-command.ts'
import { logged } from '../certificate/rolling.ts'
import { app, ordersRead, refresh, signInByCode } from '../setup/client.ts'
import { runAsOperator } from '../setup/operator-command.ts'
import { shopPage } from '../setup/person.ts'
import type { Person } from '../setup/person.ts'
import { sendRaw } from '../setup/raw-http.ts'
import { shop, startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import {
  codeOf,
  contoso,
  forLitware,
  francis,
  lise,
  many,
  otto,
  query,
  returnUrl,
  rosalind,
  urlsOf,
  visitor,
} from './organizations.ts'

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
      const repeated = await person.open(`/signup/consented?${again.toString()}`)
      // Another sign-up of this browser may be under way: its cookie stays.
      expect([codeOf(repeated), repeated.cookies]).toEqual(['sign_in_unknown', []])
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

  it('are suspended and removed by an operator: sessions end at the next read, and a page names the reason', async () => {
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
    expect((await operate('remove', { tenant: litware.toUpperCase() })).status).toBe(200)
    expect(await tenants()).toEqual([])
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
    await expect(run('add', 'contoso.com')).rejects.toThrow(
      /answered 400: tenant: not the id of a tenant\. Reference: [\da-f]{32}\.$/,
    )
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
