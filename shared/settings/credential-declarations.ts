/**
 * The settings of the credential: the certificate, the second credential,
 * the key ring and the identity that opens the vault.
 */
import { checkAssertionAudience, checkIdentityEndpoint, checkVaultUrl } from './addresses.ts'
import { assertionTypes } from './assertion-types.ts'
import { clouds } from './clouds.ts'
import { azureAddress, declare, declareSeconds } from './declare.ts'
import { managedIdentityAssertion, otherSourceTypes, secondCredential } from './names.ts'
import type { Refusal } from './settings-error.ts'
import { checkDay, guid, oneOf, parsedText, text, yesOrNo } from './texts.ts'

const fixOfIdentity = "Write the managed identity's client id, as its overview page in the portal shows it."

export const credentialDeclarations = {
  sourceType: declare({
    name: 'AzureAd__ClientCredentials__0__SourceType',
    olderName: 'AzureAd__ClientCertificates__0__SourceType',
    section: 'Credential',
    sentence: 'The kind of credential. Key Vault signs; the private key never leaves it.',
    bounds: '`KeyVault`',
    example: 'KeyVault',
    local: 'KeyVault',
    schema: text(checkSourceType),
  }),
  vaultUrl: declare({
    name: 'AzureAd__ClientCredentials__0__KeyVaultUrl',
    olderName: 'AzureAd__ClientCertificates__0__KeyVaultUrl',
    section: 'Credential',
    sentence: 'The vault that stores the certificate and the wrapping key, in the same cloud as the instance.',
    bounds: 'a Key Vault of an Azure cloud; https on loopback',
    example: 'https://contoso-signin.vault.azure.net',
    local: 'https://localhost:7172',
    ...azureAddress(checkVaultUrl, (value) => new URL(value).origin),
  }),
  certificateName: declare({
    name: 'AzureAd__ClientCredentials__0__KeyVaultCertificateName',
    olderName: 'AzureAd__ClientCertificates__0__KeyVaultCertificateName',
    section: 'Credential',
    sentence: "The certificate's name in that vault, without a version. Its newest valid version signs.",
    bounds: '1 to 127 letters, digits, hyphens',
    example: 'broker',
    local: 'broker',
    schema: vaultObjectName(),
  }),
  secondSourceType: declare({
    name: 'AzureAd__ClientCredentials__1__SourceType',
    section: 'Credential',
    about: 'Entra ID',
    sentence:
      'A second credential, which is used while the vault fails or the provider refuses the certificate: a token of a managed identity that the app registration trusts (federated identity credential). Off without this setting. Risk: a process that can use the identity can authenticate as the application without the vault. docs/certificate.md explains it.',
    bounds: '`SignedAssertionFromManagedIdentity`',
    optional: true,
    example: 'SignedAssertionFromManagedIdentity',
    schema: text(checkSecondSourceType),
  }),
  secondManagedIdentityClientId: declare({
    name: 'AzureAd__ClientCredentials__1__ManagedIdentityClientId',
    section: 'Credential',
    about: 'Entra ID',
    sentence:
      'Client id of the user-assigned managed identity whose token is the second credential. Without it, the identity that AZURE_CLIENT_ID names.',
    bounds: 'a GUID',
    optional: true,
    example: '7b1f3c7e-9d39-4a3c-b0f4-2f6f2ad0c1aa',
    schema: guid(fixOfIdentity),
  }),
  tokenExchangeUrl: declare({
    name: 'AzureAd__ClientCredentials__1__TokenExchangeUrl',
    section: 'Credential',
    about: 'Entra ID',
    sentence:
      "The audience of that token, as the federated identity credential names it. Without this setting, the one of the instance's cloud, where the broker knows it.",
    bounds: '`api://AzureADTokenExchange`, or the name of your cloud',
    optional: true,
    example: 'api://AzureADTokenExchange',
    schema: text(checkTokenExchangeUrl),
  }),
  wrappingKeyName: declare({
    name: 'Broker__WrappingKeyName',
    section: 'Credential',
    sentence: 'The key in the same vault that wraps the key ring. The key ring seals sessions.',
    bounds: '1 to 127 letters, digits, hyphens',
    default: 'broker-key-ring',
    local: 'broker-key-ring',
    schema: vaultObjectName(),
  }),
  acceptUnsignedUntil: declare({
    name: 'Broker__AcceptUnsignedRowsUntil',
    section: 'Credential',
    sentence:
      'The end of the upgrade from a release that did not authenticate the rows of the key ring and of the certificate. Until this day (UTC) such rows are accepted once; after it they count as lost. A day in the past accepts none.',
    bounds: 'a day as YYYY-MM-DD',
    default: '2027-03-01',
    local: '2027-03-01',
    schema: parsedText(checkDay, (value) => Date.parse(value)),
  }),
  assertionAudience: declare({
    name: 'Broker__AssertionAudience',
    section: 'Credential',
    about: 'other providers',
    sentence:
      'The audience of client assertions. Without this setting it is the issuer; some providers require their token endpoint.',
    bounds: 'https, without a query',
    optional: true,
    example: 'https://login.example.com/oauth2/token',
    schema: text(checkAssertionAudience),
  }),
  assertionAlgorithm: declare({
    name: 'Broker__AssertionAlgorithm',
    section: 'Credential',
    about: 'other providers',
    sentence:
      'The algorithm with which the vault signs client assertions. Without this setting it is PS256, or RS256 where the provider’s metadata lists only that.',
    bounds: '`PS256` or `RS256`',
    optional: true,
    example: 'RS256',
    schema: oneOf(['PS256', 'RS256']),
  }),
  assertionKeyId: declare({
    name: 'Broker__AssertionKeyId',
    section: 'Credential',
    about: 'other providers',
    sentence:
      'Whether a client assertion names its key by `kid`, as /.well-known/jwks.json does. Write false for a provider at which the certificate was uploaded and which named the key itself.',
    bounds: '`true` or `false`',
    default: 'true',
    example: 'true',
    schema: yesOrNo(),
  }),
  assertionType: declare({
    name: 'Broker__AssertionType',
    section: 'Credential',
    about: 'other providers',
    sentence:
      'The type in the header of a client assertion (`typ`). client-authentication+jwt is the type that the revision of RFC 7523 names, for a provider that accepts no other one, such as OpenIddict 7. Other providers refuse that type.',
    bounds: '`JWT` or `client-authentication+jwt`',
    default: 'JWT',
    example: 'JWT',
    schema: oneOf(assertionTypes),
  }),
  assertionReuse: declare({
    name: 'Broker__AssertionReuse',
    section: 'Credential',
    sentence:
      'Whether a client assertion is sent again while it is valid. Entra ID accepts a repeated `jti`, so the default there is true. The default for other providers is false: each request gets a new assertion, which costs one signature in the vault.',
    bounds: '`true` or `false`',
    optional: true,
    example: 'true',
    schema: yesOrNo(),
  }),
  certificateReadSeconds: declareSeconds({
    name: 'Broker__CertificateReadSeconds',
    section: 'Credential',
    sentence:
      'How long an instance signs before it reads again which certificate version signs. A version that is disabled in the vault is no longer used after at most this time plus five minutes, the interval of the timer that reads the vault.',
    default: 300,
    least: 1,
    most: 3600,
  }),
  certificateOverlapSeconds: declareSeconds({
    name: 'Broker__CertificateOverlapSeconds',
    section: 'Credential',
    sentence:
      'How long a replaced version of the certificate stays registered at the identity provider. At least twice the time above; otherwise an instance could still sign with a version that is no longer registered.',
    default: 86_400,
    least: 2,
    most: 2_592_000,
  }),
  managedIdentityClientId: declare({
    name: 'AZURE_CLIENT_ID',
    section: 'Credential',
    sentence:
      'Client id of the user-assigned managed identity that accesses vault and store. Without it, the broker uses the system-assigned identity in Azure.',
    bounds: 'a GUID',
    optional: true,
    example: '7b1f3c7e-9d39-4a3c-b0f4-2f6f2ad0c1aa',
    local: '33333333-3333-4333-8333-333333333333',
    schema: guid(fixOfIdentity),
  }),
  identityEndpoint: declare({
    name: 'IDENTITY_ENDPOINT',
    section: 'Credential',
    sentence:
      'The endpoint that issues managed identity tokens. Azure injects it; never set it there. On a laptop it is the local emulator.',
    bounds: 'http on loopback or link-local',
    optional: true,
    local: 'http://127.0.0.1:7173/msi/token',
    schema: text(checkIdentityEndpoint),
  }),
} as const

function vaultObjectName() {
  return text((value) =>
    /^[0-9A-Za-z-]{1,127}$/.test(value)
      ? undefined
      : {
          problem: 'is not a name of a Key Vault object',
          fix: 'Write the name alone, without URL or version: 1 to 127 letters, digits and hyphens.',
        },
  )
}

/** Any other audience would make the identity's token for another service a credential that is sent to the provider. */
function checkTokenExchangeUrl(value: string): Refusal | undefined {
  if (/^api:\/\/AzureADTokenExchange[A-Za-z]{0,20}$/.test(value)) return undefined
  const known = clouds.flatMap(({ tokenExchangeUrl }) => tokenExchangeUrl ?? []).join(', ')
  return {
    problem: 'is not the audience of a token exchange',
    fix: `Delete it, or write the audience for your cloud (${known}).`,
  }
}

function checkSecondSourceType(value: string): Refusal | undefined {
  if (value === managedIdentityAssertion) return undefined
  if (value.toLowerCase() === managedIdentityAssertion.toLowerCase()) {
    return {
      problem: `is ${managedIdentityAssertion} in other upper or lower case`,
      fix: `Write ${managedIdentityAssertion}.`,
    }
  }
  if (value.toLowerCase() === 'keyvault') return secondCredential
  const { problem } = otherSourceTypes.find(({ name }) => name.toLowerCase() === value.toLowerCase()) ?? {
    problem: 'is unknown',
  }
  return { problem, fix: secondCredential.fix }
}

function checkSourceType(value: string): Refusal | undefined {
  if (value === 'KeyVault') return undefined
  if (value.toLowerCase() === 'keyvault') {
    return { problem: 'is KeyVault in other upper or lower case', fix: 'Write KeyVault.' }
  }
  const { problem, fix } = otherSourceTypes.find(({ name }) => name.toLowerCase() === value.toLowerCase()) ?? {
    problem: 'is unknown',
    fix: '',
  }
  const write = 'Write KeyVault, and the vault and the certificate in KeyVaultUrl and KeyVaultCertificateName.'
  return { problem, fix: `${fix} ${write}`.trimStart() }
}
