import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { anna, subscriptionId } from '../../setup/azure.ts'
import { deleteGroup, deleteVault } from '../../setup/template.ts'
import { complete, idOf, openShop, outcome } from './shop.ts'
import type { Shop } from './shop.ts'

describe('a deployment', () => {
  let shop: Shop
  beforeEach(async () => {
    shop = await openShop()
  })
  afterEach(() => shop.close())

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

  it('after the vault alone was deleted recovers it, and deploys the unchanged template, which azd would skip', async () => {
    const { azure, here } = shop
    await here.azd('up')
    deleteVault(azure)

    const refused = await here.azd('up')
    expect(refused.code).toBe(1)
    expect(refused.output).toContain('azd env set BROKER_RECOVER_VAULT true, then azd provision --no-state\n')

    await here.azd('env', 'set', 'BROKER_RECOVER_VAULT', 'true')
    const { code, output } = await here.azd('provision', '--no-state')

    expect(code, output).toBe(0)
    expect(output).toMatch(/Vault +kv-\w{13} recovered/)
    expect(output).toContain('Your application was provisioned in Azure')
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

  it('names the way to recover a certificate that was deleted by hand', async () => {
    const { azure, here } = shop
    await here.configure({ certificateOfficerId: anna.principalId })
    await here.azd('up')
    azure.vault.deleteCertificate('broker')

    const { code, output } = await here.azd('provision')

    expect(code).toBe(1)
    expect(output).toContain('az keyvault certificate recover --vault-name localhost --name broker.')
    await here.configure({ certificateName: 'broker-2' })
    expect((await here.azd('provision')).output).toMatch(/Certificate +created: broker-2/)
  })

  it('recovers a vault in its own resource group only', async () => {
    const { azure, here } = shop
    await here.azd('up')
    await here.azd('down')
    await here.configure({ resourceGroupName: 'signin' })
    await here.azd('env', 'set', 'BROKER_RECOVER_VAULT', 'true')

    const refused = await here.azd('up')

    expect(refused.code).toBe(1)
    expect(refused.output).toContain('write "resourceGroupName": "rg-shop-test" into infra/environments/shop-test.json')
    await here.configure({ resourceGroupName: undefined })
    const last = await here.azd('up')
    expect(last.code, last.output).toBe(0)
    expect(outcome(azure)).toEqual(complete)
  })

  it('is not deleted by azd down together with resources of others in its group', async () => {
    const { azure, here } = shop
    await here.configure({ resourceGroupName: 'signin' })
    await here.azd('up')
    const other = await here.clone({ environmentName: 'shop-dev' })
    await other.configure({ resourceGroupName: 'signin' })
    await other.azd('up')
    const database = `/subscriptions/${subscriptionId}/resourceGroups/signin/providers/Microsoft.Sql/servers/orders`
    azure.arm.state.resources.set(database, {})
    const before = azure.arm.state.resources.size

    const refused = await other.azd('down', '--force', '--purge')

    expect(refused.code).toBe(1)
    expect(refused.output).toContain('- orders (Microsoft.Sql/servers)')
    expect(refused.output).toMatch(/- func-broker-\w{13} \(Microsoft\.Web\/sites\)/)
    expect(refused.output).not.toContain('Failure Anomalies')
    expect(azure.arm.state.resources.size).toBe(before)

    for (const [id, { tags = {} }] of azure.arm.state.resources as Map<string, { tags?: Record<string, string> }>) {
      if (tags['azd-env-name'] === 'shop-test') azure.arm.state.resources.delete(id)
    }
    azure.arm.state.resources.delete(database)
    const clear = azure.arm.faults.add({ path: '/resources', method: 'GET', status: 403 })
    const unreadable = await other.azd('down', '--force', '--purge')
    expect(unreadable.code).toBe(1)
    expect(unreadable.output).toContain('its resources cannot be listed. Nothing was deleted.')
    clear()
    const { code, output } = await other.azd('down')
    expect(code, output).toBe(0)
    await other.remove()
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
})
