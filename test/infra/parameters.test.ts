import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { copyInfra, root, runBicep, skipsWithoutBicep, startBicep } from '../setup/bicep.ts'
import type { Bicep } from '../setup/bicep.ts'

const guid = '2b4d6f80-1a3c-4e5f-9071-8a9b0c1d2e3f'

describe.skipIf(skipsWithoutBicep)('a parameter', () => {
  let bicep: Bicep
  let copy: Awaited<ReturnType<typeof copyInfra>>

  beforeAll(async () => {
    bicep = startBicep()
    copy = await copyInfra()
  })
  afterAll(async () => {
    bicep.close()
    await copy.remove()
  })

  /** The default parameter file with these said instead. */
  const deploy = (parameters: Readonly<Record<string, string>>) => {
    const file = copy.parameterFile('tried')
    const kept = readFileSync(copy.parameterFile('default'), 'utf8')
      .split('\n')
      .filter((line) => !Object.keys(parameters).some((name) => line.startsWith(`param ${name} =`)))
    const added = Object.entries(parameters).map(([name, value]) => `param ${name} = ${value}`)
    writeFileSync(file, [...kept, ...added, ''].join('\n'))
    return bicep.snapshot(file).then(
      () => 'deployed',
      (error: unknown) => (error as Error).message,
    )
  }

  it.each([
    ['clientId', { clientId: "''" }, 'clientId is not the GUID'],
    ['clientId', { clientId: "'<your client id>'" }, 'clientId'],
    ['clientId', { clientId: "'00000000-0000-0000-0000-000000000000'" }, 'clientId'],
    ['clientId', { clientId: `'${guid.slice(0, -1)}g'` }, 'clientId'],
    ['tenantId', { tenantId: "'contoso.onmicrosoft.com'" }, 'tenantId is no GUID'],
    ['applicationObjectId', { applicationObjectId: "'broker'" }, 'applicationObjectId'],
    [
      'otherVaultAccess',
      { otherVaultAccess: `[{ objectId: '${guid}', keys: ['get'] }]`, vaultAuthorization: "'rbac'" },
      'otherVaultAccess',
    ],
  ])('%s as %o stops the deployment and says what to do', async (_name, parameters, sentence) => {
    expect(await deploy(parameters)).toContain(sentence)
  })

  it.each(['production', 'shop-prod', 'PROD', 'prod2', 'shop-live', 'eu.prd', 'shop_production'])(
    'developerIds is refused in %s',
    async (environmentName) => {
      expect(await deploy({ environmentName: `'${environmentName}'`, developerIds: `['${guid}']` })).toContain(
        'developerIds would give developers the permissions of the broker',
      )
    },
  )

  it.each(['dev', 'product-dev', 'reproducer', 'olive-test', 'delivery'])(
    'developerIds is taken in %s',
    async (name) => {
      expect(await deploy({ environmentName: `'${name}'`, developerIds: `['${guid}']` })).toBe('deployed')
    },
  )

  it.each([
    ['frontEnds', { frontEnds: "[{ id: 'spa', orgins: ['https://app.example.com'] }]" }],
    ['frontEnds', { frontEnds: "[{ id: 'spa', origins: [], kind: 'session' }]" }],
    ['otherVaultAccess', { otherVaultAccess: `[{ objectId: '${guid}', certificates: ['got'] }]` }],
    ['otherVaultAccess', { otherVaultAccess: `[{ objectId: '${guid}', secrets: ['get'] }]` }],
    ['nodeVersion', { nodeVersion: "'20'" }],
    ['maximumInstances', { maximumInstances: '10' }],
    ['vaultSoftDeleteDays', { vaultSoftDeleteDays: '91' }],
    ['instanceMemoryMB', { instanceMemoryMB: '1024' }],
  ])('%s of another type or beyond its limits does not compile: %o', async (_name, parameters) => {
    expect(await deploy(parameters)).not.toBe('deployed')
  })

  it('deploys as it is in the neighbours of all these', async () => {
    expect(await deploy({})).toBe('deployed')
    expect(
      await deploy({
        frontEnds: "[{ id: 'spa', origins: ['https://app.example.com'] }]",
        otherVaultAccess: `[{ objectId: '${guid}', certificates: ['get'] }]`,
        nodeVersion: "'24'",
        maximumInstances: '40',
        vaultSoftDeleteDays: '90',
        instanceMemoryMB: '4096',
      }),
    ).toBe('deployed')
  })

  it('comes from the azd environment by the name that the documentation gives', () => {
    const { status, stdout, stderr } = runBicep(
      ['build-params', path.join(root, 'infra', 'main.bicepparam'), '--stdout'],
      {
        AZURE_ENV_NAME: 'shop-test',
        AZURE_LOCATION: 'northeurope',
        AZURE_TENANT_ID: guid,
        BROKER_CLIENT_ID: guid,
        BROKER_FRONT_ENDS: '[{"id":"spa","origins":["https://app.example.com"]}]',
        BROKER_DEVELOPER_IDS: ` ${guid} , ${guid},`,
        BROKER_INSTANCE_MEMORY_MB: '512',
        BROKER_DEPLOYMENT_PASS: 'second',
        // A pipeline has empty ones for what it doesn't say.
        BROKER_VAULT_ACCESS: '',
      },
    )

    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const { parametersJson } = JSON.parse(stdout) as { parametersJson: string }
    const { parameters } = JSON.parse(parametersJson) as { parameters: Record<string, { value: unknown }> }
    expect(parameters).toMatchObject({
      environmentName: { value: 'shop-test' },
      location: { value: 'northeurope' },
      tenantId: { value: guid },
      clientId: { value: guid },
      frontEnds: { value: [{ id: 'spa', origins: ['https://app.example.com'] }] },
      developerIds: { value: [guid, guid] },
      instanceMemoryMB: { value: 512 },
      deploymentPass: { value: 'second' },
      vaultAuthorization: { value: 'accessPolicies' },
    })
  })
})

describe('the types of the parameters', () => {
  it('have the members of a front end that the published schema has', () => {
    const schema = JSON.parse(readFileSync(path.join(root, 'docs', 'front-ends.schema.json'), 'utf8')) as {
      items: { properties: Record<string, { enum?: string[]; items?: { enum?: string[] } }> }
    }
    const types = readFileSync(path.join(root, 'infra', 'modules', 'types.bicep'), 'utf8')
    const body = /type frontEnd = \{\n([\s\S]*?)\n\}/.exec(types)?.[1] ?? ''
    const members = new Map([...body.matchAll(/^ {2}(\w+): (.+)$/gm)].map(([, name, type]) => [name, type]))

    expect([...members.keys()].sort()).toEqual(Object.keys(schema.items.properties).sort())
    for (const [name, member] of Object.entries(schema.items.properties)) {
      const values = member.enum ?? member.items?.enum
      if (values) expect(members.get(name)?.match(/\w+(?=')/g), name).toEqual(values)
    }
  })

  it('cover the tables of the broker', () => {
    const store = readFileSync(path.join(root, 'shared', 'store', 'store.ts'), 'utf8')
    const tables = /export type TableName =([^\n]+(?:\n {2}\|[^\n]+)*)/.exec(store)?.[1]?.match(/\w+(?=')/g)
    const template = readFileSync(path.join(root, 'infra', 'broker.bicep'), 'utf8')
    const made = /var tables = map\(\[([^\]]+)\]/.exec(template)?.[1]?.match(/\w+(?=')/g)

    expect(made).toEqual(tables)
  })
})
