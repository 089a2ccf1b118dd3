/** The custom domain: whether its DNS records are there, and whether the app has it already. */
import { Resolver } from 'node:dns/promises'
import { findAzureCloud } from './azure-clouds.ts'
import { groupPath } from './context.ts'
import type { HookContext } from './context.ts'
import type { Names } from './names.ts'
import { HookStop } from './stop.ts'

/** The authority that issues the certificates of App Service ("Add and manage TLS/SSL certificates"). */
const authority = 'digicert.com'

interface SiteProperties {
  readonly defaultHostName?: string
  /** Azure shows it at an app only. */
  readonly customDomainVerificationId?: string
}

interface DnsRecord {
  readonly type: 'CNAME' | 'TXT'
  readonly name: string
  /** For a person. */
  readonly value: string
  readonly isExpected: (present: string) => boolean
}

/** @returns whether the domain is bound. @throws {HookStop} where records are missing, or forbid the certificate */
export async function checkDomain(
  context: HookContext,
  names: Names,
  domain: string,
  fileName: string,
): Promise<boolean> {
  const { cloud, environment } = context
  const site = `${groupPath(context, names)}/providers/Microsoft.Web/sites/${names.functionApp}`
  const binding = await cloud.arm(`${site}/hostNameBindings/${domain}?api-version=2025-03-01`)
  const { thumbprint } = (binding.body['properties'] ?? {}) as { thumbprint?: unknown }
  if (binding.status === 200 && typeof thumbprint === 'string' && thumbprint !== '') return true

  const found = await cloud.arm(`${site}?api-version=2025-03-01`)
  const app = (found.body['properties'] ?? {}) as SiteProperties

  const resolver = new Resolver({ timeout: 3_000, tries: 2 })
  const server = environment.get('BROKER_DNS_SERVER')
  if (server !== undefined) resolver.setServers([server])
  const missing: string[] = []
  for (const { type, name, value, isExpected } of recordsOf(app, names, domain, findAzureCloud(environment).name)) {
    const values = type === 'CNAME' ? await resolver.resolveCname(name).catch(none) : await resolveText(resolver, name)
    if (!values.some((one) => isExpected(one.toLowerCase().replace(/\.$/, '')))) missing.push(line(type, name, value))
  }
  const restricted = await findRestriction(resolver, domain)
  if (restricted !== undefined) missing.push(line('CAA', restricted, `0 issue "${authority}"`))
  if (missing.length === 0) return false
  throw new HookStop(
    [
      `The domain ${domain} lacks DNS records. Nothing was deployed. Add these records at the DNS provider, then deploy again:`,
      ...missing,
      app.defaultHostName === undefined
        ? `The app does not exist yet, so the values of its records are not known. Remove "domain" from ${fileName}, deploy, and write it again: this command then prints them.`
        : `To deploy without the domain first, remove "domain" from ${fileName}.`,
    ].join('\n'),
  )
}

/** Before the app exists, as after azd down, records that are there are accepted by their form. */
function recordsOf(
  { defaultHostName, customDomainVerificationId: id }: SiteProperties,
  names: Names,
  domain: string,
  cloudName: string,
): readonly DnsRecord[] {
  const host = defaultHostName ?? (cloudName === 'AzureCloud' ? `${names.functionApp}.azurewebsites.net` : undefined)
  return [
    {
      type: 'CNAME',
      name: domain,
      value: host ?? '<default host name of the app>',
      isExpected: (present) =>
        defaultHostName === undefined
          ? present.startsWith(`${names.functionApp}.`)
          : present === defaultHostName.toLowerCase(),
    },
    {
      type: 'TXT',
      name: `asuid.${domain}`,
      value: id ?? '<custom domain verification id of the app>',
      isExpected: (present) => (id === undefined ? /^[\da-f]{64}$/.test(present) : present === id.toLowerCase()),
    },
  ]
}

/**
 * An authority obeys the CAA records of the domain, or else those of the nearest parent that has some. RFC 8659 §3.
 *
 * @returns the name whose records do not allow Azure's authority; undefined where it may issue
 */
async function findRestriction(resolver: Resolver, domain: string): Promise<string | undefined> {
  for (let name = domain; name.includes('.'); name = name.slice(name.indexOf('.') + 1)) {
    const records = await resolver.resolveCaa(name).catch(() => [])
    if (records.length === 0) continue
    // Without the property issue, each authority may issue; behind a semicolon are parameters of an authority.
    const issuers = records.flatMap(({ issue }) => (issue === undefined ? [] : (issue.split(';')[0] ?? '').trim()))
    return issuers.length === 0 || issuers.some((one) => one.toLowerCase() === authority) ? undefined : name
  }
  return undefined
}

function line(type: string, name: string, value: string): string {
  return `  ${type.padEnd(6)} ${name.padEnd(40)} ${value}`
}

async function resolveText(resolver: Resolver, name: string): Promise<string[]> {
  return (await resolver.resolveTxt(name).catch(() => [])).map((chunks) => chunks.join(''))
}

function none(): string[] {
  return []
}
