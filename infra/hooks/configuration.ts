/** Reads and checks the committed configuration of an environment, and writes the registration's ids into it. */
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import * as z from 'zod/mini'
import { hostsOf } from '../../shared/settings/addresses.ts'
import { declarations } from '../../shared/settings/declarations.ts'
import { areProblems, parseFrontEnds } from '../../shared/settings/front-ends.schema.ts'
import { parseProviders } from '../../shared/settings/providers.schema.ts'
import { findSecret } from '../../shared/settings/secrets.ts'
import type { SettingProblem } from '../../shared/settings/settings-error.ts'
import { takesEntra } from '../../shared/settings/values.ts'
import type { AzdEnvironment } from './azd.ts'
import { findAzureCloud } from './azure-clouds.ts'
import { configurationSchema } from './configuration.schema.ts'
import type { Configuration } from './configuration.schema.ts'
import { describeIssue, printableMember } from './configuration-problems.ts'
import { checkRelations } from './configuration-relations.ts'
import { checkSettings } from './configuration-settings.ts'
import { parseConfigurationText } from './configuration-text.ts'
import { jsonText, writeProjectFile } from './project-file.ts'

export interface ConfigurationFile {
  /** From the root of the project, with forward slashes; for messages. */
  readonly name: string
  /** False where the environment has no file yet; the configuration then has defaults only. */
  readonly exists: boolean
  readonly configuration: Configuration
  /** All problems at once; none of them repeats a value. */
  readonly problems: readonly SettingProblem[]
}

function configurationPath(environmentName: string): string {
  return `infra/environments/${environmentName}.json`
}

/** The file of the environment that a hook runs for. */
export function readConfigurationOf({
  environment,
  projectFolder,
}: {
  readonly environment: AzdEnvironment
  readonly projectFolder: string
}): Promise<ConfigurationFile> {
  const cloud = findAzureCloud(environment)
  return readConfiguration(projectFolder, environment.get('AZURE_ENV_NAME') ?? '', cloud)
}

/**
 * Reads the file of an environment.
 *
 * @param projectFolder root of the project
 * @param environmentName as azd has it; its characters are checked before it becomes part of a path
 * @param cloud addresses in `settings` must be of the same cloud
 */
export async function readConfiguration(
  projectFolder: string,
  environmentName: string,
  cloud = findAzureCloud(new Map()),
): Promise<ConfigurationFile> {
  const name = configurationPath(environmentName)
  const without = (problems: readonly SettingProblem[]) => ({ name, exists: false, configuration: {}, problems })
  const file = path.join(projectFolder, name)
  if (!isEnvironmentName(environmentName)) {
    const problem = 'is not a name of an environment'
    const fix = 'Use letters, digits and hyphens: azd env new shop-prod'
    return without([{ setting: 'AZURE_ENV_NAME', problem, fix }])
  }
  const entries = await readdir(path.dirname(file)).catch((): string[] => [])
  const base = path.basename(file)
  if (!entries.includes(base)) {
    // Some file systems would open the other file, while the resources would be named after this environment.
    const other = entries.find((one) => one.toLowerCase() === base.toLowerCase())
    if (other === undefined) return without([])
    const problem = `differs from infra/environments/${printableFile(other)} in capital letters only`
    const fix = `It would be a second broker in the same resource group. Use the name of the file: azd env new ${printableFile(path.parse(other).name)}`
    return without([{ setting: 'AZURE_ENV_NAME', problem, fix }])
  }
  return { name, exists: true, ...parseConfiguration(await readFile(file, 'utf8'), name, environmentName, cloud) }
}

/**
 * azd's own rule (letters, digits, hyphens and a few others), without names that could leave the folder and without a
 * period at the end, which the name of a resource group may not have.
 */
function isEnvironmentName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_().-]{0,63}$/.test(name) && !name.includes('..') && !name.endsWith('.')
}

function printableFile(name: string): string {
  return name.replace(/[^\w().-]/g, '?')
}

/** @param text of the file; untrusted */
export function parseConfiguration(
  text: string,
  fileName: string,
  environmentName: string,
  cloud = findAzureCloud(new Map()),
): { readonly configuration: Configuration; readonly problems: readonly SettingProblem[] } {
  const json = parseConfigurationText(text)
  if (!('value' in json)) return { configuration: {}, problems: [{ setting: fileName, ...json }] }

  const secrets = findSecrets(json.value)
  // A secret is not also "unknown".
  const places = new Set(secrets.map(({ setting }) => setting.split(/[.[]/)[0] ?? ''))
  const parsed = z.safeParse(configurationSchema, json.value)
  const problems = [
    ...secrets,
    ...(parsed.error?.issues ?? [])
      // Their own parsers describe these two better.
      .filter(({ path: [member] }) => member !== 'frontEnds' && member !== 'providers')
      .flatMap(describeIssue)
      .filter(({ setting }) => !places.has(setting)),
    ...checkFrontEnds(json.value, places),
  ]
  if (!parsed.success || problems.length > 0) return { configuration: {}, problems }

  const configuration = parsed.data
  return {
    configuration,
    problems: [
      ...checkSettings(configuration, cloud.hosts),
      ...checkRelations(configuration, environmentName, cloud.name),
    ],
  }
}

function findSecrets(json: unknown): SettingProblem[] {
  const found: SettingProblem[] = []
  const look = (place: string, name: string, value: unknown) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    const secret = findSecret(name, text) ?? findSecret(`Broker__${name}`, text)
    if (!secret) return
    found.push({
      setting: place,
      problem: secret.problem,
      fix: 'Remove it, and replace the secret, because the file is committed: a deployment needs no secret, and the key of the certificate never leaves Key Vault.',
    })
  }
  for (const [name, value] of entriesOf(json)) {
    if (name !== 'settings') look(printableMember(name), name, value)
    else for (const [setting, one] of entriesOf(value)) look(`settings.${printableMember(setting)}`, setting, one)
  }
  return found
}

/** Checks `frontEnds` and `providers` by the broker's own parsers. @param places members that contain a secret */
function checkFrontEnds(json: unknown, places: ReadonlySet<string>): readonly SettingProblem[] {
  const member = (name: string) => (places.has(name) ? undefined : memberOf(json, name))
  const providers = member('providers')
  const setting = (name: string) => memberOf(memberOf(json, 'settings'), name)
  const added = setting(declarations.additionalHosts.name)
  const hosts = new Set(typeof added === 'string' ? hostsOf(added) : [])
  const others = providers === undefined ? undefined : parseProviders(JSON.stringify(providers), 'providers', hosts)
  const areOthersRefused = Array.isArray(others)
  const frontEnds = member('frontEnds')
  const isPrimaryEntra = setting(declarations.authority.name) === undefined
  const isEntra = takesEntra(areOthersRefused ? undefined : others, isPrimaryEntra)
  const checked = frontEnds === undefined ? undefined : parseFrontEnds(JSON.stringify(frontEnds), 'frontEnds', isEntra)
  return [...(areOthersRefused ? others : []), ...(checked && areProblems(checked) ? checked : [])]
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
  const before = exists ? await readFile(path.join(projectFolder, name), 'utf8') : ''
  const present = exists
    ? (JSON.parse(before.replace(/^\uFEFF/, '')) as Configuration)
    : { $schema: '../../docs/environment.schema.json', frontEnds: [] }
  const text = jsonText({ ...present, ...members })
  if (text === before) return false
  await writeProjectFile(projectFolder, name, text)
  return true
}

function entriesOf(value: unknown): [string, unknown][] {
  return typeof value === 'object' && value !== null ? Object.entries(value) : []
}

function memberOf(value: unknown, member: string): unknown {
  return entriesOf(value).find(([name]) => name === member)?.[1]
}
