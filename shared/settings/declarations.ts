/**
 * Every setting, declared once: its name, what it is for, unit, bounds, default, and the check. From here come the parsed
 * settings, local.settings.example.json and docs/settings.md.
 */
import * as z from 'zod/mini'
import {
  checkAssertionAudience,
  checkAuthority,
  checkBaseUrl,
  checkGraphUrl,
  checkIdentityEndpoint,
  checkInstance,
  checkTableServiceUri,
  checkVaultUrl,
} from './addresses.ts'
import { checkAnyClientId, checkTenantId, findFlawOfGuid } from './identifiers.ts'
import { checkTelemetryAuthentication, checkTelemetryConnection, partsOf } from './ingestion.ts'
import { otherSourceTypes } from './names.ts'
import type { Refusal } from './settings-error.ts'
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
  /** The older name that Microsoft.Identity.Web gave the same setting. */
  readonly olderName?: string
  readonly section: (typeof sections)[number]
  /** What it is for, in one or a few sentences. */
  readonly sentence: string
  readonly unit?: 'seconds'
  /** What it may be, in words. */
  readonly bounds: string
  /** As it would be written. Without one the setting is required, unless it says `optional`. */
  readonly default?: string
  readonly optional?: true
  /** The kind of provider that it is about; refused beside another. Both where left out. */
  readonly about?: 'Entra ID' | 'other providers'
  /** As it is written in Azure. */
  readonly example?: string
  /** As it is written on a laptop, where everything is in `local/`. */
  readonly local?: string
  /** From the text that was set to the value the broker uses. */
  readonly schema: z.ZodMiniType<T, string>
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

/** What the broker reads, by what it is called inside. */
export const declarations = {
  baseUrl: declare({
    name: 'Broker__BaseUrl',
    section: 'Broker',
    sentence:
      "The broker's own address, as browsers reach it: base of its redirect URI, and the only host that counts, whatever a Host header says.",
    bounds: 'https, with a path where the broker shares its host; http on loopback',
    example: 'https://signin.example.com',
    local: 'http://localhost:7071',
    schema: parsedText(checkBaseUrl, (value) => new URL(value).href.replace(/\/$/, '')),
  }),
  frontEnds: declare({
    name: 'Broker__FrontEnds',
    section: 'Broker',
    sentence: 'The front ends that may send people here to sign in.',
    bounds: 'one JSON array by front-ends.schema.json',
    example:
      '[{"id":"spa","origins":["https://app.example.com"],"apis":[{"name":"orders","scopes":["api://orders/orders.read"]}]}]',
    local: JSON.stringify(localFrontEnds),
    schema: z.string(),
  }),
  instance: declare({
    name: 'AzureAd__Instance',
    section: 'Identity provider',
    about: 'Entra ID',
    sentence: 'Where the identity provider is: the login address of your Azure cloud, without the tenant.',
    bounds: 'login host of an Azure cloud; https on loopback',
    example: 'https://login.microsoftonline.com/',
    local: 'https://localhost:7171/',
    schema: parsedText(checkInstance, (value) => `${new URL(value).origin}/`),
  }),
  tenantId: declare({
    name: 'AzureAd__TenantId',
    section: 'Identity provider',
    about: 'Entra ID',
    sentence: 'The one tenant whose people sign in, by its GUID.',
    bounds: 'a GUID',
    example: 'f5a0b6a2-6e4f-4d0e-9a62-3c0d2b1e7c55',
    local: tenant,
    schema: parsedText(checkTenantId, (value) => value.toLowerCase()),
  }),
  clientId: declare({
    name: 'AzureAd__ClientId',
    section: 'Identity provider',
    sentence: "The broker's application (client) id in that tenant, or its client id at another provider.",
    bounds: 'a GUID; other text for another provider',
    example: '0c7d3f52-2a54-4b5e-8c0e-5a1f6d9be310',
    local: '22222222-2222-4222-8222-222222222222',
    // What it may be depends on the provider: settings.ts looks again.
    schema: text(checkAnyClientId),
  }),
  authority: declare({
    name: 'Broker__Authority',
    section: 'Identity provider',
    about: 'other providers',
    sentence:
      'The issuer of any other OpenID provider, in place of AzureAd__Instance and AzureAd__TenantId. Its metadata is read from there, and must name the same issuer, to the last slash. docs/providers.md has the settings of each.',
    bounds: 'https, without a query',
    optional: true,
    example: 'https://login.example.com/realms/staff',
    schema: text(checkAuthority),
  }),
  offlineAccess: declare({
    name: 'Broker__OfflineAccess',
    section: 'Identity provider',
    about: 'other providers',
    sentence:
      'Whether the scope offline_access is asked for, by which a provider gives a refresh token. Where it is left out, when the provider’s metadata lists it.',
    bounds: '`true` or `false`',
    optional: true,
    example: 'true',
    schema: yesOrNo(),
  }),
  applicationObjectId: declare({
    name: 'Broker__ApplicationObjectId',
    section: 'Identity provider',
    about: 'Entra ID',
    sentence:
      "Object id of the same app registration (not of its service principal), for registering the certificate's next version there. Without it, somebody has to register each version by hand.",
    bounds: 'a GUID',
    optional: true,
    example: '5d2f8c1e-7a3b-4e6d-9f10-2b4c6d8e0a12',
    local: '55555555-5555-4555-8555-555555555555',
    schema: parsedText(
      (value) => findFlawOfGuid(value, 'Write the Object ID, as the overview page of the app registration shows it.'),
      (value) => value.toLowerCase(),
    ),
  }),
  graphUrl: declare({
    name: 'Broker__GraphUrl',
    section: 'Identity provider',
    about: 'Entra ID',
    sentence:
      "Microsoft Graph, where the certificate's next version is registered. The one of the instance's cloud where it is left out.",
    bounds: 'Graph of an Azure cloud; https on loopback',
    optional: true,
    example: 'https://graph.microsoft.com',
    local: 'https://localhost:7174',
    schema: parsedText(checkGraphUrl, (value) => new URL(value).origin),
  }),
  responseMode: declare({
    name: 'Broker__ResponseMode',
    section: 'Identity provider',
    sentence:
      'How the provider sends its answer to /callback. form_post keeps the code out of URLs and logs; query puts it there, and is for providers that have nothing else.',
    bounds: '`form_post` or `query`',
    default: 'form_post',
    local: 'form_post',
    schema: oneOf(['form_post', 'query']),
  }),
  sourceType: declare({
    name: 'AzureAd__ClientCredentials__0__SourceType',
    olderName: 'AzureAd__ClientCertificates__0__SourceType',
    section: 'Credential',
    sentence: 'Where the credential is. Key Vault signs; the private key never leaves it.',
    bounds: '`KeyVault`',
    example: 'KeyVault',
    local: 'KeyVault',
    schema: text(checkSourceType),
  }),
  vaultUrl: declare({
    name: 'AzureAd__ClientCredentials__0__KeyVaultUrl',
    olderName: 'AzureAd__ClientCertificates__0__KeyVaultUrl',
    section: 'Credential',
    sentence: 'The vault that holds the certificate and the wrapping key, of the same cloud as the instance.',
    bounds: 'a Key Vault of an Azure cloud; https on loopback',
    example: 'https://contoso-signin.vault.azure.net',
    local: 'https://localhost:7172',
    schema: parsedText(checkVaultUrl, (value) => new URL(value).origin),
  }),
  certificateName: declare({
    name: 'AzureAd__ClientCredentials__0__KeyVaultCertificateName',
    olderName: 'AzureAd__ClientCertificates__0__KeyVaultCertificateName',
    section: 'Credential',
    sentence: "The certificate's name in that vault, without a version: its newest good version signs.",
    bounds: '1 to 127 letters, digits, hyphens',
    example: 'broker',
    local: 'broker',
    schema: vaultObjectName(),
  }),
  wrappingKeyName: declare({
    name: 'Broker__WrappingKeyName',
    section: 'Credential',
    sentence: 'The key in the same vault that wraps the key ring, which seals sessions.',
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
      'Whom a client assertion is for: the issuer, where it is left out. For a provider that wants its token endpoint named instead.',
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
      'How the vault signs a client assertion. Where it is left out, PS256, and RS256 where the provider’s metadata lists that alone.',
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
      'Whether a client assertion names its key by `kid`, as /.well-known/jwks.json does. false for a provider that was given the certificate and named its key itself.',
    bounds: '`true` or `false`',
    default: 'true',
    example: 'true',
    schema: yesOrNo(),
  }),
  assertionReuse: declare({
    name: 'Broker__AssertionReuse',
    section: 'Credential',
    sentence:
      'Whether a client assertion is sent again while it is fresh. Entra ID takes a repeated `jti`, so that it is true there where it is left out. With another provider it is false: a new one for each request, at the price of a signature in the vault each time.',
    bounds: '`true` or `false`',
    optional: true,
    example: 'true',
    schema: yesOrNo(),
  }),
  certificateReadSeconds: declareSeconds({
    name: 'Broker__CertificateReadSeconds',
    section: 'Credential',
    sentence:
      'How long an instance may sign without looking which version of the certificate should. A version that is disabled in the vault stops being used within this and the five minutes of the timer that reads the vault.',
    default: 300,
    least: 1,
    most: 3600,
  }),
  certificateOverlapSeconds: declareSeconds({
    name: 'Broker__CertificateOverlapSeconds',
    section: 'Credential',
    sentence:
      'How long a replaced version of the certificate stays registered at the identity provider. Not shorter than twice the time above, or an instance could still sign with it.',
    default: 86_400,
    least: 2,
    most: 2_592_000,
  }),
  managedIdentityClientId: declare({
    name: 'AZURE_CLIENT_ID',
    section: 'Credential',
    sentence:
      'Client id of the user-assigned managed identity that reaches vault and store. Without it, the system-assigned one in Azure.',
    bounds: 'a GUID',
    optional: true,
    example: '7b1f3c7e-9d39-4a3c-b0f4-2f6f2ad0c1aa',
    local: '33333333-3333-4333-8333-333333333333',
    schema: parsedText(
      (value) =>
        findFlawOfGuid(value, "Write the managed identity's client id, as its overview page in the portal shows it."),
      (value) => value.toLowerCase(),
    ),
  }),
  identityEndpoint: declare({
    name: 'IDENTITY_ENDPOINT',
    section: 'Credential',
    sentence: 'Where managed identity tokens come from. Injected by Azure, never set there; on a laptop the local one.',
    bounds: 'http on loopback or link-local',
    optional: true,
    local: 'http://127.0.0.1:7173/msi/token',
    schema: text(checkIdentityEndpoint),
  }),
  tableServiceUri: declare({
    name: 'Broker__TableServiceUri',
    section: 'Store',
    sentence: 'The table service that keeps sessions, reached by identity, of the same cloud as the instance.',
    bounds: 'table service of an Azure cloud; loopback with a path',
    example: 'https://contososignin.table.core.windows.net',
    local: 'http://127.0.0.1:10002/devstoreaccount1',
    schema: parsedText(checkTableServiceUri, (value) => new URL(value).href.replace(/\/$/, '')),
  }),
  tablePrefix: declare({
    name: 'Broker__TablePrefix',
    section: 'Store',
    sentence: "What the names of the broker's tables begin with, so that two brokers can share an account.",
    bounds: '1 to 32 letters and digits, a letter first',
    default: 'broker',
    local: 'broker',
    schema: text((value) =>
      /^[A-Za-z][A-Za-z0-9]{0,31}$/.test(value)
        ? undefined
        : { problem: 'is no beginning of a table name', fix: 'Write 1 to 32 letters and digits, a letter first.' },
    ),
  }),
  signInSeconds: declareSeconds({
    name: 'Broker__SignInSeconds',
    sentence: 'How long a person may take from /login until the provider sends them back.',
    default: 900,
    least: 60,
    most: 3600,
  }),
  sessionIdleSeconds: declareSeconds({
    name: 'Broker__SessionIdleSeconds',
    sentence: 'A session ends when no access token was asked for during this time. Reading /session does not count.',
    default: 3600,
    least: 300,
    most: 86_400,
  }),
  sessionAbsoluteSeconds: declareSeconds({
    name: 'Broker__SessionAbsoluteSeconds',
    sentence: 'A session ends this long after its sign-in, whatever happens in it. Not shorter than the idle time.',
    default: 43_200,
    least: 600,
    most: 604_800,
  }),
  sessionCacheSeconds: declareSeconds({
    name: 'Broker__SessionCacheSeconds',
    sentence:
      'How long an instance may answer from a session row that it has already read. A sign-out elsewhere takes effect up to this much later; 0 reads the row each time.',
    default: 0,
    least: 0,
    most: 60,
  }),
  telemetryConnection: declare({
    name: 'APPLICATIONINSIGHTS_CONNECTION_STRING',
    section: 'Telemetry',
    sentence:
      'The Application Insights resource that the host and the broker report to. Without it nothing is reported, and nothing else changes.',
    bounds: '`InstrumentationKey=…;IngestionEndpoint=…`, https; of an Azure cloud or loopback where tokens are sent',
    optional: true,
    example:
      'InstrumentationKey=3f1b6c2e-8a4d-4c57-9b0e-d2a7f5e81c90;IngestionEndpoint=https://westeurope-5.in.applicationinsights.azure.com/',
    local: 'InstrumentationKey=66666666-6666-4666-8666-666666666666;IngestionEndpoint=https://localhost:7178/',
    schema: text(checkTelemetryConnection),
  }),
  telemetryAuthentication: declare({
    name: 'APPLICATIONINSIGHTS_AUTHENTICATION_STRING',
    section: 'Telemetry',
    sentence:
      'How the host and the broker prove to that resource who they are: by a managed identity. Without it, by the instrumentation key alone.',
    bounds: '`Authorization=AAD`, with `ClientId=…` for a user-assigned identity',
    optional: true,
    example: 'Authorization=AAD;ClientId=7b1f3c7e-9d39-4a3c-b0f4-2f6f2ad0c1aa',
    local: 'Authorization=AAD;ClientId=33333333-3333-4333-8333-333333333333',
    schema: parsedText(checkTelemetryAuthentication, (value) => ({ clientId: partsOf(value).get('clientid') })),
  }),
} as const

/** What the host and Node read on a laptop. The broker doesn't, but a copy of the example must have them. */
export const hostDeclarations: readonly Declaration[] = [
  declare({
    name: 'FUNCTIONS_WORKER_RUNTIME',
    section: 'Host',
    sentence: 'Tells Core Tools which worker to start. Must not be set on Flex Consumption.',
    bounds: '`node`',
    optional: true,
    local: 'node',
    schema: z.string(),
  }),
  declare({
    name: 'AzureWebJobsStorage',
    section: 'Host',
    sentence:
      "The host's own storage, on a laptop Azurite. In Azure it must not be set: AzureWebJobsStorage__accountName, __credential and __clientId take its place.",
    bounds: 'never with a key or a signature in it',
    optional: true,
    local: 'UseDevelopmentStorage=true',
    schema: z.string(),
  }),
  declare({
    name: 'AzureWebJobsDisableHomepage',
    section: 'Host',
    sentence: "Leaves `/` to the broker instead of the host's own page.",
    bounds: '`true`',
    optional: true,
    local: 'true',
    schema: z.string(),
  }),
  declare({
    name: 'IDENTITY_HEADER',
    section: 'Host',
    sentence: 'Proves to the identity endpoint that the caller is this app. Injected by Azure, never set there.',
    bounds: 'any text',
    optional: true,
    local: 'local',
    schema: z.string(),
  }),
  declare({
    name: 'NODE_EXTRA_CA_CERTS',
    section: 'Host',
    sentence:
      'The certificate authority of the local parts, made at their start. Node reads it at its own start; not for Azure.',
    bounds: 'path of a PEM file with certificates',
    optional: true,
    local: '.local/ca.pem',
    schema: z.string(),
  }),
]

/** All of them, in the order of the page. */
export const allDeclarations: readonly Declaration[] = [
  ...Object.values<Declaration>(declarations),
  ...hostDeclarations,
]

/** What to do about a required setting that isn't there. */
export function missing({ name, sentence, example }: Declaration): Refusal {
  return { problem: 'is missing', fix: `${sentence} For example ${name}=${example ?? ''}` }
}

function declare<T>(declaration: Declaration<T>): Declaration<T> {
  return declaration
}

function declareSeconds(seconds: {
  name: string
  section?: Declaration['section']
  sentence: string
  default: number
  least: number
  most: number
}): Declaration<number> {
  const { name, section = 'Sign-in and session', sentence, least, most } = seconds
  const isWithin = (value: string) => /^\d{1,9}$/.test(value) && Number(value) >= least && Number(value) <= most
  return {
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
              fix: `Write one in digits, or remove it for ${seconds.default}.`,
            },
      Number,
    ),
  }
}

function vaultObjectName() {
  return text((value) =>
    /^[0-9A-Za-z-]{1,127}$/.test(value)
      ? undefined
      : {
          problem: 'is no name in a Key Vault',
          fix: 'Write the name alone, without URL or version: 1 to 127 letters, digits and hyphens.',
        },
  )
}

function checkSourceType(value: string): Refusal | undefined {
  if (value === 'KeyVault') return undefined
  if (value.toLowerCase() === 'keyvault') {
    return { problem: 'is KeyVault in other capital and small letters', fix: 'Write KeyVault.' }
  }
  const { problem, fix } = otherSourceTypes.find(({ name }) => name.toLowerCase() === value.toLowerCase()) ?? {
    problem: 'is unknown',
    fix: '',
  }
  const write = 'Write KeyVault, and name vault and certificate in KeyVaultUrl and KeyVaultCertificateName beside it.'
  return { problem, fix: `${fix} ${write}`.trimStart() }
}
