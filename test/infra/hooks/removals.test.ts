import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createWorkplace } from '../../setup/azd.ts'
import { subscriptionId } from '../../setup/azure.ts'
import { accepted, frontEnds, given, idOf, openShop } from './shop.ts'
import type { Shop } from './shop.ts'

let shop: Shop
beforeEach(async () => {
  shop = await openShop()
})
afterEach(() => shop.close())

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
    settings: { Broker__SessionIdleSeconds: 1800, HTTPS_PROXY: 'http://proxy.example.com:8080' },
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
    ['the proxy', { settings: { Broker__SessionIdleSeconds: 1800 } }, 'the setting HTTPS_PROXY'],
    ['the object id', { applicationObjectId: undefined, registration: 'manual' }, 'the object id '],
  ])('stops for %s, and goes through when exactly this was confirmed', async (_name, members, sentence) => {
    const { azure, here } = shop
    await here.configure(rich)
    await accepted(shop)
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

  it('stops for another vault, whose events the topic does not send, until the topic is deleted', async () => {
    const { azure, here } = shop
    await accepted(shop)
    await here.configure({ vaultName: 'other-vault' })

    const { code, output } = await here.azd('provision')

    expect(code).toBe(1)
    const topic = idOf(azure, '/systemTopics/')
    const { principalId } = (azure.arm.state.resources.get(topic) as { identity: { principalId: string } }).identity
    expect(output).toMatch(/- vaultName is not kv-\w{13}, whose events the topic evgt-broker-\w{13} sends/)
    expect(output).toContain(`az role assignment delete --assignee ${principalId} --scope /subscriptions/`)
    expect(output).toMatch(
      /az eventgrid system-topic delete --name evgt-broker-\w{13} --resource-group rg-shop-test --yes/,
    )

    azure.arm.state.roleAssignments.delete(`${topic} on dead-letters`)
    azure.arm.state.resources.delete(topic)
    const refused = (await here.azd('provision')).output
    expect(refused).toContain('(in its place: other-vault)')
    const [, confirmation = ''] = /azd env set BROKER_CONFIRM_REMOVAL (\w{8})/.exec(refused) ?? []
    await here.azd('env', 'set', 'BROKER_CONFIRM_REMOVAL', confirmation)
    await accepted(shop)
  })

  it('stops in a clone without the file, and names everything', async () => {
    await shop.here.configure(rich)
    await accepted(shop)
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
    await accepted(shop)
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
    await accepted(shop)
    await shop.here.configure({ alwaysReadyInstances: 0 })
    const { output } = await shop.here.azd('provision')
    const [, confirmation = ''] = /BROKER_CONFIRM_REMOVAL (\w{8})/.exec(output) ?? []
    await shop.here.azd('env', 'set', 'BROKER_CONFIRM_REMOVAL', confirmation)
    await shop.here.configure({ frontEnds: [] })

    expect((await shop.here.azd('provision')).code).toBe(1)
  })

  it('stops for an access policy that was added by hand, and not for an earlier deployer', async () => {
    const { azure, here } = shop
    const [scanner, developer] = ['aaaaaaaa-0001-4000-8000-00000000000a', 'aaaaaaaa-0001-4000-8000-00000000000b']
    await here.configure({ developerIds: [developer] })
    await accepted(shop)
    const vault = azure.arm.state.resources.get(idOf(azure, '/Microsoft.KeyVault/vaults/')) as {
      properties: { accessPolicies: object[] }
    }
    const byHand = [
      { objectId: scanner, permissions: { Keys: ['List'], certificates: ['Get'] } },
      { objectId: 'aaaaaaaa-0001-4000-8000-00000000000c', permissions: { certificates: ['Get', 'List'], secrets: [] } },
    ]
    vault.properties.accessPolicies.push(...byHand)

    const stopped = await here.azd('provision', '--no-state')
    expect(stopped.code, stopped.output).toBe(1)
    expect(stopped.output).toMatch(
      new RegExp(`It would remove:\\n- the access policy of ${scanner} in the vault\\n\\S`),
    )

    await here.configure({ otherVaultAccess: [{ objectId: scanner.toUpperCase(), keys: ['list'] }] })
    await accepted(shop)
    await here.configure({ developerIds: undefined })
    expect((await here.azd('provision')).output).toContain(`- the access policy of ${developer} in the vault`)
  })

  it('keeps a domain that was bound by hand, and stops where the base URL leaves it', async () => {
    const { azure, here } = shop
    await here.configure({ baseUrl: 'https://example.com' })
    await accepted(shop)
    const [site = ''] = azure.arm.state.appSettings.keys()
    for (const domain of ['example.com', 'other.example.com']) {
      azure.arm.state.resources.set(`${site}/hostNameBindings/${domain}`, { properties: { thumbprint: 'AB12' } })
    }
    await accepted(shop)
    const stop = async (baseUrl: string | undefined) => {
      await here.configure({ baseUrl })
      const { code, output } = await here.azd('provision')
      expect(code, output).toBe(1)
      return /It would remove:\n(.*)\n/.exec(output)?.[1]
    }

    expect(await stop(undefined)).toBe('- the domain example.com')
    expect(await stop('https://example.com/auth')).toBe('- the base URL https://example.com')
  })

  it('adds without a question', async () => {
    await accepted(shop)
    await shop.here.configure(rich)

    await accepted(shop)
  })

  it('stops where the person may not list the app settings, because a removal would stay unseen', async () => {
    await accepted(shop)
    shop.azure.arm.state.mayListSettings = false

    const { code, output } = await shop.here.azd('provision')

    expect(code).toBe(1)
    expect(output).toContain('Microsoft.Web/sites/config/list/action')
  })

  it.each(['/sites/func-broker', '/vaults/'])('stops while Azure does not answer about %s', async (path) => {
    const { azure, here } = shop
    await here.configure(rich)
    await accepted(shop)
    await here.configure({ frontEnds: undefined, vaultSku: undefined })
    const clear = azure.arm.faults.add({ path, method: 'GET', status: 503 })

    const { code, output } = await here.azd('provision')
    clear()

    expect(code).toBe(1)
    expect(output).toContain('The deployed broker cannot be read (503). Nothing was deployed.')
  })

  it('repairs a vault URL that was written by hand and is none', async () => {
    await accepted(shop)
    const [site, settings] = [...shop.azure.arm.state.appSettings][0]!
    const byHand = { ...settings, AzureAd__ClientCredentials__0__KeyVaultUrl: 'kv-shop' }
    shop.azure.arm.state.appSettings.set(site, byHand)

    const { code, output } = await shop.here.azd('provision', '--no-state')

    expect(code, output).toBe(0)
    expect(shop.azure.arm.state.appSettings.get(site)).toEqual(settings)
  })

  it('names what comes from Azure without control characters', async () => {
    await accepted(shop)
    const [site, settings] = [...shop.azure.arm.state.appSettings][0]!
    const forged = JSON.stringify([{ id: 'x\u001b[2Jdeployed', origins: ['https://app.example.com'] }])
    shop.azure.arm.state.appSettings.set(site, { ...settings, Broker__FrontEnds: forged })

    const { output } = await shop.here.azd('provision')

    expect(output).toContain('the front end x?[2Jdeployed')
    expect(output).not.toContain('\u001b')
  })
})
