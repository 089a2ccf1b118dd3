import { X509Certificate } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseSettings } from '../../../shared/settings/settings.ts'
import { readerPolicy, deployer, subscriptionId } from '../../setup/deployment.ts'
import type { Deployment } from '../../setup/deployment.ts'
import { outcome, startShop, upTo, whole } from './shop.ts'

describe('a deployment', () => {
  let deployment: Deployment

  beforeEach(async () => {
    deployment = await startShop()
  })
  afterEach(() => deployment.close())

  it('makes registration and certificate, and says what it did and what is left to do', async () => {
    deployment.runSources()
    const { before, after, codes } = await upTo(deployment)

    expect(codes, before.output + after.output).toEqual([0, 0])
    expect(await outcome(deployment)).toEqual(whole(deployment.baseUrl))
    expect(before.output).toMatch(/App registration +made: /)
    expect(before.output).toMatch(/Pass +first/)
    expect(after.output).toMatch(/Certificate +made: broker, valid until \d{4}-/)
    expect(after.output).toContain(`az ad app permission admin-consent --id`)
  })

  it('leaves a client id and an object id that the broker takes', async () => {
    await upTo(deployment)
    const variables = await deployment.variables()

    const { provider } = parseSettings({
      AzureAd__Instance: 'https://login.microsoftonline.com/',
      AzureAd__TenantId: variables['AZURE_TENANT_ID'],
      AzureAd__ClientId: variables['BROKER_CLIENT_ID'],
      Broker__ApplicationObjectId: variables['BROKER_APPLICATION_OBJECT_ID'],
      AzureAd__ClientCredentials__0__SourceType: 'KeyVault',
      AzureAd__ClientCredentials__0__KeyVaultUrl: 'https://contoso.vault.azure.net',
      AzureAd__ClientCredentials__0__KeyVaultCertificateName: 'broker',
      Broker__BaseUrl: variables['BROKER_BASE_URL'],
      Broker__FrontEnds: variables['BROKER_FRONT_ENDS'],
      Broker__TableServiceUri: 'https://contoso.table.core.windows.net',
    })

    expect(provider.applicationObjectId).toBe(deployment.graph.applications.all[0]!.id)
  })

  it('registers a certificate that can only sign, whose key stays in the vault', async () => {
    await upTo(deployment)

    const [version] = deployment.vault.publicCertificates('broker')
    const [key] = deployment.graph.applications.keysOf(deployment.graph.applications.all[0]!)
    expect(key!.der.equals(version!.der)).toBe(true)
    expect(new X509Certificate(key!.der).publicKey.asymmetricKeyDetails?.modulusLength).toBe(3072)
  })

  it('changes nothing the second time, when who deploys may only read certificates', async () => {
    await upTo(deployment)
    const writes = await deployment.writes()
    deployment.vault.setPermissions(deployer.clientId, readerPolicy)
    const site = 'resourceGroups/rg-shop-test/providers/Microsoft.Web/sites'
    const { BROKER_RESOURCE_TOKEN: token } = await deployment.variables()
    deployment.arm.state.resources.set(
      `/subscriptions/${subscriptionId}/${site}/func-broker-${token ?? ''}/functions/certificateEvent`,
      {},
    )

    const { before, after, codes } = await upTo(deployment)

    expect(codes, before.output + after.output).toEqual([0, 0])
    expect(await outcome(deployment)).toEqual(whole(deployment.baseUrl))
    expect(before.output).toMatch(/Pass +second/)
    expect(after.output).toMatch(/App registration +is as it should be/)
    // The pass, and nothing else.
    expect(await deployment.writes()).toBe(writes + 1)
  })

  it('keeps the keys, addresses, claims and roles that others gave the application', async () => {
    await deployment.hook('preprovision')
    await deployment.provisioned()
    const [application] = deployment.graph.applications.all
    const foreign = await deployment.vault.createCertificate('foreign')
    const key = deployment.graph.applications.register(application!, foreign.der, { displayName: 'of somebody else' })
    Object.assign(deployment.directory.properties.get(application!.id)!, {
      web: { redirectUris: ['https://other.example.com/callback'], homePageUrl: 'https://other.example.com' },
      optionalClaims: { idToken: [{ name: 'email' }], accessToken: [{ name: 'ipaddr' }] },
      appRoles: [{ value: 'Other.Role', id: 'c3b1e0a2-5d4f-4c8e-9a7b-0e1d2c3b4a53' }],
    })

    await deployment.hook('postprovision')

    expect(deployment.graph.applications.keysOf(application!)).toHaveLength(2)
    expect(deployment.graph.applications.keysOf(application!)[0]).toEqual(key)
    expect(deployment.directory.properties.get(application!.id)).toMatchObject({
      web: {
        redirectUris: expect.arrayContaining(['https://other.example.com/callback']) as string[],
        homePageUrl: 'https://other.example.com',
      },
      optionalClaims: { idToken: [{ name: 'email' }, { name: 'login_hint' }, { name: 'sid' }], accessToken: [{}] },
      appRoles: [{ value: 'Other.Role' }, { value: 'Broker.Operator' }],
    })
  })

  it('waits while permissions spread, and no longer than it must', async () => {
    await deployment.hook('preprovision')
    await deployment.provisioned()
    deployment.vault.faults.add({ operation: 'createCertificate', status: 403, times: 2 })
    deployment.graph.faults.add({ operation: 'getApplication', status: 404, times: 1 })

    const { code, output } = await deployment.hook('postprovision')

    expect(code, output).toBe(0)
    expect(await outcome(deployment)).toEqual(whole(deployment.baseUrl))
  })

  it('says which permission is missing, and the command, when it does not come', async () => {
    await deployment.hook('preprovision')
    await deployment.provisioned()
    await deployment.set({ BROKER_HOOK_PATIENCE_SECONDS: '1' })
    deployment.vault.setPermissions(deployer.clientId, readerPolicy)

    const { code, output } = await deployment.hook('postprovision')

    expect(code).toBe(1)
    expect(output).toContain('You may not "create" certificates')
    expect(output).toContain('az keyvault set-policy')
  })

  it('waits as long as it is told when it is throttled, and gets over a server error and a lost answer', async () => {
    deployment.graph.faults.add({ operation: 'getApplication', status: 429, retryAfterSeconds: 1, times: 1 })
    deployment.graph.faults.add({ operation: 'changeApplication', loseAnswer: true, times: 1 })
    deployment.arm.faults.add({ status: 503, times: 1 })

    const { before, after, codes } = await upTo(deployment)

    expect(codes, before.output + after.output).toEqual([0, 0])
    expect(await outcome(deployment)).toEqual(whole(deployment.baseUrl))
  })
})
