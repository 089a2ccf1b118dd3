/**
 * The order in which ARM deploys the resources, read from the compiled template. A snapshot does not contain it, and a
 * missing `dependsOn` fails in Azure only, and not each time.
 */

interface Resource {
  readonly type: string
  readonly name: string
  readonly existing?: boolean
  readonly dependsOn?: readonly string[]
  readonly properties?: {
    readonly template?: Template
    readonly parameters?: Readonly<Record<string, { readonly value?: unknown }>>
  }
}

export interface Template {
  readonly resources: Readonly<Record<string, Resource>> | readonly Resource[]
}

interface Node {
  /** Symbols from the outermost template to this resource, such as `broker/vault/wrappingKey`. */
  readonly path: string
  /** Type and name; the name is an expression with the parameters of the module replaced. */
  readonly key: string
  readonly isExisting: boolean
}

/** Each line: the resource on the left must be deployed before the resource on the right. `*` means every resource there. */
const requiredOrder = [
  // A deployment of code needs the role on the package at once, and the app reads the package when it starts.
  ['storage/package', 'functionApp/site'],
  ['storage/hostPackageRole', 'functionApp/site'],
  ['storage/hostBlobRole', 'functionApp/site'],
  ['storage/brokerTableRole', 'functionApp/site'],
  ['virtualNetwork/network', 'functionApp/site'],
  ['virtualNetwork/network', 'privateEndpoints/endpoints'],
  ['privateEndpoints/zoneGroups', 'functionApp/site'],
  ['privateEndpoints/zoneLinks', 'functionApp/site'],
  // Azure ignores every other property while it recovers a vault.
  ['recoveredVault/vault', 'vault/vault'],
  // Event Grid checks at the creation of a subscription that the topic can write dead letters.
  ['events/deadLetterWriter', 'events/certificateEvents'],
  ['functionApp/site', 'events/certificateEvents'],
  // The free certificate is issued for a domain that is bound.
  ['customDomain/binding', 'customDomain/certificate'],
  ['customDomain/certificate', 'customDomain/tls/0'],
  ['functionApp/site', 'customDomain/binding'],
] as const

/**
 * @param template main.bicep, compiled
 * @returns what ARM could deploy too early, as sentences
 */
export function orderViolations(template: Template): string[] {
  const nodes = nodesOf(template)
  const isAfter = (later: string, earlier: string) => comesAfter(template, later.split('/'), earlier.split('/'))
  const known = (path: string) => nodes.some((node) => node.path === path)
  const violations: string[] = []

  for (const [earlier, later] of requiredOrder) {
    for (const path of [`broker/${earlier}`, `broker/${later}`])
      if (!known(path)) violations.push(`there is no ${path}`)
    if (!isAfter(`broker/${later}`, `broker/${earlier}`)) violations.push(`${later} does not wait for ${earlier}`)
  }

  // A module that uses a resource of another module by its name must wait for that module.
  for (const used of nodes.filter(({ isExisting }) => isExisting)) {
    const definers = nodes.filter(
      ({ key, isExisting, path }) => key === used.key && !isExisting && !isSameModule(path, used.path),
    )
    for (const { path } of definers) {
      if (!isAfter(used.path, path)) violations.push(`${moduleOf(used.path)} does not wait for ${path}`)
    }
  }
  return violations
}

/** Removes one entry of `dependsOn`. @returns a copy, or undefined where the template has no such entry */
export function withoutDependency(template: Template, symbol: string, dependency: string): Template | undefined {
  const copy = structuredClone(template)
  const visit = (inner: Template) => {
    for (const [name, resource] of Object.entries<Resource>(inner.resources)) {
      if (name === symbol && resource.dependsOn?.includes(dependency)) {
        Object.assign(resource, { dependsOn: resource.dependsOn.filter((one) => one !== dependency) })
      }
      if (resource.properties?.template) visit(resource.properties.template)
    }
  }
  visit(copy)
  return JSON.stringify(copy) === JSON.stringify(template) ? undefined : copy
}

function nodesOf(template: Template, prefix = '', replace: (text: string) => string = (text) => text): Node[] {
  return Object.entries<Resource>(template.resources).flatMap(([symbol, resource]) => {
    const path = `${prefix}${symbol}`
    const node = { path, key: `${resource.type} ${replace(resource.name)}`, isExisting: resource.existing === true }
    const inner = resource.properties?.template
    if (!inner) return [node]
    const values = resource.properties.parameters ?? {}
    const inside = (text: string) =>
      text.replace(/parameters\('(\w+)'\)/g, (whole, name: string) => {
        const value = values[name]?.value
        return typeof value === 'string' ? replace(value).replace(/^\[(.*)\]$/, '$1') : whole
      })
    return [node, ...nodesOf(inner, `${path}/`, (text) => inside(text).replace(/^\[(.*)\]$/, '$1'))]
  })
}

/** Compares the two paths where they part: siblings of one template are ordered by `dependsOn`, directly or not. */
function comesAfter(template: Template, later: readonly string[], earlier: readonly string[]): boolean {
  const [here, ...restLater] = later
  const [there, ...restEarlier] = earlier
  if (here === undefined || there === undefined) return false
  const resources = template.resources as Readonly<Record<string, Resource>>
  if (here === there) {
    const inner = resources[here]?.properties?.template
    return inner !== undefined && comesAfter(inner, restLater, restEarlier)
  }
  const seen = new Set<string>()
  const reaches = (symbol: string): boolean => {
    if (symbol === there) return true
    if (seen.has(symbol)) return false
    seen.add(symbol)
    return (resources[symbol]?.dependsOn ?? []).map(symbolOf).some(reaches)
  }
  return reaches(here)
}

/** A dependency on one element of a loop is written as `[format('zones[{0}]', copyIndex())]`. */
function symbolOf(dependency: string): string {
  return /^\[format\('(\w+)\[/.exec(dependency)?.[1] ?? dependency
}

function moduleOf(path: string): string {
  return path.split('/').slice(0, -1).join('/')
}

function isSameModule(one: string, other: string): boolean {
  return moduleOf(one) === moduleOf(other)
}
