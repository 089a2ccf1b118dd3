import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { root, runBicep, skipsWithoutBicep } from '../setup/bicep.ts'

const guid = '2b4d6f80-1a3c-4e5f-9071-8a9b0c1d2e3f'

describe.skipIf(skipsWithoutBicep)('the parameter file', () => {
  it('reads the environment of azd by the documented names', () => {
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
        // A pipeline sets a variable without a value to the empty text.
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
