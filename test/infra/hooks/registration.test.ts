import { readFile } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createWorkplace } from '../../setup/azd.ts'
import { tenantId } from '../../setup/azure.ts'
import { accepted, asPipeline, complete, frontEnds, given, openShop, outcome, parametersOf, refused } from './shop.ts'
import type { Shop } from './shop.ts'

let shop: Shop
beforeEach(async () => {
  shop = await openShop()
})
afterEach(() => shop.close())

describe('a deployment', () => {
  it('allows ID tokens in the registration for the hybrid flow alone', async () => {
    const { azure, here } = shop
    await here.azd('up')
    const properties = () => azure.directory.properties.get(azure.graph.applications.all[0]!.id) as { web?: object }
    expect(properties().web).not.toHaveProperty('implicitGrantSettings')

    await here.configure({ settings: { Broker__ResponseType: 'code id_token' } })
    await here.azd('provision')

    expect(properties().web).toMatchObject({ implicitGrantSettings: { enableIdTokenIssuance: true } })
  })

  it('reports a consent for all users by API, behind the consents of single users', async () => {
    const { azure, here } = shop
    const scope = (id: string) => ({ id: `c3b1e0a2-5d4f-4c8e-9a7b-${id}`, value: 'access_as_user' })
    const api = (name: string, id: string) => ({
      id: `d4c2f1b3-6e5a-4d9f-8b8c-${id}`,
      appId: `e5d3a2c4-7f6b-4eaf-9c9d-${id}`,
      servicePrincipalNames: [`api://${name}`],
      oauth2PermissionScopes: [scope(id)],
    })
    const [stock, bills] = [api('stock', '000000000001'), api('bills', '000000000002')]
    azure.directory.servicePrincipals.push(stock, bills)
    const apis = [
      { name: 'stock', scopes: ['api://stock/access_as_user'] },
      { name: 'bills', scopes: ['api://bills/access_as_user'] },
      { name: 'graph', scopes: ['api://stock/.default'] },
    ]
    await here.configure({ frontEnds: [{ id: 'spa', origins: ['https://app.example.com'], apis }] })
    const { grants } = azure.directory
    for (let user = 1; user <= 5; user++) {
      grants.push({ consentType: 'Principal', resourceId: bills.id, scope: 'access_as_user' })
    }
    grants.push({ consentType: 'AllPrincipals', resourceId: stock.id, scope: ' access_as_user' })

    // A scope of the same name at the other API is another permission.
    expect(await accepted(shop)).toMatch(/Consent +missing for access_as_user:/)
    grants.push({ consentType: 'AllPrincipals', resourceId: bills.id, scope: 'openid access_as_user' })
    const { output } = await here.azd('provision')
    expect(output).toMatch(/Consent +granted for all users/)
    expect(output).not.toContain('admin-consent')
  })

  it('with scopes that Graph does not look up reports the refusal, and keeps the permissions', async () => {
    const { azure, here } = shop
    await accepted(shop)
    const clear = azure.graph.faults.add({ operation: 'findServicePrincipals', status: 403 })

    const { code, output } = await here.azd('provision')

    expect(code, output).toBe(0)
    expect(output).toContain('The scope api://orders/orders.read could not be looked up (Graph answered 403')
    expect(output).not.toContain('has no API')
    expect(outcome(azure)).toEqual(complete)
    clear()
    expect((await here.azd('provision')).output).not.toContain('looked up')
  })

  it('that a policy of the tenant refuses to register names the cause and the way by hand', async () => {
    const clear = shop.azure.graph.faults.add({ operation: 'changeApplication', status: 400 })

    const output = await refused(shop)

    expect(output).toMatch(/was not created \(Graph answered 400 .*as the policy demands, and write "clientId"/)
    clear()
    await accepted(shop)
  })

  it('lets the registration trust the identity of the broker where the file names it as the second credential', async () => {
    const { azure, here } = shop
    await here.azd('up')
    const trusted = () => azure.graph.applications.federatedCredentialsOf(azure.graph.applications.all[0]!)
    expect(trusted()).toEqual([])
    const second = { AzureAd__ClientCredentials__1__SourceType: 'SignedAssertionFromManagedIdentity' }
    const foreign = { name: 'of a pipeline', issuer: 'https://ci.example', subject: 'repo', audiences: ['api://x'] }
    azure.graph.applications.trust(azure.graph.applications.all[0]!, foreign)

    await here.configure({ settings: second })
    await here.azd('provision')

    const own = {
      name: 'broker-managed-identity',
      issuer: `https://login.microsoftonline.com/${tenantId}/v2.0`,
      subject: '33333333-3333-4333-8333-000000000001',
      audiences: ['api://AzureADTokenExchange'],
    }
    expect(trusted()).toMatchObject([foreign, own])
    expect([...azure.arm.state.appSettings.values()]).toMatchObject([second])

    // A repetition changes nothing, and corrects what was changed.
    const { id } = trusted()[1]!
    expect((await here.azd('provision')).output).toContain('trusted, unchanged')
    expect(trusted()[1]!.id).toBe(id)
    azure.graph.applications.trust(azure.graph.applications.all[0]!, { ...own, subject: 'a stranger' })
    await here.azd('provision')
    expect(trusted()).toMatchObject([foreign, own])
  })

  it('names the trust that is left over where the file no longer names the second credential', async () => {
    const { azure, here } = shop
    await here.azd('up')
    const application = azure.graph.applications.all[0]!
    azure.graph.applications.trust(application, {
      name: 'broker-managed-identity',
      issuer: 'https://login.microsoftonline.com/t/v2.0',
      subject: 's',
      audiences: ['api://AzureADTokenExchange'],
    })

    const { output } = await here.azd('provision')

    expect(output).toContain(
      `az ad app federated-credential delete --id ${application.appId} --federated-credential-id broker-managed-identity`,
    )
    expect(azure.graph.applications.federatedCredentialsOf(application)).toHaveLength(1)
  })

  it('prints the command where the identity is another one than the broker’s', async () => {
    const { azure, here } = shop
    await here.azd('up')
    await here.configure({
      settings: {
        AzureAd__ClientCredentials__1__SourceType: 'SignedAssertionFromManagedIdentity',
        AzureAd__ClientCredentials__1__ManagedIdentityClientId: '8b1f3c7e-9d39-4a3c-b0f4-2f6f2ad0c1aa',
      },
    })

    const { output } = await here.azd('provision')

    expect(output).toContain('--parameters "@.azure/shop-test/federated-credential.json"')
    expect(output).toContain(
      'Write the object id of the managed identity into .azure/shop-test/federated-credential.json',
    )
    expect(
      JSON.parse(await readFile(`${here.folder}/.azure/shop-test/federated-credential.json`, 'utf8')),
    ).toMatchObject({
      issuer: `https://login.microsoftonline.com/${tenantId}/v2.0`,
      subject: '<object id of the managed identity>',
    })
    expect(azure.graph.applications.federatedCredentialsOf(azure.graph.applications.all[0]!)).toEqual([])
  })

  it('makes the application multi-tenant where the settings say so, and sign-up possible where it is open', async () => {
    const { azure, here } = shop
    await here.azd('up')
    const properties = () => azure.directory.properties.get(azure.graph.applications.all[0]!.id)!
    expect(properties().signInAudience).toBe('AzureADMyOrg')
    Object.assign(properties(), { groupMembershipClaims: 'SecurityGroup' })

    const many = { Broker__Tenants: tenantId, Broker__HomeTenantId: tenantId }
    await here.configure({ tenantId: 'organizations', settings: many })
    await here.azd('provision')
    expect(properties()).toMatchObject({
      signInAudience: 'AzureADMultipleOrgs',
      groupMembershipClaims: 'SecurityGroup',
      optionalClaims: {
        idToken: ['login_hint', 'sid', 'auth_time', 'acct', 'upn', 'email', 'xms_edov'].map((name) => ({ name })),
      },
    })
    const uris = () => (properties().web as { redirectUris: readonly string[] }).redirectUris
    expect(uris().filter((uri) => uri.includes('/signup'))).toEqual([])

    await here.configure({ tenantId: 'organizations', settings: { ...many, Broker__Tenants: 'signed-up' } })
    await here.azd('provision')
    expect(properties()).toMatchObject({ groupMembershipClaims: 'SecurityGroup, DirectoryRole' })
    expect(uris().filter((uri) => uri.endsWith('/signup/consented'))).toHaveLength(1)
    expect(parametersOf(here).tenantId).toBe('organizations')

    // A wider audience stays: another application may depend on it.
    await here.configure({ tenantId: undefined, settings: undefined })
    await here.azd('provision')
    expect(properties().signInAudience).toBe('AzureADMultipleOrgs')
  })

  describe('of app roles in the file', () => {
    const approve = { value: 'Orders.Approve', displayName: 'Approver', description: 'Approves orders.' }
    const read = { value: 'Orders.Read', displayName: 'Reader', allowedMemberTypes: ['User', 'Application'] as const }
    const rolesOf = ({ azure }: Shop) => {
      const properties = azure.directory.properties.get(azure.graph.applications.all[0]!.id)
      return properties!['appRoles'] as { id: string; value: string; isEnabled: boolean; displayName: string }[]
    }
    const valuesOf = (story: Shop) => rolesOf(story).map(({ value, isEnabled }) => (isEnabled ? value : `(${value})`))
    const assign = ({ azure }: Shop, value: string, times = 1) => {
      const { appId } = azure.graph.applications.all[0]!
      const { id: appRoleId } = rolesOf(shop).find((role) => role.value === value)!
      for (let i = 0; i < times; i++) azure.directory.roleAssignments.push({ appId, appRoleId })
    }

    it('declares them once, and a repetition changes nothing', async () => {
      await shop.here.configure({ appRoles: [approve, read] })
      await shop.here.azd('up')
      const before = rolesOf(shop)

      const { output } = await shop.here.azd('provision')

      expect(before).toMatchObject([
        { value: 'Broker.Operator' },
        { ...approve, allowedMemberTypes: ['User'], isEnabled: true },
        { ...read, description: 'Reader', isEnabled: true },
      ])
      expect(output).toContain('complete, unchanged')
      expect(rolesOf(shop)).toEqual(before)
    })

    it('adapts a role by its value, under the same id, so that its assignments stay', async () => {
      await shop.here.configure({ appRoles: [approve] })
      await shop.here.azd('up')
      const before = rolesOf(shop)

      await shop.here.configure({ appRoles: [{ ...approve, displayName: 'Approves' }] })
      await shop.here.azd('provision')

      expect(rolesOf(shop).map(({ id }) => id)).toEqual(before.map(({ id }) => id))
      expect(rolesOf(shop)[1]).toMatchObject({ displayName: 'Approves', isEnabled: true })
    })

    it('leaves a role alone that the file no longer names, assigned or not', async () => {
      await shop.here.configure({ appRoles: [approve, read] })
      await shop.here.azd('up')

      await shop.here.configure({ appRoles: [read] })
      await shop.here.azd('provision')

      expect(valuesOf(shop)).toEqual(['Broker.Operator', 'Orders.Approve', 'Orders.Read'])
    })

    it('disables a removed role, and deletes it where no person is assigned to it', async () => {
      await shop.here.configure({ appRoles: [approve, read] })
      await shop.here.azd('up')
      assign(shop, 'Orders.Read', 3)

      await shop.here.configure({ appRoles: [{ ...approve, state: 'removed' }, read] })
      const { output } = await shop.here.azd('provision')

      expect(valuesOf(shop)).toEqual(['Broker.Operator', 'Orders.Read'])
      expect(output).toContain('deleted: Orders.Approve')
      expect((await shop.here.azd('provision')).output).toContain('complete, unchanged')
    })

    it('never deletes a removed role that is assigned, also on a later page of the assignments', async () => {
      await shop.here.configure({ appRoles: [approve, read] })
      await shop.here.azd('up')
      assign(shop, 'Orders.Read', 4)
      assign(shop, 'Orders.Approve', 2)

      await shop.here.configure({ appRoles: [{ ...approve, state: 'removed' }, read] })
      const { output } = await shop.here.azd('provision')

      expect(valuesOf(shop)).toEqual(['Broker.Operator', '(Orders.Approve)', 'Orders.Read'])
      expect(output).toContain('Orders.Approve is removed in the file and still has 2 assignments')

      shop.azure.directory.roleAssignments.length = 0
      await shop.here.azd('provision')
      expect(valuesOf(shop)).toEqual(['Broker.Operator', 'Orders.Read'])
    })

    it('never deletes a removed role whose assignments cannot be read', async () => {
      await shop.here.configure({ appRoles: [approve] })
      await shop.here.azd('up')
      shop.azure.graph.faults.add({ operation: 'listRoleAssignments', status: 403, times: 100 })

      await shop.here.configure({ appRoles: [{ ...approve, state: 'removed' }] })
      const { output } = await shop.here.azd('provision')

      expect(valuesOf(shop)).toEqual(['Broker.Operator', '(Orders.Approve)'])
      expect(output).toContain('disabled and not deleted')
    })

    it('disables and enables a role again, and creates none for a role that is removed already', async () => {
      await shop.here.configure({
        appRoles: [
          { ...approve, state: 'disabled' },
          { ...read, state: 'removed' },
        ],
      })
      await shop.here.azd('up')
      expect(valuesOf(shop)).toEqual(['Broker.Operator', '(Orders.Approve)'])

      await shop.here.configure({ appRoles: [approve] })
      await shop.here.azd('provision')

      expect(valuesOf(shop)).toEqual(['Broker.Operator', 'Orders.Approve'])
    })

    it('adds the optional claims that front ends register, and names the missing groups', async () => {
      const claims = ['roles', 'groups', 'given_name', 'acrs', 'https://app.example.com/other']
      await shop.here.configure({ frontEnds: frontEnds.map((one) => ({ ...one, claims })) })

      const { output } = await shop.here.azd('up')

      const { optionalClaims } = shop.azure.directory.properties.get(shop.azure.graph.applications.all[0]!.id)!
      const names = (optionalClaims as { idToken: { name: string }[] }).idToken.map(({ name }) => name)
      expect(names).toEqual(['login_hint', 'sid', 'auth_time', 'groups', 'given_name', 'acrs'])
      expect(output).toContain('Add groups claim')
    })
  })

  it('keeps the keys, addresses, claims and roles that others added to the registration', async () => {
    const { azure, here } = shop
    await here.azd('up')
    const [application] = azure.graph.applications.all
    const foreign = await azure.vault.createCertificate('foreign')
    const key = azure.graph.applications.register(application!, foreign.der, { displayName: 'of another program' })
    Object.assign(azure.directory.properties.get(application!.id)!, {
      web: { redirectUris: ['https://other.example.com/callback'], homePageUrl: 'https://other.example.com' },
      optionalClaims: { idToken: [{ name: 'email' }], accessToken: [{ name: 'ipaddr' }] },
      appRoles: [{ value: 'Other.Role', id: 'c3b1e0a2-5d4f-4c8e-9a7b-0e1d2c3b4a53' }],
    })

    await here.azd('provision')

    expect(azure.graph.applications.keysOf(application!)).toContainEqual(key)
    expect(azure.directory.properties.get(application!.id)).toMatchObject({
      web: {
        redirectUris: expect.arrayContaining(['https://other.example.com/callback']) as string[],
        homePageUrl: 'https://other.example.com',
      },
      optionalClaims: {
        idToken: [{ name: 'email' }, { name: 'login_hint' }, { name: 'sid' }, { name: 'auth_time' }],
        accessToken: [{}],
      },
      appRoles: [{ value: 'Other.Role' }, { value: 'Broker.Operator' }],
    })
  })
})

describe('an app registration', () => {
  it('that the file names is completed, and no other is created', async () => {
    shop.azure.graph.applications.add(given)
    await shop.here.configure({ clientId: given.appId })

    await accepted(shop)

    expect(outcome(shop.azure)).toEqual(complete)
    expect(await shop.here.configuration()).toMatchObject({ applicationObjectId: given.id })
  })

  it('that may not be changed is left alone, and the changes are printed as commands with a file', async () => {
    shop.azure.graph.applications.add(given)
    shop.azure.directory.settings.mayChange = false
    await shop.here.configure({ clientId: given.appId })

    const output = await accepted(shop)

    expect(output).toMatch(/not changed \(403 Authorization_RequestDenied: Insufficient privileges/)
    expect(output).toContain(`az ad app credential reset --id ${given.appId} --cert "@broker.pem" --append`)
    expect(output).toContain(
      `az rest --method PATCH --uri "https://graph.microsoft.com/v1.0/applications/${given.id}" --headers Content-Type=application/json --body "@.azure/shop-test/app-registration.json"`,
    )
    const body = JSON.parse(
      await readFile(`${shop.here.folder}/.azure/shop-test/app-registration.json`, 'utf8'),
    ) as object
    expect(body).toMatchObject({ api: { requestedAccessTokenVersion: 2 } })
    expect(output).not.toContain('--set')
  })

  it('with registration manual causes no request to Graph', async () => {
    await shop.here.configure({
      clientId: given.appId,
      applicationObjectId: given.id,
      registration: 'manual',
      settings: { Broker__ResponseType: 'code id_token' },
    })

    const output = await accepted(shop)

    expect(shop.azure.graph.requests).toEqual([])
    expect(output).toContain('az rest --method PATCH')
    const file = await readFile(`${shop.here.folder}/.azure/shop-test/app-registration.json`, 'utf8')
    expect(JSON.parse(file)).toMatchObject({ web: { implicitGrantSettings: { enableIdTokenIssuance: true } } })
  })

  const elsewhere = '2b4d6f80-1a3c-4e5f-9071-8a9b0c1d2e3f'
  it.each([
    ['alone', elsewhere, {}],
    ['among many', 'organizations', { Broker__Tenants: elsewhere, Broker__HomeTenantId: elsewhere }],
  ])('in another tenant than that of the subscription, %s, is changed by hand', async (_, named, settings) => {
    await shop.here.configure({ tenantId: named, settings })
    expect(await refused(shop)).toContain(`Create the app registration in the tenant ${elsewhere}, `)

    await shop.here.configure({
      clientId: given.appId,
      applicationObjectId: given.id,
      settings: { ...settings, AzureAd__ClientCredentials__1__SourceType: 'SignedAssertionFromManagedIdentity' },
    })
    const output = await accepted(shop)
    expect(shop.azure.graph.requests).toEqual([])
    expect(parametersOf(shop.here)['tenantId']).toBe(named)
    expect(output).toContain('Remove AzureAd__ClientCredentials__1__SourceType from the file')
    expect(output).not.toContain('federated-credential create')
  })

  it('is not needed at another provider', async () => {
    await shop.here.configure({ clientId: 'broker', settings: { Broker__Authority: 'https://login.example.com' } })

    await accepted(shop)

    expect(shop.azure.graph.requests).toEqual([])
    expect([...shop.azure.arm.state.appSettings.values()]).toMatchObject([{ AzureAd__ClientId: 'broker' }])
  })

  it('of a development environment has the redirect URIs of a laptop too', async () => {
    const dev = await shop.here.clone({ environmentName: 'shop-dev' })
    await dev.azd('up')

    const [{ id } = { id: '' }] = shop.azure.graph.applications.all
    const web = shop.azure.directory.properties.get(id)?.['web'] as { redirectUris: string[] }
    expect(web.redirectUris).toContain('http://localhost:7071/callback')
    await dev.remove()
  })

  it('is deleted at azd down on request, and only if the hooks created it', async () => {
    const { azure, here } = shop
    await accepted(shop)
    await here.azd('env', 'set', 'BROKER_REMOVE_APP_REGISTRATION', 'true')
    const { code, output } = await here.azd('down')
    expect(code, output).toBe(0)
    expect(azure.graph.applications.all).toEqual([])
    expect(output).toContain('Remove "clientId" and "applicationObjectId"')

    azure.graph.applications.add(given)
    await here.configure({ clientId: given.appId, applicationObjectId: given.id, vaultName: 'contoso-signin' })
    await accepted(shop)
    expect((await here.azd('down')).output).toContain('the hooks did not create it')
    expect(azure.graph.applications.all).toEqual([given])
  })

  it.each([
    ['listed', true],
    ['not shown', false],
  ])('of an earlier deployment, deleted and %s, stops the next one before anything changes', async (_, isShown) => {
    const { azure, here } = shop
    const { directory, graph, arm } = azure
    await accepted(shop)
    await here.azd('env', 'set', 'BROKER_REMOVE_APP_REGISTRATION', 'true')
    await here.azd('down')
    const [{ id, appId } = {}] = directory.deleted as { id: string; appId: string }[]
    await here.azd('env', 'set', 'BROKER_RECOVER_VAULT', 'true')
    const restore = `az rest --method POST --uri "https://graph.microsoft.com/v1.0/directory/deletedItems/${id}/restore"`

    // The file still names it.
    expect(await refused(shop)).toContain(`It was deleted. To restore it: ${restore}`)

    await here.configure({ clientId: undefined, applicationObjectId: undefined })
    if (!isShown) directory.settings.mayListDeleted = false
    const output = await refused(shop)
    expect(output).toContain('A deleted app registration holds the unique name')
    expect(output).toContain(isShown ? restore : 'Deleted applications')
    expect(
      output.includes(`--method DELETE --uri "https://graph.microsoft.com/v1.0/directory/deletedItems/${id}"`),
    ).toBe(isShown)

    // The person restores it, as the command does.
    const [{ ...properties } = {}] = directory.deleted.splice(0)
    graph.applications.add({ id: String(id), appId: String(appId) })
    directory.properties.set(String(id), properties)
    await accepted(shop)
    expect(graph.applications.all).toEqual([{ id, appId }])
    expect([...arm.state.appSettings.values()][0]).toMatchObject({ AzureAd__ClientId: appId })
  })

  it('is different for two environments, as their names and vaults are', async () => {
    await accepted(shop)
    const other = await shop.here.clone({ environmentName: 'shop-prod' })
    await other.configure({ frontEnds })
    const { code, output } = await other.azd('up')

    expect(code, output).toBe(0)
    expect(shop.azure.graph.applications.all).toHaveLength(2)
    expect(parametersOf(other)['resourceToken']).not.toBe(parametersOf(shop.here)['resourceToken'])
    await other.remove()
  })
})

it('a person with a pipeline’s variables in the shell creates the registration and the file', async () => {
  const there = await createWorkplace({
    azure: shop.azure,
    // A secret for another program in the same shell is none of the deployment's.
    machine: { CI: 'true', GITHUB_ACTIONS: 'true', AZURE_CLIENT_SECRET: 'abcdefghij' },
    clock: shop.here.clock,
  })

  const { code, output } = await there.azd('up')

  expect(code, output).toBe(0)
  expect(await there.configuration()).toHaveProperty('clientId')
  await there.remove()
})

it('a pipeline does not write the file of the environment', async () => {
  shop.azure.graph.applications.add(given)
  await shop.here.configure({ clientId: given.appId })
  const there = await shop.here.clone(asPipeline)
  const before = await there.configuration()

  await there.azd('up')

  expect(await there.configuration()).toEqual(before)
  await there.remove()
})
