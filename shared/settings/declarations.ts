/**
 * Declares every setting once: name, purpose, unit, bounds, default and check. The parsed settings and their types,
 * local.settings.example.json and docs/settings.md come from here. The settings of the provider and of the credential
 * are in files of their own.
 */
import * as z from 'zod/mini'
import { checkAdditionalHosts, checkBaseUrl, checkTableServiceUri, hostsOf } from './addresses.ts'
import type { AddedHosts } from './addresses.ts'
import { credentialDeclarations } from './credential-declarations.ts'
import { certificateAuthoritiesName, certificatesOf, checkCertificateAuthorities } from './certificate-authorities.ts'
import { azureAddress, declare, declareSeconds } from './declare.ts'
import type { Declaration } from './declare.ts'
import { checkTelemetryAuthentication, checkTelemetryConnection, partsOf } from './ingestion.ts'
import { providerDeclarations } from './provider-declarations.ts'
import { parsedText, pemText, text } from './texts.ts'

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
  ...providerDeclarations,
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
  certificateAuthorities: declare({
    name: certificateAuthoritiesName,
    section: 'Broker',
    sentence:
      'Private certificate authorities that the broker trusts beside the public ones: that of a provider in the company network, or of a proxy that opens TLS. Risk: their owners can read and forge everything that the broker receives.',
    bounds: 'the text of a PEM file with 1 to 16 certificates',
    optional: true,
    schema: pemText(checkCertificateAuthorities, certificatesOf),
  }),
  ...credentialDeclarations,
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

/**
 * Settings of the host and of Node.js on a laptop. The broker does not read them, but a copy of the example needs them.
 */
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
      'The certificate authority of the local parts, created when they start. Node.js reads the file when it starts, so it has no effect in Azure: write Broker__CertificateAuthorities there.',
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
