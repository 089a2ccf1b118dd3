import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, it } from 'vitest'
import { createAzdEnvironment } from '../../../infra/hooks/azd.ts'
import { findAzureCloud } from '../../../infra/hooks/azure-clouds.ts'
import { endpointsOf, patienceOf } from '../../../infra/hooks/cloud.ts'
import { parseConfiguration, readConfiguration } from '../../../infra/hooks/configuration.ts'
import { configurationSchema } from '../../../infra/hooks/configuration.schema.ts'
import { configurableSettings } from '../../../infra/hooks/configuration-settings.ts'
import { findMovedVariables, movedVariables } from '../../../infra/hooks/moved-variables.ts'
import { isDevelopment, isProduction, namesOf } from '../../../infra/hooks/names.ts'
import { composeParameters, encodeParameters, readParameters } from '../../../infra/hooks/parameters.ts'
import { createCertificateAuthority } from '../../../local/certificate-authority.ts'
import { allDeclarations } from '../../../shared/settings/declarations.ts'
import { marshalDotenv, parseDotenv } from '../../setup/azd.ts'
import { root } from '../../setup/bicep.ts'
import type { Snapshot } from '../../setup/bicep.ts'

const guid = '2b4d6f80-1a3c-4e5f-9071-8a9b0c1d2e3f'
const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const pem = String(key.export({ type: 'pkcs8', format: 'pem' }))
const der = key.export({ type: 'pkcs8', format: 'der' }).toString('base64')

function variables(values: Readonly<Record<string, string>>) {
  return createAzdEnvironment(values, {}, () => Promise.resolve())
}

function cloudNamed(name: string) {
  return findAzureCloud(variables({ BROKER_CLOUD: name }))
}

function check(configuration: unknown, environmentName = 'shop-test') {
  const text = typeof configuration === 'string' ? configuration : JSON.stringify(configuration)
  return parseConfiguration(text, 'shop-test.json', environmentName).problems
}

const schema = JSON.parse(readFileSync(path.join(root, 'docs/environment.schema.json'), 'utf8')) as object
const validate = new Ajv2020({ strict: false }).compile(schema)

const partner = {
  id: 'partner',
  kind: 'openid',
  name: 'Partner staff',
  authority: 'https://login.partner.example',
  clientId: 'contoso-broker',
}
const takesPartner = {
  id: 'spa',
  origins: ['https://a.example'],
  providers: ['partner'],
  apis: [{ name: 'orders', scopes: ['orders.read'] }],
}

/** Every member, with a value that differs from its default. */
const full = {
  $schema: '../../docs/environment.schema.json',
  resourceGroupName: 'signin',
  resourceToken: 'k7m2p4q6r8s3t',
  tenantId: guid,
  clientId: guid,
  applicationObjectId: guid,
  registration: 'manual',
  appRoles: [{ value: 'Orders.Approve', displayName: 'Approver', allowedMemberTypes: ['User'], state: 'disabled' }],
  frontEnds: [{ id: 'spa', origins: ['https://a.example'] }],
  providers: [partner],
  settings: { Broker__SessionIdleSeconds: 1800, Broker__ResponseMode: 'query', Broker__AssertionReuse: true },
  tags: { costCenter: 'identity' },
  nodeVersion: '24',
  instanceMemoryMB: 512,
  maximumInstances: 60,
  alwaysReadyInstances: 2,
  domain: 'signin.example.com',
  vaultAuthorization: 'accessPolicies',
  vaultName: 'contoso-signin',
  vaultSku: 'premium',
  vaultSoftDeleteDays: 30,
  certificateName: 'signin',
  wrappingKeyName: 'signin-ring',
  certificateOfficerId: guid,
  developerIds: [guid],
  otherVaultAccess: [{ objectId: guid, certificates: ['get'] }],
  assignRoles: false,
  alertEmails: ['signin@example.com'],
  webTestLocations: ['emea-nl-ams-azr', 'us-va-ash-azr', 'apac-sg-sin-azr'],
  logRetentionDays: 90,
  softDeleteDays: 14,
  alertActionGroupIds: [`/subscriptions/${guid}/resourceGroups/ops/providers/Microsoft.Insights/actionGroups/on-call`],
  auditTableReads: false,
  network: 'private',
  networkAddressPrefix: '10.1.0.0/24',
  appSubnetId: `/subscriptions/${guid}/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/v/subnets/app`,
  endpointSubnetId: `/subscriptions/${guid}/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/v/subnets/pe`,
  createDnsZones: false,
  vaultAllowedAddresses: ['203.0.113.7', '198.51.100.0/24'],
  zoneRedundant: true,
  lockResources: true,
  budget: { amount: 50, startDate: '2026-11-01' },
  updateStrategy: 'RollingUpdate',
}

describe('the configuration of an environment', () => {
  it('is accepted with every member, by the hooks and by the published schema', () => {
    expect(check(full)).toEqual([])
    expect(validate(full), JSON.stringify(validate.errors)).toBe(true)
    expect(check({})).toEqual([])
  })

  it('has a test value above for every member', () => {
    const members = Object.keys(configurationSchema.def.shape)

    // Beside domain, the two are refused.
    expect(members.filter((name) => !(name in full))).toEqual(['baseUrl', 'frontDoor'])
    const frontDoor = { id: guid, domain: 'login.example.com' }
    const baseUrl = 'https://login.example.com/auth'
    expect(check({ ...full, domain: undefined, frontDoor, baseUrl })).toEqual([])
    expect(check({ ...full, domain: 'login.example.com' })).toEqual([])
  })

  it.each<[string, unknown, RegExp]>([
    ['shop-test.json', '{ "frontEnds": [ }', /not JSON/],
    ['shop-test.json', '{\n  // comment\n}', /not JSON \(line 2\)/],
    ['shop-test.json', '{ "tags": {}, }', /not JSON \(line 1\)/],
    ['shop-test.json', "{ 'tags': {} }", /not JSON \(line 1\)/],
    ['shop-test.json', ' \n', /empty/],
    ['shop-test.json', Buffer.from('\uFEFF{"tags":{}}', 'utf16le').toString(), /not UTF-8/],
    ['shop-test.json', '{\n<<<<<<< HEAD\n  "tags": {}\n=======\n}', /merge conflict \(line 2\)/],
    [
      'shop-test.json',
      '{\n  "frontEnds": [],\n  "tags": { "a": "b" },\n  "frontEnds": []\n}',
      /member twice \(line 4\)/,
    ],
    ['The file', '[]', /not an object/],
    ['The file', 'null', /not an object/],
    ['frontEnd', { frontEnd: [] }, /unknown/],
    ['location', { location: 'westeurope' }, /unknown/],
    ['Broker__ResponseMode', { Broker__ResponseMode: 'query' }, /unknown/],
    ['clientId', { clientId: 'shop' }, /not a GUID/],
    ['clientId', { clientId: '<your client id>' }, /placeholder/],
    ['clientId', { registration: 'manual' }, /registration is manual/],
    ['clientId', { settings: { Broker__Authority: 'https://login.example.com' } }, /names a provider/],
    ['applicationObjectId', { applicationObjectId: 'shop' }, /not a GUID/],
    ['registration', { registration: 'by hand' }, /none of the accepted/],
    ['appRoles[0].value', { appRoles: [{ value: 'Orders Approve', displayName: 'a' }] }, /./],
    ['appRoles[0].value', { appRoles: [{ value: '.Orders', displayName: 'a' }] }, /./],
    [
      'appRoles[0].value',
      { appRoles: [{ value: 'Broker.Operator', displayName: 'a' }] },
      /a role of the broker itself/,
    ],
    ['appRoles[0].displayName', { appRoles: [{ value: 'Orders' }] }, /is not a text/],
    [
      'appRoles[1].value',
      { appRoles: ['a', 'b'].map((displayName) => ({ value: 'Orders', displayName })) },
      /occurs twice/,
    ],
    ['appRoles[0].state', { appRoles: [{ value: 'a', displayName: 'a', state: 'gone' }] }, /none of the accepted/],
    ['tenantId', { tenantId: 'common' }, /personal accounts/],
    ['settings.Broker__Tenants', { tenantId: 'organizations' }, /missing/],
    [
      'settings.Broker__HomeTenantId',
      { tenantId: 'organizations', settings: { Broker__Tenants: 'signed-up' } },
      /missing/,
    ],
    ['settings.Broker__Tenants', { settings: { Broker__Tenants: 'signed-up' } }, /organizations/],
    ['tenantId', { tenantId: 'contoso.com' }, /domain name/],
    ['frontEnds[0].origins[0]', { frontEnds: [{ id: 'spa', origins: ['https://a.example/'] }] }, /slash/],
    ['providers[0].authority', { providers: [{ ...partner, authority: undefined }] }, /missing/],
    ['providers[0].clientSecretName', { providers: [{ ...partner, clientSecretName: 'a' }] }, /unknown/],
    ['frontEnds[0].providers[0]', { frontEnds: [{ ...takesPartner }] }, /id of no provider/],
    ['settings.Broker__Providers', { settings: { Broker__Providers: '[]' } }, /another place/],
    ['frontEnds[0].orgins', { frontEnds: [{ id: 'spa', orgins: [], origins: ['https://a.example'] }] }, /unknown/],
    ['settings.Broker__SessionIdleSeconds', { settings: { Broker__SessionIdleSeconds: 1 } }, /300/],
    ['settings.Broker__SessionIdleSecond', { settings: { Broker__SessionIdleSecond: 600 } }, /unknown/],
    ['settings.Broker__FrontEnds', { settings: { Broker__FrontEnds: '[]' } }, /another place/],
    ['settings.Broker__TableServiceUri', { settings: { Broker__TableServiceUri: 'x' } }, /template/],
    ['settings.Broker__OfflineAccess', { settings: { Broker__OfflineAccess: true } }, /other providers/],
    [
      'tenantId',
      { clientId: 'shop', tenantId: guid, settings: { Broker__Authority: 'https://login.example.com' } },
      /./,
    ],
    ['settings.AzureAd__ClientSecret', { settings: { AzureAd__ClientSecret: 'abcdefghij' } }, /secret/],
    ['clientSecret', { clientSecret: 'abcdefghij' }, /secret/],
    ['tags', { tags: { note: pem } }, /private key/],
    ['tags', { tags: { note: `abc8Q~${'x'.repeat(34)}` } }, /secret/],
    ['tags.(a member)', { tags: { 'azd-env-name': 'x' } }, /reserved/],
    ['tags.(a member)', { tags: { 'cost/center': 'x' } }, /not a name of a tag/],
    ['tags.TEAM', { tags: { team: 'x', TEAM: 'y' } }, /capital letters/],
    ['tags', { tags: Object.fromEntries(Array.from({ length: 48 }, (_, i) => [`t${i}`, ''])) }, /too many/],
    ['tags.team', { tags: { team: 1 } }, /not a text/],
    ['domain', { domain: der }, /private key/],
    ['frontEnds', { frontEnds: [{ id: 'spa', clientSecret: 'abcdefghij' }] }, /secret/],
    ['vaultName', { vaultName: 'a--b' }, /not written as expected/],
    ['vaultName', { vaultName: 'login-contoso' }, /begins with login/],
    ['vaultName', { vaultName: 'contoso-windows' }, /contains windows/],
    ['domain', { domain: 'example.com' }, /without a subdomain/],
    ['domain', { domain: `${'a'.repeat(53)}.example.com` }, /too long/],
    ['domain', { domain: 'Signin.example.com' }, /not written as expected/],
    ['domain', { domain: null }, /not a text/],
    ['webTestLocations[0]', { webTestLocations: ['westeurope', 'us-va-ash-azr', 'apac-sg-sin-azr'] }, /expected/],
    ['webTestLocations', { webTestLocations: ['us-va-ash-azr'] }, /too few/],
    ['webTestLocations[2]', { webTestLocations: ['us-va-ash-azr', 'emea-nl-ams-azr', 'us-va-ash-azr'] }, /twice/],
    ['alertActionGroupIds', { alertActionGroupIds: Array(5).fill(full.alertActionGroupIds[0]) }, /too many/],
    ['alertActionGroupIds[0]', { alertActionGroupIds: ['on-call'] }, /expected/],
    ['alertEmails', { alertEmails: 'signin@example.com' }, /not a list/],
    ['lockResources', { lockResources: 'true' }, /not true or false/],
    ['settings', { settings: [] }, /not an object/],
    ['settings.Broker__ResponseMode', { settings: { Broker__ResponseMode: null } }, /not a text, a number/],
    ['settings.(a member)', { settings: { 'Broker:ResponseMode': 'query' } }, /unknown/],
    ['frontDoor.domain', { frontDoor: { id: guid, domain: 'https://a.example.com' } }, /expected/],
    ['appSubnetId', { network: 'private', appSubnetId: full.appSubnetId.replace(/app$/, 'app_1') }, /underscore/],
    ['appSubnetId', { network: 'private', appSubnetId: full.appSubnetId.replace('/subnets/app', '') }, /expected/],
    ['appSubnetId', { appSubnetId: full.appSubnetId, endpointSubnetId: full.endpointSubnetId }, /not private/],
    ['vaultAllowedAddresses', { vaultAllowedAddresses: ['203.0.113.7'] }, /not private/],
    ['vaultAllowedAddresses[0]', { network: 'private', vaultAllowedAddresses: ['203.0.113.700'] }, /expected/],
    ['budget.startDate', { budget: { amount: 5, startDate: '2026-13-01' } }, /expected/],
    ['frontEnds[1].id', { frontEnds: [takesPartner, takesPartner].map((one) => ({ ...one, providers: [] })) }, /twice/],
    ['frontEnds[0].origins[0]', { frontEnds: [{ id: 'spa', origins: ['https://*.example.com'] }] }, /pattern/],
    ['frontEnds[0].origins[0]', { frontEnds: [{ id: 'spa', origins: ['https://a.example/app'] }] }, /path/],
    ['frontEnds', { frontEnds: { id: 'spa' } }, /not an array/],
    ['domain', { domain: 'a.example.com', frontDoor: { id: guid, domain: 'b.example.com' } }, /frontDoor/],
    ['domain', { domain: 'a.example.com', baseUrl: 'https://a.example.com/auth' }, /baseUrl/],
    ['baseUrl', { baseUrl: 'https://a.example.com', frontDoor: { id: guid, domain: 'b.example.com' } }, /frontDoor/],
    ['baseUrl', { baseUrl: 'https://app.example.com/auth/' }, /expected/],
    ['baseUrl', { baseUrl: 'https://app.example.com/../auth' }, /other characters/],
    ['baseUrl', { baseUrl: 'http://app.example.com/auth' }, /expected/],
    ['settings.Broker__BaseUrl', { settings: { Broker__BaseUrl: 'https://app.example.com/auth' } }, /another place/],
    ['alwaysReadyInstances', { alwaysReadyInstances: 41 }, /larger than maximumInstances/],
    ['networkAddressPrefix', { network: 'private', networkAddressPrefix: '10.140.0.4/24' }, /first address/],
    ['vaultAllowedAddresses[0]', { network: 'private', vaultAllowedAddresses: ['10.0.0.4'] }, /private address/],
    ['endpointSubnetId', { appSubnetId: full.appSubnetId }, /missing/],
    [
      'endpointSubnetId',
      {
        network: 'private',
        appSubnetId: full.appSubnetId,
        endpointSubnetId: full.appSubnetId.replace('/v/subnets/app', '/hub/subnets/pe'),
      },
      /another virtual network/,
    ],
    ['networkAddressPrefix', { networkAddressPrefix: '10.141.0.0/24' }, /not private/],
    ['createDnsZones', { createDnsZones: false }, /not private/],
    ['wrappingKeyName', { wrappingKeyName: 'Broker' }, /name of the certificate/],
    ['wrappingKeyName', { certificateName: 'broker-key-ring' }, /name of the certificate/],
    ['settings.HTTPS_PROXY', { settings: { HTTPS_PROXY: 'proxy.example.com:8080' } }, /not an http or https address/],
    ['settings.HTTPS_PROXY', { settings: { HTTPS_PROXY: 'http://a:b@proxy.example.com' } }, /user name or a password/],
    ['settings.HTTP_PROXY', { settings: { HTTP_PROXY: 'http://proxy.example.com' } }, /unknown/],
    ['networkAddressPrefix', { networkAddressPrefix: '10.1.0.0/28' }, /./],
    ['budget.startDate', { budget: { amount: 5, startDate: '2026-11-02' } }, /./],
    ['developerIds[0]', { developerIds: ['anna@example.com'] }, /GUID/],
    ['domain', { domain: 'https://signin.example.com' }, /./],
    ['nodeVersion', { nodeVersion: '20' }, /accepted/],
    ['instanceMemoryMB', { instanceMemoryMB: 1024 }, /accepted/],
    ['maximumInstances', { maximumInstances: 10 }, /too small/],
    ['maximumInstances', { maximumInstances: 60.5 }, /not a whole number/],
    ['alwaysReadyInstances', { alwaysReadyInstances: '2' }, /not a (whole )?number/],
    ['alertEmails[0]', { alertEmails: ['signin'] }, /./],
    [
      'otherVaultAccess',
      { vaultAuthorization: 'rbac', otherVaultAccess: [{ objectId: guid, keys: ['get'] }] },
      /access policies/,
    ],
  ])('is refused by the place, the fault and the fix: %s in %j', (place, configuration, fault) => {
    const problems = check(configuration)
    const found = problems.find(({ setting }) => setting === place)

    expect(found?.problem, JSON.stringify(problems)).toMatch(fault)
    expect(found?.fix).toMatch(/\w{3}/)
    const values = JSON.stringify(configuration).match(/(?<=")(?:abcdefghij|[A-Za-z0-9+/]{300,})/g) ?? []
    for (const value of values) expect(JSON.stringify(problems)).not.toContain(value)
  })

  it('has addresses of the cloud that it is deployed to', () => {
    const webTestLocations = ['usgov-va-azr', 'usgov-phx-azr', 'usgov-tx-azr']
    const graph = (url: string) => JSON.stringify({ webTestLocations, settings: { Broker__GraphUrl: url } })
    const text = graph('https://graph.microsoft.us')

    expect(parseConfiguration(text, 'f.json', 'dev', cloudNamed('AzureUSGovernment')).problems).toEqual([])
    expect(parseConfiguration(text, 'f.json', 'dev').problems).toMatchObject([{ setting: 'settings.Broker__GraphUrl' }])
    const german = graph('https://graph.svc.sovcloud.de')
    expect(parseConfiguration(german, 'f.json', 'dev', cloudNamed('AzureGermanyCloud')).problems).toEqual([])
  })

  it('accepts a host that Broker__AdditionalHosts names, in settings and in providers', () => {
    const staff = { ...partner, kind: 'entra', authority: undefined, tenantId: guid, clientId: guid }
    const instance = 'https://login.newcloud.example'
    const configuration = { providers: [{ ...staff, instance }], settings: {} }

    expect(check(configuration)).toMatchObject([{ setting: 'providers[0].instance' }])
    const settings = { Broker__AdditionalHosts: 'login.newcloud.example' }
    expect(check({ ...configuration, settings })).toEqual([])
  })

  it('accepts an action group as the portal and az write its id', () => {
    const id =
      '/subscriptions/aaaaaaaa-0001-4000-8000-000000000001/resourcegroups/rg/providers/microsoft.insights/actiongroups/on-call'
    expect(check({ alertActionGroupIds: [id] })).toEqual([])
    expect(validate({ alertActionGroupIds: [id] })).toBe(true)
  })

  it('sets the proxy of the deployed broker, and the other variables of its process', () => {
    const settings = {
      HTTPS_PROXY: 'http://proxy.example.com:8080',
      NO_PROXY: '.vault.azure.net',
      OTEL_BSP_SCHEDULE_DELAY: 500,
      OTEL_METRIC_EXPORT_INTERVAL: 30_000,
    }
    expect(check({ settings })).toEqual([])
    expect(validate({ settings })).toBe(true)
  })

  it('trusts a private certificate authority by its text, and not by a file that Azure reads too early', async () => {
    const { certificatePem } = await createCertificateAuthority()
    const settings = { Broker__CertificateAuthorities: certificatePem }
    expect(check({ settings })).toEqual([])
    expect(validate({ settings })).toBe(true)

    expect(check({ settings: { NODE_EXTRA_CA_CERTS: '/etc/ssl/certs/company.pem' } })).toEqual([
      {
        setting: 'settings.NODE_EXTRA_CA_CERTS',
        problem: 'has no effect in Azure',
        fix: 'Write the text of the PEM file into Broker__CertificateAuthorities.',
      },
    ])
    expect(check({ settings: { Broker__CertificateAuthorities: certificatePem + pem } })).toMatchObject([
      { problem: 'contains a private key or a certificate as text' },
    ])
  })

  it('names the regions of the web test where the default ones are in another cloud', () => {
    const gov = (configuration: object) =>
      parseConfiguration(JSON.stringify(configuration), 'f.json', 'dev', cloudNamed('AzureUSGovernment')).problems

    expect(gov({})).toMatchObject([{ setting: 'webTestLocations' }])
    expect(gov({ webTestLocations: ['usgov-va-azr', 'usgov-phx-azr', 'usgov-tx-azr'] })).toEqual([])
  })

  it('has the limits of the parameters of the template', () => {
    const main = readFileSync(path.join(root, 'infra/main.bicep'), 'utf8')
    const { properties } = schema as { properties: Record<string, Record<string, unknown>> }
    const names: Readonly<Record<string, string>> = { minValue: 'minimum', maxValue: 'maximum' }
    const compared: string[] = []
    for (const [, decorators = '', name = '', type = ''] of main.matchAll(
      /((?:^@.*\n)+)param (\w+) (.+?)(?: =.*)?$/gm,
    )) {
      const member = properties[name]
      if (!member) continue
      for (const [, limit = '', value] of decorators.matchAll(/^@((?:min|max)(?:Value|Length))\((\d+)\)/gm)) {
        const keyword = names[limit] ?? limit.replace('Length', 'Items')
        // The length of a text is in its pattern.
        if (type === 'string') continue
        expect(member[keyword], `${name} ${limit}`).toBe(Number(value))
        compared.push(name)
      }
      if (!type.includes(' | ')) continue
      const values = type.split(' | ').map((one) => (one.startsWith("'") ? one.slice(1, -1) : Number(one)))
      expect(member['enum'], name).toEqual(values)
      compared.push(name)
    }
    expect(compared.length).toBeGreaterThan(15)
  })

  it('has examples in the published schema that the hooks accept', () => {
    const { properties } = schema as {
      properties: Record<string, { examples?: string[]; items?: typeof properties.x }>
    }
    for (const [name, { items, examples = items?.examples ?? [] }] of Object.entries(properties)) {
      if (['frontEnds', 'providers'].includes(name)) continue
      for (const example of examples) {
        const problems = check({ [name]: items ? [example] : example }).filter(({ setting }) =>
          setting.startsWith(name),
        )
        expect(problems.filter(({ problem }) => problem.includes('expected'))).toEqual([])
      }
    }
  })

  it('accepts no developers in production', () => {
    expect(check({ developerIds: [guid] }, 'shop-prod')).toMatchObject([{ setting: 'developerIds' }])
    expect(check({ developerIds: [guid] }, 'shop-dev')).toEqual([])
  })

  it('can set every documented setting that no other part sets', () => {
    const others = ['Host', 'Telemetry']
    const documented = allDeclarations.filter(({ section }) => !others.includes(section)).map(({ name }) => name)
    const elsewhere = documented.filter((name) => !configurableSettings.includes(name))

    // Members of their own, and addresses that the template computes.
    expect(elsewhere).toEqual([
      'Broker__BaseUrl',
      'Broker__FrontEnds',
      'Broker__Providers',
      'AzureAd__Instance',
      'AzureAd__TenantId',
      'AzureAd__ClientId',
      'Broker__ApplicationObjectId',
      'AzureAd__ClientCredentials__0__SourceType',
      'AzureAd__ClientCredentials__0__KeyVaultUrl',
      'AzureAd__ClientCredentials__0__KeyVaultCertificateName',
      'Broker__WrappingKeyName',
      'AZURE_CLIENT_ID',
      'IDENTITY_ENDPOINT',
      'Broker__TableServiceUri',
      'Broker__TablePrefix',
    ])
    const provider = {
      clientId: 'broker',
      settings: { Broker__Authority: 'https://login.example.com', Broker__AssertionKeyId: false },
    }
    expect(check(provider)).toEqual([])
  })

  it('of an environment whose name differs from a file in capital letters only is not read', async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'broker-configuration-'))
    await mkdir(path.join(folder, 'infra/environments'), { recursive: true })
    await writeFile(path.join(folder, 'infra/environments/shop-prod.json'), '{}')

    const { problems } = await readConfiguration(folder, 'Shop-Prod')

    expect(problems).toMatchObject([
      { setting: 'AZURE_ENV_NAME', fix: expect.stringContaining('azd env new shop-prod') as string },
    ])
    expect(await readConfiguration(folder, 'shop-prod')).toMatchObject({ exists: true, problems: [] })
    await rm(folder, { recursive: true })
  })

  it.each(['../secrets', 'a/b', '..', 'a\\b', 'shop.', '-shop'])(
    'of an environment named %s is not read',
    async (name) => {
      const folder = await mkdtemp(path.join(os.tmpdir(), 'broker-configuration-'))
      const { problems } = await readConfiguration(folder, name)

      expect(problems).toMatchObject([{ setting: 'AZURE_ENV_NAME' }])
      expect((await readConfiguration(folder, 'shop_test-2')).problems).toEqual([])
      await rm(folder, { recursive: true })
    },
  )

  it('makes the names that the template makes of the same token', () => {
    const file = path.join(root, 'test/infra/snapshots/default.snapshot.json')
    const snapshot = JSON.parse(readFileSync(file, 'utf8')) as Snapshot
    const nameOf = (type: string) => snapshot.predictedResources.find((resource) => resource.type === type)?.name
    const environment = variables({ AZURE_ENV_NAME: 'shop-test' })

    expect(namesOf(environment, { resourceToken: 'k7m2p4q6r8s3t' })).toMatchObject({
      resourceGroup: nameOf('Microsoft.Resources/resourceGroups'),
      vault: nameOf('Microsoft.KeyVault/vaults'),
      functionApp: nameOf('Microsoft.Web/sites'),
      topic: nameOf('Microsoft.EventGrid/systemTopics'),
      actionGroup: nameOf('Microsoft.Insights/actionGroups'),
    })
  })

  it('names an environment by its parts', () => {
    const production = ['production', 'shop-prod', 'PROD', 'prod2', 'eu.prd', 'shop_live', 'myprod']
    expect(production.filter(isProduction)).toEqual(production)
    expect(['dev', 'product-dev', 'reproducer', 'olive', 'delivery', 'test'].filter(isProduction)).toEqual([])
    expect(['dev', 'shop-dev', 'development', 'dev2', 'local'].filter(isDevelopment)).toHaveLength(5)
    expect(['devil', 'shop-test', 'prod', 'devops'].filter(isDevelopment)).toEqual([])
  })
})

describe('BROKER_PARAMETERS', () => {
  const discovered = {
    resourceToken: 'k7m2p4q6r8s3t',
    tenantId: guid,
    clientId: guid,
    applicationObjectId: undefined,
    principalId: guid,
    principalType: 'User' as const,
    deploymentPass: 'first' as const,
    domainIsBound: false,
    cloudName: undefined,
  }

  it('passes providers to the broker as one setting, and checks the form of scopes by the providers of a front end', () => {
    const { configuration, problems } = parseConfiguration(
      JSON.stringify({ providers: [partner], frontEnds: [takesPartner] }),
      'shop-test.json',
      'shop-test',
    )

    expect(problems).toEqual([])
    const { brokerSettings } = composeParameters(configuration, discovered)
    expect(JSON.parse((brokerSettings as Record<string, string>).Broker__Providers!)).toEqual([partner])
    expect(composeParameters(configuration, discovered)).not.toHaveProperty('providers')
  })

  it('arrives unchanged through azd’s file, which changes JSON', () => {
    const frontEnds = [
      { id: 'spa', kind: 'session' as const, singleSignOn: false, origins: ['https://a.example/$HOME'], apis: [] },
    ]
    const text = encodeParameters(composeParameters({ frontEnds, tags: { team: 'Käse "$!`\\' } }, discovered))
    const values = parseDotenv(marshalDotenv(new Map([['BROKER_PARAMETERS', text]])))

    const read = readParameters(variables(Object.fromEntries(values)))

    expect(read).toMatchObject({ frontEnds, extraTags: { team: 'Käse "$!`\\' }, deploymentPass: 'first' })
    expect(read).not.toHaveProperty('applicationObjectId')
  })

  it('is refused where it is too long for Windows', () => {
    const frontEnds = Array.from({ length: 100 }, (_, index) => ({
      id: `spa-${index}`,
      kind: 'session' as const,
      singleSignOn: false,
      origins: [`https://${'a'.repeat(200)}.example`],
      apis: [],
    }))

    expect(() => encodeParameters(composeParameters({ frontEnds }, discovered))).toThrow(/too long/)
  })
})

describe('a variable that earlier versions read', () => {
  const file = { name: 'infra/environments/shop-test.json', exists: true, problems: [] }
  const find = (values: Record<string, string>, configuration = {}) =>
    findMovedVariables(variables(values), { ...file, configuration })

  it.each(Object.entries(movedVariables).filter(([name]) => !/VAULT_NAME|CERTIFICATE_NAME/.test(name)))(
    '%s is answered with its place, %s',
    (variable, member) => {
      const [problem] = find({ [variable]: 'a value' })

      expect(problem).toMatchObject({ setting: variable, problem: 'is no longer read' })
      expect(problem?.fix).toContain(`into infra/environments/shop-test.json as ${member}`)
      expect(problem?.fix).toContain(`azd env set ${variable} ""`)
      expect(member.split('.')[0]).toSatisfy((name: string) => name in configurationSchema.def.shape)
    },
  )

  it('has no effect when it is empty, equals the file, or is an output of the template', () => {
    expect(find({ BROKER_DOMAIN: '' })).toEqual([])
    expect(find({ BROKER_DOMAIN: 'signin.example.com' }, { domain: 'signin.example.com' })).toEqual([])
    expect(find({ BROKER_DOMAIN: 'signin.example.com' }, { domain: 'other.example.com' })).toHaveLength(1)
    expect(find({ BROKER_VAULT_NAME: 'kv-abc', BROKER_CERTIFICATE_NAME: 'broker' })).toEqual([])
  })
})

describe('the endpoints of the hooks', () => {
  it('are those of a cloud or on loopback', () => {
    expect(() => endpointsOf(variables({ BROKER_LOCAL_GRAPH: 'https://graph.example.com' }))).toThrow(/not on loopback/)
    expect(() => endpointsOf(variables({ BROKER_CLOUD: 'Mine' }))).toThrow(/BROKER_CLOUD is none of AzureCloud, /)
    expect(endpointsOf(variables({ BROKER_LOCAL_GRAPH: 'https://localhost:7174/x' })).graph).toBe(
      'https://localhost:7174',
    )
    expect(endpointsOf(variables({ BROKER_CLOUD: 'AzureUSGovernment' })).graph).toBe('https://graph.microsoft.us')
    expect(endpointsOf(variables({ BROKER_CLOUD: 'AzureBleuCloud' }))).toEqual({
      arm: 'https://management.sovcloud-api.fr',
      graph: 'https://graph.svc.sovcloud.fr',
    })
  })

  it('are the public ones where a variable is empty, as azd env set leaves it', () => {
    const emptied = variables({ BROKER_CLOUD: '', BROKER_LOCAL_ARM: '', BROKER_HOOK_PATIENCE_SECONDS: '' })
    expect(endpointsOf(emptied)).toEqual({ arm: 'https://management.azure.com', graph: 'https://graph.microsoft.com' })
    expect(patienceOf(emptied)).toBe(900_000)
  })

  it('are those of a cloud that is not published, by the address of its Resource Manager', () => {
    const singapore = { BROKER_CLOUD: 'GovSG', BROKER_RESOURCE_MANAGER: 'https://management.sovcloud-api.sg/' }
    expect(endpointsOf(variables(singapore))).toEqual({
      arm: 'https://management.sovcloud-api.sg',
      graph: 'https://graph.svc.sovcloud.sg',
    })
    expect(findAzureCloud(variables(singapore))).toMatchObject({
      name: 'GovSG',
      hosts: { loginHost: 'login.sovcloud-identity.sg', vaultSuffix: '.vault.sovcloud-api.sg' },
    })
    for (const address of ['https://management.example.com', 'http://management.sovcloud-api.sg', 'sovcloud-api.sg']) {
      expect(() => endpointsOf(variables({ ...singapore, BROKER_RESOURCE_MANAGER: address }))).toThrow(
        /BROKER_RESOURCE_MANAGER is/,
      )
    }
    // A published cloud has its published address.
    expect(endpointsOf(variables({ ...singapore, BROKER_CLOUD: 'AzureCloud' })).arm).toBe(
      'https://management.azure.com',
    )
  })
})
