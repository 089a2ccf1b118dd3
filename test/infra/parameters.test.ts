import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { root, runBicep, skipsWithoutBicep } from '../setup/bicep.ts'

const guid = '2b4d6f80-1a3c-4e5f-9071-8a9b0c1d2e3f'

describe.skipIf(skipsWithoutBicep)('the parameter file', () => {
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
  }, 120_000)

  it('has the default of the template before the hook has stored anything, as in azd down on a fresh clone', () => {
    const parameters = build({})
    const template = readFileSync(path.join(root, 'infra', 'main.bicep'), 'utf8')

    expect(parameters['principalId']).toBe(guid)
    for (const [, name = '', text = ''] of template.matchAll(/^param (\w+) .*= (.+)$/gm)) {
      if (['location', 'environmentName', 'principalId'].includes(name)) continue
      const isStored = /^'[^$]*'$|^\d+$|^true$|^false$|^\[.*\]$|^\{\}$/.test(text)
      if (isStored) expect(JSON.stringify(parameters[name]).replaceAll('"', "'"), name).toBe(text.replaceAll(', ', ','))
    }
  }, 120_000)
})

/** The values that azd would deploy with these variables. */
function build(variables: Readonly<Record<string, string>>): Record<string, unknown> {
  const { status, stdout, stderr } = runBicep(
    ['build-params', path.join(root, 'infra', 'main.bicepparam'), '--stdout'],
    { AZURE_ENV_NAME: 'shop-test', AZURE_LOCATION: 'northeurope', AZURE_PRINCIPAL_ID: guid, ...variables },
  )
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  const { parametersJson } = JSON.parse(stdout) as { parametersJson: string }
  const { parameters } = JSON.parse(parametersJson) as { parameters: Record<string, { value: unknown }> }
  return Object.fromEntries(Object.entries(parameters).map(([name, { value }]) => [name, value]))
}

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
