import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createCloud } from '../../../infra/hooks/cloud.ts'
import { anna, officerPolicy, subscriptionId } from '../../setup/azure.ts'
import { brokerDataActions, officerDataActions } from '../rules/vault-rules.ts'
import { startDns } from '../../setup/dns.ts'
import { accepted, given, openShop, parametersOf, refused } from './shop.ts'
import type { Shop } from './shop.ts'

const domain = 'signin.example.com'

let shop: Shop
beforeEach(async () => {
  shop = await openShop()
})
afterEach(() => shop.close())

describe('before anything is created, a deployment stops', () => {
  it('for all problems of the configuration at once', async () => {
    await shop.here.configure({ domain: 'https://x', nodeVersion: '20' })
    await shop.here.azd('env', 'set', 'BROKER_DOMAIN', 'signin.example.com')
    await shop.here.azd('env', 'set', 'AZURE_CLIENT_SECRET', 'abcdefghij')
    await shop.here.azd('env', 'set', 'AZURE_LOCATION', 'westeurope/../x')
    await shop.here.azd('env', 'set', 'AZURE_SUBSCRIPTION_ID', 'shop')

    const output = await refused(shop)

    const names = ['domain', 'nodeVersion', 'BROKER_DOMAIN', 'AZURE_CLIENT_SECRET', 'AZURE_LOCATION']
    for (const name of [...names, 'AZURE_SUBSCRIPTION_ID']) {
      expect(output).toContain(`- ${name} `)
    }
    expect(output).not.toContain('abcdefghij')
  })

  it('in a region without Flex Consumption, with the regions that have it', async () => {
    shop.azure.arm.state.flexRegions = ['North Europe', 'East US']

    expect(await refused(shop)).toContain('not offered in westeurope (AZURE_LOCATION). Nothing was deployed')
    shop.azure.arm.state.flexRegions = []
    await accepted(shop)
  })

  it('in a region without Application Insights, with the regions that have everything; a deployed broker stays there', async () => {
    const { state } = shop.azure.arm
    const before = state.regionsOfTypes
    state.regionsOfTypes = {
      'Microsoft.Insights/components': ['East US', 'North Europe'],
      'Microsoft.EventGrid/systemTopics': ['West Europe', 'East US'],
      // Its regions are not listed.
      'Microsoft.KeyVault/vaults': [],
    }

    expect(await refused(shop)).toContain(
      'Microsoft.Insights/components is not offered in westeurope (AZURE_LOCATION). Nothing was deployed. Create an environment in one of: eastus.',
    )
    state.regionsOfTypes = before
    await accepted(shop)
    state.regionsOfTypes = { 'Microsoft.Insights/components': ['East US'] }
    await accepted(shop)
  })

  it('in a region without zone redundancy, where the file wants it', async () => {
    await shop.here.configure({ zoneRedundant: true })
    shop.azure.arm.state.zonedRegions = ['East US']

    expect(await refused(shop)).toContain('not zone-redundant in westeurope (AZURE_LOCATION)')
    shop.azure.arm.state.zonedRegions = ['East US', 'West Europe']
    await accepted(shop)
  })

  it('for a version of Node that the region does not offer', async () => {
    await shop.here.configure({ nodeVersion: '24' })

    expect(await refused(shop)).toContain('Node 24 (nodeVersion) is not offered on Flex Consumption in westeurope')
    shop.azure.arm.state.nodeVersions = ['22', '24']
    await accepted(shop)
  })

  it('for a resource provider that the person may not register, and otherwise registers it and waits', async () => {
    const { state } = shop.azure.arm
    state.providers.delete('Microsoft.EventGrid')
    state.mayRegisterProviders = false
    expect(await refused(shop)).toContain('az provider register --namespace Microsoft.EventGrid --wait')

    state.mayRegisterProviders = true
    state.registrationReads = 3
    const output = await accepted(shop)
    expect(output).toMatch(/Provider +Microsoft.EventGrid registered/)
    // Only a virtual network needs it.
    expect(state.providers).not.toContain('Microsoft.App')
    await shop.here.configure({ network: 'private' })
    expect(await accepted(shop)).toMatch(/Provider +Microsoft.App registered/)
  })

  it('for a subscription of another tenant, and for one that is disabled', async () => {
    shop.azure.arm.state.isVisible = false
    const output = await refused(shop)
    expect(output).toContain('(404 SubscriptionNotFound')
    expect(output).toContain('azd auth login --tenant-id')

    Object.assign(shop.azure.arm.state, { isVisible: true, isDisabled: true })
    expect(await refused(shop)).toContain('is disabled')
    shop.azure.arm.state.isDisabled = false
    await accepted(shop)
  })

  it('for a reader, with the role and the reminder of an eligible one', async () => {
    shop.azure.arm.state.permissions = [{ actions: ['*/read'], notActions: [] }]
    const output = await refused(shop)
    expect(output).toContain('You may not deploy (Microsoft.Resources/deployments/write)')
    expect(output).toContain('Privileged Identity Management')

    shop.azure.arm.state.permissions = [
      { actions: ['*'], notActions: ['Microsoft.Authorization/*/Write'] },
      { actions: ['Microsoft.Authorization/*'], notActions: [] },
    ]
    await accepted(shop)
  })

  it('with the code and the sentence by which Azure or Graph explains a refusal', async () => {
    const { arm, directory } = shop.azure
    arm.state.providers.delete('Microsoft.EventGrid')
    const message = "The subscription 'aaaaaaaa' is not permitted.\nTracking id: 1"
    const clear = arm.faults.add({ path: '/register', status: 409, error: { code: 'MissingSubscription', message } })
    expect(await refused(shop)).toContain("(409 MissingSubscription: The subscription 'aaaaaaaa' is not permitted).")
    clear()

    directory.settings.mayCreate = false
    expect(await refused(shop)).toContain('(403 Authorization_RequestDenied: Insufficient privileges')
    directory.settings.mayCreate = true
    await accepted(shop)
  })

  it('without a sign-in, with the reason of azd and of az', async () => {
    const cause = Object.assign(new Error('ChainedTokenCredential authentication failed.'), {
      errors: [
        new Error('AADSTS700082: The refresh token has expired.\nTrace ID: 1'),
        new Error('Azure CLI not found'),
      ],
    })
    const cloud = createCloud(
      new Map([
        ['BROKER_LOCAL_ARM', shop.azure.arm.url],
        ['BROKER_LOCAL_GRAPH', shop.azure.graph.url],
      ]),
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
      expect(await refused(shop)).toContain(`Write the current month: ${month(0)}.`)
    }

    await shop.here.configure({ budget: { amount: 50, startDate: month(0) } })
    await accepted(shop)
    shop.here.clock.advance(62 * 86_400_000)
    await accepted(shop)
    await shop.here.configure({ budget: { amount: 50, startDate: month(3) } })
    expect((await shop.here.azd('provision')).output).toContain('budget.startDate is not 20')
  })

  it('without the right to assign roles, with the person who grants it and the way without', async () => {
    shop.azure.arm.state.permissions = [
      { actions: ['*'], notActions: ['Microsoft.Authorization/*/Write', 'Microsoft.Authorization/*/Delete'] },
    ]
    const output = await refused(shop)
    expect(output).toContain('Microsoft.Authorization/roleAssignments/write')
    expect(output).toContain('"assignRoles": false')

    await shop.here.configure({ assignRoles: false })
    const { output: provisioned } = await shop.here.azd('provision')
    expect(provisioned.match(/az role assignment create/g)).toHaveLength(5)
    // No role was assigned, so the upload cannot succeed.
    expect((await shop.here.azd('deploy')).output).toContain('no role on the storage account')
  })

  it('with roles in the vault and without the right to assign them, until an administrator has run the commands', async () => {
    const { azure, here } = shop
    azure.arm.state.permissions = [{ actions: ['*'], notActions: ['Microsoft.Authorization/*/Write'] }]
    await here.configure({ assignRoles: false, vaultAuthorization: 'rbac' })

    const { code, output } = await here.azd('up')

    expect(code).toBe(1)
    expect(here.clock.waited).toBeLessThan(1_000)
    expect(output).toContain('An administrator runs the commands above')
    expect(output.match(/az role assignment create/g)).toHaveLength(7)
    const role = async (kind: string) => {
      const name = `.azure/shop-test/vault-role-${kind}.json`
      expect(output).toContain(`az role definition create --role-definition "@${name}"`)
      return JSON.parse(await readFile(path.join(here.folder, name), 'utf8')) as Record<string, unknown>
    }
    const { Name, DataActions } = await role('broker')
    expect(DataActions).toEqual(brokerDataActions)
    expect(output).toMatch(
      new RegExp(`--role "${String(Name)}" --assignee-object-id \\S+ --.*/vaults/kv-\\w{13}$`, 'm'),
    )
    expect(await role('officer')).toMatchObject({
      DataActions: officerDataActions,
      AssignableScopes: [expect.stringMatching(/\/rg-shop-test$/)],
    })
    expect(output).toContain(
      `of kv-${here.variables.get('BROKER_VAULT_NAME')!.slice(3)}, assigned by hand" --assignee-object-id ${anna.principalId}`,
    )

    azure.vault.setPermissions(anna.clientId, officerPolicy)
    expect((await here.azd('provision')).code).toBe(0)
  })

  it('without the right to write roles, and offers access policies', async () => {
    shop.azure.arm.state.permissions = [
      { actions: ['*'], notActions: ['Microsoft.Authorization/roleDefinitions/write'] },
    ]
    await shop.here.configure({ vaultAuthorization: 'rbac' })

    expect(await refused(shop)).toContain('"vaultAuthorization": "accessPolicies"')
    await shop.here.configure({ vaultAuthorization: 'accessPolicies' })
    await accepted(shop)
  })

  it('without the right to write locks', async () => {
    shop.azure.arm.state.permissions = [{ actions: ['*'], notActions: ['Microsoft.Authorization/locks/write'] }]
    await shop.here.configure({ lockResources: true })

    expect(await refused(shop)).toContain('Microsoft.Authorization/locks/write')
    await shop.here.configure({ lockResources: false })
    await accepted(shop)
  })

  it('for a vault name that is already in use', async () => {
    await shop.here.configure({ vaultName: 'contoso-signin' })
    shop.azure.arm.state.takenNames.add('contoso-signin')

    expect(await refused(shop)).toContain('Write another "vaultName" into infra/environments/shop-test.json')
    await shop.here.configure({ vaultName: 'contoso-signin-2' })
    await accepted(shop)
  })

  it.each(['st', 'stpkg', 'func-broker-'])('for the name %s… that another subscription has', async (prefix) => {
    await shop.here.configure({ resourceToken: 'contoso' })
    shop.azure.arm.state.takenNames.add(`${prefix}contoso`)

    expect(await refused(shop)).toContain(`The name ${prefix}contoso of the `)
    await shop.here.configure({ resourceToken: 'contoso2' })
    await accepted(shop)
  })

  it('without the right to create app registrations, with the role and the way without', async () => {
    shop.azure.directory.settings.mayCreate = false

    const output = await refused(shop)

    expect(output).toContain('Application Developer')
    expect(output).toContain('Privileged Role Administrator')
    expect(output).toContain('"clientId" and "applicationObjectId" into infra/environments/shop-test.json')
  })

  it('for ids of a registration that do not belong together, or of none', async () => {
    shop.azure.graph.applications.add(given)
    await shop.here.configure({ clientId: given.appId, applicationObjectId: given.appId })
    expect(await refused(shop)).toContain(`Write ${given.id}`)

    await shop.here.configure({ clientId: given.id, applicationObjectId: given.id })
    expect(await refused(shop)).toContain('no app registration with the clientId')

    await shop.here.configure({ clientId: given.appId, applicationObjectId: given.id })
    await accepted(shop)
  })

  it('without the DNS records of its domain, and prints them as soon as the app exists', async () => {
    const records = new Map<string, string>()
    const dns = await startDns(records)
    try {
      await shop.here.azd('env', 'set', 'BROKER_DNS_SERVER', dns.address)
      await shop.here.configure({ domain })
      // Azure shows the verification id at an app only.
      expect(await refused(shop)).toMatch(/The app does not exist yet.*Remove "domain"/)
      await shop.here.configure({ domain: undefined })
      await accepted(shop)
      await shop.here.configure({ domain })

      const { output } = await shop.here.azd('provision')

      const site = /CNAME +signin\.example\.com +(func-broker-\w+\.azurewebsites\.net)/.exec(output)?.[1] ?? ''
      const { domainVerificationId: id } = shop.azure.arm.state
      expect(output).toMatch(new RegExp(`TXT +asuid\\.${domain} +${id}`))
      expect(output).not.toContain('CAA')
      records.set(`CNAME ${domain}`, site).set(`TXT asuid.${domain}`, id.replace('A', 'B'))
      expect((await shop.here.azd('provision')).output).toContain(`TXT    asuid.${domain}`)
      records.set(`TXT asuid.${domain}`, id)
      await accepted(shop)
      expect(parametersOf(shop.here)['domainIsBound']).toBe(true)
    } finally {
      dns.close()
    }
  })

  it('for CAA records that allow other authorities than that of Azure, of the domain or of its nearest parent', async () => {
    const site = 'func-broker-contoso.azurewebsites.net'
    const records = new Map([
      [`CNAME ${domain}`, site],
      [`TXT asuid.${domain}`, shop.azure.arm.state.domainVerificationId],
      ['CAA example.com', 'letsencrypt.org'],
    ])
    const dns = await startDns(records)
    try {
      await shop.here.azd('env', 'set', 'BROKER_DNS_SERVER', dns.address)
      await shop.here.configure({ domain, resourceToken: 'contoso' })
      expect(await refused(shop)).toMatch(/CAA +example\.com +0 issue "digicert\.com"/)
      records.set(`CAA ${domain}`, ';')
      expect(await refused(shop)).toMatch(/CAA +signin\.example\.com +0 issue/)

      // Its own records count in place of those of its parent. The app is not there yet, as after azd down.
      records.set(`CAA ${domain}`, 'DigiCert.com; account=contoso')
      await accepted(shop)
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
    await accepted(shop)
    await shop.here.configure(changed)

    const { code, output } = await shop.here.azd('provision')

    expect(code).toBe(1)
    expect(output).toContain(sentence)
    await shop.here.configure(same)
    await accepted(shop)
  })

  it('stops in a clone with another region, and names the region', async () => {
    await accepted(shop)
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
