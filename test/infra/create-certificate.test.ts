import { CertificateClient } from '@azure/keyvault-certificates'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { anna as deployer, officerPolicy, readerPolicy, subscriptionId } from '../setup/azure.ts'
import type { Azure } from '../setup/azure.ts'
import { bundledProgram } from '../setup/bundled-programs.ts'
import { createKeyVaultCertificateCreator } from '../../tools/certificate/certificate-creator.key-vault.ts'
import { trust } from '../setup/trust.ts'
import { startDeployment } from '../setup/deployment.ts'
import type { Deployment } from '../setup/deployment.ts'

describe('npm run certificate -- create', () => {
  let deployment: Deployment
  let vault: Azure['vault']
  const create = async (...args: string[]) =>
    deployment.node([await bundledProgram('certificate'), 'create', '--vault', vault.url, ...args])

  beforeAll(async () => {
    deployment = await startDeployment(officerPolicy)
    vault = deployment.azure.vault
  })
  afterAll(() => deployment.close())

  it('creates a certificate that can only sign, with a key that cannot be exported', async () => {
    const { code, output } = await create('--json')

    expect(code, output).toBe(0)
    expect(output).toContain('"outcome":"created"')
    const created = vault.requests.find(({ operation }) => operation === 'createCertificate')
    expect(created?.identity).toBe(deployer.clientId)
    expect(vault.publicCertificates('broker')).toHaveLength(1)
  })

  it('makes no change the second time', async () => {
    const { code, output } = await create('--json')

    expect(code, output).toBe(0)
    expect(output).toContain('"outcome":"unchanged","differences":[]')
    expect(vault.publicCertificates('broker')).toHaveLength(1)
  })

  it('shows a policy that differs, and changes it on request only', async () => {
    const shown = await create('--validity-months', '6', '--renew-days', '45')
    expect(shown.code, shown.output).toBe(3)
    expect(shown.output).toContain('validityMonths is 12 and not 6')
    expect(shown.output).toContain('renewDaysBeforeEnd is 60 and not 45')

    const changed = await create('--validity-months', '6', '--renew-days', '45', '--change')
    expect(changed.code, changed.output).toBe(0)
    const again = await create('--validity-months', '6', '--renew-days', '45', '--json')
    expect(again.output).toContain('"outcome":"unchanged"')
    expect(vault.publicCertificates('broker')).toHaveLength(1)
  })

  it('finds vault and certificate in azd’s environment, where neither option nor setting names them', async () => {
    const variables = { BROKER_VAULT_URL: vault.url, BROKER_CERTIFICATE_NAME: 'broker' }

    const { code, output } = await deployment.node(
      [await bundledProgram('certificate'), 'create', '--json', '--validity-months', '6', '--renew-days', '45'],
      variables,
    )

    expect(code, output).toBe(0)
    expect(output).toContain('"outcome":"unchanged"')
  })

  it('reads the settings of the deployed broker too: status refuses a bad one', async () => {
    const parameters = { brokerSettings: { Broker__CertificateReadSeconds: 'soon' } }

    const { code, output } = await deployment.node([await bundledProgram('certificate'), 'status'], {
      BROKER_VAULT_URL: vault.url,
      BROKER_PARAMETERS: Buffer.from(JSON.stringify(parameters)).toString('base64'),
    })

    expect(code).toBe(2)
    expect(output).toContain('Broker__CertificateReadSeconds is not a whole number')
  })

  it('renews by the policy of the vault, with members that create does not set, and finds no other certificate', async () => {
    trust(deployment.azure.authorityPem)
    const { token } = await deployment.azure.issuer.issueAccessToken({
      ...deployer,
      audience: 'https://vault.azure.net',
    })
    const credential = { getToken: () => Promise.resolve({ token, expiresOnTimestamp: Date.now() + 3_600_000 }) }
    const client = new CertificateClient(vault.url, credential, { disableChallengeResourceVerification: true })
    const before = await client.getCertificatePolicy('broker')
    await client.updateCertificatePolicy('broker', {
      ...before,
      lifetimeActions: [{ action: 'AutoRenew', lifetimePercentage: 80 }],
    })
    const creator = createKeyVaultCertificateCreator({ vaultUrl: vault.url, credential, intervalMilliseconds: 1 })

    expect(await creator.renew('broker')).toBe(true)
    expect(await creator.renew('missing')).toBe(false)

    expect(vault.publicCertificates('broker')).toHaveLength(2)
    const { lifetimeActions } = await client.getCertificatePolicy('broker')
    expect(lifetimeActions).toEqual([{ action: 'AutoRenew', lifetimePercentage: 80 }])
  })

  it('names a missing permission and the command that grants it', async () => {
    vault.setPermissions(deployer.clientId, readerPolicy)
    const { code, output } = await create('--name', 'other')
    vault.setPermissions(deployer.clientId, officerPolicy)

    expect(code).toBe(1)
    expect(output).toContain('You lack the permission "create" for certificates')
    expect(output).toContain('--certificate-permissions get list create update')
    expect((await create('--name', 'other')).code).toBe(0)
  })

  it.each([
    [['--renew-days', '20'], 'Renewal 20 days before the end'],
    [['--renew-days', 'sixty'], 'not a whole number'],
    [['--validity-months', '60'], '1 to 24 whole months'],
    [['--issuer', 'Unknown'], 'az keyvault certificate pending merge'],
    [['--key-size', '1024'], 'none of 2048, 3072, 4096'],
    [['--subject', 'broker'], 'write CN=name'],
    [['--name', 'a/b'], 'letters, digits and hyphens'],
    [['--vault', 'https://vault.example.com'], 'not a Key Vault of an Azure cloud'],
    [['--colour', 'red'], '--help'],
  ])('refuses %j before it calls the vault', async (args, sentence) => {
    vault.resetRequests()

    const { code, output } = await create(...args)

    expect(code).toBe(2)
    expect(output).toContain(sentence)
    expect(vault.requests).toEqual([])
  })
})

describe('a hook as azd starts it', () => {
  it('reads azd’s environment, signs in by azd, and ends with 0, or with 1 where the deployment must stop', async () => {
    const deployment = await startDeployment(officerPolicy)
    const variables = {
      AZURE_SUBSCRIPTION_ID: subscriptionId,
      AZURE_LOCATION: 'westeurope',
      BROKER_LOCAL_ARM: deployment.azure.arm.url,
      BROKER_LOCAL_GRAPH: deployment.azure.graph.url,
    }
    const { code, output } = await deployment.node(['infra/hooks/start.mjs', 'predeploy'], variables)
    expect(code, output).toBe(1)
    expect(output).toContain('There is no function app')
    expect(deployment.azure.arm.requests).toHaveLength(1)

    const down = await deployment.node(['infra/hooks/start.mjs', 'predown'], variables)
    expect(down.code, down.output).toBe(0)
    await deployment.close()
  }, 60_000)
})
