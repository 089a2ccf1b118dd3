/**
 * Names under the two prefixes that the broker does not read: the usual ones of Microsoft.Identity.Web, each with a
 * sentence of its own, and misspelt ones. Unknown names are refused, for a setting that is ignored looks like one that holds.
 */
import { findNearestName } from './nearest-name.ts'
import type { Refusal } from './settings-error.ts'

/** A name that people bring along from Microsoft.Identity.Web. */
export interface UsualName {
  readonly name: string
  /** The one value that changes nothing and is therefore taken. */
  readonly takenAs?: string
  readonly problem: string
  readonly fix: string
}

const certificateInVault =
  'Delete it: the certificate stays in Key Vault, named by AzureAd__ClientCredentials__0__KeyVaultUrl and AzureAd__ClientCredentials__0__KeyVaultCertificateName.'

/** In the order of docs/settings.md. Secrets are not here: secrets.ts looks first. */
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
    fix: 'Delete it: sign-outs elsewhere are told to a fixed path of the broker.',
  },
  {
    name: 'AzureAd__Scopes',
    problem: 'belongs to a front end',
    fix: 'Delete it, and write the scopes into an API of the front end: Broker__FrontEnds, member apis, which has name and scopes.',
  },
  {
    name: 'AzureAd__Authority',
    problem: 'says two things in one',
    fix: 'Delete it, and write AzureAd__Instance and AzureAd__TenantId, or Broker__Authority where the provider is not Entra ID.',
  },
  { name: 'AzureAd__ResponseMode', problem: 'has another name here', fix: 'Write Broker__ResponseMode.' },
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
    problem: 'has another name here',
    fix: 'Write the client id of the managed identity into AZURE_CLIENT_ID.',
  },
  {
    name: 'AzureAd__Audience',
    problem: 'is about an API',
    fix: 'Delete it: the broker signs people in and is no API.',
  },
  {
    name: 'AzureAd__Audiences',
    problem: 'is about an API',
    fix: 'Delete it: the broker signs people in and is no API.',
  },
  {
    name: 'AzureAd__ClientCapabilities',
    problem: 'is not taken',
    fix: 'Delete it: claims challenges are passed on to the front end.',
  },
  {
    name: 'AzureAd__EnablePiiLogging',
    takenAs: 'false',
    problem: 'would put what signs people in into the logs',
    fix: 'Delete it: there is no such switch here.',
  },
  {
    name: 'AzureAd__SignUpSignInPolicyId',
    problem: 'is about Azure AD B2C',
    fix: 'Delete it: the broker signs in at a tenant of Entra ID, or at the provider that Broker__Authority names.',
  },
  {
    name: 'AzureAd__ClientCredentials',
    problem: 'is a list in one setting',
    fix: 'Write a setting for each member: AzureAd__ClientCredentials__0__SourceType and so on.',
  },
  {
    name: 'AzureAd__ClientCertificates',
    problem: 'is a list in one setting',
    fix: 'Write a setting for each member: AzureAd__ClientCredentials__0__SourceType and so on.',
  },
  ...['ClientCredentials', 'ClientCertificates'].flatMap((list) => [
    {
      name: `AzureAd__${list}__0__CertificateDiskPath`,
      problem: 'puts a private key into a file',
      fix: certificateInVault,
    },
    {
      name: `AzureAd__${list}__0__CertificateStorePath`,
      problem: 'means a certificate store of Windows',
      fix: certificateInVault,
    },
    {
      name: `AzureAd__${list}__0__CertificateThumbprint`,
      problem: 'means a certificate store of Windows',
      fix: certificateInVault,
    },
    {
      name: `AzureAd__${list}__0__CertificateDistinguishedName`,
      problem: 'means a certificate store of Windows',
      fix: certificateInVault,
    },
    {
      name: `AzureAd__${list}__0__ManagedIdentityClientId`,
      problem: 'has another name here',
      fix: 'Write the client id of the managed identity into AZURE_CLIENT_ID.',
    },
  ]),
]

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
    problem: 'means a certificate store of Windows, where the process holds the private key',
    fix: 'Import the certificate into Key Vault.',
  })),
  { name: 'ClientSecret', problem: 'means a client secret', fix: 'Make a certificate in Key Vault in its place.' },
  {
    name: 'SignedAssertionFromManagedIdentity',
    problem: 'means the managed identity as the credential',
    fix: 'Here a certificate is the credential; the managed identity, named in AZURE_CLIENT_ID, only reaches the vault.',
  },
  ...['SignedAssertionFilePath', 'SignedAssertionFromVault', 'CustomSignedAssertion'].map((name) => ({
    name,
    problem: 'means an assertion that something else makes',
    fix: 'Here the broker makes it and the vault signs it.',
  })),
  {
    name: 'AutoDecryptKeys',
    problem: 'is about encrypted tokens',
    fix: 'The broker asks for none.',
  },
]

/** What is said of whole groups of names. */
export const secondCredential: Refusal = {
  problem: 'is a second credential',
  fix: 'Delete it: a renewal is a new version of the one certificate, which the broker finds by itself, so one credential (number 0) is enough.',
}
export const frontEndMember: Refusal = {
  problem: 'is a member of a front end in a setting of its own',
  fix: 'Write all front ends as one JSON array into Broker__FrontEnds.',
}

/**
 * What is wrong with a name, if anything is.
 *
 * @param written the name as it was set
 * @param value only compared with the one value that a fixed setting may have
 * @param known the names that are read
 */
export function findBadName(written: string, value: string, known: ReadonlySet<string>): Refusal | undefined {
  if (known.has(written) || !/^(azuread|broker)/i.test(written)) return undefined
  const sameLetters = [...known].find((name) => fold(name) === fold(written))
  if (sameLetters !== undefined) return { problem: findMisspelling(written, sameLetters), fix: `Write ${sameLetters}.` }

  if (!/^(azuread|broker)(__|:)/i.test(written)) return undefined // somebody else's
  if (/^azuread(__|:)client(credentials|certificates)(__|:)0*[1-9]\d*(__|:)/i.test(written)) return secondCredential
  if (/^broker(__|:)frontends(__|:)/i.test(written)) return frontEndMember
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

/** One form for all the ways of writing a name. */
function fold(name: string): string {
  return name.toLowerCase().replace(/[:_]/g, '')
}

function findMisspelling(written: string, name: string): string {
  if (written.includes(':'))
    return 'is written with a colon, which environment variables do not take; levels are parted by __'
  if (written.toLowerCase() === name.toLowerCase()) return 'is written with other capital and small letters'
  return 'is written with other underscores; levels are parted by __'
}
