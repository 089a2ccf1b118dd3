import { createSocket } from 'node:dgram'
import { readFile } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createCloud } from '../../../infra/hooks/cloud.ts'
import { createWorkplace } from '../../setup/azd.ts'
import { subscriptionId } from '../../setup/azure.ts'
import { asPipeline, complete, frontEnds, idOf, openShop, outcome, parametersOf } from './shop.ts'
import type { Shop } from './shop.ts'

const given = { id: '77777777-7777-4777-8777-777777777777', appId: '77777777-7777-4777-8777-000000000001' }

let shop: Shop
beforeEach(async () => {
  shop = await openShop()
})
afterEach(() => shop.close())

/** Runs azd up, which must stop before anything is created. */
async function refused() {
  const before = shop.azure.graph.applications.all.length
  const { code, output } = await shop.here.azd('up')
  expect(code, output).toBe(1)
  expect(shop.azure.graph.applications.all).toHaveLength(before)
  expect(idOf(shop.azure, '/Microsoft.Web/sites/')).toBe('')
  return output
}

async function accepted() {
  const { code, output } = await shop.here.azd('up')
  expect(code, output).toBe(0)
  return output
}

describe('before anything is created, a deployment stops', () => {
  it('for all problems of the configuration at once', async () => {
    await shop.here.configure({ domain: 'https://x', nodeVersion: '20' })
    await shop.here.azd('env', 'set', 'BROKER_DOMAIN', 'signin.example.com')
    await shop.here.azd('env', 'set', 'AZURE_CLIENT_SECRET', 'abcdefghij')
    await shop.here.azd('env', 'set', 'AZURE_LOCATION', 'westeurope/../x')
    await shop.here.azd('env', 'set', 'AZURE_SUBSCRIPTION_ID', 'shop')

    const output = await refused()

    const names = ['domain', 'nodeVersion', 'BROKER_DOMAIN', 'AZURE_CLIENT_SECRET', 'AZURE_LOCATION']
    for (const name of [...names, 'AZURE_SUBSCRIPTION_ID']) {
      expect(output).toContain(`- ${name} `)
    }
    expect(output).not.toContain('abcdefghij')
  })

  it('in a region without Flex Consumption, with the regions that have it', async () => {
    shop.azure.arm.state.flexRegions = ['North Europe', 'East US']

    expect(await refused()).toContain('not offered in westeurope (AZURE_LOCATION). Nothing was deployed')
    shop.azure.arm.state.flexRegions = []
    await accepted()
  })

  it('in a region without zone redundancy, where the file wants it', async () => {
    await shop.here.configure({ zoneRedundant: true })
    shop.azure.arm.state.zonedRegions = ['East US']

    expect(await refused()).toContain('not zone-redundant in westeurope (AZURE_LOCATION)')
    shop.azure.arm.state.zonedRegions = ['East US', 'West Europe']
    await accepted()
  })

  it('for a version of Node that the region does not offer', async () => {
    await shop.here.configure({ nodeVersion: '24' })

    expect(await refused()).toContain('Node 24 (nodeVersion) is not offered on Flex Consumption in westeurope')
    shop.azure.arm.state.nodeVersions = ['22', '24']
    await accepted()
  })

  it('for a resource provider that the person may not register, and otherwise registers it and waits', async () => {
    const { state } = shop.azure.arm
    state.providers.delete('Microsoft.EventGrid')
    state.mayRegisterProviders = false
    expect(await refused()).toContain('az provider register --namespace Microsoft.EventGrid --wait')

    state.mayRegisterProviders = true
    state.registrationReads = 3
    const output = await accepted()
    expect(output).toMatch(/Provider +Microsoft.EventGrid registered/)
    // Only a virtual network needs it.
    expect(state.providers).not.toContain('Microsoft.App')
    await shop.here.configure({ network: 'private' })
    expect(await accepted()).toMatch(/Provider +Microsoft.App registered/)
  })

  it('for a subscription of another tenant, and for one that is disabled', async () => {
    shop.azure.arm.state.isVisible = false
    const output = await refused()
    expect(output).toContain('(404 SubscriptionNotFound')
    expect(output).toContain('azd auth login --tenant-id')

    Object.assign(shop.azure.arm.state, { isVisible: true, isDisabled: true })
    expect(await refused()).toContain('is disabled')
    shop.azure.arm.state.isDisabled = false
    await accepted()
  })

  it('for a reader, with the role and the reminder of an eligible one', async () => {
    shop.azure.arm.state.permissions = [{ actions: ['*/read'], notActions: [] }]
    const output = await refused()
    expect(output).toContain('You may not deploy (Microsoft.Resources/deployments/write)')
    expect(output).toContain('Privileged Identity Management')

    shop.azure.arm.state.permissions = [
      { actions: ['*'], notActions: ['Microsoft.Authorization/*/Write'] },
      { actions: ['Microsoft.Authorization/*'], notActions: [] },
    ]
    await accepted()
  })

  it('with the code and the sentence by which Azure or Graph explains a refusal', async () => {
    const { arm, directory } = shop.azure
    arm.state.providers.delete('Microsoft.EventGrid')
    const message = "The subscription 'aaaaaaaa' is not permitted.\nTracking id: 1"
    const clear = arm.faults.add({ path: '/register', status: 409, error: { code: 'MissingSubscription', message } })
    expect(await refused()).toContain("(409 MissingSubscription: The subscription 'aaaaaaaa' is not permitted).")
    clear()

    directory.settings.mayCreate = false
    expect(await refused()).toContain('(403 Authorization_RequestDenied: Insufficient privileges')
    directory.settings.mayCreate = true
    await accepted()
  })

  it('without a sign-in, with the reason of azd and of az', async () => {
    const cause = Object.assign(new Error('ChainedTokenCredential authentication failed.'), {
      errors: [
        new Error('AADSTS700082: The refresh token has expired.\nTrace ID: 1'),
        new Error('Azure CLI not found'),
      ],
    })
    const cloud = createCloud(
      { BROKER_LOCAL_ARM: shop.azure.arm.url, BROKER_LOCAL_GRAPH: shop.azure.graph.url },
      { credential: { getToken: () => Promise.reject(cause) }, clock: shop.here.clock },
    )

    await expect(cloud.arm('/subscriptions')).rejects.toThrow(
      'There is no sign-in for https://management.azure.com. Run: azd auth login. In a pipeline, check the federated credential of the identity.\n- AADSTS700082: The refresh token has expired.\n- Azure CLI not found',
    )
  })

  it('for a budget that starts too early, too late or not as deployed', async () => {
    const month = (later: number) => {
      const now = new Date(shop.here.clock.now())
      return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + later, 1)).toISOString().slice(0, 10)
    }
    for (const later of [-1, 13]) {
      await shop.here.configure({ budget: { amount: 50, startDate: month(later) } })
      expect(await refused()).toContain(`Write the current month: ${month(0)}.`)
    }

    await shop.here.configure({ budget: { amount: 50, startDate: month(0) } })
    await accepted()
    shop.here.clock.advance(62 * 86_400_000)
    await accepted()
    await shop.here.configure({ budget: { amount: 50, startDate: month(3) } })
    expect((await shop.here.azd('provision')).output).toContain('budget.startDate is not 20')
  })

  it('without the right to assign roles, with the person who grants it and the way without', async () => {
    shop.azure.arm.state.permissions = [
      { actions: ['*'], notActions: ['Microsoft.Authorization/*/Write', 'Microsoft.Authorization/*/Delete'] },
    ]
    const output = await refused()
    expect(output).toContain('Microsoft.Authorization/roleAssignments/write')
    expect(output).toContain('"assignRoles": false')

    await shop.here.configure({ assignRoles: false })
    const { output: provisioned } = await shop.here.azd('provision')
    expect(provisioned.match(/az role assignment create/g)).toHaveLength(5)
    // No role was assigned, so the upload cannot succeed.
    expect((await shop.here.azd('deploy')).output).toContain('no role on the storage account')
  })

  it('without the right to write roles, and offers access policies', async () => {
    shop.azure.arm.state.permissions = [
      { actions: ['*'], notActions: ['Microsoft.Authorization/roleDefinitions/write'] },
    ]
    await shop.here.configure({ vaultAuthorization: 'rbac' })

    expect(await refused()).toContain('"vaultAuthorization": "accessPolicies"')
    await shop.here.configure({ vaultAuthorization: 'accessPolicies' })
    await accepted()
  })

  it('without the right to write locks', async () => {
    shop.azure.arm.state.permissions = [{ actions: ['*'], notActions: ['Microsoft.Authorization/locks/write'] }]
    await shop.here.configure({ lockResources: true })

    expect(await refused()).toContain('Microsoft.Authorization/locks/write')
    await shop.here.configure({ lockResources: false })
    await accepted()
  })

  it('for a vault name that is already in use', async () => {
    await shop.here.configure({ vaultName: 'contoso-signin' })
    shop.azure.arm.state.takenNames.add('contoso-signin')

    expect(await refused()).toContain('Write another "vaultName" into infra/environments/shop-test.json')
    await shop.here.configure({ vaultName: 'contoso-signin-2' })
    await accepted()
  })

  it.each(['st', 'stpkg', 'func-broker-'])('for the name %s… that another subscription has', async (prefix) => {
    await shop.here.configure({ resourceToken: 'contoso' })
    shop.azure.arm.state.takenNames.add(`${prefix}contoso`)

    expect(await refused()).toContain(`The name ${prefix}contoso of the `)
    await shop.here.configure({ resourceToken: 'contoso2' })
    await accepted()
  })

  it('without the right to create app registrations, with the role and the way without', async () => {
    shop.azure.directory.settings.mayCreate = false

    const output = await refused()

    expect(output).toContain('Application Developer')
    expect(output).toContain('Privileged Role Administrator')
    expect(output).toContain('"clientId" and "applicationObjectId" into infra/environments/shop-test.json')
  })

  it('for ids of a registration that do not belong together, or of none', async () => {
    shop.azure.graph.applications.add(given)
    await shop.here.configure({ clientId: given.appId, applicationObjectId: given.appId })
    expect(await refused()).toContain(`Write ${given.id}`)

    await shop.here.configure({ clientId: given.id, applicationObjectId: given.id })
    expect(await refused()).toContain('no app registration with the clientId')

    await shop.here.configure({ clientId: given.appId, applicationObjectId: given.id })
    await accepted()
  })

  it('without the DNS records of its domain, and prints them', async () => {
    const domain = 'signin.example.com'
    const records = new Map<string, string>()
    const dns = await startDns(records)
    try {
      await shop.here.configure({ domain })
      await shop.here.azd('env', 'set', 'BROKER_DNS_SERVER', dns.address)

      const output = await refused()

      const site = /CNAME +signin\.example\.com +(func-broker-\w+\.azurewebsites\.net)/.exec(output)?.[1] ?? ''
      expect(output).toMatch(new RegExp(`TXT +asuid\\.${domain} +${shop.azure.arm.state.domainVerificationId}`))
      records.set(domain, site).set(`asuid.${domain}`, shop.azure.arm.state.domainVerificationId)
      await accepted()
      expect(parametersOf(shop.here)['domainIsBound']).toBe(true)
    } finally {
      dns.close()
    }
  })
})

describe('a deployment that would change what Azure does not change', () => {
  it.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['vaultSoftDeleteDays is not 90 as deployed', { vaultSoftDeleteDays: 7 }, { vaultSoftDeleteDays: 90 }],
    ['zoneRedundant is not false as deployed', { zoneRedundant: true }, { zoneRedundant: false }],
  ])('stops before it changes anything: %s', async (sentence, changed, same) => {
    await accepted()
    await shop.here.configure(changed)

    const { code, output } = await shop.here.azd('provision')

    expect(code).toBe(1)
    expect(output).toContain(sentence)
    await shop.here.configure(same)
    await accepted()
  })

  it('stops in a clone with another region, and names the region', async () => {
    await accepted()
    const answers = { subscription: subscriptionId, location: 'northeurope' }
    const elsewhere = await shop.here.clone({ answers })

    const { code, output } = await elsewhere.azd('up')

    expect(code).toBe(1)
    expect(output).toContain('AZURE_LOCATION is not westeurope, where the broker is deployed')
    expect(output).toContain('azd env set AZURE_LOCATION westeurope')
    await elsewhere.azd('env', 'set', 'AZURE_LOCATION', 'West Europe')
    expect((await elsewhere.azd('provision')).output).not.toContain('is not westeurope')
    await elsewhere.remove()
  })
})

describe('a deployment that would remove what is deployed', () => {
  const partner = {
    id: 'partner',
    kind: 'oauth',
    origins: ['https://partner.example.net'],
    redirectUris: ['https://partner.example.net/callback'],
    apis: [{ name: 'orders', scopes: ['api://orders/orders.read', 'api://orders/orders.write'] }],
    claims: ['roles'],
  }
  const staff = { id: 'staff', kind: 'openid', name: 'Staff', authority: 'https://id.example.net', clientId: 'broker' }
  const onCall = `/subscriptions/${subscriptionId}/resourceGroups/ops/providers/Microsoft.Insights/actionGroups/on-call`
  const rich = {
    providers: [staff, { ...staff, id: 'partners', authority: 'https://id.example.com' }],
    alertActionGroupIds: [onCall],
    frontEnds: [...frontEnds, partner],
    vaultSku: 'premium',
    alwaysReadyInstances: 2,
    alertEmails: ['signin@example.com', 'second@example.com'],
    settings: { Broker__SessionIdleSeconds: 1800 },
    network: 'private',
    frontDoor: { id: '2b4d6f80-1a3c-4e5f-9071-8a9b0c1d2e3f', domain: 'signin.example.com' },
  }

  it.each<[string, Record<string, unknown>, string]>([
    ['a front end', { frontEnds }, 'the front end partner'],
    ['every front end', { frontEnds: undefined }, 'the front end spa'],
    [
      'an origin',
      { frontEnds: [{ ...frontEnds[0], origins: ['https://b.example.com'] }, partner] },
      'the origin https://app.example.com of the front end spa',
    ],
    ['an API', { frontEnds: [{ ...frontEnds[0], apis: [] }, partner] }, 'the API orders of the front end spa'],
    [
      'a redirect URI',
      { frontEnds: [...frontEnds, { ...partner, redirectUris: ['https://partner.example.net/new'] }] },
      'the redirect URI https://partner.example.net/callback of the front end partner',
    ],
    [
      'a scope',
      { frontEnds: [...frontEnds, { ...partner, apis: [{ name: 'orders', scopes: ['api://orders/orders.read'] }] }] },
      'the scope api://orders/orders.write of the front end partner',
    ],
    [
      'a claim',
      { frontEnds: [...frontEnds, { ...partner, claims: undefined }] },
      'the claim roles of the front end partner',
    ],
    ['an identity provider', { providers: [staff] }, 'the identity provider partners'],
    ['an action group', { alertActionGroupIds: undefined }, 'the action group /subscriptions/'],
    ['the client id', { clientId: given.id, applicationObjectId: given.id, registration: 'manual' }, 'the client id '],
    ['the SKU of the vault', { vaultSku: undefined }, 'the SKU premium of the vault'],
    ['the vault', { vaultName: 'other-vault' }, '(in its place: other-vault)'],
    [
      'the authorization of the vault',
      { vaultAuthorization: 'rbac' },
      'the authorization of the vault by access policies',
    ],
    ['the private network', { network: 'public' }, 'the private network'],
    ['Front Door', { frontDoor: undefined }, 'the restriction of the app to Front Door'],
    ['an alert receiver', { alertEmails: ['signin@example.com'] }, 'the alert receiver second@example.com'],
    ['always-ready instances', { alwaysReadyInstances: 1 }, '1 of 2 always-ready instances'],
    ['a setting', { settings: {} }, 'the setting Broker__SessionIdleSeconds'],
    ['the object id', { applicationObjectId: undefined, registration: 'manual' }, 'the object id '],
  ])('stops for %s, and goes through when exactly this was confirmed', async (_name, members, sentence) => {
    const { azure, here } = shop
    await here.configure(rich)
    await accepted()
    const before = structuredClone([...azure.arm.state.appSettings.values()])
    await here.configure(members)

    const { code, output } = await here.azd('provision')

    expect(code).toBe(1)
    expect(output).toContain(sentence)
    expect([...azure.arm.state.appSettings.values()]).toEqual(before)
    const [, confirmation = ''] = /azd env set BROKER_CONFIRM_REMOVAL (\w{8})/.exec(output) ?? []
    await here.azd('env', 'set', 'BROKER_CONFIRM_REMOVAL', confirmation)
    const confirmed = await here.azd('provision')
    expect(confirmed.code, confirmed.output).toBe(0)
    expect(here.variables.get('BROKER_CONFIRM_REMOVAL')).toBe('')
  })

  it('stops in a clone without the file, and names everything', async () => {
    await shop.here.configure(rich)
    await accepted()
    const elsewhere = await createWorkplace({ azure: shop.azure, clock: shop.here.clock })

    const { code, output } = await elsewhere.azd('up')

    expect(code).toBe(1)
    for (const part of ['front end spa', 'front end partner', 'SKU premium', 'second@example.com', 'always-ready']) {
      expect(output).toContain(part)
    }
    expect(await elsewhere.configuration()).toBeUndefined()
    await elsewhere.remove()
  })

  it('stops in a clone with another resource group, where the registration belongs to the broker of this one', async () => {
    await accepted()
    const elsewhere = await shop.here.clone({})
    // Another subscription has another token too: none of the names is that of the deployed broker.
    await elsewhere.configure({ resourceGroupName: 'elsewhere', resourceToken: 'another' })

    const { code, output } = await elsewhere.azd('up')

    expect(code).toBe(1)
    expect(output).toMatch(
      /the sign-out of https:\/\/func-broker-\w{13}\.azurewebsites\.net, which uses the same app reg/,
    )
    const [, confirmation = ''] = /BROKER_CONFIRM_REMOVAL (\w{8})/.exec(output) ?? []
    await elsewhere.azd('env', 'set', 'BROKER_CONFIRM_REMOVAL', confirmation)
    expect((await elsewhere.azd('up')).code).toBe(0)
    await elsewhere.remove()
  })

  it('does not go through with the confirmation of another removal', async () => {
    await shop.here.configure(rich)
    await accepted()
    await shop.here.configure({ alwaysReadyInstances: 0 })
    const { output } = await shop.here.azd('provision')
    const [, confirmation = ''] = /BROKER_CONFIRM_REMOVAL (\w{8})/.exec(output) ?? []
    await shop.here.azd('env', 'set', 'BROKER_CONFIRM_REMOVAL', confirmation)
    await shop.here.configure({ frontEnds: [] })

    expect((await shop.here.azd('provision')).code).toBe(1)
  })

  it('adds without a question', async () => {
    await accepted()
    await shop.here.configure(rich)

    await accepted()
  })

  it('stops where the person may not list the app settings, because a removal would stay unseen', async () => {
    await accepted()
    shop.azure.arm.state.mayListSettings = false

    const { code, output } = await shop.here.azd('provision')

    expect(code).toBe(1)
    expect(output).toContain('Microsoft.Web/sites/config/list/action')
  })

  it('names what comes from Azure without control characters', async () => {
    await accepted()
    const [site, settings] = [...shop.azure.arm.state.appSettings][0]!
    const forged = JSON.stringify([{ id: 'x\u001b[2Jdeployed', origins: ['https://app.example.com'] }])
    shop.azure.arm.state.appSettings.set(site, { ...settings, Broker__FrontEnds: forged })

    const { output } = await shop.here.azd('provision')

    expect(output).toContain('the front end x?[2Jdeployed')
    expect(output).not.toContain('\u001b')
  })
})

describe('an app registration', () => {
  it('that the file names is completed, and no other is created', async () => {
    shop.azure.graph.applications.add(given)
    await shop.here.configure({ clientId: given.appId })

    await accepted()

    expect(outcome(shop.azure)).toEqual(complete)
    expect(await shop.here.configuration()).toMatchObject({ applicationObjectId: given.id })
  })

  it('that may not be changed is left alone, and the changes are printed as commands with a file', async () => {
    shop.azure.graph.applications.add(given)
    shop.azure.directory.settings.mayChange = false
    await shop.here.configure({ clientId: given.appId })

    const output = await accepted()

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

    const output = await accepted()

    expect(shop.azure.graph.requests).toEqual([])
    expect(output).toContain('az rest --method PATCH')
    const file = await readFile(`${shop.here.folder}/.azure/shop-test/app-registration.json`, 'utf8')
    expect(JSON.parse(file)).toMatchObject({ web: { implicitGrantSettings: { enableIdTokenIssuance: true } } })
  })

  it('in another tenant than that of the subscription is changed by hand', async () => {
    await shop.here.configure({ tenantId: '2b4d6f80-1a3c-4e5f-9071-8a9b0c1d2e3f' })
    expect(await refused()).toContain('tenantId is not the tenant of the subscription')

    await shop.here.configure({
      clientId: given.appId,
      applicationObjectId: given.id,
      settings: { AzureAd__ClientCredentials__1__SourceType: 'SignedAssertionFromManagedIdentity' },
    })
    const output = await accepted()
    expect(shop.azure.graph.requests).toEqual([])
    expect(parametersOf(shop.here)['tenantId']).toBe('2b4d6f80-1a3c-4e5f-9071-8a9b0c1d2e3f')
    expect(output).toContain('Remove AzureAd__ClientCredentials__1__SourceType from the file')
    expect(output).not.toContain('federated-credential create')
  })

  it('is not needed at another provider', async () => {
    await shop.here.configure({ clientId: 'broker', settings: { Broker__Authority: 'https://login.example.com' } })

    await accepted()

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
    await accepted()
    await here.azd('env', 'set', 'BROKER_REMOVE_APP_REGISTRATION', 'true')
    const { code, output } = await here.azd('down')
    expect(code, output).toBe(0)
    expect(azure.graph.applications.all).toEqual([])
    expect(output).toContain('Remove "clientId" and "applicationObjectId"')

    azure.graph.applications.add(given)
    await here.configure({ clientId: given.appId, applicationObjectId: given.id, vaultName: 'contoso-signin' })
    await accepted()
    expect((await here.azd('down')).output).toContain('the hooks did not create it')
    expect(azure.graph.applications.all).toEqual([given])
  })

  it('is different for two environments, as their names and vaults are', async () => {
    await accepted()
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

/** Answers CNAME and TXT questions with one record each. RFC 1035 §4. */
async function startDns(records: ReadonlyMap<string, string>) {
  const socket = createSocket('udp4')
  socket.on('message', (question, { port, address }) => {
    const labels: string[] = []
    let at = 12
    for (let length = question[at] ?? 0; length > 0; length = question[at] ?? 0) {
      labels.push(question.subarray(at + 1, at + 1 + length).toString())
      at += 1 + length
    }
    const end = at + 5
    const type = question.readUInt16BE(at + 1)
    const value = records.get(labels.join('.'))
    const isCname = type === 5
    const data =
      value === undefined || (isCname ? labels[0] === 'asuid' : labels[0] !== 'asuid')
        ? undefined
        : isCname
          ? Buffer.concat([...value.split('.').map(labelled), Buffer.from([0])])
          : labelled(value)
    const header = Buffer.from(question.subarray(0, 12))
    header.writeUInt16BE(data ? 0x8180 : 0x8183, 2)
    header.writeUInt16BE(data ? 1 : 0, 6)
    header.writeUInt32BE(0, 8)
    const answer = Buffer.alloc(data ? 12 : 0)
    if (data) {
      answer.writeUInt16BE(0xc00c, 0)
      answer.writeUInt16BE(type, 2)
      answer.writeUInt16BE(1, 4)
      answer.writeUInt32BE(60, 6)
      answer.writeUInt16BE(data.length, 10)
    }
    socket.send(Buffer.concat([header, question.subarray(12, end), answer, data ?? Buffer.alloc(0)]), port, address)
  })
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  return { address: `127.0.0.1:${socket.address().port}`, close: () => void socket.close() }
}

function labelled(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text)])
}
