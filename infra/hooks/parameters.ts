/**
 * BROKER_PARAMETERS: the parameters of the template, as main.bicepparam reads them from azd's environment. JSON as
 * Base64, because azd escapes quotation marks in its .env files and `azd pipeline config` escapes them again.
 */
import type { Variables } from './azd.ts'
import { settingsOf } from './configuration-settings.ts'
import type { Configuration } from './configuration.schema.ts'
import { HookStop } from './stop.ts'

/** Values that the hooks find in Azure, beside the committed configuration. */
interface Discovered {
  readonly resourceToken: string
  readonly tenantId: string
  readonly clientId: string | undefined
  readonly applicationObjectId: string | undefined
  readonly principalId: string
  readonly principalType: 'User' | 'ServicePrincipal'
  readonly deploymentPass: 'first' | 'second'
  readonly domainIsBound: boolean
  /** Only where it is not the public cloud. */
  readonly cloudName: string | undefined
}

export type Parameters = Readonly<Record<string, unknown>> & {
  readonly [Name in keyof Discovered]?: Discovered[Name] | undefined
}

/** Members that are no parameters, or have another name there. */
const forHooks: ReadonlySet<string> = new Set(['$schema', 'registration', 'appRoles', 'settings', 'providers', 'tags'])

/** Windows limits the environment of a process to 32,767 characters. */
const longest = 24_000

/** Joins configuration and discoveries under the names of the template's parameters. */
export function composeParameters(configuration: Configuration, discovered: Discovered): Parameters {
  const own = Object.entries(configuration).filter(([name]) => !forHooks.has(name))
  const known = Object.fromEntries(Object.entries(discovered).filter(([, value]) => value !== undefined))
  return {
    ...Object.fromEntries(own),
    brokerSettings: settingsOf(configuration),
    extraTags: configuration.tags ?? {},
    ...known,
  }
}

export function encodeParameters(parameters: Parameters): string {
  const text = Buffer.from(JSON.stringify(parameters)).toString('base64')
  if (text.length <= longest) return text
  throw new HookStop(
    `The configuration is too long for an environment variable of Windows (${text.length} of ${longest} characters as Base64). Shorten frontEnds or providers.`,
  )
}

/** The parameters of the last provisioning; empty before the first one. */
export function readParameters(environment: Variables): Parameters {
  const text = environment.get('BROKER_PARAMETERS')
  return text === undefined ? {} : (JSON.parse(Buffer.from(text, 'base64').toString('utf8')) as Parameters)
}
