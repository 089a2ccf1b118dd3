/** After each provisioning: creates the certificate where there is none, and completes the app registration. */
import { createKeyVaultCertificateCreator } from '../../tools/certificate/certificate-creator.key-vault.ts'
import { describeFailure } from '../../tools/certificate/certificate-failure.ts'
import {
  CertificateNetworkRefused,
  CertificateRefused,
  createCertificate,
  defaultPolicy,
} from '../../tools/certificate/create.ts'
import type { CreateResult } from '../../tools/certificate/create.ts'
import { checkVaultUrl, hostsOf } from '../../shared/settings/addresses.ts'
import { declarations } from '../../shared/settings/declarations.ts'
import { audienceOf, isByHand, isOtherProvider } from './app-registration.ts'
import { patienceOf } from './cloud.ts'
import { readConfigurationOf } from './configuration.ts'
import type { ConfigurationFile } from './configuration.ts'
import { settingsOf } from './configuration-settings.ts'
import type { HookContext } from './context.ts'
import { isDevelopment, namesOf } from './names.ts'
import { trustedIdentityOf } from './federated-credential.ts'
import { readParameters } from './parameters.ts'
import type { Parameters } from './parameters.ts'
import { checkSecondPass } from './passes.ts'
import { completeRegistration } from './registration-completion.ts'
import { printRoles } from './role-commands.ts'
import { HookStop, stopFor } from './stop.ts'

/** @throws {HookStop} with the remedy; finished steps stay, and a repetition continues from there */
export async function postprovision(context: HookContext): Promise<void> {
  const { environment, report } = context
  const file = await readConfigurationOf(context)
  if (file.problems.length > 0) throw stopFor(file.problems, file.name)
  const { configuration } = file
  const names = namesOf(environment, configuration)
  const { clientId, applicationObjectId, deploymentPass } = readParameters(environment)
  const vaultUrl = output(context, 'BROKER_VAULT_URL')
  // With its path, where it has one, as the broker makes its redirect URI.
  const baseUrl = new URL(output(context, 'BROKER_BASE_URL')).href.replace(/\/$/, '')
  const addedHosts = settingsOf(configuration)[declarations.additionalHosts.name]
  const refusal = checkVaultUrl(vaultUrl, new Set(addedHosts === undefined ? [] : hostsOf(addedHosts)))
  if (refusal) throw new HookStop(`BROKER_VAULT_URL ${refusal.problem}. ${refusal.fix}`)
  if (clientId === undefined) throw new HookStop('BROKER_PARAMETERS is missing. Run: azd provision')

  // First: with roles in the vault, an administrator must run them before the certificate can be made.
  if (configuration.assignRoles === false) await printRoles(context, configuration, names)
  const name = configuration.certificateName ?? 'broker'
  const { outcome, differences, newest } = await makeCertificate(context, new URL(vaultUrl).origin, name, file)
  const until = newest.expires?.toISOString().slice(0, 10) ?? 'no date'
  report.row('Certificate', `${outcome === 'created' ? 'created' : 'present'}: ${name}, valid until ${until}`)
  for (const difference of differences) report.todo(`The policy of the certificate ${name}: ${difference}.`)

  if (isOtherProvider(configuration)) {
    report.row('Client', `${clientId} at the provider of Broker__Authority: docs/providers.md has its settings`)
  } else {
    await completeRegistration(context, {
      registration: { clientId, objectId: applicationObjectId },
      isByHand: isByHand(configuration, environment.get('AZURE_TENANT_ID') ?? ''),
      vaultName: names.vault,
      certificateName: name,
      baseUrl,
      localCallback: isDevelopment(environment.get('AZURE_ENV_NAME') ?? ''),
      ...audienceOf(configuration),
      idTokens: settingsOf(configuration)[declarations.responseType.name] === 'code id_token',
      certificate: newest.der,
      trustedIdentity: trustedIdentityOf(configuration, environment),
      appRoles: configuration.appRoles ?? [],
      claims: (configuration.frontEnds ?? []).flatMap(({ claims = [] }) => claims),
      scopes: (configuration.frontEnds ?? []).flatMap(({ apis = [] }) => apis.flatMap(({ scopes }) => scopes)),
    })
  }
  // A confirmation is for one deployment.
  await environment.set('BROKER_CONFIRM_REMOVAL', '')
  report.row('Broker', baseUrl)
  if (deploymentPass === 'second') await checkSecondPass(context, names)
  else {
    report.todo('The code is not deployed yet. azd up continues with it; otherwise run azd deploy, then azd provision.')
  }
}

async function makeCertificate(
  { credential, clock, environment, report }: HookContext,
  vaultUrl: string,
  name: string,
  file: ConfigurationFile,
): Promise<CreateResult> {
  const creator = createKeyVaultCertificateCreator({ vaultUrl, credential })
  const policy = {
    ...defaultPolicy,
    keyType: file.configuration.vaultSku === 'premium' ? ('RSA-HSM' as const) : ('RSA' as const),
  }
  const until = clock.now() + patienceOf(environment)
  for (let attempt = 0; ; attempt++) {
    try {
      return await createCertificate({ creator, name, policy, change: false })
    } catch (error) {
      if (!(error instanceof CertificateRefused)) {
        if (error instanceof CertificateNetworkRefused) throw new HookStop(error.message, { cause: error })
        throw new HookStop(
          `The vault did not create the certificate ${name}: ${describeFailure(error, { vaultUrl, name })}\nRun azd provision again: it continues here.`,
          { cause: error },
        )
      }
      const remedy = remedyOf(error, name, file, readParameters(environment))
      if (remedy !== undefined) throw new HookStop(remedy, { cause: error })
      // The permission that the template has granted takes effect with a delay.
      const pause = Math.min(500 * 2 ** attempt, 30_000)
      if (clock.now() + pause > until) throw new HookStop(error.message, { cause: error })
      report.progress('Waiting for the permission on certificates in the vault')
      await clock.wait(pause)
    }
  }
}

/** @returns the sentence for a permission that the template has not granted, so that no waiting helps */
function remedyOf(
  { permission }: CertificateRefused,
  name: string,
  { name: fileName, configuration }: ConfigurationFile,
  { deploymentPass, principalId }: Parameters,
): string | undefined {
  const { assignRoles, certificateOfficerId, vaultAuthorization } = configuration
  if (vaultAuthorization === 'rbac' && assignRoles === false) {
    return `The vault denied this person the certificate ${name}. The roles in the vault are not assigned, or not in effect yet, which takes up to ten minutes. An administrator runs the commands above. Then run azd provision again: it continues here.`
  }
  if (permission === 'create' && deploymentPass === 'second' && certificateOfficerId === undefined) {
    return `The vault has no certificate ${name}, and a deployment may create one in its first pass only. Write "certificateOfficerId": "${principalId ?? '<your object id>'}" into ${fileName}, run azd provision, and remove it again.`
  }
  return undefined
}

function output({ environment }: HookContext, name: string): string {
  const value = environment.get(name)
  if (value !== undefined) return value
  throw new HookStop(`${name} is missing: the template was not deployed yet. Run: azd provision`)
}
