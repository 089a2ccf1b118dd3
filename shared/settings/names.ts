/**
 * Names under the two prefixes that the broker does not read: names of Microsoft.Identity.Web, each with its own fix,
 * and misspelt names. Unknown names are refused, because an ignored setting looks like one that is in effect.
 */
import { findNearestName } from './nearest-name.ts'
import type { Refusal } from './settings-error.ts'

/** A name from configurations for Microsoft.Identity.Web. */
interface UsualName {
  readonly name: string
  /** The only accepted value, since it has no effect. */
  readonly takenAs?: string
  readonly problem: string
  readonly fix: string
}

const certificateInVault =
  'Delete it: the certificate stays in Key Vault, named by AzureAd__ClientCredentials__0__KeyVaultUrl and AzureAd__ClientCredentials__0__KeyVaultCertificateName.'

/** In the order of docs/settings.md. secrets.ts checks secrets before these names. */
export const usualNames: readonly UsualName[] = [
  { name: 'AzureAd__Domain', problem: 'is not needed', fix: 'Delete it: AzureAd__TenantId names the tenant.' },
  {
    name: 'AzureAd__CallbackPath',
    takenAs: '/callback',
    problem: 'is fixed',
    fix: 'Delete it or write /callback, and register the redirect URI with that path.',
  },
  {
    name: 'AzureAd__SignedOutCallbackPath',
    takenAs: '/logout/done',
    problem: 'is fixed',
    fix: 'Delete it or write /logout/done, and register the URI with that path.',
  },
  {
    name: 'AzureAd__RemoteSignOutPath',
    problem: 'is fixed',
    fix: 'Delete it: the identity provider reports sign-outs to a fixed path of the broker.',
  },
  {
    name: 'AzureAd__Scopes',
    problem: 'belongs to a front end',
    fix: 'Delete it, and write the scopes into an API of the front end: Broker__FrontEnds, member apis, which has name and scopes.',
  },
  {
    name: 'AzureAd__Authority',
    problem: 'combines two settings',
    fix: 'Delete it, and write AzureAd__Instance and AzureAd__TenantId, or Broker__Authority where the provider is not Entra ID.',
  },
  { name: 'AzureAd__ResponseMode', problem: 'has another name in this broker', fix: 'Write Broker__ResponseMode.' },
  { name: 'AzureAd__ResponseType', takenAs: 'code', problem: 'is fixed', fix: 'Delete it: it is always code.' },
  { name: 'AzureAd__UsePkce', takenAs: 'true', problem: 'is fixed', fix: 'Delete it: PKCE is always used.' },
  { name: 'AzureAd__SaveTokens', problem: 'is not needed', fix: 'Delete it: tokens stay in the broker, sealed.' },
  {
    name: 'AzureAd__SendX5C',
    problem: 'is not needed',
    fix: 'Delete it: the certificate is registered at the application, and the assertion names it by its thumbprint.',
  },
  {
    name: 'AzureAd__UserAssignedManagedIdentityClientId',
    problem: 'has another name in this broker',
    fix: 'Write the client id of the managed identity into AZURE_CLIENT_ID.',
  },
  {
    name: 'AzureAd__Audience',
    problem: 'is for an API',
    fix: 'Delete it: the broker is not an API.',
  },
  {
    name: 'AzureAd__Audiences',
    problem: 'is for an API',
    fix: 'Delete it: the broker is not an API.',
  },
  {
    name: 'AzureAd__ClientCapabilities',
    problem: 'is not supported',
    fix: 'Delete it: the broker passes claims challenges on to the front end.',
  },
  {
    name: 'AzureAd__EnablePiiLogging',
    takenAs: 'false',
    problem: 'would write tokens to the log',
    fix: 'Delete it: the broker has no such switch.',
  },
  {
    name: 'AzureAd__SignUpSignInPolicyId',
    problem: 'is for Azure AD B2C',
    fix: 'Delete it: the issuer of the policy goes into Broker__Authority, and its metadata into Broker__MetadataUrl.',
  },
  ...['ClientCredentials', 'ClientCertificates'].flatMap((list) => [
    {
      name: `AzureAd__${list}`,
      problem: 'is a list in one setting',
      fix: 'Write a setting for each member: AzureAd__ClientCredentials__0__SourceType and so on.',
    },
    {
      name: `AzureAd__${list}__0__CertificateDiskPath`,
      problem: 'puts a private key into a file',
      fix: certificateInVault,
    },
    ...['CertificateStorePath', 'CertificateThumbprint', 'CertificateDistinguishedName'].map((member) => ({
      name: `AzureAd__${list}__0__${member}`,
      problem: 'names a certificate store of Windows',
      fix: certificateInVault,
    })),
    {
      name: `AzureAd__${list}__0__ManagedIdentityClientId`,
      problem: 'has another name in this broker',
      fix: 'Write the client id of the managed identity into AZURE_CLIENT_ID.',
    },
  ]),
]

/** The only kind of a second credential. */
export const managedIdentityAssertion = 'SignedAssertionFromManagedIdentity'

/** Kinds of credentials that Microsoft.Identity.Web knows besides `KeyVault`: values of SourceType. */
export const otherSourceTypes: readonly (Refusal & { readonly name: string })[] = [
  {
    name: 'Base64Encoded',
    problem: 'puts a private key into a setting',
    fix: 'Import the certificate into Key Vault.',
  },
  { name: 'Path', problem: 'puts a private key into a file', fix: 'Import the certificate into Key Vault.' },
  ...['StoreWithThumbprint', 'StoreWithDistinguishedName'].map((name) => ({
    name,
    problem: 'names a certificate store of Windows, in which the process has the private key',
    fix: 'Import the certificate into Key Vault.',
  })),
  { name: 'ClientSecret', problem: 'names a client secret', fix: 'Create a certificate in Key Vault instead.' },
  {
    name: managedIdentityAssertion,
    problem: 'names the managed identity as the first credential',
    fix: 'Write it into AzureAd__ClientCredentials__1__SourceType, where it is used while the certificate cannot be.',
  },
  ...['SignedAssertionFilePath', 'SignedAssertionFromVault', 'CustomSignedAssertion'].map((name) => ({
    name,
    problem: 'names an assertion that another program creates',
    fix: 'The broker builds the assertion itself, and the vault signs it.',
  })),
  {
    name: 'AutoDecryptKeys',
    problem: 'is for encrypted tokens',
    fix: 'The broker requests none.',
  },
]

/** Refusals of whole groups of names. */
export const secondCredential: Refusal = {
  problem: 'is another credential',
  fix: 'Delete it: number 0 is the certificate, whose renewal is a new version that the broker finds by itself. Number 1 may only be SignedAssertionFromManagedIdentity, with the members SourceType, ManagedIdentityClientId and TokenExchangeUrl.',
}
export const frontEndMember: Refusal = {
  problem: 'is one member of a front end in a separate setting',
  fix: 'Write all front ends as one JSON array into Broker__FrontEnds.',
}

export const providerMember: Refusal = {
  problem: 'is one member of a provider in a separate setting',
  fix: 'Write all further providers as one JSON array into Broker__Providers.',
}

/**
 * Checks the name of a setting.
 *
 * @param written the name as it was set
 * @param value only compared with the one value that a fixed setting may have
 * @param known the names that are read
 */
export function findBadName(written: string, value: string, known: ReadonlySet<string>): Refusal | undefined {
  if (known.has(written) || !/^(azuread|broker)/i.test(written)) return undefined
  const sameLetters = [...known].find((name) => fold(name) === fold(written))
  if (sameLetters !== undefined) return { problem: findMisspelling(written, sameLetters), fix: `Write ${sameLetters}.` }

  if (!/^(azuread|broker)(__|:)/i.test(written)) return undefined // belongs to another program
  if (/^azuread(__|:)client(credentials|certificates)(__|:)0*[1-9]\d*(__|:)/i.test(written)) return secondCredential
  if (/^broker(__|:)frontends(__|:)/i.test(written)) return frontEndMember
  if (/^broker(__|:)providers(__|:)/i.test(written)) return providerMember
  const member = written.replace(/(__|:)\d+$/, '') // AzureAd__Scopes__0 is the first of AzureAd__Scopes
  const usual = usualNames.find(({ name }) => fold(name) === fold(member))
  if (usual) {
    const { name, takenAs, problem, fix } = usual
    return written === name && value === takenAs ? undefined : { problem, fix }
  }

  const nearest = findNearestName(written, known)
  return {
    problem: 'is unknown',
    fix:
      nearest === undefined
        ? 'Delete it; docs/settings.md lists the names that are read.'
        : `Did you mean ${nearest}? Otherwise delete it.`,
  }
}

/** One form for all spellings of a name. */
function fold(name: string): string {
  return name.toLowerCase().replace(/[:_]/g, '')
}

function findMisspelling(written: string, name: string): string {
  if (written.includes(':'))
    return 'is written with a colon, which environment variables do not support; __ separates levels'
  if (written.toLowerCase() === name.toLowerCase()) return 'is written in other upper or lower case'
  return 'is written with other underscores; __ separates levels'
}
