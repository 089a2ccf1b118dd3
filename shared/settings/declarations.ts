/**
 * Declares every setting once: name, purpose, unit, bounds, default and check. The parsed settings and their types,
 * local.settings.example.json and docs/settings.md come from here.
 */
import * as z from 'zod/mini'
import {
  checkAdditionalHosts,
  checkAssertionAudience,
  checkAuthority,
  checkBaseUrl,
  checkGraphUrl,
  checkIdentityEndpoint,
  checkInstance,
  checkMetadataUrl,
  checkTableServiceUri,
  checkVaultUrl,
  hostsOf,
} from './addresses.ts'
import type { AddedHosts } from './addresses.ts'
import { checkAnyClientId, checkTenant, checkTenantId, checkGuid } from './identifiers.ts'
import { checkTelemetryAuthentication, checkTelemetryConnection, partsOf } from './ingestion.ts'
import { clouds } from './clouds.ts'
import { managedIdentityAssertion, otherSourceTypes, secondCredential } from './names.ts'
import type { Refusal } from './settings-error.ts'
import { checkInvitations, checkTenants, listOf, parseTenants } from './tenants.ts'
import { checkDay, oneOf, parsedText, text, yesOrNo } from './texts.ts'

/** The sections of docs/settings.md, in its order. */
export const sections = [
  'Broker',
  'Identity provider',
  'Credential',
  'Store',
  'Sign-in and session',
  'Telemetry',
  'Host',
] as const

export interface Declaration<T = unknown> {
  readonly name: string
  /** The older name that Microsoft.Identity.Web has for the same setting. */
  readonly olderName?: string
  readonly section: (typeof sections)[number]
  /** Its purpose, in one or a few sentences. */
  readonly sentence: string
  readonly unit?: 'seconds'
  /** The accepted values, in words. */
  readonly bounds: string
  /** As it would be written. A setting without a default is required, unless it is `optional`. */
  readonly default?: string
  readonly optional?: true
  /** The kind of provider that the setting is for; it is refused beside the other kind. Left out: both. */
  readonly about?: 'Entra ID' | 'other providers'
  /** A fault is a warning, and the setting counts as not set: telemetry never closes the broker. */
  readonly faultWarns?: true
  /** As it is written in Azure. */
  readonly example?: string
  /** As it is written on a laptop, where every part is in `local/`. */
  readonly local?: string
  /** From the text that was set to the value that the broker uses. */
  readonly schema: z.ZodMiniType<T, string>
  /** The same for the address of an Azure service, with the hosts of Broker__AdditionalHosts. */
  readonly schemaWith?: (added: AddedHosts) => z.ZodMiniType<T, string>
}

const tenant = '11111111-1111-4111-8111-111111111111'
const api = { name: 'orders', scopes: ['api://demo/orders.read'] }
const localFrontEnds = [
  { id: 'demo', kind: 'session', origins: ['http://localhost:7175'], apis: [api] },
  {
    id: 'spa',
    kind: 'session',
    origins: ['http://localhost:3000', 'http://localhost:4200', 'http://localhost:5173'],
    apis: [api],
  },
  // On another site: 127.0.0.1, where the broker is localhost.
  {
    id: 'demo-oauth',
    kind: 'oauth',
    origins: ['http://127.0.0.1:7177'],
    redirectUris: ['http://127.0.0.1:7177/callback'],
    apis: [api],
  },
]

/** The settings that the broker reads, by their names in the code. */
export const declarations = {
  baseUrl: declare({
    name: 'Broker__BaseUrl',
    section: 'Broker',
    sentence:
      "The broker's own URL, as browsers reach it: the base of its redirect URI and the only host that it accepts. The Host header is ignored.",
    bounds: 'https, with a path where the broker shares its host; http on loopback',
    example: 'https://signin.example.com',
    local: 'http://localhost:7071',
    schema: parsedText(checkBaseUrl, (value) => new URL(value).href.replace(/\/$/, '')),
  }),
  frontEnds: declare({
    name: 'Broker__FrontEnds',
    section: 'Broker',
    sentence: 'The registered front ends.',
    bounds: 'a JSON array that matches front-ends.schema.json',
    example:
      '[{"id":"spa","origins":["https://app.example.com"],"apis":[{"name":"orders","scopes":["api://orders/orders.read"]}]}]',
    local: JSON.stringify(localFrontEnds),
    schema: z.string(),
  }),
  providers: declare({
    name: 'Broker__Providers',
    section: 'Identity provider',
    sentence:
      'Identity providers beside the primary one, which the other settings of this section describe. docs/providers.md explains how one of several is chosen.',
    bounds: 'a JSON array that matches providers.schema.json',
    optional: true,
    example:
      '[{"id":"partner","kind":"openid","name":"Partner staff","authority":"https://login.partner.example","clientId":"contoso-broker"}]',
    schema: z.string(),
  }),
  instance: declare({
    name: 'AzureAd__Instance',
    section: 'Identity provider',
    about: 'Entra ID',
    sentence: 'The login address of your Azure cloud, without the tenant.',
    bounds: 'login host of an Azure cloud; https on loopback',
    example: 'https://login.microsoftonline.com/',
    local: 'https://localhost:7171/',
    ...azureAddress(checkInstance, (value) => `${new URL(value).origin}/`),
  }),
  tenantId: declare({
    name: 'AzureAd__TenantId',
    section: 'Identity provider',
    about: 'Entra ID',
    sentence:
      'The GUID of the tenant whose people sign in. `organizations` for people of many tenants, together with Broker__Tenants; `common` where personal accounts may sign in too, together with Broker__AllowPersonalAccounts.',
    bounds: 'a GUID, `organizations` or `common`',
    example: 'f5a0b6a2-6e4f-4d0e-9a62-3c0d2b1e7c55',
    local: tenant,
    schema: parsedText(checkTenant, (value) => value.toLowerCase()),
  }),
  tenants: declare({
    name: 'Broker__Tenants',
    section: 'Identity provider',
    about: 'Entra ID',
    sentence:
      'The tenants whose people may sign in, where AzureAd__TenantId is `organizations` or `common`. A list of tenant ids; a domain behind a colon is the name that pages show for it. Or `signed-up`: the tenants that an administrator signed up at /signup, or an operator added.',
    bounds: 'tenant ids separated by commas, each with `:domain` where wanted; or `signed-up`',
    optional: true,
    example: 'f5a0b6a2-6e4f-4d0e-9a62-3c0d2b1e7c55:contoso.com,0f3c6d1e-5b7a-4c2d-8e9f-1a2b3c4d5e6f',
    schema: parsedText(checkTenants, parseTenants),
  }),
  homeTenantId: declare({
    name: 'Broker__HomeTenantId',
    section: 'Identity provider',
    about: 'Entra ID',
    sentence:
      'The tenant of the app registration, where AzureAd__TenantId is `organizations` or `common`. Entra ID issues tokens to the application itself there only; the roll of the certificate needs them.',
    bounds: 'a GUID',
    optional: true,
    example: 'f5a0b6a2-6e4f-4d0e-9a62-3c0d2b1e7c55',
    schema: parsedText(checkTenantId, (value) => value.toLowerCase()),
  }),
  allowGuests: declare({
    name: 'Broker__AllowGuests',
    section: 'Identity provider',
    about: 'Entra ID',
    sentence:
      'Whether a guest of a tenant may sign in there. Without this setting: yes where AzureAd__TenantId is one tenant, no where it is for many.',
    bounds: '`true` or `false`',
    optional: true,
    example: 'false',
    schema: yesOrNo(),
  }),
  allowPersonalAccounts: declare({
    name: 'Broker__AllowPersonalAccounts',
    section: 'Identity provider',
    about: 'Entra ID',
    sentence:
      'true where personal Microsoft accounts may sign in, beside the tenants of Broker__Tenants. Only with AzureAd__TenantId=common.',
    bounds: '`true` or `false`',
    optional: true,
    example: 'true',
    schema: yesOrNo(),
  }),
  signUpRole: declare({
    name: 'Broker__SignUpRole',
    section: 'Identity provider',
    about: 'Entra ID',
    sentence:
      'An app role of the app registration, by its value. A person with this role may sign the own organization up, beside its administrators. Only with Broker__Tenants=signed-up.',
    bounds: '1 to 120 characters without white space',
    optional: true,
    example: 'Broker.SignUp',
    schema: text((value) =>
      /^[\x21-\x7e]{1,120}$/.test(value)
        ? undefined
        : { problem: 'is not a value of an app role', fix: 'Write the value as the app registration shows it.' },
    ),
  }),
  invitations: declare({
    name: 'Broker__Invitations',
    section: 'Identity provider',
    about: 'Entra ID',
    sentence:
      'Limits sign-up to these organizations: domains and tenant ids. Without it, every organization may sign up. Only with Broker__Tenants=signed-up.',
    bounds: 'domains and tenant ids, separated by commas',
    optional: true,
    example: 'contoso.com,fabrikam.com',
    schema: parsedText(checkInvitations, listOf),
  }),
  clientId: declare({
    name: 'AzureAd__ClientId',
    section: 'Identity provider',
    sentence: "The broker's application (client) id in that tenant, or its client id at another provider.",
    bounds: 'a GUID; other text for another provider',
    example: '0c7d3f52-2a54-4b5e-8c0e-5a1f6d9be310',
    local: '22222222-2222-4222-8222-222222222222',
    // Entra ID accepts a GUID only: relations.ts checks that.
    schema: text(checkAnyClientId),
  }),
  authority: declare({
    name: 'Broker__Authority',
    section: 'Identity provider',
    about: 'other providers',
    sentence:
      'The issuer of any other OpenID provider, in place of AzureAd__Instance and AzureAd__TenantId. The broker reads its metadata from there; the metadata must name exactly the same issuer. docs/providers.md lists the settings of each provider.',
    bounds: 'https, without a query',
    optional: true,
    example: 'https://login.example.com/realms/staff',
    schema: text(checkAuthority),
  }),
  metadataUrl: declare({
    name: 'Broker__MetadataUrl',
    section: 'Identity provider',
    about: 'other providers',
    sentence:
      'The URL of the provider’s metadata, where that is not at the issuer: a custom domain of Entra External ID, or a policy of Azure AD B2C. The metadata must still name exactly the issuer in Broker__Authority. Risk: the host of this URL decides which keys sign ID tokens.',
    bounds: 'https, with the path /.well-known/openid-configuration; a query is permitted',
    optional: true,
    example: 'https://login.contoso.com/f5a0b6a2-6e4f-4d0e-9a62-3c0d2b1e7c55/v2.0/.well-known/openid-configuration',
    schema: text(checkMetadataUrl),
  }),
  providerKind: declare({
    name: 'Broker__ProviderKind',
    section: 'Identity provider',
    about: 'other providers',
    sentence:
      'The kind of the provider in Broker__Authority. Write adfs for AD FS of Windows Server 2019 or later: its client assertions, scopes, sign-out and errors differ from those of other OpenID providers.',
    bounds: '`openid` or `adfs`',
    default: 'openid',
    example: 'openid',
    schema: oneOf(['openid', 'adfs']),
  }),
  offlineAccess: declare({
    name: 'Broker__OfflineAccess',
    section: 'Identity provider',
    about: 'other providers',
    sentence:
      'Whether the broker requests the scope offline_access, for which a provider issues a refresh token. Without this setting, the broker requests it where the provider’s metadata lists it.',
    bounds: '`true` or `false`',
    optional: true,
    example: 'true',
    schema: yesOrNo(),
  }),
  applicationSigningKeys: declare({
    name: 'Broker__ApplicationSigningKeys',
    section: 'Identity provider',
    about: 'Entra ID',
    sentence:
      'true where the tenant signs the tokens of this application with keys of its own, as a claims-mapping policy requires. Metadata and keys are then read with `?appid=`.',
    bounds: '`true` or `false`',
    optional: true,
    example: 'true',
    schema: yesOrNo(),
  }),
  continuousAccess: declare({
    name: 'Broker__ContinuousAccess',
    section: 'Identity provider',
    about: 'Entra ID',
    sentence:
      'Whether the broker announces the client capability cp1 (continuous access evaluation). APIs that evaluate access continuously then receive longer access tokens, and reject them by a claims challenge as soon as a person is blocked. Write false where front ends of such APIs do not handle the challenge (docs/front-ends.md).',
    bounds: '`true` or `false`',
    default: 'true',
    schema: yesOrNo(),
  }),
  applicationObjectId: declare({
    name: 'Broker__ApplicationObjectId',
    section: 'Identity provider',
    about: 'Entra ID',
    sentence:
      "Object id of the same app registration (not of its service principal). The broker registers the certificate's next version there. Without it, an operator registers each version by hand.",
    bounds: 'a GUID',
    optional: true,
    example: '5d2f8c1e-7a3b-4e6d-9f10-2b4c6d8e0a12',
    local: '55555555-5555-4555-8555-555555555555',
    schema: parsedText(
      (value) => checkGuid(value, 'Write the Object ID, as the overview page of the app registration shows it.'),
      (value) => value.toLowerCase(),
    ),
  }),
  graphUrl: declare({
    name: 'Broker__GraphUrl',
    section: 'Identity provider',
    about: 'Entra ID',
    sentence:
      "Microsoft Graph, which registers the certificate's next version. Without this setting, Graph of the instance's cloud.",
    bounds: 'Graph of an Azure cloud; https on loopback',
    optional: true,
    example: 'https://graph.microsoft.com',
    local: 'https://localhost:7174',
    ...azureAddress(checkGraphUrl, (value) => new URL(value).origin),
  }),
  responseMode: declare({
    name: 'Broker__ResponseMode',
    section: 'Identity provider',
    sentence:
      'How the provider sends its response to /callback. form_post keeps the code out of URLs and logs. query puts the code into the URL; it is for providers that do not support form_post.',
    bounds: '`form_post` or `query`',
    default: 'form_post',
    local: 'form_post',
    schema: oneOf(['form_post', 'query']),
  }),
  responseType: declare({
    name: 'Broker__ResponseType',
    section: 'Identity provider',
    sentence:
      'The response that the provider sends to /callback. code id_token is the hybrid flow: an ID token comes with the code, is checked before the code is redeemed, and has to match the ID token of the token endpoint. It requires form_post. docs/providers.md describes when to use it.',
    bounds: '`code` or `code id_token`',
    default: 'code',
    local: 'code',
    schema: oneOf(['code', 'code id_token']),
  }),
  additionalHosts: declare({
    name: 'Broker__AdditionalHosts',
    section: 'Broker',
    sentence:
      'Hosts of Azure services that the broker does not know, such as the login host or the vault of a new cloud. Risk: the broker sends tokens of its managed identity, client assertions and session rows to these hosts, so a wrong name hands them to a stranger. Leave it out unless a setting is refused as belonging to no Azure cloud and you have verified its host.',
    bounds: 'full host names, separated by commas; no patterns, no IP addresses',
    optional: true,
    example: 'login.newcloud.example,contoso.vault.newcloud.example',
    schema: parsedText(checkAdditionalHosts, (value): AddedHosts => new Set(hostsOf(value))),
  }),
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
    schema: parsedText(
      (value) =>
        checkGuid(value, "Write the managed identity's client id, as its overview page in the portal shows it."),
      (value) => value.toLowerCase(),
    ),
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
    schema: parsedText(
      (value) =>
        checkGuid(value, "Write the managed identity's client id, as its overview page in the portal shows it."),
      (value) => value.toLowerCase(),
    ),
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
  tableServiceUri: declare({
    name: 'Broker__TableServiceUri',
    section: 'Store',
    sentence:
      'The table service that stores sessions, in the same cloud as the instance. The broker accesses it by managed identity.',
    bounds: 'table service of an Azure cloud; loopback with a path',
    example: 'https://contososignin.table.core.windows.net',
    local: 'http://127.0.0.1:10002/devstoreaccount1',
    ...azureAddress(checkTableServiceUri, (value) => new URL(value).href.replace(/\/$/, '')),
  }),
  tablePrefix: declare({
    name: 'Broker__TablePrefix',
    section: 'Store',
    sentence: "Prefix of the names of the broker's tables, so that two brokers can share an account.",
    bounds: '1 to 32 letters and digits, a letter first',
    default: 'broker',
    local: 'broker',
    schema: text((value) =>
      /^[A-Za-z][A-Za-z0-9]{0,31}$/.test(value)
        ? undefined
        : { problem: 'is not a prefix of table names', fix: 'Write 1 to 32 letters and digits, a letter first.' },
    ),
  }),
  signInSeconds: declareSeconds({
    name: 'Broker__SignInSeconds',
    sentence: 'The longest time from /login to the provider’s response.',
    default: 900,
    least: 60,
    most: 3600,
  }),
  sessionIdleSeconds: declareSeconds({
    name: 'Broker__SessionIdleSeconds',
    sentence: 'A session ends when no access token was requested during this time. Requests to /session do not count.',
    default: 3600,
    least: 300,
    most: 86_400,
  }),
  sessionAbsoluteSeconds: declareSeconds({
    name: 'Broker__SessionAbsoluteSeconds',
    sentence: 'A session ends this long after its sign-in, even while it is in use. At least the idle time.',
    default: 43_200,
    least: 600,
    most: 604_800,
  }),
  sessionCacheSeconds: declareSeconds({
    name: 'Broker__SessionCacheSeconds',
    sentence:
      'How long an instance may answer from a session row that it has already read. A sign-out at another instance takes effect up to this much later; 0 reads the row each time.',
    default: 0,
    least: 0,
    most: 60,
  }),
  telemetryConnection: declare({
    name: 'APPLICATIONINSIGHTS_CONNECTION_STRING',
    section: 'Telemetry',
    sentence:
      'The Application Insights resource that receives telemetry of host and broker. Without it, or with a fault in it, telemetry is off and everything else works.',
    bounds: '`InstrumentationKey=…;IngestionEndpoint=…`, https; with authentication in an Azure cloud or on loopback',
    optional: true,
    example:
      'InstrumentationKey=3f1b6c2e-8a4d-4c57-9b0e-d2a7f5e81c90;IngestionEndpoint=https://westeurope-5.in.applicationinsights.azure.com/',
    local: 'InstrumentationKey=66666666-6666-4666-8666-666666666666;IngestionEndpoint=https://localhost:7178/',
    faultWarns: true,
    schema: text(checkTelemetryConnection),
  }),
  telemetryAuthentication: declare({
    name: 'APPLICATIONINSIGHTS_AUTHENTICATION_STRING',
    section: 'Telemetry',
    sentence:
      'Host and broker authenticate to that resource by a managed identity. Without it they send the instrumentation key alone.',
    bounds: '`Authorization=AAD`, with `ClientId=…` for a user-assigned identity',
    optional: true,
    example: 'Authorization=AAD;ClientId=7b1f3c7e-9d39-4a3c-b0f4-2f6f2ad0c1aa',
    local: 'Authorization=AAD;ClientId=33333333-3333-4333-8333-333333333333',
    faultWarns: true,
    schema: parsedText(checkTelemetryAuthentication, (value) => ({ clientId: partsOf(value).get('clientid') })),
  }),
} as const

/** Settings of the host and of Node.js on a laptop. The broker does not read them, but a copy of the example needs them. */
export const hostDeclarations: readonly Declaration[] = [
  declare({
    name: 'FUNCTIONS_WORKER_RUNTIME',
    section: 'Host',
    sentence: 'The worker that Core Tools starts. Must not be set on Flex Consumption.',
    bounds: '`node`',
    optional: true,
    local: 'node',
    schema: z.string(),
  }),
  declare({
    name: 'AzureWebJobsStorage',
    section: 'Host',
    sentence:
      "The host's own storage; on a laptop Azurite. In Azure it must not be set: AzureWebJobsStorage__accountName, __credential and __clientId replace it.",
    bounds: 'never with a key or a signature',
    optional: true,
    local: 'UseDevelopmentStorage=true',
    schema: z.string(),
  }),
  declare({
    name: 'AzureWebJobsDisableHomepage',
    section: 'Host',
    sentence: "Serves the broker's page at `/` instead of the host's own.",
    bounds: '`true`',
    optional: true,
    local: 'true',
    schema: z.string(),
  }),
  declare({
    name: 'IDENTITY_HEADER',
    section: 'Host',
    sentence: 'Authenticates this app to the identity endpoint. Azure injects it; never set it there.',
    bounds: 'any text',
    optional: true,
    local: 'local',
    schema: z.string(),
  }),
  declare({
    name: 'NODE_EXTRA_CA_CERTS',
    section: 'Host',
    sentence:
      'The certificate authority of the local parts, created when they start. Node.js reads the file when it starts. Not for Azure.',
    bounds: 'path of a PEM file with certificates',
    optional: true,
    local: '.local/ca.pem',
    schema: z.string(),
  }),
]

/** All declarations, in the order of docs/settings.md. */
export const allDeclarations: readonly Declaration[] = [
  ...Object.values<Declaration>(declarations),
  ...hostDeclarations,
]

/** The refusal of a required setting that is not set. */
export function missing({ name, sentence, example }: Declaration): Refusal {
  return { problem: 'is missing', fix: `${sentence} For example ${name}=${example ?? ''}` }
}

/** Keeps the declaration's own type, from which the type of the parsed settings follows. */
function declare<const D extends Declaration>(declaration: D): D {
  return declaration
}

function azureAddress(
  check: (value: string, added?: AddedHosts) => Refusal | undefined,
  parse: (value: string) => string,
) {
  const schemaWith = (added?: AddedHosts) => parsedText((value) => check(value, added), parse)
  return { schema: schemaWith(), schemaWith }
}

function declareSeconds(seconds: {
  name: string
  section?: Declaration['section']
  sentence: string
  default: number
  least: number
  most: number
}) {
  const { name, section = 'Sign-in and session', sentence, least, most } = seconds
  const isWithin = (value: string) => /^\d{1,9}$/.test(value) && Number(value) >= least && Number(value) <= most
  return declare({
    name,
    sentence,
    section,
    unit: 'seconds',
    bounds: `${least} to ${most}`,
    default: String(seconds.default),
    local: String(seconds.default),
    schema: parsedText(
      (value) =>
        isWithin(value)
          ? undefined
          : {
              problem: `is not a whole number of seconds from ${least} to ${most}`,
              fix: `Write the number in digits, or delete the setting for ${seconds.default}.`,
            },
      Number,
    ),
  })
}

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
