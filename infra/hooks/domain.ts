/** The custom domain: whether its DNS records are there, and whether the app has it already. */
import { Resolver } from 'node:dns/promises'
import { subscriptionPath } from './context.ts'
import type { HookContext } from './context.ts'
import type { Names } from './names.ts'
import { HookStop } from './stop.ts'

/** @returns whether the domain is bound already. @throws {HookStop} when its records are missing */
export async function checkDomain(
  context: HookContext,
  names: Names,
  domain: string,
  fileName: string,
): Promise<boolean> {
  const { cloud, environment } = context
  const subscription = subscriptionPath(context)
  const site = `${subscription}/resourceGroups/${names.resourceGroup}/providers/Microsoft.Web/sites/${names.functionApp}`
  const binding = await cloud.arm(`${site}/hostNameBindings/${domain}?api-version=2025-03-01`)
  const { thumbprint } = (binding.body['properties'] ?? {}) as { thumbprint?: unknown }
  if (binding.status === 200 && typeof thumbprint === 'string' && thumbprint !== '') return true

  const found = await cloud.arm(`${site}?api-version=2025-03-01`)
  const { defaultHostName } = (found.body['properties'] ?? {}) as { defaultHostName?: string }
  const verification = await cloud.arm(
    `${subscription}/providers/Microsoft.Web/getCustomDomainVerificationId?api-version=2025-03-01`,
    { method: 'POST' },
  )
  const { value: verificationId } = verification.body as { value?: string }
  const records = [
    { type: 'CNAME', name: domain, value: defaultHostName ?? `${names.functionApp}.azurewebsites.net` },
    { type: 'TXT', name: `asuid.${domain}`, value: verificationId ?? '' },
  ] as const

  const resolver = new Resolver({ timeout: 3_000, tries: 2 })
  const server = environment.get('BROKER_DNS_SERVER')
  if (server !== undefined) resolver.setServers([server])
  const missing: string[] = []
  for (const { type, name, value } of records) {
    const values = type === 'CNAME' ? await resolver.resolveCname(name).catch(none) : await resolveText(resolver, name)
    const isThere = values.some((one) => one.toLowerCase().replace(/\.$/, '') === value.toLowerCase())
    if (!isThere) missing.push(`  ${type.padEnd(6)} ${name.padEnd(40)} ${value}`)
  }
  if (missing.length === 0) return false
  throw new HookStop(
    [
      `The domain ${domain} lacks DNS records. Nothing was deployed. Add these records at the DNS provider, then deploy again:`,
      ...missing,
      `To deploy without the domain first, remove "domain" from ${fileName}.`,
    ].join('\n'),
  )
}

async function resolveText(resolver: Resolver, name: string): Promise<string[]> {
  return (await resolver.resolveTxt(name).catch(() => [])).map((chunks) => chunks.join(''))
}

function none(): string[] {
  return []
}
