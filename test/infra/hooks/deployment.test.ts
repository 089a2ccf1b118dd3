import { X509Certificate } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { build, clean } from '../../../tools/build.ts'
import { createKeyVaultCertificateCreator } from '../../../tools/certificate/certificate-creator.key-vault.ts'
import { anna, bruno, pipeline, subscriptionId, tenantId } from '../../setup/azure.ts'
import { startConnectProxy } from '../../setup/connect-proxy.ts'
import { asPipeline, complete, idOf, openShop, outcome, parametersOf } from './shop.ts'
import type { Shop } from './shop.ts'

describe('a deployment', () => {
  let shop: Shop
  beforeEach(async () => {
    shop = await openShop()
  })
  afterEach(() => shop.close())

  it('by azd up on a fresh environment with name, location and subscription is complete', async () => {
    const { azure, here } = shop
    const { code, output } = await here.azd('up')

    expect(code, output).toBe(0)
    expect(outcome(azure)).toEqual(complete)
    expect(here.variables.get('AZURE_TENANT_ID')).toBe(tenantId)
    expect(here.variables.has('AZURE_PRINCIPAL_TYPE')).toBe(false)
    expect(here.ran).toEqual([
      'npm run clean',
      'npm run build',
      'preprovision',
      'postprovision',
      'predeploy',
      'npm run clean',
      'npm run build',
      'postdeploy',
      'preprovision',
      'postprovision',
    ])
    expect(output).toMatch(/App registration +created: /)
    expect(output).toContain('Commit infra/environments/shop-test.json')
    expect(output).toContain('az ad app permission admin-consent --id')
    const [key] = azure.graph.applications.keysOf(azure.graph.applications.all[0]!)
    expect(new X509Certificate(key!.der).publicKey.asymmetricKeyDetails?.modulusLength).toBe(3072)
  })

  it('without a file of the environment creates one, with the ids of the registration', async () => {
    const other = await shop.here.clone({ environmentName: 'shop-dev' })
    const { code, output } = await other.azd('up')

    expect(code, output).toBe(0)
    const [application] = shop.azure.graph.applications.all
    expect(await other.configuration()).toEqual({
      $schema: '../../docs/environment.schema.json',
      frontEnds: [],
      clientId: application!.appId,
      applicationObjectId: application!.id,
    })
    await other.remove()
  })

  it('a second time by azd up makes no change, for a deployer who may only read certificates', async () => {
    const { azure, here } = shop
    await here.azd('up')
    const before = structuredClone([...azure.arm.state.appSettings.values()])
    const file = await here.configuration()

    const { code, output } = await here.azd('up')

    expect(code, output).toBe(0)
    expect(outcome(azure)).toEqual(complete)
    expect([...azure.arm.state.appSettings.values()]).toEqual(before)
    expect(await here.configuration()).toEqual(file)
    expect(output).toMatch(/App registration +complete, unchanged/)
  })

  it('by azd provision alone names the missing variables, and goes through with them', async () => {
    const { azure, here } = shop
    const refused = await here.azd('provision')
    expect(refused.code).toBe(1)
    expect(refused.output).toContain(
      'AZURE_SUBSCRIPTION_ID is missing. Run azd up, which prompts for it, or: azd env set',
    )
    expect(refused.output).toContain('AZURE_LOCATION is missing')

    await here.azd('env', 'set', 'AZURE_SUBSCRIPTION_ID', subscriptionId)
    await here.azd('env', 'set', 'AZURE_LOCATION', 'westeurope')
    const { code, output } = await here.azd('provision')

    expect(code, output).toBe(0)
    expect(outcome(azure)).toEqual({ ...complete, isSecondPass: false })
    expect(output).toContain('run azd deploy, then azd provision')
  })

  it('by --preview runs no hook', async () => {
    await shop.here.azd('provision', '--preview')

    expect(shop.here.ran).toEqual([])
  })

  it('by azd deploy alone after a change ships a clean build and no file that lies in dist/', async () => {
    const { here } = shop
    await here.azd('up')
    await mkdir(`${here.folder}/dist`, { recursive: true })
    await writeFile(`${here.folder}/dist/index.mjs.map`, 'left behind by npm start')

    const { code, output } = await here.azd('deploy')

    expect(code, output).toBe(0)
    expect(here.uploads.at(-1)).toEqual({ 'index.mjs': 'production build' })
    expect(here.ran.slice(-4)).toEqual(['predeploy', 'npm run clean', 'npm run build', 'postdeploy'])
  })

  it('by azd deploy ships what npm run build makes, without source maps', async () => {
    const there = await shop.here.clone({
      scripts: {
        clean: (folder) => clean(path.join(folder, 'dist')),
        build: async (folder) => {
          await build({ outdir: path.join(folder, 'dist') })
        },
      },
    })
    await there.azd('up')
    await writeFile(path.join(there.folder, 'dist', 'index.mjs.map'), 'left behind by npm start')

    const { code, output } = await there.azd('deploy')

    expect(code, output).toBe(0)
    const shipped = Object.keys(there.uploads.at(-1) ?? {})
    expect(shipped).toEqual(expect.arrayContaining(['host.json', 'package.json']))
    expect(shipped.filter((name) => name.endsWith('.map'))).toEqual([])
    expect(there.uploads.at(-1)).toEqual(there.uploads[0])
    await there.remove()
  }, 120_000)

  it('by azd deploy before azd up reports that azd up must run first', async () => {
    await shop.here.azd('env', 'set', 'AZURE_SUBSCRIPTION_ID', subscriptionId)
    const { code, output } = await shop.here.azd('deploy')

    expect(code).toBe(1)
    expect(output).toContain('Run: azd up')
  })

  it('waits before the upload until the roles have spread, and not the next time', async () => {
    const { here } = shop
    const { code, output } = await here.azd('up')
    expect(code, output).toBe(0)
    expect(output).toMatch(/Waiting \d+ s until the role assignments have spread/)

    const { waited } = here.clock
    await here.azd('deploy')
    expect(here.clock.waited).toBe(waited)
  })

  it('waits no longer for the roles where the clock of the machine is behind', async () => {
    const { here } = shop
    await here.azd('up')
    const { waited } = here.clock
    here.clock.advance(-7_200_000)

    const { code, output } = await here.hook('predeploy')

    expect(code, output).toBe(0)
    expect(here.clock.waited - waited).toBe(180_000)
  })

  it('syncs the triggers until the function is listed', async () => {
    shop.azure.arm.state.idleSyncs = 4
    const { code, output } = await shop.here.azd('up')

    expect(code, output).toBe(0)
    expect(output).toContain('Waiting until Azure lists the function certificateEvent')
    expect(outcome(shop.azure)).toEqual(complete)
  })

  it('fails with the name of the function that never appears, and remembers that code was deployed', async () => {
    const { azure, here } = shop
    azure.arm.state.idleSyncs = 1_000
    const first = await here.azd('up')
    expect(first.code).toBe(1)
    expect(first.output).toContain('The function certificateEvent is missing')

    // In the first pass, azd provision would go through without the events.
    const again = await here.azd('provision')
    expect(again.code).toBe(1)
    expect(again.output).toContain('Run azd deploy, then azd provision')

    azure.arm.state.idleSyncs = 0
    const last = await here.azd('provision')
    expect(last.code, last.output).toBe(0)
    expect(outcome(azure)).toEqual(complete)
  })

  it('never returns from the second pass to the first', async () => {
    const { azure, here } = shop
    await here.azd('up')
    azure.arm.state.resources.delete(idOf(azure, '/functions/certificateEvent'))
    azure.arm.state.idleSyncs = 1_000
    const elsewhere = await here.clone({ deployer: bruno })

    const { code, output } = await elsewhere.azd('up')

    expect(code).toBe(1)
    expect(output).toContain('The function certificateEvent is missing')
    await elsewhere.remove()
  })

  it.each(['provision', 'package', 'upload'] as const)(
    'that fails in the step %s is finished by azd up',
    async (step) => {
      shop.here.failOnce(step)
      expect((await shop.here.azd('up')).code).toBe(1)

      const { code, output } = await shop.here.azd('up')

      expect(code, output).toBe(0)
      expect(outcome(shop.azure)).toEqual(complete)
    },
  )

  it.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])('that is killed after %i writes is finished by azd up', async (writes) => {
    shop.here.interruptAfter(writes)
    expect((await shop.here.azd('up')).code).toBe(1)
    shop.here.interruptAfter(undefined)

    const { code, output } = await shop.here.azd('up')

    expect(code, output).toBe(0)
    expect(outcome(shop.azure)).toEqual(complete)
  })

  it('survives throttling, a server error, a lost answer and a permission that spreads', async () => {
    const { azure, here } = shop
    azure.graph.faults.add({ operation: 'getApplication', status: 429, retryAfterSeconds: 1, times: 1 })
    azure.graph.faults.add({ operation: 'changeApplication', loseAnswer: true, times: 1 })
    azure.arm.faults.add({ status: 503, times: 1 })
    azure.vault.faults.add({ operation: 'createCertificate', status: 403, times: 2 })

    const { code, output } = await here.azd('up')

    expect(code, output).toBe(0)
    expect(outcome(azure)).toEqual(complete)
  })

  it('names the permission that does not come, with the command', async () => {
    shop.azure.vault.faults.add({ operation: 'createCertificate', status: 403 })

    const { code, output } = await shop.here.azd('up')

    expect(code).toBe(1)
    expect(output).toContain('You lack the permission "create" for certificates')
    expect(output).toContain('az keyvault set-policy')
    expect(output).toMatch(/The vault answered: \w/)
  })

  it('whose code was deployed before there was a certificate names the way to create it, without a wait', async () => {
    const { azure, here } = shop
    const clear = azure.vault.faults.add({ operation: 'createCertificate', status: 403 })
    expect((await here.azd('up')).code).toBe(1)
    clear()
    expect((await here.azd('deploy')).code).toBe(0)
    const { waited } = here.clock

    const { code, output } = await here.azd('provision')

    expect(code).toBe(1)
    expect(here.clock.waited).toBe(waited)
    expect(output).toContain(`"certificateOfficerId": "${anna.principalId}" into infra/environments/shop-test.json`)
    await here.configure({ certificateOfficerId: anna.principalId })
    const last = await here.azd('provision')
    expect(last.code, last.output).toBe(0)
    expect(outcome(azure)).toEqual(complete)
  })

  it('names a file that cannot be written, and prints no stack', async () => {
    await writeFile(path.join(shop.here.folder, '.azure'), '')

    const { code, output } = await shop.here.azd('up')

    expect(code).toBe(1)
    expect(output).toMatch(/preprovision stopped: E\w+: .*\.azure.*\. Correct it, and run the command again\./)
    expect(output).not.toContain('    at ')
  })

  it('behind the firewall of a private vault names the way to let this machine in', async () => {
    const firewall = 'Client address is not authorized and caller is not a trusted service.'
    const error = Object.assign(new Error(firewall), { statusCode: 403 })
    const creator = createKeyVaultCertificateCreator({
      vaultUrl: shop.azure.vault.url,
      credential: { getToken: () => Promise.reject(error) },
    })

    await expect(creator.findPolicy('broker')).rejects.toThrow(/vaultAllowedAddresses.*"network": "private"/)
  })

  it('by a colleague from a fresh clone makes no change', async () => {
    const { azure, here } = shop
    await here.azd('up')
    const before = structuredClone([...azure.arm.state.appSettings.values()])
    const elsewhere = await here.clone({ deployer: bruno })

    const { code, output } = await elsewhere.azd('up')

    expect(code, output).toBe(0)
    expect([...azure.arm.state.appSettings.values()]).toEqual(before)
    expect(outcome(azure)).toEqual(complete)
    await elsewhere.remove()
  })

  it('by a pipeline without a permission for Graph makes no change', async () => {
    const { azure, here } = shop
    await here.azd('up')
    const before = structuredClone([...azure.arm.state.appSettings.values()])
    Object.assign(azure.directory.settings, { mayRead: false, mayCreate: false, mayChange: false })
    const there = await here.clone(asPipeline)

    const { code, output } = await there.azd('up')

    expect(code, output).toBe(0)
    expect([...azure.arm.state.appSettings.values()]).toEqual(before)
    expect(output).not.toContain('az rest')
    expect(parametersOf(there)).toMatchObject({ principalType: 'ServicePrincipal', principalId: pipeline.principalId })
    expect(await there.configuration()).toEqual(await here.configuration())
    await there.remove()
  })

  it('by a pipeline with the package of the build job runs no build', async () => {
    const { here } = shop
    await here.azd('up')
    const there = await here.clone(asPipeline)

    const runs = [
      await there.azd('provision'),
      await there.azd('deploy', 'broker', '--from-package', 'broker.zip'),
      await there.azd('provision'),
    ]

    expect(
      runs.map(({ code }) => code),
      runs.map(({ output }) => output).join('\n'),
    ).toEqual([0, 0, 0])
    expect(there.ran).not.toContain('npm run build')
    expect(there.uploads).toEqual([{ package: 'broker.zip' }])
    await there.remove()
  })

  it('by a pipeline before a person has deployed reports the steps that a person must do', async () => {
    const there = await shop.here.clone(asPipeline)

    const { code, output } = await there.azd('up')

    expect(code).toBe(1)
    expect(output).toContain('Run azd provision for this environment once as a person')
    expect(shop.azure.graph.applications.all).toEqual([])
    await there.remove()
  })

  it('under a path of another server registers the addresses with the path, and keeps the base URL', async () => {
    const { azure, here } = shop
    await here.configure({ baseUrl: 'https://app.example.com/auth' })
    const { code, output } = await here.azd('up')

    expect(code, output).toBe(0)
    expect(azure.directory.properties.get(azure.graph.applications.all[0]!.id)?.['web']).toMatchObject({
      redirectUris: ['https://app.example.com/auth/callback', 'https://app.example.com/auth/logout/done'],
      logoutUrl: 'https://app.example.com/auth/logout/frontchannel',
    })
    await here.configure({ baseUrl: undefined })
    expect((await here.azd('provision')).output).toContain('- the base URL https://app.example.com/auth')
  })

  it('in a cloud that the broker does not know uses the hosts of Broker__AdditionalHosts alone', async () => {
    const { azure, here } = shop
    await here.azd('up')
    const settings = { Broker__AdditionalHosts: 'kv-shop.vault.newcloud.example' }
    await here.configure({ settings })
    await here.azd('provision')
    expect([...azure.arm.state.appSettings.values()]).toMatchObject([settings])

    const hook = async (url: string) => {
      await here.azd('env', 'set', 'BROKER_VAULT_URL', url)
      return (await here.hook('postprovision')).output
    }
    const proxy = await startConnectProxy({ answer: (socket) => void socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n') })
    vi.stubEnv('HTTPS_PROXY', proxy.url)
    try {
      expect(await hook('https://kv-shop.vault.othercloud.example')).toContain('BROKER_VAULT_URL is not')
      expect(proxy.requests).toEqual([])
      expect(await hook('https://kv-shop.vault.newcloud.example')).toMatch(
        /did not create the certificate broker: https:\/\/kv-shop\.vault\.newcloud\.example does not answer \(/,
      )
      expect(proxy.requests).toContain('CONNECT kv-shop.vault.newcloud.example:443')
    } finally {
      vi.unstubAllEnvs()
      await proxy.close()
    }
  })
})
