import { X509Certificate } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createKeyVaultCertificateCreator } from '../../../tools/certificate/certificate-creator.key-vault.ts'
import { build, clean } from '../../../tools/build.ts'
import { startConnectProxy } from '../../setup/connect-proxy.ts'
import { bruno, pipeline, subscriptionId, tenantId } from '../../setup/azure.ts'
import { deleteGroup } from '../../setup/template.ts'
import { asPipeline, complete, frontEnds, idOf, openShop, outcome, parametersOf } from './shop.ts'
import type { Shop } from './shop.ts'

describe('a deployment', () => {
  let shop: Shop
  beforeEach(async () => {
    shop = await openShop()
  })
  afterEach(() => shop.close())

  it('by azd up on a fresh environment with name, location and subscription is complete', async () => {
    const { azure, here } = shop
    const { code, output } = await here.azd('up')

    expect(code, output).toBe(0)
    expect(outcome(azure)).toEqual(complete)
    expect(here.variables.get('AZURE_TENANT_ID')).toBe(tenantId)
    expect(here.variables.has('AZURE_PRINCIPAL_TYPE')).toBe(false)
    expect(here.ran).toEqual([
      'npm run clean',
      'npm run build',
      'preprovision',
      'postprovision',
      'predeploy',
      'npm run clean',
      'npm run build',
      'postdeploy',
      'preprovision',
      'postprovision',
    ])
    expect(output).toMatch(/App registration +created: /)
    expect(output).toContain('Commit infra/environments/shop-test.json')
    expect(output).toContain('az ad app permission admin-consent --id')
    const [key] = azure.graph.applications.keysOf(azure.graph.applications.all[0]!)
    expect(new X509Certificate(key!.der).publicKey.asymmetricKeyDetails?.modulusLength).toBe(3072)
  })

  it('without a file of the environment creates one, with the ids of the registration', async () => {
    const other = await shop.here.clone({ environmentName: 'shop-dev' })
    const { code, output } = await other.azd('up')

    expect(code, output).toBe(0)
    const [application] = shop.azure.graph.applications.all
    expect(await other.configuration()).toEqual({
      $schema: '../../docs/environment.schema.json',
      frontEnds: [],
      clientId: application!.appId,
      applicationObjectId: application!.id,
    })
    await other.remove()
  })

  it('a second time by azd up makes no change, for a deployer who may only read certificates', async () => {
    const { azure, here } = shop
    await here.azd('up')
    const before = structuredClone([...azure.arm.state.appSettings.values()])
    const file = await here.configuration()

    const { code, output } = await here.azd('up')

    expect(code, output).toBe(0)
    expect(outcome(azure)).toEqual(complete)
    expect([...azure.arm.state.appSettings.values()]).toEqual(before)
    expect(await here.configuration()).toEqual(file)
    expect(output).toMatch(/App registration +complete, unchanged/)
  })

  it('by azd provision alone names the missing variables, and goes through with them', async () => {
    const { azure, here } = shop
    const refused = await here.azd('provision')
    expect(refused.code).toBe(1)
    expect(refused.output).toContain(
      'AZURE_SUBSCRIPTION_ID is missing. Run azd up, which prompts for it, or: azd env set',
    )
    expect(refused.output).toContain('AZURE_LOCATION is missing')

    await here.azd('env', 'set', 'AZURE_SUBSCRIPTION_ID', subscriptionId)
    await here.azd('env', 'set', 'AZURE_LOCATION', 'westeurope')
    const { code, output } = await here.azd('provision')

    expect(code, output).toBe(0)
    expect(outcome(azure)).toEqual({ ...complete, isSecondPass: false })
    expect(output).toContain('run azd deploy, then azd provision')
  })

  it('by --preview runs no hook', async () => {
    await shop.here.azd('provision', '--preview')

    expect(shop.here.ran).toEqual([])
  })

  it('by azd deploy alone after a change ships a clean build and no file that lies in dist/', async () => {
    const { here } = shop
    await here.azd('up')
    await mkdir(`${here.folder}/dist`, { recursive: true })
    await writeFile(`${here.folder}/dist/index.mjs.map`, 'left behind by npm start')

    const { code, output } = await here.azd('deploy')

    expect(code, output).toBe(0)
    expect(here.uploads.at(-1)).toEqual({ 'index.mjs': 'production build' })
    expect(here.ran.slice(-4)).toEqual(['predeploy', 'npm run clean', 'npm run build', 'postdeploy'])
  })

  it('by azd deploy ships what npm run build makes, without source maps', async () => {
    const there = await shop.here.clone({
      scripts: {
        clean: (folder) => clean(path.join(folder, 'dist')),
        build: async (folder) => {
          await build({ outdir: path.join(folder, 'dist') })
        },
      },
    })
    await there.azd('up')
    await writeFile(path.join(there.folder, 'dist', 'index.mjs.map'), 'left behind by npm start')

    const { code, output } = await there.azd('deploy')

    expect(code, output).toBe(0)
    const shipped = Object.keys(there.uploads.at(-1) ?? {})
    expect(shipped).toEqual(expect.arrayContaining(['host.json', 'package.json']))
    expect(shipped.filter((name) => name.endsWith('.map'))).toEqual([])
    expect(there.uploads.at(-1)).toEqual(there.uploads[0])
    await there.remove()
  }, 120_000)

  it('by azd deploy before azd up reports that azd up must run first', async () => {
    await shop.here.azd('env', 'set', 'AZURE_SUBSCRIPTION_ID', subscriptionId)
    const { code, output } = await shop.here.azd('deploy')

    expect(code).toBe(1)
    expect(output).toContain('Run: azd up')
  })

  it('waits before the upload until the roles have spread, and not the next time', async () => {
    const { here } = shop
    const { code, output } = await here.azd('up')
    expect(code, output).toBe(0)
    expect(output).toMatch(/Waiting \d+ s until the role assignments have spread/)

    const { waited } = here.clock
    await here.azd('deploy')
    expect(here.clock.waited).toBe(waited)
  })

  it('syncs the triggers until the function is listed', async () => {
    shop.azure.arm.state.idleSyncs = 4
    const { code, output } = await shop.here.azd('up')

    expect(code, output).toBe(0)
    expect(output).toContain('Waiting until Azure lists the function certificateEvent')
    expect(outcome(shop.azure)).toEqual(complete)
  })

  it('fails with the name of the function that never appears, and remembers that code was deployed', async () => {
    const { azure, here } = shop
    azure.arm.state.idleSyncs = 1_000
    const first = await here.azd('up')
    expect(first.code).toBe(1)
    expect(first.output).toContain('The function certificateEvent is missing')

    // In the first pass, azd provision would go through without the events.
    const again = await here.azd('provision')
    expect(again.code).toBe(1)
    expect(again.output).toContain('Run azd deploy, then azd provision')

    azure.arm.state.idleSyncs = 0
    const last = await here.azd('provision')
    expect(last.code, last.output).toBe(0)
    expect(outcome(azure)).toEqual(complete)
  })

  it('never returns from the second pass to the first', async () => {
    const { azure, here } = shop
    await here.azd('up')
    azure.arm.state.resources.delete(idOf(azure, '/functions/certificateEvent'))
    azure.arm.state.idleSyncs = 1_000
    const elsewhere = await here.clone({ deployer: bruno })

    const { code, output } = await elsewhere.azd('up')

    expect(code).toBe(1)
    expect(output).toContain('The function certificateEvent is missing')
    await elsewhere.remove()
  })

  it.each(['provision', 'package', 'upload'] as const)(
    'that fails in the step %s is finished by azd up',
    async (step) => {
      shop.here.failOnce(step)
      expect((await shop.here.azd('up')).code).toBe(1)

      const { code, output } = await shop.here.azd('up')

      expect(code, output).toBe(0)
      expect(outcome(shop.azure)).toEqual(complete)
    },
  )

  it.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])('that is killed after %i writes is finished by azd up', async (writes) => {
    shop.here.interruptAfter(writes)
    expect((await shop.here.azd('up')).code).toBe(1)
    shop.here.interruptAfter(undefined)

    const { code, output } = await shop.here.azd('up')

    expect(code, output).toBe(0)
    expect(outcome(shop.azure)).toEqual(complete)
  })

  it('survives throttling, a server error, a lost answer and a permission that spreads', async () => {
    const { azure, here } = shop
    azure.graph.faults.add({ operation: 'getApplication', status: 429, retryAfterSeconds: 1, times: 1 })
    azure.graph.faults.add({ operation: 'changeApplication', loseAnswer: true, times: 1 })
    azure.arm.faults.add({ status: 503, times: 1 })
    azure.vault.faults.add({ operation: 'createCertificate', status: 403, times: 2 })

    const { code, output } = await here.azd('up')

    expect(code, output).toBe(0)
    expect(outcome(azure)).toEqual(complete)
  })

  it('names the permission that does not come, with the command', async () => {
    shop.azure.vault.faults.add({ operation: 'createCertificate', status: 403 })

    const { code, output } = await shop.here.azd('up')

    expect(code).toBe(1)
    expect(output).toContain('You lack the permission "create" for certificates')
    expect(output).toContain('az keyvault set-policy')
  })

  it('behind the firewall of a private vault names the way to let this machine in', async () => {
    const firewall = 'Client address is not authorized and caller is not a trusted service.'
    const error = Object.assign(new Error(firewall), { statusCode: 403 })
    const creator = createKeyVaultCertificateCreator({
      vaultUrl: shop.azure.vault.url,
      credential: { getToken: () => Promise.reject(error) },
    })

    await expect(creator.findPolicy('broker')).rejects.toThrow(/vaultAllowedAddresses/)
  })

  it('after azd down recovers the vault with its certificate', async () => {
    const { azure, here } = shop
    await here.azd('up')
    const down = await here.azd('down')
    expect(down.code, down.output).toBe(0)
    expect(down.output).toContain('azd env set BROKER_RECOVER_VAULT true')
    expect(down.output).toContain('az ad app delete --id')
    expect(here.variables.has('BROKER_VAULT_URL')).toBe(false)

    const refused = await here.azd('up')
    expect(refused.code).toBe(1)
    expect(refused.output).toMatch(/A deleted vault holds the name kv-\w{13}/)

    await here.azd('env', 'set', 'BROKER_RECOVER_VAULT', 'true')
    const { code, output } = await here.azd('up')

    expect(code, output).toBe(0)
    expect(output).toMatch(/Vault +kv-\w{13} recovered/)
    expect(here.variables.get('BROKER_RECOVER_VAULT')).toBe('')
    expect(outcome(azure)).toEqual(complete)
  })

  it('after the resource group was deleted by hand recovers the vault, and is not skipped', async () => {
    const { azure, here } = shop
    await here.azd('up')
    deleteGroup(azure, 'rg-shop-test')
    await here.azd('env', 'set', 'BROKER_RECOVER_VAULT', 'true')

    const { code, output } = await here.azd('up')

    expect(code, output).toBe(0)
    expect(outcome(azure)).toEqual(complete)
  })

  it('recovers the vault in a group that is there, and leaves its location and tags', async () => {
    const { azure, here } = shop
    await here.azd('up')
    deleteGroup(azure, 'rg-shop-test')
    const group = `/subscriptions/${subscriptionId}/resourceGroups/rg-shop-test`
    const ofTeam = { location: 'northeurope', tags: { owner: 'identity' } }
    azure.arm.state.resources.set(group, ofTeam)
    await here.azd('env', 'set', 'BROKER_RECOVER_VAULT', 'true')

    const { code, output } = await here.hook('preprovision')

    expect(code, output).toBe(0)
    expect(output).toMatch(/Vault +kv-\w{13} recovered/)
    expect(azure.arm.state.resources.get(group)).toEqual(ofTeam)
  })

  it('names the policy that refuses the group of a recovered vault, and sends the tags of the file', async () => {
    const { azure, here } = shop
    await here.azd('up')
    await here.azd('down')
    await here.configure({ tags: { costCenter: 'identity' } })
    await here.azd('env', 'set', 'BROKER_RECOVER_VAULT', 'true')
    const error = { code: 'RequestDisallowedByPolicy', message: "Resource 'rg-shop-test' was disallowed by policy." }
    const clear = azure.arm.faults.add({ path: '/resourceGroups/rg-shop-test', method: 'PUT', status: 403, error })

    const refused = await here.azd('up')
    expect(refused.code).toBe(1)
    expect(refused.output).toContain(
      "(403 RequestDisallowedByPolicy: Resource 'rg-shop-test' was disallowed by policy)",
    )

    clear()
    const { code, output } = await here.hook('preprovision')
    expect(code, output).toBe(0)
    const group = azure.arm.state.resources.get(`/subscriptions/${subscriptionId}/resourceGroups/rg-shop-test`)
    expect(group).toMatchObject({ tags: { costCenter: 'identity', 'azd-env-name': 'shop-test' } })
  })

  it('names the way to restore what was deleted by hand, because azd skips a deployment without changes', async () => {
    const { azure, here } = shop
    await here.azd('up')
    azure.arm.state.resources.delete(idOf(azure, '/eventSubscriptions/certificate-event'))

    const { code, output } = await here.azd('up')
    expect(code).toBe(1)
    expect(output).toContain('Run: azd provision --no-state')

    const restored = await here.azd('provision', '--no-state')
    expect(restored.code, restored.output).toBe(0)
    expect(outcome(azure)).toEqual(complete)
  })

  it('after azd down creates a new vault by another name', async () => {
    const { azure, here } = shop
    await here.azd('up')
    await here.azd('down')
    await here.configure({ vaultName: 'shop-signin-2' })

    const { code, output } = await here.azd('up')

    expect(code, output).toBe(0)
    expect(idOf(azure, '/vaults/shop-signin-2')).not.toBe('')
  })

  it('by a colleague from a fresh clone makes no change', async () => {
    const { azure, here } = shop
    await here.azd('up')
    const before = structuredClone([...azure.arm.state.appSettings.values()])
    const elsewhere = await here.clone({ deployer: bruno })

    const { code, output } = await elsewhere.azd('up')

    expect(code, output).toBe(0)
    expect([...azure.arm.state.appSettings.values()]).toEqual(before)
    expect(outcome(azure)).toEqual(complete)
    await elsewhere.remove()
  })

  it('by a pipeline without a permission for Graph makes no change', async () => {
    const { azure, here } = shop
    await here.azd('up')
    const before = structuredClone([...azure.arm.state.appSettings.values()])
    Object.assign(azure.directory.settings, { mayRead: false, mayCreate: false, mayChange: false })
    const there = await here.clone(asPipeline)

    const { code, output } = await there.azd('up')

    expect(code, output).toBe(0)
    expect([...azure.arm.state.appSettings.values()]).toEqual(before)
    expect(output).not.toContain('az rest')
    expect(parametersOf(there)).toMatchObject({ principalType: 'ServicePrincipal', principalId: pipeline.principalId })
    expect(await there.configuration()).toEqual(await here.configuration())
    await there.remove()
  })

  it('by a pipeline with the package of the build job runs no build', async () => {
    const { here } = shop
    await here.azd('up')
    const there = await here.clone(asPipeline)

    const runs = [
      await there.azd('provision'),
      await there.azd('deploy', 'broker', '--from-package', 'broker.zip'),
      await there.azd('provision'),
    ]

    expect(
      runs.map(({ code }) => code),
      runs.map(({ output }) => output).join('\n'),
    ).toEqual([0, 0, 0])
    expect(there.ran).not.toContain('npm run build')
    expect(there.uploads).toEqual([{ package: 'broker.zip' }])
    await there.remove()
  })

  it('by a pipeline before a person has deployed reports the steps that a person must do', async () => {
    const there = await shop.here.clone(asPipeline)

    const { code, output } = await there.azd('up')

    expect(code).toBe(1)
    expect(output).toContain('Run azd provision for this environment once as a person')
    expect(shop.azure.graph.applications.all).toEqual([])
    await there.remove()
  })

  it('allows ID tokens in the registration for the hybrid flow alone', async () => {
    const { azure, here } = shop
    await here.azd('up')
    const properties = () => azure.directory.properties.get(azure.graph.applications.all[0]!.id) as { web?: object }
    expect(properties().web).not.toHaveProperty('implicitGrantSettings')

    await here.configure({ settings: { Broker__ResponseType: 'code id_token' } })
    await here.azd('provision')

    expect(properties().web).toMatchObject({ implicitGrantSettings: { enableIdTokenIssuance: true } })
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

  it('under a path of another server registers the addresses with the path, and keeps the base URL', async () => {
    const { azure, here } = shop
    await here.configure({ baseUrl: 'https://app.example.com/auth' })
    const { code, output } = await here.azd('up')

    expect(code, output).toBe(0)
    expect(azure.directory.properties.get(azure.graph.applications.all[0]!.id)?.['web']).toMatchObject({
      redirectUris: ['https://app.example.com/auth/callback', 'https://app.example.com/auth/logout/done'],
      logoutUrl: 'https://app.example.com/auth/logout/frontchannel',
    })
    await here.configure({ baseUrl: undefined })
    expect((await here.azd('provision')).output).toContain('- the base URL https://app.example.com/auth')
  })

  it('in a cloud that the broker does not know uses the hosts of Broker__AdditionalHosts alone', async () => {
    const { azure, here } = shop
    await here.azd('up')
    const settings = { Broker__AdditionalHosts: 'kv-shop.vault.newcloud.example' }
    await here.configure({ settings })
    await here.azd('provision')
    expect([...azure.arm.state.appSettings.values()]).toMatchObject([settings])

    const hook = async (url: string) => {
      await here.azd('env', 'set', 'BROKER_VAULT_URL', url)
      return (await here.hook('postprovision')).output
    }
    const proxy = await startConnectProxy({ answer: (socket) => void socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n') })
    vi.stubEnv('HTTPS_PROXY', proxy.url)
    try {
      expect(await hook('https://kv-shop.vault.othercloud.example')).toContain('BROKER_VAULT_URL is not')
      expect(proxy.requests).toEqual([])
      expect(await hook('https://kv-shop.vault.newcloud.example')).toContain('did not create the certificate broker')
      expect(proxy.requests).toContain('CONNECT kv-shop.vault.newcloud.example:443')
    } finally {
      vi.unstubAllEnvs()
      await proxy.close()
    }
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
