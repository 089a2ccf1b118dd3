/** `npm run certificate -- create|status|roll`: the certificate in the vault, with the sign-in of azd or az. */
import { defined } from '../../shared/json/json.ts'
import { createKeyVaultCertificateCreator } from './certificate-creator.key-vault.ts'
import { describeFailure } from './certificate-failure.ts'
import { createCertificate, defaultPolicy, findPolicyProblems } from './create.ts'
import type { CertificatePolicy } from './create.ts'
import type { NamedCertificate } from './certificate-access.ts'
import { createDeployerCredential } from './deployer-credential.azure-identity.ts'
import { checkAdditionalHosts, checkVaultUrl, hostsOf } from '../../shared/settings/addresses.ts'
import type { AddedHosts } from '../../shared/settings/addresses.ts'
import { declarations } from '../../shared/settings/declarations.ts'
import { setTextsOf } from '../../shared/settings/values.ts'
import { dryRun } from './certificate-dry-run.ts'
import { deployedSettings } from './deployed-settings.ts'
import { rollNow, showStatus } from './certificate-status.ts'
import { LocalError } from '../../local/http-server.ts'
import { localDefaults } from '../../local/local-defaults.ts'
import { isListening } from '../../local/local-parts.ts'
import { fixedPorts } from '../../local/ports.ts'
import {
  exitCodeOf,
  parseCommand,
  readAzdValues,
  readSettingsFile,
  refuseOtherOptions,
  wrongUse,
} from '../operator/command-line.ts'

const usage = `npm run certificate -- status [--json]
npm run certificate -- roll --now | --dry-run [--json]
npm run certificate -- create [options]

status draws the versions on a time line: validity, which one signs, which the provider knows, what happens next.
roll --now has the vault make a new version at once, for emergencies; the broker registers it and switches to it.
roll --dry-run prints the steps of a roll, and writes nothing; with --now, as if the vault had made a version.

create makes the broker's certificate in Key Vault: self-signed, its key not exportable, renewed by the vault. If there
is one already, nothing changes: differences of its policy are shown, and changed with --change.

  --vault URL            the vault; otherwise that of the broker's settings, or of the selected azd environment
  --name NAME            the certificate; otherwise that of the broker's settings, or of the azd environment
  --json                 one line of JSON

Of create alone:
  --subject CN=NAME      ${defaultPolicy.subject}
  --issuer NAME          Self, or an issuer that the vault knows
  --key-size BITS        2048, 3072 or 4096; ${defaultPolicy.keySize}
  --hsm                  an HSM key, in a premium vault
  --validity-months N    ${defaultPolicy.validityMonths}
  --renew-days N         renewed when so many days are left; ${String(defaultPolicy.renewDaysBeforeEnd)}
  --change               change the policy of a certificate that is there; takes effect at its next renewal

It ends with 0 on success, 1 after a failure, 2 for a wrong use, and 3 if an operator must act: no version signs
(status), or the policy differs (create).`

const options = {
  vault: { type: 'string' },
  name: { type: 'string' },
  subject: { type: 'string' },
  issuer: { type: 'string' },
  'key-size': { type: 'string' },
  'validity-months': { type: 'string' },
  'renew-days': { type: 'string' },
  hsm: { type: 'boolean' },
  change: { type: 'boolean' },
  now: { type: 'boolean' },
  'dry-run': { type: 'boolean' },
} as const

/** The options of each command, beside --json and --help. */
const optionsOf: Readonly<Record<string, readonly string[]>> = {
  status: ['vault', 'name'],
  roll: ['vault', 'name', 'now', 'dry-run'],
  create: Object.keys(options).filter((name) => !['now', 'dry-run'].includes(name)),
}

type Options = ReturnType<typeof parseCommand<typeof options>>['values']

process.exitCode = await exitCodeOf(() => main(process.argv.slice(2)))

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseCommand('certificate', args, options, 1)
  const [command] = positionals
  if (values.help === true || command === undefined) {
    console.log(usage)
    return values.help === true ? 0 : 2
  }
  const allowed = Object.hasOwn(optionsOf, command) ? optionsOf[command] : undefined
  if (!allowed) throw wrongUse(`There is no command ${command}: create, status or roll`, 'certificate')
  refuseOtherOptions(values, allowed, { command: 'certificate', action: command })
  if (command === 'roll' && values.now !== true && values['dry-run'] !== true) {
    throw refused('The broker rolls by itself. Add --now for a new version at once, or --dry-run to print the steps.')
  }
  const policy = policyOf(values)
  const certificate = await findVault(values)
  try {
    if (command === 'create') return await create(certificate, policy, values)
    const json = values.json === true
    if (command === 'status') return await showStatus(certificate, json)
    if (values['dry-run'] !== true) return await rollNow(certificate, json)
    return await dryRun(certificate, { now: values.now === true, json })
  } catch (error) {
    if (error instanceof LocalError) throw error
    throw new LocalError(describeFailure(error, certificate))
  }
}

/** @throws {LocalError} with one sentence for each problem */
function policyOf(values: Options): CertificatePolicy {
  const policy: CertificatePolicy = {
    ...defaultPolicy,
    ...defined({ subject: values.subject }),
    ...defined({ issuer: values.issuer }),
    ...(values['key-size'] === undefined
      ? {}
      : { keySize: Number(values['key-size']) as CertificatePolicy['keySize'] }),
    ...(values['validity-months'] === undefined ? {} : { validityMonths: Number(values['validity-months']) }),
    ...(values['renew-days'] === undefined ? {} : { renewDaysBeforeEnd: Number(values['renew-days']) }),
    ...(values.hsm === true ? { keyType: 'RSA-HSM' as const } : {}),
  }
  const problems = findPolicyProblems(policy)
  if (problems.length > 0) throw refused(problems.join('\n'))
  return policy
}

async function create(
  { vaultUrl, name }: NamedCertificate,
  policy: CertificatePolicy,
  values: Options,
): Promise<number> {
  console.error(`Requesting the certificate ${name} from ${vaultUrl} …`)
  const creator = createKeyVaultCertificateCreator({ vaultUrl, credential: createDeployerCredential() })
  const { outcome, differences, newest } = await createCertificate({
    creator,
    name,
    policy,
    change: values.change === true,
  })
  const { version, notBefore, expires } = newest
  if (values.json === true) console.log(JSON.stringify({ outcome, differences, version, notBefore, expires }))
  else {
    console.log(
      `${{ created: 'Created', unchanged: 'Exists', changed: 'Policy changed', differs: 'Exists with another policy' }[outcome]}: ${name}, version ${version}, valid until ${expires?.toISOString() ?? 'no date'}.`,
    )
    for (const difference of differences) console.log(`- ${difference}`)
    if (outcome === 'differs') console.log('To change the policy with effect from the next renewal, add --change.')
  }
  return outcome === 'differs' ? 3 : 0
}

/** An argument or a setting is wrong. */
function refused(problem: string): LocalError {
  return new LocalError(problem, 2)
}

/** By option, or else by the process environment, local.settings.json, the local parts, or azd's environment. */
async function findVault(requested: Pick<Options, 'vault' | 'name'>): Promise<NamedCertificate> {
  const named = { ...definedTexts((await readSettingsFile()) ?? {}), ...definedTexts(process.env) }
  const isVaultNamed = requested.vault !== undefined || named[declarations.vaultUrl.name] !== undefined
  // Beside npm start, which uses built-in defaults for settings that are not set.
  const isLaptop = !isVaultNamed && (await isListening(fixedPorts.vault))
  const found = isVaultNamed ? {} : isLaptop ? localDefaults : deployedSettings(await readAzdValues())
  const texts = setTextsOf({ ...found, ...named })
  const vaultUrl = requested.vault ?? texts.get(declarations.vaultUrl.name)
  if (vaultUrl === undefined) {
    throw refused(
      `No vault is named. Write --vault https://<name>.vault.azure.net, set ${declarations.vaultUrl.name}, or select an azd environment that is deployed (azd env select <name>).`,
    )
  }
  const additionalHosts = readAdditionalHosts(texts.get(declarations.additionalHosts.name))
  const refusal = checkVaultUrl(vaultUrl, additionalHosts)
  if (refusal) throw refused(`The vault's address ${refusal.problem}. ${refusal.fix}`)
  const name = requested.name ?? texts.get(declarations.certificateName.name) ?? 'broker'
  if (!/^[0-9A-Za-z-]{1,127}$/.test(name)) {
    throw refused('The name of a certificate is 1 to 127 letters, digits and hyphens.')
  }
  return { vaultUrl: new URL(vaultUrl).origin, additionalHosts, name, texts }
}

/** An empty setting counts as not set. */
function definedTexts(source: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> {
  return Object.fromEntries(setTextsOf(source))
}

/** @param value of Broker__AdditionalHosts */
function readAdditionalHosts(value: string | undefined): AddedHosts {
  const refusal = value ? checkAdditionalHosts(value) : undefined
  if (refusal) throw refused(`${declarations.additionalHosts.name} ${refusal.problem}. ${refusal.fix}`)
  return new Set(value ? hostsOf(value) : [])
}
