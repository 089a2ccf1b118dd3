import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { HostProcess } from '../../local/functions-host/process.ts'
import { runFunction } from '../setup/admin-functions.ts'
import { app, authorizationRequest, newPkce, post, redeem, refresh, signInByCode } from '../setup/client.ts'
import { ada, deskPage, shopPage } from '../setup/person.ts'
import type { Person } from '../setup/person.ts'
import { desk, shop, startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { openTables } from '../setup/tables.ts'
import { formsOf, watch } from './secret-scanner.ts'
import type { Witness } from './secret-scanner.ts'

const toShop = { frontend: 'shop', return_url: 'http://localhost:3000/orders' }
const asProgram = { headers: { accept: 'application/json' } }
const inSettings = 'a-secret-that-stands-in-a-setting'
const byProvider = 'text-of-the-provider-that-quotes-what-was-sent'

describe('a value that can sign a person in', () => {
  let stack: Stack
  let witness: Witness
  let secrets: ReadonlyMap<string, string>
  beforeAll(async () => {
    stack = await startStack({ instances: 2, frontEnds: [shop, desk, app], telemetry: true })
    witness = watch(stack)
    await signInsThatWork()
    await theOAuthWay()
    await refusedRequests()
    await refusedAnswers()
    await refusedRenewals()
    await faults()
    await upkeep()
    secrets = witness.secrets()
    // A busy machine does not load the exporters in the time that an instance has at its end.
    await vi.waitUntil(() => reportedFailures() > 40, 60_000)
    // An instance sends its pending telemetry when it ends.
    for (const broker of stack.brokers) await broker.close()
  })
  afterAll(async () => {
    witness.end()
    await stack.close()
  })

  const signedIn = async (): Promise<Person> => {
    const person = stack.person()
    await person.signIn(toShop)
    return person
  }

  const signInsThatWork = async () => {
    const person = await signedIn()
    await person.script(shopPage, '/session')
    await person.sessionToken(shopPage, { api: 'orders' })
    await person.sessionToken(shopPage, { api: 'orders', scope: 'api://demo/orders.read' })
    const { json } = await person.script(shopPage, '/logout', { method: 'POST' })
    await person.open((await person.visitor.signOut(json.url as string))!)

    const byQuery = await stack.startInstance({ Broker__ResponseMode: 'query', Broker__AssertionReuse: 'false' })
    await stack.person().signIn(toShop, ada, { at: byQuery.url })
  }

  const theOAuthWay = async () => {
    const client = await signInByCode(stack.person(), stack.url)
    const next = (await refresh(stack.url, client.refreshToken)).json.refresh_token as string
    await redeem(stack.url, client.code, client.pkce)
    await refresh(stack.url, next)
    await refresh(stack.url, `${next.slice(0, -2)}AA`)
    await redeem(stack.url, client.code, newPkce())
    await post('/revoke', { token: next, client_id: 'app' }, { url: stack.url })
    await post('/token', { grant_type: 'password', client_id: 'app', code: client.code }, { url: stack.url })
    await stack.person().begin(authorizationRequest(newPkce(), { prompt: 'none' }))
    await stack.person().begin(authorizationRequest(newPkce(), { code_challenge: undefined }))
  }

  const refusedRequests = async () => {
    const person = await signedIn()
    const cookie = (await person.cookies())['__Host-session-shop']!
    await person.script(deskPage, '/session')
    await person.sessionToken(shopPage, { api: cookie })
    await person.sessionToken(shopPage, { api: 'orders', scope: cookie })
    await person.sessionToken(shopPage, { [cookie]: cookie })
    await person.call('/session/token?frontend=shop', { method: 'POST', body: cookie })
    await person.call('/logout?frontend=shop', { method: 'POST', body: new URLSearchParams({ code: cookie }) })
    for (const path of [
      `/session?frontend=${cookie}`,
      `/session?frontend=shop&${cookie}=1`,
      `/session?frontend=${cookie}&frontend=${cookie}`,
      `/login?frontend=${cookie}`,
      `/login?frontend=shop&return_url=${cookie}`,
      `/login?frontend=shop&claims=${cookie}`,
      `/login?frontend=shop&prompt=${cookie}`,
      `/login?frontend=shop&${cookie}=1`,
      `/logout/done?state=${cookie}`,
      `/health/detail?code=${cookie}`,
      `/${cookie}`,
    ]) {
      await person.open(path)
      await person.call(path, asProgram)
    }
    await person.call('/health/detail', { headers: { 'x-functions-key': cookie } })
    await person.script(shopPage, '/session', { headers: { cookie: `__Host-session-shop=${cookie.slice(0, -1)}` } })
  }

  const refusedAnswers = async () => {
    for (const change of [
      { state: 'x'.repeat(43) },
      { code: 'y'.repeat(60) },
      { iss: 'https://evil.example' },
      { error: 'access_denied', error_description: byProvider },
      { error: byProvider },
      { code: 'z'.repeat(20_000) },
      { code: 'line\nbreak-and-more-of-a-code' },
    ]) {
      const person = stack.person()
      const { fields } = await person.atProvider((await person.begin(toShop)).location!)
      await person.callback({ fields: { ...fields, ...change }, mode: 'form_post' })
      await person.callback({ fields, mode: 'form_post' }, asProgram)
      await person.callback({ fields, mode: 'form_post' })
      await person.callback({ fields, mode: 'redirect' })
    }
    // The response of another sign-in, an ID token for another sign-in, and the provider's own errors.
    const [one, two] = [stack.person(), stack.person()]
    const stolen = await one.atProvider((await one.begin(toShop)).location!)
    const own = await two.atProvider((await two.begin(toShop)).location!)
    await two.callback(stolen)
    await two.callback({ ...own, fields: { ...own.fields, code: stolen.fields.code! } })
    for (const error of ['invalid_grant', 'invalid_client', 'interaction_required', 'server_error', byProvider]) {
      stack.identityProvider.nextTokenError({ error, error_description: byProvider, times: 2 })
      await stack.person().signIn(toShop)
      stack.identityProvider.faults.clear()
    }
  }

  const refusedRenewals = async () => {
    for (const error of [
      { error: 'interaction_required', claims: '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}' },
      { error: 'invalid_client' },
      { error: 'temporarily_unavailable' },
      { error: byProvider },
      { error: 'invalid_grant', suberror: byProvider },
    ]) {
      const person = await signedIn()
      stack.identityProvider.nextTokenError({ ...error, error_description: byProvider, times: 2 })
      await person.sessionToken(shopPage, { api: 'orders', scope: 'api://demo/orders.read' })
      stack.identityProvider.faults.clear()
    }
  }

  const faults = async () => {
    const person = await signedIn()
    const everything = async (at: string) => {
      await person.sessionToken(shopPage, { api: 'orders', scope: 'api://demo/orders.write' }, { at })
      await person.script(shopPage, '/session', { at })
      await person.script(shopPage, '/logout', { method: 'POST', at })
      await stack.person().begin(toShop, { at })
    }
    stack.store.addFault({ status: 500, body: byProvider })
    await everything(stack.url)
    stack.store.clearFaults()
    await person.signIn(toShop)

    for (const body of [`<html>${byProvider}</html>`, `{"error":"${byProvider}"`]) {
      stack.identityProvider.faults.add({ endpoint: 'token', status: 400, body })
      await person.sessionToken(shopPage, { api: 'orders', scope: 'api://demo/orders.write' })
      const other = stack.person()
      await other.signIn(toShop)
      stack.identityProvider.faults.clear()
    }

    // An instance without a key tries the next part again, so one instance meets two faults.
    for (const faults of [
      [
        () => stack.vault.faults.add({ operation: 'unwrapkey', status: 403 }),
        () => stack.store.addFault({ operation: 'list', dropConnection: true }),
      ],
      [
        () => stack.vault.faults.add({ operation: 'sign', status: 500 }),
        () => stack.vault.faults.add({ garbage: true }),
      ],
    ]) {
      let cold: HostProcess | undefined
      for (const spoil of faults) {
        spoil()
        cold ??= await stack.startInstance()
        await everything(cold.url)
        await stack.person().call('/health/ready', { at: cold.url })
        await stack.person().call('/health/detail', { at: cold.url, headers: { 'x-functions-key': cold.functionKey } })
        stack.vault.faults.clear()
        stack.store.clearFaults()
      }
      await person.signIn(toShop)
    }

    const misconfigured = await stack.startInstance({
      AzureAd__ClientSecret: inSettings,
      AzureWebJobsStorage: `DefaultEndpointsProtocol=https;AccountName=x;AccountKey=${inSettings}`,
      Broker__FrontEnds: JSON.stringify([{ ...shop, clientSecret: inSettings }]),
    })
    await everything(misconfigured.url)
    await stack.person().open('/login', { at: misconfigured.url })
    await stack.person().call('/health/ready', { at: misconfigured.url })
  }

  const reportedFailures = () =>
    stack.ingestion.received().filter(({ properties }) => properties.outcome === 'failed').length

  const upkeep = async () => {
    for (const name of ['sweep', 'warmup', 'rollCertificate']) await runFunction(stack.brokers[0]!, name)
    for (const { masterKey, functionKey } of stack.brokers) {
      witness.keep('master key', masterKey)
      witness.keep('function key', functionKey)
    }
    witness.keep('identity header', stack.managedIdentity.header)
    for (const { values } of await openTables(stack).rows('service')) {
      if (values.wrapped instanceof Uint8Array)
        witness.keep('wrapped key', Buffer.from(values.wrapped).toString('base64'))
    }
    witness.keep('secret in a setting', inSettings)
    witness.keep('provider’s text', byProvider)
  }

  const find = (text: string): readonly string[] =>
    [...secrets].filter(([, value]) => formsOf(value).some((form) => text.includes(form))).map(([name]) => name)

  it('occurs in the run: the run had every kind of value and every kind of error', () => {
    const kinds = new Set([...secrets.keys()].map((name) => name.replace(/(-signin-.*)? \d+$/, '')))
    const codes = new Set([...stack.log().matchAll(/"code":"(\w+)"/g)].map(([, code]) => code))

    expect([...kinds].sort()).toEqual(
      expect.arrayContaining([
        ...[
          '__Host',
          '__Host-session-shop',
          'access_token',
          'client_assertion',
          'code',
          'code_verifier',
          'function key',
        ],
        ...['id_token', 'identity header', 'master key', 'nonce', 'refresh_token', 'state', 'wrapped key'],
      ]),
    )
    expect(secrets.size).toBeGreaterThan(200)
    expect([...codes].sort()).toEqual(
      expect.arrayContaining([
        ...['answer_invalid', 'client_refused', 'code_refused', 'front_end_unknown', 'interaction_required'],
        ...['issuer_mismatch', 'parameter_invalid', 'provider_refused', 'provider_unavailable', 'settings_invalid'],
        ...['sign_in_cancelled', 'sign_in_unknown', 'signed_out', 'store_unavailable', 'vault_forbidden'],
      ]),
    )
    expect(witness.answers.filter(({ status }) => status >= 400).length).toBeGreaterThan(80)
    const [, code] = [...secrets].find(([name]) => name.startsWith('code '))!
    expect(find(`GET /callback?code=${encodeURIComponent(code)}`)).not.toEqual([])
    expect(find(`… ${code.slice(0, 20)}… was refused`)).not.toEqual([])
  })

  it('is in no line of the log', () => {
    const log = stack.log()

    expect(log.length).toBeGreaterThan(5000)
    expect(find(log)).toEqual([])
    expect(log).not.toMatch(/eyJ[\w-]{8,}\./)
    expect(log).not.toMatch(/-----BEGIN|PRIVATE KEY|[?&](code|state)=/)
  })

  it('is in no telemetry', () => {
    const reported = Buffer.concat(stack.ingestion.rawBodies).toString()
    const received = stack.ingestion.received()

    // Successes and failures of every step, and calls to every part that the broker calls.
    const steps = new Set(
      received.filter(({ type }) => type === 'event').map(({ name }) => name.replace('broker.', '')),
    )
    const calls = new Set(received.filter(({ kind }) => kind === 'dependency').map(({ target }) => target))
    expect([...steps].sort()).toEqual(['redeemed', 'renewal', 'returned', 'session', 'sign_out', 'started', 'token'])
    expect(reportedFailures()).toBeGreaterThan(40)
    expect(calls.size).toBeGreaterThanOrEqual(3)

    expect(find(reported)).toEqual([])
    expect(reported).not.toMatch(/eyJ[\w-]{8,}\.|-----BEGIN|PRIVATE KEY|[?&](code|state|sid)=/)
    for (const person of stack.identityProvider.people) {
      for (const one of [person.username, person.name, person.objectId]) expect(reported).not.toContain(one)
    }
  })

  it('is in a log without any person’s name, address or id', () => {
    const log = stack.log()

    for (const person of stack.identityProvider.people) {
      for (const one of [person.username, person.name, person.objectId]) expect(log).not.toContain(one)
    }
    expect(log).not.toMatch(/[\w.]+@[\w.]+\.example/)
  })

  it('is on no page and in no problem details', () => {
    const refused = witness.answers.filter(({ status }) => status >= 400)

    for (const { request, status, body, headers } of refused) {
      expect({ request, status, found: find(body + headers) }).toEqual({ request, status, found: [] })
      expect(body).not.toMatch(/ada@contoso|Ada Lovelace|\bat .*:\d+:\d+|node_modules/)
    }
  })

  it('is in an answer only if the caller requested it', () => {
    const good = witness.answers.filter(({ status }) => status < 400)

    for (const { request, status, body, headers } of good) {
      const isToken = request === 'POST /session/token' || request === 'POST /token'
      const isSignOut = request === 'POST /logout'
      const found = find(isToken || isSignOut ? headers : body + headers)
      expect({ request, status, found }).toEqual({ request, status, found: [] })
      if (request === 'POST /session/token') {
        expect(Object.keys(JSON.parse(body) as object).sort()).toEqual([
          'access_token',
          'expires_in',
          'scope',
          'token_type',
        ])
      }
    }
  })

  it('is in no address: a redirect contains only its protocol parameters', () => {
    const allowed: Readonly<Record<string, RegExp>> = {
      'GET /login': /^(state|nonce)/,
      'POST /callback': /^(code|state)/, // a one-time code of the broker's own, and the client's state
      'GET /callback': /^$/,
    }
    const provider = new Set(
      stack.identityProvider.requests.flatMap(({ form }) => [form?.code, form?.code_verifier, form?.refresh_token]),
    )

    for (const { request, location } of witness.answers) {
      if (location === '') continue
      // Codes and refresh tokens of one sign-in begin with the same blind index, which opens nothing.
      const found = find(location)
        .filter((name) => !allowed[request]?.test(name))
        .filter((name) => !name.startsWith('refresh_token') || location.includes(secrets.get(name)!.slice(16, 32)))
      expect({ request, found }).toEqual({ request, found: [] })
      for (const [, value] of new URL(location).searchParams) expect(provider.has(value)).toBe(false)
    }
  })
})
