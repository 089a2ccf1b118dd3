/** Where Application Insights takes telemetry: a token of the managed identity goes there, and is for that alone. */
import { findFlaw, isLoopbackHost } from './addresses.ts'
import { findFlawOfGuid } from './identifiers.ts'
import type { Refusal } from './settings-error.ts'

/** Of the clouds, the older names among them. */
const hostSuffixes = [
  ...['azure.com', 'azure.us', 'azure.cn', 'microsoft.com', 'us'].map((end) => `.applicationinsights.${end}`),
  ...['azure.com', 'azure.us', 'azure.cn'].map((end) => `.monitor.${end}`),
  '.services.visualstudio.com',
]
const audience = /^https:\/\/monitor\.azure\.(com|us|cn)\/{0,2}(\.default)?$/

/** `Name=value;Name=value`, as Azure writes its connection strings; names in small letters. */
export function partsOf(text: string): ReadonlyMap<string, string> {
  return new Map(
    text
      .split(';')
      .filter(Boolean)
      .map((part) => {
        const at = part.indexOf('=')
        return [part.slice(0, at).trim().toLowerCase(), part.slice(at + 1).trim()] as const
      }),
  )
}

/**
 * What is wrong with a connection string beside which tokens are sent. Without tokens any https host may be reported to,
 * a proxy of one's own for example.
 *
 * @param value of APPLICATIONINSIGHTS_CONNECTION_STRING, otherwise checked
 */
export function findForeignIngestion(value: string): Refusal | undefined {
  const parts = partsOf(value)
  const suffix = parts.get('endpointsuffix')
  const location = parts.get('location')
  const endpoint =
    parts.get('ingestionendpoint') ??
    (suffix === undefined ? undefined : `https://${location === undefined ? '' : `${location}.`}dc.${suffix}`)
  const fix =
    'Copy the connection string from the overview page of the Application Insights resource, or delete APPLICATIONINSIGHTS_AUTHENTICATION_STRING.'
  if (endpoint !== undefined && !isIngestion(endpoint)) {
    return { problem: 'names an ingestion endpoint of no Azure cloud, and a token would go there', fix }
  }
  const wanted = parts.get('aadaudience')
  return wanted === undefined || audience.test(wanted)
    ? undefined
    : { problem: 'wants tokens that are for something else than Azure Monitor', fix }
}

function isIngestion(endpoint: string): boolean {
  if (findFlaw(endpoint)) return false
  const { hostname } = new URL(endpoint)
  return isLoopbackHost(hostname) || hostSuffixes.some((suffix) => hostname.endsWith(suffix))
}

export function checkTelemetryConnection(value: string): Refusal | undefined {
  const parts = partsOf(value)
  const fix = 'Copy the connection string from the overview page of the Application Insights resource.'
  if (findFlawOfGuid(parts.get('instrumentationkey') ?? '', fix)) {
    return { problem: 'has no instrumentation key', fix }
  }
  const endpoint = parts.get('ingestionendpoint')
  if (endpoint !== undefined && URL.parse(endpoint)?.protocol !== 'https:') {
    return { problem: 'names an ingestion endpoint that is not https', fix }
  }
  return undefined
}

export function checkTelemetryAuthentication(value: string): Refusal | undefined {
  const parts = partsOf(value)
  const fix = 'Write Authorization=AAD;ClientId=… with the client id of the managed identity.'
  if (parts.get('authorization')?.toUpperCase() !== 'AAD') return { problem: 'asks for no managed identity', fix }
  const clientId = parts.get('clientid')
  return clientId === undefined ? undefined : findFlawOfGuid(clientId, fix)
}
