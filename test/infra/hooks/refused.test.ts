import { createSocket } from 'node:dgram'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { root } from '../../setup/bicep.ts'
import type { Snapshot } from '../../setup/bicep.ts'
import type { AzdEnvironment } from '../../../infra/hooks/azd.ts'
import { checkVariables } from '../../../infra/hooks/check-variables.ts'
import { endpointsOf } from '../../../infra/hooks/cloud.ts'
import { isDevelopment, isProduction, namesOf } from '../../../infra/hooks/names.ts'
import { startDeployment } from '../../setup/deployment.ts'
import type { Deployment } from '../../setup/deployment.ts'

const guid = '2b4d6f80-1a3c-4e5f-9071-8a9b0c1d2e3f'
const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const pem = String(key.export({ type: 'pkcs8', format: 'pem' }))
const der = key.export({ type: 'pkcs8', format: 'der' }).toString('base64')

const good = {
  AZURE_ENV_NAME: 'shop-test',
  AZURE_LOCATION: 'westeurope',
  AZURE_SUBSCRIPTION_ID: guid,
  AZURE_TENANT_ID: guid,
}

function problemsOf(variables: Readonly<Record<string, string>>) {
  const values = new Map(Object.entries({ ...good, ...variables }))
  const environment: AzdEnvironment = {
    get: (name) => values.get(name) || undefined,
    entries: () => [...values],
    set: () => Promise.reject(new Error('nothing is set while checking')),
  }
  return checkVariables(environment)
}

describe('the variables of a deployment', () => {
  it.each<[string, Record<string, string>, RegExp]>([
    ['BROKER_CLIENT_ID', { BROKER_CLIENT_ID: 'shop' }, /not a GUID/],
    ['BROKER_CLIENT_ID', { BROKER_CLIENT_ID: '<client id>' }, /placeholder/],
    ['BROKER_CLIENT_ID', { BROKER_APP_REGISTRATION: 'manual' }, /is missing/],
    ['BROKER_APPLICATION_OBJECT_ID', { BROKER_APPLICATION_OBJECT_ID: 'shop' }, /not a GUID/],
    ['BROKER_APP_REGISTRATION', { BROKER_APP_REGISTRATION: 'by hand' }, /neither/],
    ['AZURE_TENANT_ID', { AZURE_TENANT_ID: '' }, /is missing/],
    ['AZURE_TENANT_ID', { AZURE_TENANT_ID: 'common' }, /every tenant/],
    ['BROKER_TENANT_ID', { BROKER_TENANT_ID: 'contoso.com' }, /domain name/],
    ['AZURE_LOCATION', { AZURE_LOCATION: '' }, /is missing/],
    ['BROKER_FRONT_ENDS', { BROKER_FRONT_ENDS: 'spa' }, /not JSON/],
    [
      'BROKER_FRONT_ENDS[0].origins[0]',
      { BROKER_FRONT_ENDS: '[{"id":"spa","origins":["https://a.example/"]}]' },
      /slash/,
    ],
    [
      'BROKER_FRONT_ENDS[0].orgins',
      { BROKER_FRONT_ENDS: '[{"id":"spa","orgins":[],"origins":["https://a.example"]}]' },
      /unknown/,
    ],
    ['AZURE_CLIENT_SECRET', { AZURE_CLIENT_SECRET: 'abc' }, /secret/],
    ['BROKER_PASSWORD', { BROKER_PASSWORD: 'abc' }, /secret/],
    ['BROKER_CERTIFICATE', { BROKER_CERTIFICATE: pem }, /private key/],
    ['ANYTHING', { ANYTHING: der }, /private key/],
    ['BROKER_FRONT_ENDS', { BROKER_FRONT_ENDS: JSON.stringify([{ id: 'spa', clientSecret: 'abc' }]) }, /secret/],
    ['STORAGE', { STORAGE: `AccountName=a;AccountKey=${'a'.repeat(20)}` }, /key/],
    ['BROKER_DEVELOPER_IDS', { AZURE_ENV_NAME: 'shop-prod', BROKER_DEVELOPER_IDS: guid }, /production/],
    ['BROKER_DEVELOPER_IDS', { BROKER_DEVELOPER_IDS: 'anna@example.com' }, /object id/],
    ['BROKER_LOCAL_CALLBACK', { BROKER_LOCAL_CALLBACK: 'true' }, /laptops/],
    ['BROKER_CERTIFICATE_OFFICER_ID', { BROKER_CERTIFICATE_OFFICER_ID: 'anna' }, /object id/],
    ['BROKER_DOMAIN', { BROKER_DOMAIN: 'https://signin.example.com' }, /domain name/],
    ['BROKER_SESSION_IDLE_SECONDS', { BROKER_SESSION_IDLE_SECONDS: '1' }, /300/],
  ])('are refused by name, with the fault and the mend: %s', (name, variables, fault) => {
    const problems = problemsOf(variables)
    const found = problems.find(({ setting }) => setting === name)

    expect(found?.problem, JSON.stringify(problems)).toMatch(fault)
    expect(found?.fix).toMatch(/\w{3}/)
    for (const value of Object.values(variables).filter((one) => one.length > 8)) {
      expect(JSON.stringify(problems)).not.toContain(value)
    }
  })

  it('are taken in the neighbours of all these', () => {
    expect(problemsOf({})).toEqual([])
    expect(
      problemsOf({
        AZURE_ENV_NAME: 'shop-dev',
        AZURE_CLIENT_ID: guid,
        AZURE_PRINCIPAL_ID: guid,
        BROKER_CLIENT_ID: guid,
        BROKER_APPLICATION_OBJECT_ID: guid,
        BROKER_APP_REGISTRATION: 'manual',
        BROKER_TENANT_ID: guid,
        BROKER_FRONT_ENDS: '[{"id":"spa","origins":["https://a.example"]}]',
        BROKER_DEVELOPER_IDS: `${guid}, ${guid}`,
        BROKER_LOCAL_CALLBACK: 'true',
        BROKER_CERTIFICATE_OFFICER_ID: guid,
        BROKER_DOMAIN: 'signin.example.com',
        BROKER_SESSION_IDLE_SECONDS: '300',
        BROKER_VAULT_URL: 'https://contoso.vault.azure.net/',
      }),
    ).toEqual([])
  })

  it('make the names that the template makes of the same token', () => {
    const file = path.join(root, 'test/infra/snapshots/default.snapshot.json')
    const snapshot = JSON.parse(readFileSync(file, 'utf8')) as Snapshot
    const nameOf = (type: string) => snapshot.predictedResources.find((resource) => resource.type === type)?.name
    const values: Record<string, string> = { ...good, BROKER_RESOURCE_TOKEN: 'k7m2p4q6r8s3t' }

    const names = namesOf({ get: (name) => values[name], entries: () => [], set: () => Promise.resolve() })

    expect(names).toMatchObject({
      resourceGroup: nameOf('Microsoft.Resources/resourceGroups'),
      vault: nameOf('Microsoft.KeyVault/vaults'),
      functionApp: nameOf('Microsoft.Web/sites'),
    })
  })

  it('name an environment by its parts', () => {
    expect(
      ['production', 'shop-prod', 'PROD', 'prod2', 'eu.prd', 'shop_live', 'myprod'].filter(isProduction),
    ).toHaveLength(7)
    expect(['dev', 'product-dev', 'reproducer', 'olive', 'delivery', 'test'].filter(isProduction)).toEqual([])
    expect(['dev', 'shop-dev', 'development', 'dev2', 'local'].filter(isDevelopment)).toHaveLength(5)
    expect(['devil', 'shop-test', 'prod', 'devops'].filter(isDevelopment)).toEqual([])
  })

  it('send tokens nowhere but to a cloud or to loopback', () => {
    expect(() => endpointsOf({ BROKER_LOCAL_GRAPH: 'https://graph.example.com' })).toThrow(/not on loopback/)
    expect(() => endpointsOf({ BROKER_CLOUD: 'Mine' })).toThrow(/BROKER_CLOUD/)
    expect(endpointsOf({ BROKER_LOCAL_GRAPH: 'https://localhost:7174/x' }).graph).toBe('https://localhost:7174')
    expect(endpointsOf({ BROKER_CLOUD: 'AzureUSGovernment' }).graph).toBe('https://graph.microsoft.us')
  })
})

describe('a deployment that cannot go well', () => {
  let deployment: Deployment
  let token: string

  beforeAll(async () => {
    deployment = await startDeployment()
    const made = await deployment.hook('preprovision')
    expect(made.code, made.output).toBe(0)
    token = (await deployment.variables())['BROKER_RESOURCE_TOKEN'] ?? ''
    const [application] = deployment.graph.applications.all
    deployment.graph.applications.remove(application!.id)
  })
  afterAll(() => deployment.close())
  afterEach(async () => {
    deployment.arm.state.permissions = [{ actions: ['*'], notActions: [] }]
    deployment.arm.state.providers.add('Microsoft.App')
    deployment.arm.state.deletedVaults.clear()
    deployment.arm.state.takenVaultNames.clear()
    deployment.directory.settings.mayCreate = true
    const cleared = ['ASSIGN_ROLES', 'VAULT_AUTHORIZATION', 'RECOVER_VAULT', 'DOMAIN', 'APP_REGISTRATION', 'DNS_SERVER']
    await deployment.set(Object.fromEntries(cleared.map((name) => [`BROKER_${name}`, ''])))
  })

  /** Runs the hook, which must stop, and must have made nothing. */
  const refused = async (environment?: Record<string, string>) => {
    const before = deployment.graph.applications.all.length
    const { code, output } = await deployment.hook('preprovision', undefined, environment)
    expect(code, output).toBe(1)
    expect(deployment.graph.applications.all).toHaveLength(before)
    return output
  }

  it('for want of Microsoft.App stops with the command that registers it', async () => {
    deployment.arm.state.providers.delete('Microsoft.App')

    expect(await refused()).toContain('az provider register --namespace Microsoft.App')
  })

  it('for want of the right to assign roles names it, who gives it, and the way without', async () => {
    deployment.arm.state.permissions = [
      { actions: ['*'], notActions: ['Microsoft.Authorization/*/Write', 'Microsoft.Authorization/*/Delete'] },
    ]

    const output = await refused()

    expect(output).toContain('Microsoft.Authorization/roleAssignments/write')
    expect(output).toContain('Owner')
    expect(output).toContain('azd env set BROKER_ASSIGN_ROLES false')
    await deployment.set({ BROKER_ASSIGN_ROLES: 'false' })
    expect((await deployment.hook('preprovision')).code).toBe(0)
  })

  it('for want of the right to write roles offers access policies', async () => {
    deployment.arm.state.permissions = [
      { actions: ['*'], notActions: ['Microsoft.Authorization/roleDefinitions/write'] },
    ]
    await deployment.set({ BROKER_VAULT_AUTHORIZATION: 'rbac' })

    expect(await refused()).toContain('azd env set BROKER_VAULT_AUTHORIZATION accessPolicies')
  })

  it('because a deleted vault holds the name says how to bring it back, and then does', async () => {
    deployment.arm.state.deletedVaults.set(`kv-${token}`, { location: 'westeurope', purgeProtected: true })

    expect(await refused()).toContain('azd env set BROKER_RECOVER_VAULT true')
    await deployment.set({ BROKER_RECOVER_VAULT: 'true' })
    const { code, output } = await deployment.hook('preprovision')
    expect(code, output).toBe(0)
    expect(output).toContain('is brought back')
  })

  it('because somebody else has a vault of that name says to choose another', async () => {
    deployment.arm.state.takenVaultNames.add(`kv-${token}`)

    expect(await refused()).toContain('azd env set BROKER_VAULT_NAME')
  })

  it('for want of the right to make app registrations names the role, who gives it, and the way without', async () => {
    for (const { id } of deployment.graph.applications.all) deployment.graph.applications.remove(id)
    await deployment.set({ BROKER_CLIENT_ID: '', BROKER_APP_UNIQUE_NAME: '' })
    deployment.directory.settings.mayCreate = false

    const output = await refused()

    expect(output).toContain('Application Developer')
    expect(output).toContain('Privileged Role Administrator')
    expect(output).toContain('azd env set BROKER_CLIENT_ID')
  })

  it('from a pipeline makes no registration, and finds one that is there', async () => {
    for (const { id } of deployment.graph.applications.all) deployment.graph.applications.remove(id)
    await deployment.set({ BROKER_CLIENT_ID: '', BROKER_APP_UNIQUE_NAME: '' })

    expect(await refused({ GITHUB_ACTIONS: 'true' })).toContain('a pipeline makes none')
    expect((await deployment.hook('preprovision')).code).toBe(0)
    expect((await deployment.hook('preprovision', undefined, { GITHUB_ACTIONS: 'true' })).output).toMatch(/found: /)
  })

  it('for want of the DNS records of its domain prints them, and goes on when they are there', async () => {
    const domain = 'signin.example.com'
    const site = `func-broker-${token}.azurewebsites.net`
    const records = new Map<string, string>()
    const dns = await startDns(records)
    try {
      await deployment.set({ BROKER_DOMAIN: domain, BROKER_DNS_SERVER: dns.address })

      const output = await refused()

      expect(output).toMatch(new RegExp(`CNAME +${domain} +${site}`))
      expect(output).toMatch(new RegExp(`TXT +asuid\\.${domain} +${deployment.arm.state.domainVerificationId}`))
      records.set(domain, site).set(`asuid.${domain}`, deployment.arm.state.domainVerificationId)
      const again = await deployment.hook('preprovision')
      expect(again.code, again.output).toBe(0)
    } finally {
      dns.close()
    }
  })
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
