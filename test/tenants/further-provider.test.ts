/** Tenants of a provider beside the primary one. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { fabrikam, litware } from '../../local/identity-provider/people.ts'
import { tokenExchangeAudience } from '../../local/managed-identity/access-tokens.ts'
import { localIdentity } from '../../local/managed-identity/managed-identity.ts'
import { runTenantsCommand } from '../../tools/tenants/tenants-command.ts'
import { logged } from '../certificate/rolling.ts'
import { localBeside } from '../setup/beside-providers.ts'
import { runAsOperator } from '../setup/operator-command.ts'
import { ada, deskPage, shopPage } from '../setup/person.ts'
import type { Person, Reply } from '../setup/person.ts'
import { shop, startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { codeOf, contoso, forLitware, lise, otto, query, returnUrl, rosalind, urlsOf } from './organizations.ts'

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
    await expect(run('list', '--provider', 'primary')).rejects.toThrow(
      /answered 400: provider: no provider at which tenants sign up\. Reference/,
    )

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
