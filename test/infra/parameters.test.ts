import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { regionsOfTypes } from '../../infra/hooks/resource-providers.ts'
import { root } from '../setup/bicep.ts'

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

  it('are texts in outputs, because azd stores every other type as JSON', () => {
    for (const file of ['main.bicep', 'broker.bicep']) {
      const template = readFileSync(path.join(root, 'infra', file), 'utf8')
      const types = [...template.matchAll(/^output \w+ (\S+)/gm)].map(([, type]) => type)
      expect(new Set(types), file).toEqual(new Set(['string']))
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

it('every type of the template that has a region is compared with the regions that offer it', () => {
  const file = path.join(root, 'test', 'infra', 'snapshots', 'default-second.snapshot.json')
  const { predictedResources } = JSON.parse(readFileSync(file, 'utf8')) as {
    predictedResources: readonly { readonly type: string; readonly location?: string }[]
  }
  // check-region.ts has the regions of Flex Consumption.
  const types = predictedResources
    .filter(
      ({ type, location }) => location !== undefined && location !== 'global' && !/\.(Resources|Web)\//.test(type),
    )
    .map(({ type }) => type.split('/'))
  const listed = types.map(([namespace = '']) => ({
    namespace,
    resourceTypes: types
      .filter(([of]) => of === namespace)
      .map(([, type = '']) => ({ resourceType: type, locations: ['x'] })),
  }))

  const compared = regionsOfTypes(listed).map(({ what }) => what)

  expect(compared.sort()).toEqual([...new Set(types.map((type) => type.join('/')))].sort())
  expect(compared).toContain('Microsoft.Insights/webtests')
})
