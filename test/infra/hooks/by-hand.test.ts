import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Deployment } from '../../setup/deployment.ts'
import { startShop, upTo } from './shop.ts'

const given = { id: '77777777-7777-4777-8777-777777777777', appId: '77777777-7777-4777-8777-000000000001' }

describe('an app registration', () => {
  let deployment: Deployment

  beforeEach(async () => {
    deployment = await startShop('shop-dev')
  })
  afterEach(() => deployment.close())

  const urisOf = (id: string) =>
    (deployment.directory.properties.get(id)?.['web'] as { redirectUris: string[] } | undefined)?.redirectUris

  it('that was given by its client id is completed, and no other is made', async () => {
    deployment.graph.applications.add(given)
    await deployment.set({ BROKER_CLIENT_ID: given.appId })

    const { before, after, codes } = await upTo(deployment)

    expect(codes, before.output + after.output).toEqual([0, 0])
    expect(deployment.graph.applications.all).toEqual([given])
    expect((await deployment.variables())['BROKER_APPLICATION_OBJECT_ID']).toBe(given.id)
    expect(deployment.graph.applications.keysOf(given)).toHaveLength(1)
  })

  it('that may not be changed is left alone, and the rest is printed as commands', async () => {
    deployment.graph.applications.add(given)
    deployment.directory.settings.mayChange = false
    await deployment.set({ BROKER_CLIENT_ID: given.appId })

    const { after, codes } = await upTo(deployment)

    expect(codes, after.output).toEqual([0, 0])
    expect(after.output).toMatch(/may not be changed \(403\)/)
    expect(after.output).toContain(`az ad app credential reset --id ${given.appId} --cert @broker.pem --append`)
    expect(after.output).toContain(`${deployment.baseUrl}/callback ${deployment.baseUrl}/logout/done`)
    expect(deployment.graph.applications.keysOf(given)).toEqual([])
  })

  it('that is somebody else’s business is not even asked for', async () => {
    await deployment.set({ BROKER_CLIENT_ID: given.appId, BROKER_APP_REGISTRATION: 'manual' })

    const { after, codes } = await upTo(deployment)

    expect(codes, after.output).toEqual([0, 0])
    expect(deployment.graph.requests).toEqual([])
    expect(after.output).toContain('az ad app credential reset')
  })

  it('is named by a variable of the machine too, which is where a pipeline has its variables', async () => {
    deployment.graph.applications.add(given)

    const { code, output } = await deployment.hook('preprovision', undefined, {
      BROKER_CLIENT_ID: given.appId,
      GITHUB_ACTIONS: 'true',
    })

    expect(code, output).toBe(0)
    expect((await deployment.variables())['BROKER_APPLICATION_OBJECT_ID']).toBe(given.id)
  })

  it('of a development environment has the local callback too', async () => {
    await upTo(deployment)

    expect(urisOf(deployment.graph.applications.all[0]!.id)).toContain('http://localhost:7071/callback')
  })

  it('prints who must get which role where the template assigns none', async () => {
    await deployment.set({ BROKER_ASSIGN_ROLES: 'false' })

    const { after } = await upTo(deployment)

    expect(after.output.match(/az role assignment create/g)).toHaveLength(5)
  })

  it('stays at azd down, which says so and that the vault’s name stays taken', async () => {
    await upTo(deployment)
    deployment.runSources()

    const before = await deployment.hook('predown')
    const after = await deployment.hook('postdown')

    expect([before.code, after.code], before.output + after.output).toEqual([0, 0])
    expect(after.output).toMatch(/A deleted vault holds the name kv-\w{13}/)
    expect(after.output).toContain('azd env set BROKER_RECOVER_VAULT true')
    expect(after.output).toContain('az ad app delete --id')
    expect(deployment.graph.applications.all).toHaveLength(1)
  })

  it('goes at azd down where that was asked for, but for one that was not made here', async () => {
    await upTo(deployment)
    await deployment.set({ BROKER_REMOVE_APP_REGISTRATION: 'true' })

    const { code, output } = await deployment.hook('postdown')

    expect(code, output).toBe(0)
    expect(deployment.graph.applications.all).toEqual([])
    expect((await deployment.variables())['BROKER_CLIENT_ID']).toBe('')

    deployment.graph.applications.add(given)
    await deployment.set({ BROKER_CLIENT_ID: given.appId })
    expect((await deployment.hook('postdown')).output).toContain('it was not made here')
    expect(deployment.graph.applications.all).toEqual([given])
  })
})

describe('two environments', () => {
  it('have registrations, names and vaults of their own', async () => {
    const [one, other] = [await startShop('shop-test'), await startShop('shop-prod')]
    try {
      await Promise.all([one.hook('preprovision'), other.hook('preprovision')])

      const [here, there] = [await one.variables(), await other.variables()]
      expect(here['BROKER_RESOURCE_TOKEN']).toMatch(/^[a-z2-7]{13}$/)
      expect(here['BROKER_RESOURCE_TOKEN']).not.toBe(there['BROKER_RESOURCE_TOKEN'])
      expect(here['BROKER_APP_UNIQUE_NAME']).not.toBe(there['BROKER_APP_UNIQUE_NAME'])
    } finally {
      await Promise.all([one.close(), other.close()])
    }
  })
})
