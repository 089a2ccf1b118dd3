/** Reads the predicted resources of a deployment, and compares what they have with what they must have. */
import type { PredictedResource, Snapshot } from '../../setup/bicep.ts'

export interface Rule {
  readonly name: string
  readonly violations: (snapshot: Snapshot) => readonly string[]
}

export type Json = Readonly<Record<string, unknown>>

/** The suffix of the names of all resources. */
export const token = 'k7m2p4q6r8s3t'

export function resources({ predictedResources }: Snapshot, type: string): readonly PredictedResource[] {
  return predictedResources.filter((resource) => resource.type === type)
}

export function propertiesOf(resource: PredictedResource | undefined): Json {
  return (resource?.['properties'] ?? {}) as Json
}

/** The conditions of an alert, with the query of a log alert. */
export function conditionsOf(alert: PredictedResource | undefined): readonly Json[] {
  return objects((propertiesOf(alert)['criteria'] as Json | undefined)?.['allOf'])
}

export function settingsOf(snapshot: Snapshot): Readonly<Record<string, string>> {
  const [settings] = resources(snapshot, 'Microsoft.Web/sites/config').filter(({ name }) =>
    name.endsWith('/appsettings'),
  )
  return propertiesOf(settings) as Readonly<Record<string, string>>
}

export function siteConfigOf(site: PredictedResource): Json {
  return (propertiesOf(site)['siteConfig'] ?? {}) as Json
}

export function isHostIdentity(expression: unknown): boolean {
  return /userAssignedIdentities\/id-broker-host-[a-z0-9]{13}/.test(String(expression))
}

/**
 * Type and name of the resource that an extension resource (a role assignment, a lock,
 * a diagnostic setting) belongs to.
 */
export function scopeOf(id: string): string {
  const [scope = ''] = id.split(
    /\/providers\/Microsoft\.(?:Authorization|Insights)\/(?:roleAssignments|locks|diagnosticSettings)/,
  )
  return scope.split('/').slice(-2).join('/').replace(token, '')
}

export function vaultsOf(snapshot: Snapshot): readonly PredictedResource[] {
  return resources(snapshot, 'Microsoft.KeyVault/vaults')
}

export function vaultNameOf(snapshot: Snapshot): string {
  return (resources(snapshot, 'Microsoft.KeyVault/vaults')[0]?.name ?? '').replace(token, '')
}

/** An inner object, or an empty one. */
export function memberOf(value: Json, ...path: readonly string[]): Json {
  return path.reduce<Json>((inner, member) => (inner[member] ?? {}) as Json, value)
}

export function objects<T = Json>(value: unknown): T[] {
  return Array.isArray(value) ? (value as T[]) : []
}

export function list(value: unknown): string[] {
  return Array.isArray(value) ? (value as string[]) : []
}

export function compare(what: string, found: readonly string[], expected: readonly string[]): string[] {
  const [here, there] = [[...found].sort(), [...expected].sort()]
  return JSON.stringify(here) === JSON.stringify(there)
    ? []
    : [`${what}: ${here.join(', ') || 'nothing'} instead of ${there.join(', ') || 'nothing'}`]
}

export function compareOneOf(
  what: string,
  found: readonly string[],
  several: readonly (readonly string[])[],
): string[] {
  const faults = several.map((expected) => compare(what, found, expected))
  return faults.some((fault) => fault.length === 0) ? [] : (faults[0] ?? [])
}

export function unknownOf(found: readonly string[], allowed: readonly string[], area: string): string[] {
  return found.filter((permission) => !allowed.includes(permission)).map((permission) => `${area} ${permission}`)
}

export function expectMembers(what: string, found: Json, expected: Json): string[] {
  return Object.entries(expected)
    .filter(([member, value]) => found[member] !== value)
    .map(([member, value]) => `${what}: ${member} is ${JSON.stringify(found[member])} and not ${JSON.stringify(value)}`)
}
