/**
 * The federated identity credential of the app registration, by which a token of the managed identity is a client
 * assertion: created where the file names the second credential, and reported where it is left over.
 */
import { declarations } from '../../shared/settings/declarations.ts'
import { isInOtherTenant } from './app-registration.ts'
import type { AzdEnvironment } from './azd.ts'
import { findAzureCloud } from './azure-clouds.ts'
import { causeOf } from './cloud.ts'
import { settingsOf } from './configuration-settings.ts'
import type { Configuration } from './configuration.schema.ts'
import type { HookContext } from './context.ts'
import { writeCommandFile } from './project-file.ts'

/** One of the application's, by which a repetition finds its own. */
const name = 'broker-managed-identity'

export interface TrustedIdentity {
  readonly issuer: string
  /** Object id of the identity; undefined where the file names another identity than the broker's. */
  readonly subject: string | undefined
  /** True where the app registration is in another tenant than the identity: Entra ID does not accept it then. */
  readonly isOfOtherTenant: boolean
  readonly audience: string
}

/** @returns undefined where the file names no second credential */
export function trustedIdentityOf(
  configuration: Configuration,
  environment: AzdEnvironment,
): TrustedIdentity | undefined {
  const settings = settingsOf(configuration)
  if (settings[declarations.secondSourceType.name] === undefined) return undefined
  const { loginHost, tokenExchangeUrl = '' } = findAzureCloud(environment).hosts
  const tenantId = environment.get('AZURE_TENANT_ID') ?? ''
  const isOther = settings[declarations.secondManagedIdentityClientId.name] !== undefined
  return {
    // The tenant of the subscription, which the identity belongs to.
    issuer: `https://${loginHost}/${tenantId}/v2.0`,
    subject: isOther ? undefined : environment.get('BROKER_IDENTITY_PRINCIPAL_ID'),
    isOfOtherTenant: isInOtherTenant(configuration, tenantId),
    audience: settings[declarations.tokenExchangeUrl.name] ?? tokenExchangeUrl,
  }
}

interface FederatedCredential {
  readonly name?: string
  readonly issuer?: string
  readonly subject?: string
  readonly audiences?: readonly string[]
}

/** @param application its object id, and the client id for commands */
export async function completeFederation(
  context: HookContext,
  application: { readonly objectId: string; readonly clientId: string },
  wanted: TrustedIdentity | undefined,
): Promise<void> {
  const { cloud, report } = context
  const credentials = `/applications/${application.objectId}/federatedIdentityCredentials`
  const read = await cloud.graph(credentials)
  const present = (read.status === 200 ? (read.body['value'] ?? []) : []) as readonly FederatedCredential[]
  const own = present.find((one) => one.name === name)
  if (!wanted) {
    if (!own) return
    report.row('Second credential', 'not in the file, but the app registration still trusts the identity')
    report.todo(`az ad app federated-credential delete --id ${application.clientId} --federated-credential-id ${name}`)
    return
  }
  const { issuer, subject, audience } = wanted
  if (subject === undefined) {
    report.row('Second credential', 'of an identity that the template does not create, see below')
    await printFederation(context, application.clientId, wanted)
    return
  }
  if (own?.issuer === issuer && own.subject === subject && own.audiences?.join() === audience) {
    report.row('Second credential', 'trusted, unchanged')
    return
  }
  const made = await cloud.graph(`${credentials}(name='${name}')`, {
    method: 'PATCH',
    // By its alternate key: an interrupted run and its repetition create one.
    headers: { Prefer: 'create-if-missing' },
    body: { name, issuer, subject, audiences: [audience], description: 'Second credential of the broker' },
    passing: [404],
  })
  if (made.status < 300) report.row('Second credential', own ? 'trusted, corrected' : 'trusted')
  else {
    report.row('Second credential', `the app registration was not changed (${causeOf(made)}), see below`)
    await printFederation(context, application.clientId, wanted)
  }
}

/**
 * The same by hand. The JSON is in a file, because Windows PowerShell 5.1 removes the quotation marks of an argument.
 */
export async function printFederation(
  context: Pick<HookContext, 'environment' | 'projectFolder' | 'report'>,
  clientId: string,
  { issuer, subject = '<object id of the managed identity>', isOfOtherTenant, audience }: TrustedIdentity,
): Promise<void> {
  const { report } = context
  if (isOfOtherTenant) {
    report.todo(
      `Remove ${declarations.secondSourceType.name} from the file: the app registration is in another tenant than the managed identity, and Entra ID accepts it as a credential in its own tenant only.`,
    )
    return
  }
  const credential = { name, issuer, subject, audiences: [audience] }
  const file = await writeCommandFile(context, 'federated-credential.json', credential)
  if (subject.startsWith('<')) report.todo(`Write the object id of the managed identity into ${file} as subject.`)
  report.todo(`az ad app federated-credential create --id ${clientId} --parameters "@${file}"`)
}
