import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { anna, officerPolicy, subscriptionId } from '../../setup/azure.ts'
import { root } from '../../setup/bicep.ts'
import { deployTemplate } from '../../setup/template.ts'
import type { TemplateParameters } from '../../setup/template.ts'
import { complete, openShop, outcome } from './shop.ts'
import type { Shop } from './shop.ts'

const group = `/subscriptions/${subscriptionId}/resourceGroups/signin`
const template = readFileSync(path.join(root, 'infra', 'broker.bicep'), 'utf8')

let shop: Shop
beforeEach(async () => {
  shop = await openShop()
  await shop.here.configure({ resourceGroupName: 'signin' })
  await shop.here.azd('env', 'set', 'AZURE_SUBSCRIPTION_ID', subscriptionId)
  await shop.here.azd('env', 'set', 'AZURE_LOCATION', 'westeurope')
  shop.azure.arm.state.resources.set(group, {})
})
afterEach(() => shop.close())

/** Runs the file as az deployment group create does, with the outputs that broker.bicep declares. */
async function deployGroup() {
  const { azure, here } = shop
  const file = path.join(here.folder, '.azure', 'shop-test', 'broker.parameters.json')
  const { parameters } = JSON.parse(await readFile(file, 'utf8')) as { parameters: Record<string, { value: unknown }> }
  const declared = [...template.matchAll(/^param (\w+) /gm)].map(([, name]) => name)
  expect(declared).toEqual(expect.arrayContaining(Object.keys(parameters)))
  const values = Object.fromEntries(Object.entries(parameters).map(([name, { value }]) => [name, value]))
  const stored = deployTemplate(
    azure,
    { ...(values as unknown as TemplateParameters), resourceGroupName: 'signin' },
    here.clock.now(),
  )
  const outputs = {
    baseUrl: { value: stored['BROKER_BASE_URL'] },
    vaultUrl: { value: stored['BROKER_VAULT_URL'] },
    hostIdentityPrincipalId: { value: stored['BROKER_HOST_IDENTITY_PRINCIPAL_ID'] },
  }
  azure.arm.state.resources.set(`${group}/providers/Microsoft.Resources/deployments/broker`, {
    properties: { provisioningState: 'Succeeded', outputs },
  })
}

it('a team with one resource group deploys by the same hooks as commands', async () => {
  const { azure, here } = shop
  azure.vault.setPermissions(anna.clientId, officerPolicy)

  for (const step of ['first', 'second']) {
    const before = await here.hook('preprovision')
    expect(before.code, before.output).toBe(0)
    await deployGroup()
    for (const name of ['outputs', 'postprovision']) {
      const { code, output } = await here.hook(name)
      expect(code, output).toBe(0)
    }
    if (step === 'first') expect((await here.azd('deploy')).code).toBe(0)
  }

  expect(outcome(azure)).toEqual(complete)
})

it('outputs names the missing deployment', async () => {
  const { code, output } = await shop.here.hook('outputs')

  expect(code).toBe(1)
  expect(output).toContain('no finished deployment named broker (404 ResourceNotFound')
})

it('every output of broker.bicep that main.bicep passes on is known to the hook', () => {
  const hook = readFileSync(path.join(root, 'infra', 'hooks', 'outputs.ts'), 'utf8')
  const main = readFileSync(path.join(root, 'infra', 'main.bicep'), 'utf8')

  for (const [, variable = '', name = ''] of main.matchAll(/^output (\w+) string = broker\.outputs\.(\w+)$/gm)) {
    expect(hook).toContain(`${name}: '${variable}'`)
  }
})
