/** After each provisioning: makes the certificate where there is none, and tells the app registration of it. */
import { createKeyVaultCertificateCreator } from '../../tools/certificate/certificate-creator.key-vault.ts'
import { CertificateRefused, createCertificate, defaultPolicy } from '../../tools/certificate/create.ts'
import type { CreateResult } from '../../tools/certificate/create.ts'
import { createDeployerCredential } from '../../tools/certificate/deployer-credential.azure-identity.ts'
import { checkVaultUrl } from '../../shared/settings/addresses.ts'
import { parseFrontEnds, areProblems } from '../../shared/settings/front-ends.schema.ts'
import { wait } from '../../shared/async/deadline.ts'
import { completeRegistration } from './app-registration.ts'
import type { AzdEnvironment } from './azd.ts'
import { patienceOf } from './cloud.ts'
import type { Cloud } from './cloud.ts'
import { isDevelopment } from './names.ts'
import type { Report } from './report.ts'
import { HookStop } from './stop.ts'

/** @throws {HookStop} with what to do; what was done stays done, and a repetition goes on from there */
export async function postprovision(environment: AzdEnvironment, connect: () => Cloud, report: Report): Promise<void> {
  const vaultUrl = output(environment, 'BROKER_VAULT_URL')
  const baseUrl = output(environment, 'BROKER_BASE_URL')
  const refusal = checkVaultUrl(vaultUrl)
  if (refusal) throw new HookStop(`BROKER_VAULT_URL ${refusal.problem}. ${refusal.fix}`)

  const name = environment.get('BROKER_CERTIFICATE_NAME') ?? 'broker'
  const { outcome, differences, newest } = await makeCertificate(new URL(vaultUrl).origin, name, environment)
  const until = newest.expires?.toISOString().slice(0, 10) ?? 'no date'
  report.row('Certificate', `${outcome === 'created' ? 'made' : 'there already'}: ${name}, valid until ${until}`)
  for (const difference of differences) report.todo(`The policy of the certificate ${name}: ${difference}.`)

  const frontEnds = parseFrontEnds(environment.get('BROKER_FRONT_ENDS') ?? '[]', 'BROKER_FRONT_ENDS')
  const wanted = {
    baseUrl: new URL(baseUrl).origin,
    localCallback: isDevelopment(environment.get('AZURE_ENV_NAME') ?? ''),
    certificate: newest.der,
    scopes: areProblems(frontEnds) ? [] : frontEnds.flatMap(({ apis }) => apis.flatMap(({ scopes }) => scopes)),
  }
  await completeRegistration(connect(), environment, wanted, report)
  // A vault is brought back once: asked again, Azure would look for a deleted one.
  await environment.set('BROKER_RECOVER_VAULT', 'false')
  if (environment.get('BROKER_ASSIGN_ROLES') === 'false') tellRoles(environment, report)
  report.row('Broker', wanted.baseUrl)
}

async function makeCertificate(vaultUrl: string, name: string, environment: AzdEnvironment): Promise<CreateResult> {
  const creator = createKeyVaultCertificateCreator({ vaultUrl, credential: createDeployerCredential() })
  const policy = {
    ...defaultPolicy,
    keyType: environment.get('BROKER_VAULT_SKU') === 'premium' ? ('RSA-HSM' as const) : ('RSA' as const),
  }
  const until = Date.now() + patienceOf(Object.fromEntries(environment.entries()))
  for (let attempt = 0; ; attempt++) {
    try {
      return await createCertificate({ creator, name, policy, change: false })
    } catch (error) {
      // The permission was given a moment ago by the template, and takes its time.
      const pause = Math.min(500 * 2 ** attempt, 30_000)
      if (error instanceof CertificateRefused && Date.now() + pause <= until) {
        await wait(pause)
        continue
      }
      if (error instanceof CertificateRefused) throw new HookStop(error.message, { cause: error })
      throw new HookStop(
        `The vault ${vaultUrl} did not make the certificate ${name}. Run azd provision again: it goes on from here.`,
        {
          cause: error,
        },
      )
    }
  }
}

/** What the template would have assigned, for somebody who may. */
function tellRoles(environment: AzdEnvironment, report: Report): void {
  const subscription = environment.get('AZURE_SUBSCRIPTION_ID') ?? ''
  const group = `/subscriptions/${subscription}/resourceGroups/${environment.get('AZURE_RESOURCE_GROUP') ?? ''}/providers`
  const token = environment.get('BROKER_RESOURCE_TOKEN') ?? ''
  const identity = environment.get('BROKER_IDENTITY_PRINCIPAL_ID') ?? '<the identity of the broker>'
  const storage = `${group}/Microsoft.Storage/storageAccounts/st${token}`
  const assign = (role: string, assignee: string, scope: string) =>
    report.todo(
      `az role assignment create --role "${role}" --assignee-object-id ${assignee} --assignee-principal-type ServicePrincipal --scope ${scope}`,
    )
  const host = environment.get('BROKER_HOST_IDENTITY_PRINCIPAL_ID') ?? '<the identity of the host>'
  assign('Storage Blob Data Owner', host, storage)
  assign('Storage Blob Data Contributor', host, `${group}/Microsoft.Storage/storageAccounts/stpkg${token}`)
  assign('Storage Table Data Contributor', identity, storage)
  assign('Monitoring Metrics Publisher', identity, `${group}/Microsoft.Insights/components/appi-broker-${token}`)
  assign(
    'Storage Blob Data Contributor',
    `$(az eventgrid system-topic show --name evgt-broker-${token} --resource-group ${environment.get('AZURE_RESOURCE_GROUP') ?? ''} --query identity.principalId --output tsv)`,
    `${storage}/blobServices/default/containers/dead-letters`,
  )
}

function output(environment: AzdEnvironment, name: string): string {
  const value = environment.get(name)
  if (value !== undefined) return value
  throw new HookStop(`${name} is missing: the template was not deployed yet. Run: azd provision`)
}
