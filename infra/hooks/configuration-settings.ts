/** The members `settings` and `providers` of a configuration: app settings of the broker, checked by its own schema. */
import type { Cloud } from '../../shared/settings/clouds.ts'
import { allDeclarations, declarations } from '../../shared/settings/declarations.ts'
import { findNearestName } from '../../shared/settings/nearest-name.ts'
import { parseSettings, SettingsError } from '../../shared/settings/settings.ts'
import type { Refusal, SettingProblem } from '../../shared/settings/settings-error.ts'
import type { Configuration } from './configuration.schema.ts'
import { printableMember } from './configuration-problems.ts'

/** Beside its own member, the base URL follows from the domain. */
const fixOfBaseUrl = 'Write the domain as domain, or the whole address as baseUrl where another server forwards to it.'

/** The settings that the template computes or that have a member of their own, with the place to write them. */
const setElsewhere = new Map<string, string>([
  [declarations.baseUrl.name, 'baseUrl'],
  [declarations.frontEnds.name, 'frontEnds'],
  [declarations.providers.name, 'providers'],
  [declarations.tenantId.name, 'tenantId'],
  [declarations.clientId.name, 'clientId'],
  [declarations.applicationObjectId.name, 'applicationObjectId'],
  [declarations.certificateName.name, 'certificateName'],
  [declarations.wrappingKeyName.name, 'wrappingKeyName'],
  [declarations.vaultUrl.name, 'vaultName'],
])
const setByTemplate: ReadonlySet<string> = new Set(
  [
    declarations.instance,
    declarations.sourceType,
    declarations.tableServiceUri,
    declarations.tablePrefix,
    declarations.managedIdentityClientId,
    declarations.identityEndpoint,
    declarations.telemetryConnection,
    declarations.telemetryAuthentication,
  ].map(({ name }) => name),
)

const httpsProxy = 'HTTPS_PROXY'
/** Earlier commits accepted it. */
export const authoritiesFile = 'NODE_EXTRA_CA_CERTS'

/** Variables of the process that docs/operations.md and docs/providers.md describe: an app setting sets them. */
export const processVariables: readonly string[] = [
  httpsProxy,
  'NO_PROXY',
  'OTEL_BSP_SCHEDULE_DELAY',
  'OTEL_METRIC_EXPORT_INTERVAL',
]

/** Names that `settings` accepts: every setting of docs/settings.md that no member and no template sets, and those. */
export const configurableSettings: readonly string[] = [
  ...Object.values(declarations)
    .map(({ name }) => name)
    .filter((name) => !setElsewhere.has(name) && !setByTemplate.has(name)),
  ...processVariables,
]

/** `settings` and `providers` as app settings: texts. */
export function settingsOf({ settings = {}, providers }: Configuration): Record<string, string> {
  return {
    ...Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)])),
    ...(providers === undefined ? {} : { [declarations.providers.name]: JSON.stringify(providers) }),
  }
}

/** Checks `settings` by the broker's own schema, together with the values that the template adds. */
export function checkSettings(configuration: Configuration, cloud: Cloud): SettingProblem[] {
  const misplaced = Object.keys(configuration.settings ?? {}).flatMap((name): SettingProblem[] => {
    const setting = `settings.${printableMember(name)}`
    const member = setElsewhere.get(name)
    if (member !== undefined) {
      const fix = member === 'baseUrl' ? fixOfBaseUrl : `Write it as ${member}.`
      return [{ setting, problem: 'has another place', fix }]
    }
    if (name === authoritiesFile) {
      const fix = `Write the text of the PEM file into ${declarations.certificateAuthorities.name}.`
      return [{ setting, problem: 'has no effect in Azure', fix }]
    }
    if (setByTemplate.has(name)) return [{ setting, problem: 'is set by the template', fix: 'Remove it.' }]
    if (configurableSettings.includes(name)) return []
    const nearest = findNearestName(name, configurableSettings)
    const fix = nearest === undefined ? 'Remove it; docs/settings.md lists the names.' : `Did you mean ${nearest}?`
    return [{ setting, problem: 'is unknown', fix }]
  })
  if (misplaced.length > 0) return misplaced
  const proxy = checkProxy(settingsOf(configuration)[httpsProxy])
  if (proxy) return [{ setting: `settings.${httpsProxy}`, ...proxy }]
  try {
    parseSettings(composeSettings(configuration, cloud))
    return []
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error
    return error.problems.map(({ setting, ...rest }) => ({ setting: placeOf(setting), ...rest }))
  }
}

/** The file is committed, so the address of the proxy has no password in it. */
function checkProxy(value: string | undefined): Refusal | undefined {
  if (value === undefined) return undefined
  const fix = 'Write the address without user name and password: http://proxy.example.com:8080.'
  const url = URL.parse(value)
  if (!url || !/^https?:$/.test(url.protocol)) return { problem: 'is not an http or https address', fix }
  return url.username === '' && url.password === '' ? undefined : { problem: 'contains a user name or a password', fix }
}

const anyGuid = '00000001-0000-4000-8000-000000000000'

/** The app settings as the template composes them; ids and names that Azure assigns later have placeholders. */
function composeSettings(configuration: Configuration, cloud: Cloud): Record<string, string> {
  const settings = settingsOf(configuration)
  const isEntra = settings[declarations.authority.name] === undefined
  return {
    ...settings,
    [declarations.baseUrl.name]:
      configuration.baseUrl ??
      `https://${configuration.frontDoor?.domain ?? configuration.domain ?? 'broker.azurewebsites.net'}`,
    [declarations.frontEnds.name]: JSON.stringify(configuration.frontEnds ?? []),
    [declarations.clientId.name]: configuration.clientId ?? anyGuid,
    ...(isEntra
      ? {
          [declarations.instance.name]: `https://${cloud.loginHost}/`,
          [declarations.tenantId.name]: configuration.tenantId ?? anyGuid,
        }
      : // Passed on as it is: the schema refuses it beside another provider.
        { [declarations.tenantId.name]: configuration.tenantId ?? '' }),
    ...(configuration.applicationObjectId === undefined
      ? {}
      : { [declarations.applicationObjectId.name]: configuration.applicationObjectId }),
    [declarations.sourceType.name]: 'KeyVault',
    [declarations.vaultUrl.name]: `https://broker${cloud.vaultSuffix}`,
    [declarations.certificateName.name]: configuration.certificateName ?? 'broker',
    [declarations.wrappingKeyName.name]: configuration.wrappingKeyName ?? 'broker-key-ring',
    [declarations.tableServiceUri.name]: `https://broker${cloud.tableSuffix}`,
    [declarations.managedIdentityClientId.name]: anyGuid,
  }
}

/** The place in the file of a setting that the broker's schema refuses. */
function placeOf(setting: string): string {
  const [name = ''] = setting.split(/[.[]/)
  const member = setElsewhere.get(name)
  if (member !== undefined) return member + setting.slice(name.length)
  return allDeclarations.some((declaration) => declaration.name === name) ? `settings.${setting}` : setting
}
