/** The command `tenants`: parses the arguments, sends one request, and prints the tenants. */
import { routes } from '../../shared/http/routes.ts'
import { defined } from '../../shared/json/json.ts'
import { tenantActions } from '../../shared/tenants/tenant-administration.ts'
import type { TenantsAnswer } from '../../shared/tenants/tenant-administration.ts'
import { parseCommand, refuseOtherOptions, wrongUse } from '../operator/command-line.ts'
import { findBroker, postAsOperator } from '../operator/operator-access.ts'
import type { CommandParts } from '../operator/operator-access.ts'

const usage = `npm run tenants -- list [--url URL] [--json]
npm run tenants -- add TENANT-ID [--domain DOMAIN]
npm run tenants -- suspend|resume|remove TENANT-ID

Tenants that may sign in, where Broker__Tenants is signed-up. add admits a tenant whose administrator did not sign it up.
suspend refuses its people, and ends their sessions; a sign-up does not resume it, resume does. remove forgets the
tenant: its administrator may sign up again.

  --domain DOMAIN      a name of the tenant for this list
  --provider ID        a provider of Broker__Providers; otherwise the first at which tenants sign up
  --url URL            the broker; otherwise Broker__BaseUrl of the environment or of local.settings.json, or the
                       selected azd environment
  --json               one line of JSON

The function key is read from BROKER_FUNCTION_KEY. Without it, and with a selected azd environment, az reads it.

It ends with 0 when it is done, 1 when something went wrong, 2 when it was used wrongly.`

const options = { domain: { type: 'string' }, provider: { type: 'string' }, url: { type: 'string' } } as const

/** @returns the exit code @throws {LocalError} with the remedy */
export async function runTenantsCommand(args: readonly string[], parts: CommandParts): Promise<number> {
  const { values, positionals } = parseCommand('tenants', args, options, 2)
  const [action, tenant] = positionals
  if (values.help === true || action === undefined) {
    parts.print(usage)
    return values.help === true ? 0 : 2
  }
  if (!tenantActions.includes(action)) throw usedWrongly(`There is no command ${action}: ${tenantActions.join(', ')}`)
  const allowed = ['provider', 'url', ...(action === 'add' ? ['domain'] : [])]
  refuseOtherOptions(values, allowed, { command: 'tenants', action })
  if (action === 'list' && tenant !== undefined) throw usedWrongly(`${tenant} is an unexpected argument`)
  if (action !== 'list' && tenant === undefined) throw usedWrongly('No tenant id is written')

  const broker = await findBroker(values.url, parts, 'tenants')
  const path = `/${routes.operatorTenants.replace('{action}', action)}`
  const body = defined({ tenant, domain: values.domain, provider: values.provider })
  const doubt = action === 'list' ? undefined : 'The change may have happened; npm run tenants -- list shows it.'
  const answer = (await postAsOperator(broker, path, body, {
    proxies: parts.proxies,
    doubt,
  })) as unknown as TenantsAnswer

  if (values.json === true) parts.print(JSON.stringify(answer))
  else for (const line of describe(action, tenant, answer)) parts.print(line)
  return 0
}

function describe(action: string, tenant: string | undefined, answer: TenantsAnswer): readonly string[] {
  const { tenants, effective_within: seconds } = answer
  const lines = tenants.map(
    ({ tenant: id, state, domain = '', signed_up_at: at, signed_up_by: by }) =>
      `  ${id}  ${state.padEnd(9)}  ${domain}${domain === '' ? '' : '  '}signed up ${at} by ${by}`,
  )
  if (action === 'list') return [`${tenants.length} tenant${tenants.length === 1 ? '' : 's'}.`, ...lines]
  const effect = `It has effect at every instance within ${String(seconds ?? 0)} seconds.`
  return action === 'remove' ? [`Removed: ${tenant ?? ''}. ${effect}`] : [...lines, effect]
}

function usedWrongly(problem: string) {
  return wrongUse(problem, 'tenants')
}
