/** Checks of the Application Insights settings: tokens of the managed identity are sent to the ingestion endpoint. */
import { isLoopbackHost, urlProblem } from './addresses.ts'
import type { AddedHosts } from './addresses.ts'
import { checkGuid } from './identifiers.ts'
import type { Refusal } from './settings-error.ts'

/** Suffixes of ingestion endpoints in the clouds, older names included. */
const hostSuffixes = [
  ...['azure.com', 'azure.us', 'azure.cn', 'microsoft.com', 'us'].map((end) => `.applicationinsights.${end}`),
  ...['azure.com', 'azure.us', 'azure.cn'].map((end) => `.monitor.${end}`),
  '.services.visualstudio.com',
]
const audience = /^https:\/\/monitor\.azure\.(com|us|cn)\/{0,2}(\.default)?$/

const off = 'Until then telemetry is off.'

/** Splits `Name=value;Name=value`, the form of Azure's connection strings; returns names in lower case. */
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
 * Checks a connection string beside which tokens are sent. Without tokens any https host is accepted, such as a proxy
 * of the operator.
 *
 * @param value of APPLICATIONINSIGHTS_CONNECTION_STRING, otherwise checked
 */
export function findForeignIngestion(value: string, added: AddedHosts = new Set()): Refusal | undefined {
  const parts = partsOf(value)
  const suffix = parts.get('endpointsuffix')
  const location = parts.get('location')
  const endpoint =
    parts.get('ingestionendpoint') ??
    (suffix === undefined ? undefined : `https://${location === undefined ? '' : `${location}.`}dc.${suffix}`)
  const fix =
    'Copy the connection string from the overview page of the Application Insights resource, or delete APPLICATIONINSIGHTS_AUTHENTICATION_STRING. Until then telemetry is off.'
  if (endpoint !== undefined && !isIngestion(endpoint, added)) {
    return { problem: 'names an ingestion endpoint outside Azure’s clouds, which would receive a token', fix }
  }
  const wanted = parts.get('aadaudience')
  return wanted === undefined || audience.test(wanted)
    ? undefined
    : { problem: 'requests tokens for another service than Azure Monitor', fix }
}

function isIngestion(endpoint: string, added: AddedHosts): boolean {
  if (urlProblem(endpoint)) return false
  const { hostname } = new URL(endpoint)
  return isLoopbackHost(hostname) || added.has(hostname) || hostSuffixes.some((suffix) => hostname.endsWith(suffix))
}

export function checkTelemetryConnection(value: string): Refusal | undefined {
  const parts = partsOf(value)
  const fix = `Copy the connection string from the overview page of the Application Insights resource. ${off}`
  const key = checkGuid(parts.get('instrumentationkey') ?? '', fix)
  if (key) {
    const isPlaceholder = key.problem === 'is a placeholder'
    return { problem: isPlaceholder ? 'has a placeholder as instrumentation key' : 'has no instrumentation key', fix }
  }
  const endpoint = parts.get('ingestionendpoint')
  if (endpoint !== undefined && URL.parse(endpoint)?.protocol !== 'https:') {
    return { problem: 'names an ingestion endpoint that is not https', fix }
  }
  return undefined
}

export function checkTelemetryAuthentication(value: string): Refusal | undefined {
  const parts = partsOf(value)
  const fix = `Write Authorization=AAD;ClientId=… with the client id of the managed identity. ${off}`
  if (parts.get('authorization')?.toUpperCase() !== 'AAD') return { problem: 'names no managed identity', fix }
  const clientId = parts.get('clientid')
  return clientId === undefined ? undefined : checkGuid(clientId, fix)
}
