/** Reads and checks the committed configuration of an environment, and writes the registration's ids into it. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import * as z from 'zod/mini'
import { allDeclarations, declarations } from '../../shared/settings/declarations.ts'
import { areProblems, parseFrontEnds } from '../../shared/settings/front-ends.schema.ts'
import { parseProviders } from '../../shared/settings/providers.schema.ts'
import { takesEntra } from '../../shared/settings/values.ts'
import { findNearestName } from '../../shared/settings/nearest-name.ts'
import { messageOf } from '../../shared/settings/messages.ts'
import { findSecret } from '../../shared/settings/secrets.ts'
import { parseSettings, SettingsError } from '../../shared/settings/settings.ts'
import type { SettingProblem } from '../../shared/settings/settings-error.ts'
import type { AzdEnvironment } from './azd.ts'
import { findAzureCloud } from './cloud.ts'
import { configurationSchema } from './configuration.schema.ts'
import type { Configuration } from './configuration.schema.ts'
import { isProduction } from './names.ts'

export interface ConfigurationFile {
  /** From the root of the project, with forward slashes; for messages. */
  readonly name: string
  /** False where the environment has no file yet; the configuration then has defaults only. */
  readonly exists: boolean
  readonly configuration: Configuration
  /** All problems at once; none of them repeats a value. */
  readonly problems: readonly SettingProblem[]
}

export function configurationPath(environmentName: string): string {
  return `infra/environments/${environmentName}.json`
}

/**
 * Reads the file of an environment.
 *
 * @param projectFolder root of the project
 * @param environmentName as azd has it; its characters are checked before it becomes part of a path
 * @param cloudName AzureCloud where left out: addresses in `settings` must be of the same cloud
 */
export async function readConfiguration(
  projectFolder: string,
  environmentName: string,
  cloudName?: string,
): Promise<ConfigurationFile> {
  const name = configurationPath(environmentName)
  // azd's own rule for names (letters, digits, hyphens and a few others), without characters that could leave the folder.
  if (!/^[A-Za-z0-9][A-Za-z0-9_().-]{0,63}$/.test(environmentName) || environmentName.includes('..')) {
    const problem = 'is not a name of an environment'
    const fix = 'Use letters, digits and hyphens: azd env new shop-prod'
    return { name, exists: false, configuration: {}, problems: [{ setting: 'AZURE_ENV_NAME', problem, fix }] }
  }
  const text = await readFile(path.join(projectFolder, name), 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return { name, exists: false, configuration: {}, problems: [] }
  return { name, exists: true, ...parseConfiguration(text, name, environmentName, cloudName) }
}

/** The settings that the template computes or that have a member of their own, with the place to write them. */
const setElsewhere = new Map<string, string>([
  [declarations.baseUrl.name, 'domain'],
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

/** Names that `settings` accepts: every setting of docs/settings.md that no member and no template sets. */
export const configurableSettings: readonly string[] = Object.values(declarations)
  .map(({ name }) => name)
  .filter((name) => !setElsewhere.has(name) && !setByTemplate.has(name))

/** The file of the environment that a hook runs for. */
export function readConfigurationOf({
  environment,
  projectFolder,
}: {
  readonly environment: AzdEnvironment
  readonly projectFolder: string
}): Promise<ConfigurationFile> {
  return readConfiguration(projectFolder, environment.get('AZURE_ENV_NAME') ?? '', environment.get('BROKER_CLOUD'))
}

/** @param text of the file; untrusted */
export function parseConfiguration(
  text: string,
  fileName: string,
  environmentName: string,
  cloudName?: string,
): { readonly configuration: Configuration; readonly problems: readonly SettingProblem[] } {
  let json: unknown
  try {
    json = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch (error) {
    // The parser's message quotes the text; only its position is used.
    const position = Number(/at position (\d+)/.exec(String(error))?.[1])
    const line = Number.isNaN(position) ? '' : ` (line ${text.slice(0, position).split('\n').length})`
    const fix = 'Write one JSON object: names and texts in double quotes, no comments, no comma behind the last member.'
    return { configuration: {}, problems: [{ setting: fileName, problem: `is not JSON${line}`, fix }] }
  }
  const problems: SettingProblem[] = [...findSecrets(json)]
  const places = new Set(problems.map(({ setting }) => setting.split(/[.[]/)[0]))
  const parsed = z.safeParse(configurationSchema, json)
  for (const issue of parsed.error?.issues ?? []) {
    // parseFrontEnds and parseProviders describe their members better; a secret is not also "unknown".
    if (issue.path[0] !== 'frontEnds' && issue.path[0] !== 'providers')
      problems.push(...describe(issue).filter(({ setting }) => !places.has(setting)))
  }
  const frontEnds = memberOf(json, 'frontEnds')
  const isEntra = memberOf(memberOf(json, 'settings'), declarations.authority.name) === undefined
  const providers = memberOf(json, 'providers')
  const others =
    providers === undefined || places.has('providers')
      ? undefined
      : parseProviders(JSON.stringify(providers), 'providers')
  const otherProblems = isProblems(others) ? others : []
  problems.push(...otherProblems)
  if (frontEnds !== undefined && !places.has('frontEnds')) {
    const checked = parseFrontEnds(JSON.stringify(frontEnds), 'frontEnds', {
      isEntra: takesEntra(isProblems(others) ? undefined : others, isEntra),
    })
    if (areProblems(checked)) problems.push(...checked)
  }
  if (!parsed.success || problems.length > 0) return { configuration: {}, problems }

  const configuration = parsed.data
  problems.push(...checkSettings(configuration, cloudName), ...checkTogether(configuration, environmentName))
  return { configuration, problems }
}

function findSecrets(json: unknown): SettingProblem[] {
  const found: SettingProblem[] = []
  const look = (place: string, name: string, value: unknown) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    const secret = findSecret(name, text) ?? findSecret(`Broker__${name}`, text)
    if (!secret) return false
    found.push({
      setting: place,
      problem: secret.problem,
      fix: 'Remove it, and replace the secret, because the file is committed: a deployment needs no secret, and the key of the certificate never leaves Key Vault.',
    })
    return true
  }
  for (const [name, value] of entriesOf(json)) {
    if (name !== 'settings') look(name, name, value)
    else for (const [setting, one] of entriesOf(value)) look(`settings.${memberName(setting)}`, setting, one)
  }
  return found
}

/** Checks `settings` by the broker's own schema, together with the values that the template adds. */
function checkSettings(configuration: Configuration, cloudName: string | undefined): SettingProblem[] {
  const misplaced = Object.keys(configuration.settings ?? {}).flatMap((name): SettingProblem[] => {
    const setting = `settings.${memberName(name)}`
    const member = setElsewhere.get(name)
    if (member !== undefined) return [{ setting, problem: 'has another place', fix: `Write it as ${member}.` }]
    if (setByTemplate.has(name)) return [{ setting, problem: 'is set by the template', fix: 'Remove it.' }]
    if (configurableSettings.includes(name)) return []
    const nearest = findNearestName(name, configurableSettings)
    const fix = nearest === undefined ? 'Remove it; docs/settings.md lists the names.' : `Did you mean ${nearest}?`
    return [{ setting, problem: 'is unknown', fix }]
  })
  if (misplaced.length > 0) return misplaced
  try {
    parseSettings(composeSettings(configuration, cloudName))
    return []
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error
    return error.problems.map(({ setting, ...rest }) => ({ setting: placeOf(setting), ...rest }))
  }
}

const anyGuid = '00000001-0000-4000-8000-000000000000'

/** The app settings as the template composes them; ids and names that Azure assigns later have placeholders. */
function composeSettings(configuration: Configuration, cloudName: string | undefined): Record<string, string> {
  const cloud = findAzureCloud(cloudName)
  const settings = settingsOf(configuration)
  const isEntra = settings[declarations.authority.name] === undefined
  return {
    ...settings,
    [declarations.baseUrl.name]:
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

/** `settings` and `providers` as app settings: texts. */
export function settingsOf({ settings = {}, providers }: Configuration): Record<string, string> {
  return {
    ...Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)])),
    ...(providers === undefined ? {} : { [declarations.providers.name]: JSON.stringify(providers) }),
  }
}

function isProblems(result: ReturnType<typeof parseProviders> | undefined): result is SettingProblem[] {
  return Array.isArray(result)
}

function placeOf(setting: string): string {
  const [name = ''] = setting.split(/[.[]/)
  const member = setElsewhere.get(name)
  if (member !== undefined) return member + setting.slice(name.length)
  return allDeclarations.some((declaration) => declaration.name === name) ? `settings.${setting}` : setting
}

function checkTogether(configuration: Configuration, environmentName: string): SettingProblem[] {
  const problems: SettingProblem[] = []
  if (configuration.developerIds?.length && isProduction(environmentName)) {
    problems.push({
      setting: 'developerIds',
      problem: 'would give developers the permissions of the broker in a production environment',
      fix: 'Remove it, or use another environment.',
    })
  }
  const isEntra = settingsOf(configuration)[declarations.authority.name] === undefined
  if ((configuration.registration === 'manual' || !isEntra) && configuration.clientId === undefined) {
    problems.push({
      setting: 'clientId',
      problem: isEntra
        ? 'is missing, and registration is manual'
        : 'is missing, and Broker__Authority names a provider',
      fix: isEntra
        ? 'Create the app registration (az ad app create --display-name "Certificate token broker" --sign-in-audience AzureADMyOrg), and write its Application (client) ID.'
        : 'Write the client id that the provider assigned.',
    })
  }
  if (configuration.domain !== undefined && configuration.frontDoor !== undefined) {
    problems.push({
      setting: 'domain',
      problem: 'is set beside frontDoor',
      fix: 'Behind Front Door the domain belongs to Front Door: write it as frontDoor.domain, and remove domain.',
    })
  }
  if ((configuration.appSubnetId === undefined) !== (configuration.endpointSubnetId === undefined)) {
    problems.push({
      setting: configuration.appSubnetId === undefined ? 'appSubnetId' : 'endpointSubnetId',
      problem: 'is missing beside the other subnet',
      fix: 'Name both subnets, or none: the template then creates a virtual network.',
    })
  }
  if (configuration.otherVaultAccess?.length && configuration.vaultAuthorization === 'rbac') {
    problems.push({
      setting: 'otherVaultAccess',
      problem: 'is for access policies, and vaultAuthorization is rbac',
      fix: 'Assign roles on the vault instead.',
    })
  }
  return problems
}

/**
 * Writes members into the file of an environment, and creates the file where there is none. Present members stay.
 *
 * @returns whether the file changed
 */
export async function writeConfiguration(
  projectFolder: string,
  { name, exists }: ConfigurationFile,
  members: Partial<Configuration>,
): Promise<boolean> {
  const file = path.join(projectFolder, name)
  const before = exists ? await readFile(file, 'utf8') : ''
  const present = exists
    ? (JSON.parse(before.replace(/^\uFEFF/, '')) as Configuration)
    : { $schema: '../../docs/environment.schema.json', frontEnds: [] }
  const text = `${JSON.stringify({ ...present, ...members }, null, 2)}\n`
  if (text === before) return false
  await mkdir(path.dirname(file), { recursive: true })
  await writeFile(file, text)
  return true
}

function describe(issue: z.core.$ZodIssue): SettingProblem[] {
  const setting = issue.path.reduce<string>(
    (place, step) =>
      typeof step === 'number' ? `${place}[${step}]` : `${place}${place === '' ? '' : '.'}${memberName(String(step))}`,
    '',
  )
  const refusal = messageOf(issue)
  if (refusal) return [{ setting, ...refusal }]
  const say = (problem: string, fix: string) => [{ setting: setting || 'The file', problem, fix }]
  const see = 'See docs/environment.schema.json.'
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => {
        const known = issue.path.length === 0 ? Object.keys(configurationSchema.def.shape) : []
        const nearest = findNearestName(key, known)
        const fix = nearest === undefined ? `Remove it. ${see}` : `Did you mean ${nearest}? Otherwise remove it.`
        return { setting: `${setting}${setting === '' ? '' : '.'}${memberName(key)}`, problem: 'is unknown', fix }
      })
    case 'invalid_type':
      return say(`is not ${/^[aeio]/.test(issue.expected) ? 'an' : 'a'} ${issue.expected}`, see)
    case 'invalid_value':
      return say(
        'is none of the accepted values',
        `Write ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}.`,
      )
    case 'invalid_union':
      return say('is none of the accepted values', see)
    case 'too_small':
      return say('is too small', `At least ${Number(issue.minimum)}.`)
    case 'too_big':
      return say('is too large', `At most ${Number(issue.maximum)}.`)
    default:
      return say('is not written as expected', hints[issue.path[0] as string] ?? see)
  }
}

const hints: Readonly<Record<string, string>> = {
  domain: 'Write the name alone in small letters, without https:// and path: signin.example.com.',
  alertEmails: 'Write a mail address: signin-alerts@example.com.',
}

/** A name that may be printed: text that was pasted in the wrong place is not a name. */
function memberName(name: string): string {
  return /^[A-Za-z$][A-Za-z0-9_$]{0,80}$/.test(name) ? name : '(a member)'
}

function entriesOf(value: unknown): [string, unknown][] {
  return typeof value === 'object' && value !== null ? Object.entries(value) : []
}

function memberOf(value: unknown, member: string): unknown {
  return entriesOf(value).find(([name]) => name === member)?.[1]
}
