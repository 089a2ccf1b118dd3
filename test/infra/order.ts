/**
 * The order in which ARM deploys the resources, read from the compiled template. A snapshot does not contain it, and a
 * missing `dependsOn` fails in Azure only, and not each time.
 */

interface Resource {
  readonly type: string
  readonly name: string
  readonly existing?: boolean
  readonly condition?: unknown
  readonly dependsOn?: readonly string[]
  readonly properties?: {
    readonly template?: Template
    readonly parameters?: Readonly<Record<string, { readonly value?: unknown }>>
  }
}

export interface Template {
  readonly variables?: Readonly<Record<string, unknown>>
  readonly resources: Readonly<Record<string, Resource>> | readonly Resource[]
}

interface Node {
  readonly type: string
  /** The name, as an expression in which the parameters of the module are replaced. */
  readonly name: string
  /** The resource as text, without the resources of a module, with the same replacement. */
  readonly text: string
  /** Symbols from the outermost template to this resource, such as `broker/vault/wrappingKey`. */
  readonly path: string
  readonly isExisting: boolean
}

/**
 * Each line: the resource on the left must be deployed before the resource on the right.
 * `*` means every resource there.
 */
const requiredOrder = [
  // A deployment of code needs the role on the package at once, and the app reads the package when it starts.
  ['storage/package', 'functionApp/site'],
  ['storage/hostPackageRole', 'functionApp/site'],
  ['storage/hostBlobRole', 'functionApp/site'],
  ['storage/brokerTableRole', 'functionApp/site'],
  ['virtualNetwork/network', 'functionApp/site'],
  ['virtualNetwork/network', 'privateEndpoints/endpoints'],
  ['privateEndpoints/zones', 'privateEndpoints/zoneLinks'],
  ['privateEndpoints/zones', 'privateEndpoints/zoneGroups'],
  ['privateEndpoints/zoneGroups', 'functionApp/site'],
  ['privateEndpoints/zoneLinks', 'functionApp/site'],
  // Event Grid checks at the creation of a subscription that the topic can write dead letters.
  ['events/deadLetterWriter', 'events/certificateEvents'],
  ['functionApp/site', 'events/certificateEvents'],
  // The free certificate is issued for a domain that is bound.
  ['customDomain/binding', 'customDomain/certificate'],
  ['customDomain/certificate', 'customDomain/tls/0'],
  ['functionApp/site', 'customDomain/binding'],
] as const

/** One resource must be deployed before another one. */
interface Requirement {
  /** Paths of symbols, from the outermost template. */
  readonly earlier: readonly string[]
  readonly later: readonly string[]
  /** Describes a violation. */
  readonly violation: string
}

/**
 * @param template main.bicep, compiled
 * @param requirements those of a template that differs in its order alone
 * @returns the resources that ARM could deploy too early, as sentences
 */
export function orderViolations(template: Template, requirements = requirementsOf(template)): string[] {
  const isMet = ({ later, earlier }: Requirement) => comesAfter(template, later, earlier)
  return requirements.filter((one) => !isMet(one)).map(({ violation }) => violation)
}

/** Reads what must be deployed first. `dependsOn` makes no difference to the result. */
export function requirementsOf(template: Template): Requirement[] {
  const nodes = nodesOf(template)
  const requirement = (earlier: string, later: string, violation = `${later} does not wait for ${earlier}`) => ({
    earlier: earlier.split('/'),
    later: later.split('/'),
    violation,
  })
  const listed = requiredOrder.map(([earlier, later]) =>
    requirement(`broker/${earlier}`, `broker/${later}`, `${later} does not wait for ${earlier}`),
  )
  const deployed = nodes.filter(({ isExisting }) => !isExisting)
  // A module that uses a resource of another module by its name must wait for that module.
  const used = nodes
    .filter(({ isExisting }) => isExisting)
    .flatMap((user) =>
      deployed
        .filter(({ type, name, path }) => type === user.type && name === user.name && !isSameModule(path, user.path))
        .map(({ path }) => requirement(path, user.path, `${moduleOf(user.path)} does not wait for ${path}`)),
    )
  // A resource that contains the id or the outputs of another one, or is its child, must wait for it.
  const contained = deployed.flatMap((user) =>
    deployed.filter((node) => node !== user && uses(user, node)).map(({ path }) => requirement(path, user.path)),
  )
  return [...listed, ...used, requirement('group', 'broker'), ...contained]
}

function uses(user: Node, used: Node): boolean {
  const names = /^format\('[{}\d/]*', (.*)\)$/.exec(used.name)?.[1] ?? used.name
  const symbol = used.path.split('/').at(-1)!
  const isChild = user.type.startsWith(`${used.type}/`) && (nameOfParent(user.name) ?? '') === used.name
  const hasOutput = isSameModule(user.path, used.path) && user.text.includes(`reference('${symbol}'`)
  return isChild || hasOutput || user.text.includes(`resourceId('${used.type}', ${names})`)
}

/** `format('{0}/{1}/{2}', a, b, c)` is a child of `format('{0}/{1}', a, b)`, and `format('{0}/{1}', a, b)` of `a`. */
function nameOfParent(name: string): string | undefined {
  const [, pattern = '', names = ''] = /^format\('([^']*)', (.*)\)$/.exec(name) ?? []
  const parts = names.split(/, (?![^(]*\))/).slice(0, -1)
  return parts.length < 2 ? parts[0] : `format('${pattern.split('/').slice(0, -1).join('/')}', ${parts.join(', ')})`
}

/** Every entry of `dependsOn` in the compiled template, as paths of symbols; without those of existing resources. */
export function dependenciesOf(template: Template, prefix: readonly string[] = []): [string[], string[]][] {
  return Object.entries<Resource>(template.resources).flatMap(([symbol, { existing, dependsOn = [], properties }]) => [
    ...(existing
      ? []
      : dependsOn.map((one): [string[], string[]] => [
          [...prefix, symbol],
          [...prefix, symbolOf(one)],
        ])),
    ...(properties?.template ? dependenciesOf(properties.template, [...prefix, symbol]) : []),
  ])
}

/** @returns a template without one entry of `dependsOn`; what does not change is shared with the given one */
export function withoutDependency(template: Template, path: readonly string[], dependency: string): Template {
  const [symbol = '', ...inner] = path
  const resources = template.resources as Readonly<Record<string, Resource>>
  const resource = resources[symbol]!
  const { dependsOn = [], properties } = resource
  const changed: Resource =
    inner.length === 0
      ? { ...resource, dependsOn: dependsOn.filter((one) => symbolOf(one) !== dependency) }
      : {
          ...resource,
          properties: { ...properties, template: withoutDependency(properties!.template!, inner, dependency) },
        }
  return { ...template, resources: { ...resources, [symbol]: changed } }
}

function nodesOf(template: Template, prefix = '', replace: (text: string) => string = (text) => text): Node[] {
  return Object.entries<Resource>(template.resources).flatMap(([symbol, resource]) => {
    const path = `${prefix}${symbol}`
    // Neither the order itself nor the resources inside a module are a use.
    const properties = { ...resource.properties, template: undefined }
    const text = JSON.stringify({ ...resource, properties, dependsOn: undefined })
    const node = {
      path,
      type: resource.type,
      name: replace(resource.name).replace(/^\[(.*)\]$/, '$1'),
      text: replace(text + variablesIn(template, text)),
      isExisting: resource.existing === true,
    }
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

/** The variables that a text uses, and those that they use. */
function variablesIn(template: Template, text: string, seen: readonly string[] = []): string {
  const used = [...text.matchAll(/variables\('(\w+)'\)/g)]
    .map(([, name]) => name!)
    .filter((name) => !seen.includes(name))
  return used
    .map((name) => JSON.stringify(template.variables?.[name] ?? null))
    .map((value) => value + variablesIn(template, value, [...seen, ...used]))
    .join('')
}

/**
 * Compares the two paths where they part: siblings of one template are ordered by `dependsOn`, directly or through
 * others. A resource with a condition passes no order on: ARM leaves it out, with its dependencies, where the condition
 * is false.
 */
export function comesAfter(template: Template, later: readonly string[], earlier: readonly string[]): boolean {
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
    if (seen.has(symbol) || (symbol !== here && resources[symbol]?.condition !== undefined)) return false
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
