/**
 * Compiles and evaluates the templates. One process of the compiler serves the whole file, since its start is the cost.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync, copyFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isProduction } from '../../infra/hooks/names.ts'
import { checkInstance } from '../../shared/settings/addresses.ts'
import { parseSettings } from '../../shared/settings/settings.ts'
import { copyInfra, root, runBicep, skipsWithoutBicep, startBicep } from '../setup/bicep.ts'
import type { Bicep, Compiled, PredictedResource, Snapshot } from '../setup/bicep.ts'
import { settingsAsDeployed } from './rules/deployed-settings.ts'
import { propertiesOf, resources } from './rules/predicted-resources.ts'
import { reviewedSnapshots, rules } from './rules/template-rules.ts'
import { mutants } from './mutants.ts'
import type { Mutant } from './mutants.ts'
import { comesAfter, dependenciesOf, orderViolations, requirementsOf, withoutDependency } from './order.ts'
import type { Template } from './order.ts'

const infra = path.join(root, 'infra')
const folder = path.join(import.meta.dirname, 'snapshots')
const names = readdirSync(folder)
  .filter((file) => file.endsWith('.bicepparam'))
  .map((file) => file.replace('.bicepparam', ''))
const modules = readdirSync(path.join(infra, 'modules')).map((file) => `modules/${file}`)
const guid = '2b4d6f80-1a3c-4e5f-9071-8a9b0c1d2e3f'

describe.skipIf(skipsWithoutBicep)('the templates', () => {
  const snapshots = new Map<string, Snapshot>()
  const snapshot = (name: string) => snapshots.get(name)!
  const readParameters = (name: string) => readFileSync(path.join(folder, `${name}.bicepparam`), 'utf8')
  /** Evaluates parameters against the compiled template: in a tenth of the time of a new compilation. */
  const evaluate = (parameters: string) => {
    const file = copy.parameterFile('evaluated')
    writeFileSync(file, parameters.replace('infra/main.bicep', 'infra/main.json'))
    return bicep.snapshot(file)
  }
  let bicep: Bicep
  let copy: Awaited<ReturnType<typeof copyInfra>>
  let main: Compiled

  beforeAll(async () => {
    bicep = startBicep()
    copy = await copyInfra()
    main = await bicep.compile(path.join(infra, 'main.bicep'))
    writeFileSync(path.join(copy.folder, 'infra', 'main.json'), JSON.stringify(main.template))
    for (const name of names) snapshots.set(name, await evaluate(readParameters(name)))
  }, 240_000)
  afterAll(async () => {
    bicep.close()
    await copy.remove()
  })

  // The levels are warnings, so that a rule of a newer compiler never stops `azd up`; here a warning is a failure.
  it('compile without an error or a warning', () => {
    expect(main.diagnostics).toEqual([])
    expect(main.template).toBeDefined()
  })

  describe('get their parameters from main.bicepparam, which', () => {
    beforeAll(() => {
      // Against the compiled template: the compiler starts once more for each environment,
      // and compiles only the parameters.
      const parameters = readFileSync(path.join(infra, 'main.bicepparam'), 'utf8')
      writeFileSync(
        path.join(copy.folder, 'infra', 'evaluated.bicepparam'),
        parameters.replace("using 'main.bicep'", "using 'main.json'"),
      )
    })

    /** The values that azd would deploy with these variables. */
    const build = (variables: Readonly<Record<string, string>>): Record<string, unknown> => {
      const { status, stdout, stderr } = runBicep(
        ['build-params', path.join(copy.folder, 'infra', 'evaluated.bicepparam'), '--stdout'],
        { AZURE_ENV_NAME: 'shop-test', AZURE_LOCATION: 'northeurope', AZURE_PRINCIPAL_ID: guid, ...variables },
      )
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
      const { parametersJson } = JSON.parse(stdout) as { parametersJson: string }
      const { parameters } = JSON.parse(parametersJson) as { parameters: Record<string, { value: unknown }> }
      return Object.fromEntries(Object.entries(parameters).map(([name, { value }]) => [name, value]))
    }

    it('reads the file of the environment, through the variable that the hook stores', () => {
      const given = {
        clientId: guid,
        frontEnds: [{ id: 'spa', origins: ['https://app.example.com'] }],
        brokerSettings: { Broker__ResponseMode: 'query' },
        extraTags: { team: 'Käse "$!`' },
        instanceMemoryMB: 512,
        deploymentPass: 'second',
        principalId: guid,
      }
      const parameters = build({ BROKER_PARAMETERS: Buffer.from(JSON.stringify(given)).toString('base64') })

      for (const [name, value] of Object.entries(given)) expect(parameters[name], name).toEqual(value)
      expect(parameters).toMatchObject({ environmentName: 'shop-test', location: 'northeurope' })
    })

    it('has the default of the template before the hook has stored anything, as in azd down on a fresh clone', () => {
      const parameters = build({})
      const template = readFileSync(path.join(root, 'infra', 'main.bicep'), 'utf8')

      expect(parameters['principalId']).toBe(guid)
      for (const [, name = '', text = ''] of template.matchAll(/^param (\w+) .*= (.+)$/gm)) {
        if (['location', 'environmentName', 'principalId'].includes(name)) continue
        const isStored = /^'[^$]*'$|^\d+$|^true$|^false$|^\[.*\]$|^\{\}$/.test(text)
        if (isStored)
          expect(JSON.stringify(parameters[name]).replaceAll('"', "'"), name).toBe(text.replaceAll(', ', ','))
      }
    })
  })

  it('are formatted', async () => {
    for (const file of ['main.bicep', 'broker.bicep', 'main.bicepparam', ...modules]) {
      expect(await bicep.format(path.join(infra, file)), file).toBe(readFileSync(path.join(infra, file), 'utf8'))
    }
  }, 120_000)

  // The compiler ignores a misspelt rule name without a message:
  // a template that breaks every rule shows that all are on.
  it('are checked by rules with the names that the linter knows', async () => {
    const bad = mkdtempSync(path.join(os.tmpdir(), 'broker-lint-'))
    try {
      copyFileSync(path.join(infra, 'bicepconfig.json'), path.join(bad, 'bicepconfig.json'))
      writeFileSync(path.join(bad, 'bad.bicep'), badTemplate)

      const { diagnostics } = await bicep.compile(path.join(bad, 'bad.bicep'))

      const seen = new Set(diagnostics.filter(({ level }) => level === 'Warning').map(({ code }) => code))
      expect([...seen].sort()).toEqual(brokenRules)
    } finally {
      rmSync(bad, { recursive: true })
    }
  })

  it('are deployed in an order in which no resource is used before it exists', () => {
    expect(orderViolations(main.template as Template)).toEqual([])
  })

  it('are found wrong without any one dependency, unless other dependencies keep the order', () => {
    const template = main.template as Template
    const dependencies = dependenciesOf(template)
    const requirements = requirementsOf(template)

    const unnoticed = dependencies.filter(([later, earlier]) => {
      const changed = withoutDependency(template, later, earlier.at(-1)!)
      return orderViolations(changed, requirements).length === 0 && !comesAfter(changed, later, earlier)
    })

    expect(dependencies.length).toBeGreaterThan(60)
    expect(unnoticed.map(([later, earlier]) => `${later.join('/')} waits for ${earlier.at(-1)!}`)).toEqual([])
  })

  it('are found wrong where the sources lose the order', async () => {
    await copy.replace('infra/modules/events.bicep', '  dependsOn: [deadLetterWriter]\n', '')
    await copy.replace('infra/broker.bicep', /(module vault [\s\S]+?)\n {2}dependsOn: \[monitoring\]/, '$1')
    await copy.replace('infra/broker.bicep', /(module customDomain [\s\S]+?)\n {2}dependsOn: \[functionApp\]/, '$1')
    await copy.replace(
      'infra/modules/monitoring.bicep',
      'WorkspaceResourceId: workspace.id',
      "WorkspaceResourceId: resourceId('Microsoft.OperationalInsights/workspaces', names.workspace)",
    )

    const { template } = await bicep
      .compile(path.join(copy.folder, 'infra', 'main.bicep'))
      .finally(() => copy.restore())

    expect(orderViolations(template as Template)).toEqual(
      expect.arrayContaining([
        'events/certificateEvents does not wait for events/deadLetterWriter',
        'broker/vault does not wait for broker/monitoring/workspace',
        'customDomain/binding does not wait for functionApp/site',
        'broker/monitoring/component does not wait for broker/monitoring/workspace',
      ]),
    )
  })

  describe.each(names)('with the parameters %s', (name) => {
    it.skipIf(!reviewedSnapshots.includes(name))(
      'deploy the resources of the committed snapshot (after a change: node test/infra/update-snapshots.ts)',
      () => {
        const reviewed = JSON.parse(readFileSync(path.join(folder, `${name}.snapshot.json`), 'utf8')) as Snapshot

        expect(snapshot(name)).toEqual(reviewed)
      },
    )

    it.each(rules)('follow the rule: $name', ({ violations }) => {
      expect(violations(snapshot(name))).toEqual([])
    })

    it('write app settings that start the broker', () => {
      const settings = parseSettings({
        ...settingsAsDeployed(snapshot(name)),
        WEBSITE_SITE_NAME: 'func',
        IDENTITY_ENDPOINT: 'http://169.254.255.2:8081/msi/token',
      })

      expect(settings.credential.managedIdentity).toBe(true)
      const [kind = ''] = name.split('-')
      const address = { default: /azurewebsites\.net$/, private: /\/signin\.example\.com\/auth$/ }[kind]
      expect(settings.baseUrl).toMatch(address ?? /\/signin\.example\.com$/)
    })

    it('set names that Azure accepts, and deploy no resource twice', () => {
      const named = (type: string) => resources(snapshot(name), type).map((resource) => resource.name)
      for (const vault of named('Microsoft.KeyVault/vaults')) expect(vault).toMatch(/^[a-z](?:-?[a-z0-9]){2,23}$/)
      for (const account of named('Microsoft.Storage/storageAccounts')) expect(account).toMatch(/^[a-z0-9]{3,24}$/)
      expect(named('Microsoft.Web/sites')).toEqual([expect.stringMatching(/^[a-z][a-z0-9-]{1,58}[a-z0-9]$/)])

      // A new binding is written twice: without TLS, and by a module with it.
      const twice = snapshot(name)
        .predictedResources.map(({ type, id }) => ({ type, id }))
        .filter(({ id }, index, all) => all.findIndex((one) => one.id === id) < index)
      const allowed = name === 'rbac' ? ['Microsoft.Web/sites/hostNameBindings'] : []
      expect(twice.map(({ type }) => type)).toEqual(allowed)
    })
  })

  it.each(['default', 'rbac'])('%s: keep in the second pass everything of the first, and add to it', (name) => {
    const before = snapshot(name).predictedResources
    const after = snapshot(`${name}-second`).predictedResources

    const changed = before.filter((resource) => !after.some((other) => isSame(resource, other)))

    // The right to create certificates, which ends; a binding that now has its certificate.
    expect(changed.map(({ type }) => type)).toEqual(
      name === 'rbac'
        ? ['Microsoft.Authorization/roleDefinitions', 'Microsoft.Web/sites/hostNameBindings']
        : ['Microsoft.KeyVault/vaults/accessPolicies'],
    )
    expect(after.length).toBeGreaterThan(new Set(before.map(({ id }) => id)).size)
  })

  it('bind the domain without TLS only while it is not bound', () => {
    const states = (name: string) =>
      resources(snapshot(name), 'Microsoft.Web/sites/hostNameBindings').map(
        (binding) => propertiesOf(binding)['sslState'],
      )

    expect(states('rbac')).toEqual(['Disabled', 'SniEnabled'])
    expect(states('rbac-second')).toEqual(['SniEnabled'])
  })

  // By the list of environments of Azure PowerShell, which reads it from Resource Manager.
  it.each([
    ['https://login.microsoftonline.com/', 'https://login.microsoftonline.com/'],
    ['https://login.microsoftonline.us/', 'https://login.microsoftonline.us/'],
    ['https://login.chinacloudapi.cn/', 'https://login.partner.microsoftonline.cn/'],
    ['https://login.chinacloudapi.cn', 'https://login.partner.microsoftonline.cn'],
  ])('sign in at a host that the broker accepts where Resource Manager names %s', (named, instance) => {
    const settings = settingsAsDeployed(snapshot('default'), named)

    expect(settings['AzureAd__Instance']).toBe(instance)
    expect(checkInstance(instance)).toBeUndefined()
  })

  it('put the host on service URLs outside the public cloud, and on an account name inside it', () => {
    const hostSettings = (name: string) =>
      Object.keys(settingsAsDeployed(snapshot(name))).filter((setting) => setting.startsWith('AzureWebJobsStorage__'))

    expect(hostSettings('default')).toEqual([
      'AzureWebJobsStorage__accountName',
      'AzureWebJobsStorage__credential',
      'AzureWebJobsStorage__clientId',
    ])
    expect(hostSettings('rbac')).toEqual([
      'AzureWebJobsStorage__blobServiceUri',
      'AzureWebJobsStorage__queueServiceUri',
      'AzureWebJobsStorage__tableServiceUri',
      'AzureWebJobsStorage__credential',
      'AzureWebJobsStorage__clientId',
    ])
  })

  describe('with changes', () => {
    it.each(groupsOf(mutants))('$names', async ({ group, parameters }) => {
      const change = async () => {
        for (const { file, text, by } of group) await copy.replace(file, text, by)
        return bicep.snapshot(copy.parameterFile(parameters))
      }
      const changed = await change().finally(() => copy.restore())

      const violated = rules.filter(({ violations }) => violations(changed).length > 0).map(({ name }) => name)
      const expected = rules.filter(({ name }) => seenBy(group).some((beginning) => name.startsWith(beginning)))
      expect(expected).toHaveLength(seenBy(group).length)
      expect(violated).toEqual(expected.map(({ name }) => name))
    })

    it('break each rule at least once', () => {
      const neverBroken = rules.filter(({ name }) => !seenBy(mutants).some((beginning) => name.startsWith(beginning)))

      expect(neverBroken.map(({ name }) => name)).toEqual([])
    })
  })

  describe('with a parameter', () => {
    /** Evaluates the default parameter file with other values. */
    const withDefaults = (parameters: Readonly<Record<string, string>>) => {
      const kept = readParameters('default')
        .split('\n')
        .filter((line) => !Object.keys(parameters).some((name) => line.startsWith(`param ${name} =`)))
      const added = Object.entries(parameters).map(([name, value]) => `param ${name} = ${value}`)
      return evaluate([...kept, ...added, ''].join('\n'))
    }
    const deploy = (parameters: Readonly<Record<string, string>>) =>
      withDefaults(parameters).then(
        () => 'deployed',
        (error: unknown) => (error as Error).message,
      )

    it('assignRoles false creates no role and no assignment, also in a vault with roles', async () => {
      const byHand = await withDefaults({ assignRoles: 'false', vaultAuthorization: "'rbac'" })
      const types = new Set(byHand.predictedResources.map(({ type }) => type))

      expect([...types].filter((type) => type.startsWith('Microsoft.Authorization/'))).toEqual([])
      expect(types).toContain('Microsoft.KeyVault/vaults/keys')
    })

    it('writes no more tags than Azure accepts for each type', async () => {
      const names = Array.from({ length: 47 }, (_, index) => `t${index + 10}: ''`)
      const { predictedResources } = await withDefaults({
        extraTags: `{ ${names.join(', ')} }`,
        network: "'private'",
      })
      const counts = new Map(
        predictedResources.map(({ type, tags = {} }) => [type, Object.keys(tags as object).length]),
      )

      // "Limitations" of tags in the documentation of Azure Resource Manager, and that of tags in Key Vault.
      const limited = ['vaults/keys', 'privateDnsZones', 'privateDnsZones/virtualNetworkLinks']
      for (const [type, count] of counts) {
        const most = limited.some((end) => type.endsWith(`/${end}`)) ? 15 : 50
        expect(count, type).toBeLessThanOrEqual(most)
      }
      expect(counts.get('Microsoft.KeyVault/vaults/keys')).toBe(15)
      expect(counts.get('Microsoft.KeyVault/vaults')).toBe(49)
    })

    it.each([
      [{ clientId: "'<your client id>'" }, 'clientId is not the GUID'],
      [{ clientId: "'00000000-0000-0000-0000-000000000000'" }, 'clientId is not the GUID'],
      [{ clientId: `'${guid.slice(0, -1)}g'` }, 'clientId is not the GUID'],
      [{ tenantId: "'contoso.onmicrosoft.com'" }, 'tenantId is not a GUID'],
      [{ applicationObjectId: "'broker'" }, 'applicationObjectId is not a GUID'],
      [
        { otherVaultAccess: `[{ objectId: '${guid}', keys: ['get'] }]`, vaultAuthorization: "'rbac'" },
        'otherVaultAccess is for access policies',
      ],
      [{ brokerSettings: "{ Broker__BaseUrl: 'https://evil.example' }" }, 'brokerSettings contains Broker__BaseUrl'],
      [
        { brokerSettings: "{ broker__tableserviceuri: 'https://evil.example', AzureWebJobsStorage: '' }" },
        'brokerSettings contains AzureWebJobsStorage, broker__tableserviceuri',
      ],
      [
        { frontDoor: `{ id: '${guid}', domain: 'a.example.com' }`, domain: "'signin.example.com'" },
        'domain and frontDoor are both set',
      ],
      [
        { baseUrl: "'https://app.example.com/auth'", domain: "'signin.example.com'" },
        'domain and baseUrl are both set',
      ],
      [{ baseUrl: "'https://app.example.com/auth/'" }, 'baseUrl is not an https address'],
      [{ frontDoor: `{ id: '${guid.slice(0, -1)}g', domain: 'signin.example.com' }` }, 'frontDoor.id is not a GUID'],
      [{ appSubnetId: "'/subscriptions/a/subnets/app'" }, 'appSubnetId and endpointSubnetId belong together'],
      [
        { appSubnetId: "'/subscriptions/a/subnets/app'", endpointSubnetId: "'/subscriptions/a/subnets/endpoints'" },
        'appSubnetId is set, and network is public',
      ],
      [
        { frontDoor: `{ id: '${guid}', domain: 'https://signin.example.com' }` },
        'frontDoor.domain is not a domain name',
      ],
      [
        {
          network: "'private'",
          appSubnetId: "'/subscriptions/a/subnets/broker_app'",
          endpointSubnetId: "'/subscriptions/a/subnets/endpoints'",
        },
        'appSubnetId names a subnet with an underscore',
      ],
      [{ network: "'private'", networkAddressPrefix: "'10.140.0.0/26'" }, 'networkAddressPrefix is too small'],
      [{ budget: "{ amount: 200, startDate: '2026-11-15' }" }, 'budget.startDate is not the first day of a month'],
      [{ vaultAllowedAddresses: "['203.0.113.7']" }, 'vaultAllowedAddresses is set, and network is public'],
      [{ environmentName: "'shop-prod'", developerIds: `['${guid}']` }, 'developerIds would give people'],
    ])('%o stop the deployment with a sentence', async (parameters, sentence) => {
      expect(await deploy(parameters)).toContain(sentence)
    })

    it.each([
      { frontEnds: "[{ id: 'spa', orgins: ['https://app.example.com'] }]" },
      { frontEnds: "[{ id: 'spa', origins: [], kind: 'session' }]" },
      { otherVaultAccess: `[{ objectId: '${guid}', certificates: ['got'] }]` },
      { otherVaultAccess: `[{ objectId: '${guid}', secrets: ['get'] }]` },
      { nodeVersion: "'20'" },
      { maximumInstances: '10' },
      { vaultSoftDeleteDays: '91' },
      { instanceMemoryMB: '1024' },
      { network: "'closed'" },
      { frontDoor: "{ id: 'abc', domain: 'signin.example.com' }" },
      { budget: '{ amount: 0, startDate: "2026-11-01" }' },
    ])('%o do not compile', async (parameters) => {
      expect(await deploy(parameters)).not.toBe('deployed')
    })

    it('deploy with the valid neighbours of all these', async () => {
      expect(
        await deploy({
          frontEnds:
            "[{ id: 'spa', origins: ['https://app.example.com'] }, { id: 'app', kind: 'oauth', origins: ['https://other.example.com'], redirectUris: ['https://other.example.com/'], idTokenAlgorithm: 'ES256', jwks: { keys: [{ kty: 'EC', crv: 'P-256', x: 'x', y: 'y' }] } }]",
          otherVaultAccess: `[{ objectId: '${guid}', certificates: ['get'] }]`,
          nodeVersion: "'24'",
          maximumInstances: '40',
          vaultSoftDeleteDays: '90',
          instanceMemoryMB: '4096',
          developerIds: `['${guid}']`,
          tenantId: "''",
          frontDoor: `{ id: '${guid}', domain: 'signin.example.com' }`,
          baseUrl: "'https://signin.example.com/auth'",
          network: "'private'",
          networkAddressPrefix: "'10.140.0.0/25'",
          vaultAllowedAddresses: "['203.0.113.7']",
          budget: "{ amount: 1, startDate: '2026-11-01' }",
        }),
      ).toBe('deployed')
    })

    it('refuse developers exactly where a part of the environment’s name means production', async () => {
      const production = ['production', 'shop-prod', 'PROD', 'prod2', 'shop-live', 'eu.prd', 'shop_production']
      const others = ['dev', 'product-dev', 'reproducer', 'olive-test', 'delivery']
      const list = [...production, ...others].map((name) => `'${name}'`).join(', ')
      writeFileSync(
        path.join(copy.folder, 'infra', 'names.bicep'),
        `import { isProduction } from 'modules/types.bicep'\noutput found string[] = filter([${list}], name => isProduction(name))\n`,
      )
      writeFileSync(path.join(copy.folder, 'infra', 'names.bicepparam'), "using 'names.bicep'\n")

      const { outputs } = await bicep.snapshot(path.join(copy.folder, 'infra', 'names.bicepparam'))

      expect(outputs['found']).toEqual(production)
      expect([...production, ...others].filter(isProduction)).toEqual(production)
    })

    it('deploy another OpenID provider, whose client id is not a GUID, without the settings of Entra ID', async () => {
      const parameters = { clientId: "'broker'", brokerSettings: "{ Broker__Authority: 'https://login.example.com' }" }

      const settings = settingsAsDeployed(await withDefaults(parameters))

      expect(settings).toMatchObject({ Broker__Authority: 'https://login.example.com', AzureAd__ClientId: 'broker' })
      for (const name of ['AzureAd__Instance', 'AzureAd__TenantId', 'Broker__ApplicationObjectId'])
        expect(settings).not.toHaveProperty(name)
    })

    it('deploy with the tenant of the subscription where none is set', async () => {
      const settings = settingsAsDeployed(await withDefaults({ tenantId: "''" }))

      expect(settings['AzureAd__TenantId']).toBe('f5a0b6a2-6e4f-4d0e-9a62-3c0d2b1e7c55')
    })
  })
})

function seenBy(group: readonly Mutant[]): string[] {
  return group.flatMap((mutant) => mutant.seenBy)
}

/** Puts changes into groups with one parameter file each and no rule in common. */
function groupsOf(all: readonly Mutant[]) {
  const groups: { names: string; parameters: string; group: Mutant[] }[] = []
  for (const mutant of all) {
    const { parameters = 'default' } = mutant
    const fitting = groups.find(
      (one) =>
        one.parameters === parameters &&
        one.group.every(
          (other) => other.text !== mutant.text && !other.seenBy.some((rule) => mutant.seenBy.includes(rule)),
        ),
    )
    if (fitting) fitting.group.push(mutant)
    else groups.push({ names: '', parameters, group: [mutant] })
  }
  return groups.map((one) => ({ ...one, names: one.group.map(({ change }) => change).join('; ') }))
}

function isSame(one: PredictedResource, other: PredictedResource): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

const brokenRules = [
  'no-hardcoded-env-urls',
  'no-hardcoded-location',
  'no-loc-expr-outside-params',
  'no-unnecessary-dependson',
  'no-unused-existing-resources',
  'no-unused-params',
  'no-unused-vars',
  'outputs-should-not-contain-secrets',
  'prefer-interpolation',
  'prefer-unquoted-property-names',
  'secure-parameter-default',
  'secure-secrets-in-params',
  'simplify-interpolation',
  'simplify-json-null',
  'use-parent-property',
  'use-recent-api-versions',
  'use-resource-id-functions',
  'use-resource-symbol-reference',
  'use-safe-access',
  'use-user-defined-types',
]

const badTemplate = `
param unused string
param adminPassword string
@secure()
param other string = 'abc'
param bag object
var notUsed = 'a'
var nothing = json('null')
var address = 'https://management.azure.com/'
var joined = concat('a', bag.name)
var simple = '\${joined}'
var quoted = { 'a': bag.?b ?? 'c' }
var safe = contains(bag, 'x') ? bag.x : 'y'
resource nobody 'Microsoft.Storage/storageAccounts@2026-09-01' existing = { name: 'nobody' }
resource account 'Microsoft.Storage/storageAccounts@2021-01-01' = {
  name: joined
  location: 'westeurope'
  kind: 'StorageV2'
  sku: { name: 'Standard_LRS' }
}
resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2026-09-01' = {
  name: '\${account.name}/default'
  dependsOn: [account]
}
resource site 'Microsoft.Web/sites@2025-03-01' = {
  name: 'site'
  location: resourceGroup().location
  properties: { serverFarmId: '/subscriptions/a/b' }
}
output key string = account.listKeys().keys[0].value
output id string = reference(account.id).x
`
