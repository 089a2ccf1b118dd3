/** `npm run certificate -- status` and `roll --now`: prints the versions in vault and store; requests a new version. */
import https from 'node:https'
import { defined } from '../../shared/json/json.ts'
import { createKeyVaultCertificateCreator } from './certificate-creator.key-vault.ts'
import { createDeployerCredential } from './deployer-credential.azure-identity.ts'
import { byAge, chooseRecorded, emptyRecord, observe } from '../../shared/certificate/certificate-state.ts'
import type { CertificateRecord } from '../../shared/certificate/certificate-state.ts'
import type { CertificateRecords } from '../../shared/certificate/certificate-state.store.ts'
import { describeStep } from '../../shared/certificate/roll.ts'
import { nextStep } from '../../shared/certificate/roll-steps.ts'
import type { RollTiming } from '../../shared/certificate/roll-timing.ts'
import { drawTimeline } from './timeline.ts'
import { daysLeft } from '../../shared/certificate/warnings.ts'
import { isLoopbackUrl } from '../../shared/settings/addresses.ts'
import { declarations } from '../../shared/settings/declarations.ts'
import { localCa, openAccess, storeIsSilent } from './certificate-access.ts'
import { readFacts } from '../../shared/certificate/certificate-facts.ts'
import type { CertificateFacts } from '../../shared/certificate/certificate-facts.ts'
import type { CertificateAccess, NamedCertificate, OtherAccess } from './certificate-access.ts'
import type { CertificateVault, CertificateVersion } from '../../shared/vault/vault.ts'
import { LocalError } from '../../local/http-server.ts'

/** Prints the time line. @returns the exit code: 0, or 3 when an operator must act */
export async function showStatus(certificate: NamedCertificate, json: boolean): Promise<number> {
  const { vaultUrl, name } = certificate
  const { vault, timing, others, ...primary } = await openAccess(certificate)
  const context = { vault, timing, now: Date.now(), listed: await vault.listVersions() }
  const status = await readStatus(primary, context)
  const atOthers = await Promise.all(
    others.map(async (other) => ({ ...(await readStatus(other, context)), id: other.id, handOver: handOverAt(other) })),
  )

  if (json) {
    const providers = atOthers.map((one) => ({ id: one.id, ...describe(one, context) }))
    console.log(JSON.stringify({ ...describe(status, context), ...(providers.length > 0 ? { providers } : {}) }))
  } else {
    console.log(`Certificate ${name} in ${vaultUrl}`)
    printStatus(status, context, primary.canRegister ? undefined : handOverOf(certificate))
    for (const one of atOthers) {
      console.log(`\nThe same certificate at the provider ${one.id}`)
      printStatus(one, context, one.handOver)
    }
  }
  const needsOperator = ({ record }: Status) => record.undated !== undefined || !chooseRecorded(record, context.now)
  // A record that could not be read shows nothing.
  const atKnown = atOthers.filter(({ problem }) => problem === undefined)
  return [status, ...atKnown].some(needsOperator) ? 3 : 0
}

interface StatusContext {
  readonly vault: CertificateVault
  readonly timing: RollTiming
  readonly listed: readonly CertificateVersion[]
  readonly now: number
}

/** The certificate at one provider. */
interface Status {
  readonly record: CertificateRecord
  /** The next step, in words. */
  readonly next: string
  /** The reason why the registration at the provider is unknown. */
  readonly problem: string | undefined
  /** False where the store could not be read. */
  readonly isRead: boolean
}

async function readStatus(
  { records, canRegister }: Pick<CertificateAccess, 'records' | 'canRegister'>,
  { vault, timing, listed, now }: StatusContext,
): Promise<Status> {
  const { known, problem } = await findRecord(records)
  const facts = new Map<string, CertificateFacts>()
  for (const { version } of listed) {
    if (known?.versions.some((one) => one.version === version)) continue
    facts.set(version, readFacts(await vault.readCertificate(version)))
  }
  const record = observe(known ?? emptyRecord, listed, facts, now)
  const step = nextStep(record, { now, timing, canRegister, by: '' })
  const isRead = known !== undefined
  return { record, next: problem === undefined ? describeStep(step) : 'not known without the store', problem, isRead }
}

function printStatus(
  { record, next, problem, isRead }: Status,
  { now, timing }: StatusContext,
  handOver: HandOver | undefined,
): void {
  console.log(drawTimeline(record, { now, timing, next, isProviderKnown: problem === undefined }).join('\n'))
  if (problem !== undefined) console.log(`The registration at the provider is unknown: ${problem}`)
  // Without the store each version would look as if it were not registered.
  if (handOver && isRead) printHandOver(record, handOver)
}

/** Requests a new version from the vault by its policy; the broker registers and uses it. */
export async function rollNow({ vaultUrl, name }: NamedCertificate, json: boolean): Promise<number> {
  const version = isLoopbackUrl(vaultUrl) ? await renewLocally(vaultUrl, name) : await renewInVault(vaultUrl, name)
  if (json) {
    console.log(JSON.stringify({ name, version }))
    return 0
  }
  console.log(`The vault created version ${version} of ${name}.`)
  console.log('The broker registers it and signs with it once the provider accepts it, within minutes as a rule.')
  console.log('To watch it: npm run certificate -- status')
  return 0
}

async function renewInVault(vaultUrl: string, name: string): Promise<string> {
  const creator = createKeyVaultCertificateCreator({ vaultUrl, credential: createDeployerCredential() })
  const isThere = await creator.renew(name)
  if (!isThere) throw new LocalError(`There is no certificate ${name} in ${vaultUrl}: npm run certificate -- create`)
  return (await creator.newestVersion(name)).version
}

/** In the local vault no person may create a version; it has a route for that. */
async function renewLocally(vaultUrl: string, name: string): Promise<string> {
  const ca = await localCa(vaultUrl)
  const body = JSON.stringify({ name })
  return new Promise((resolve, reject) => {
    const request = https.request(
      `${vaultUrl}/local/renew`,
      // No agent: with NODE_USE_ENV_PROXY the global one uses a proxy, for loopback too.
      { method: 'POST', ca, agent: false, headers: { 'content-type': 'application/json' } },
      (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (more: string) => (text += more))
        response.on('end', () => {
          if (response.statusCode === 200) resolve((JSON.parse(text) as { version: string }).version)
          else reject(new LocalError(`The local vault answered ${String(response.statusCode)}: ${text}`))
        })
      },
    )
    request.on('error', (error) =>
      reject(new LocalError(`The local vault does not answer (${error.message}). Run: npm start`)),
    )
    request.end(body)
  })
}

async function findRecord(
  records: CertificateRecords | undefined,
): Promise<{ known?: CertificateRecord; problem?: string }> {
  if (!records) return { problem: `set ${declarations.tableServiceUri.name}` }
  try {
    const { record, etag } = await records.load()
    return etag === undefined ? { known: record, problem: 'the broker has not stored a state yet' } : { known: record }
  } catch (error) {
    return { problem: storeIsSilent(error) }
  }
}

function describe({ record, next, problem }: Status, { now }: StatusContext): object {
  const signing = chooseRecorded(record, now)
  return {
    versions: [...record.versions]
      .sort(byAge)
      .map(({ version, enabled, notBefore, expires, status, cause, keyId }) => ({
        version,
        signs: version === signing?.version,
        enabled,
        notBefore: new Date(notBefore).toISOString(),
        expires: new Date(expires).toISOString(),
        daysLeft: daysLeft(expires, now),
        provider: problem === undefined ? status : 'unknown',
        addedByBroker: keyId !== undefined,
        ...defined({ cause }),
      })),
    next,
    ...defined({ problem }),
  }
}

/** The facts of a provider at which the broker cannot register a version. */
interface HandOver {
  readonly why: string
  /** Of AD FS. */
  readonly adfsClientId: string | undefined
  /** Of the confirmation to the broker. */
  readonly query: string
}

function handOverAt({ id, canRegister, adfsClientId }: OtherAccess): HandOver | undefined {
  if (canRegister) return undefined
  return { why: 'since the broker cannot change keys there', adfsClientId, query: `?provider=${id}` }
}

function handOverOf({ texts }: NamedCertificate): HandOver {
  const isAdfs = texts.get(declarations.providerKind.name) === 'adfs'
  return {
    why: !texts.has(declarations.authority.name)
      ? `since ${declarations.applicationObjectId.name} is not set`
      : `since the provider is not Entra ID (${declarations.authority.name}), whose keys alone the broker can change`,
    adfsClientId: isAdfs ? (texts.get(declarations.clientId.name) ?? '') : undefined,
    query: '',
  }
}

/** Prints what an operator registers by hand, where the broker cannot. */
function printHandOver(record: CertificateRecord, { why, adfsClientId, query }: HandOver): void {
  const waiting = [...record.versions].sort(byAge).find(({ enabled, status }) => enabled && status !== 'accepted')
  if (!waiting) return
  console.log('')
  console.log(`Version ${waiting.version} is to be registered by hand, ${why}:`)
  console.log('- send its public part to the operator of the identity provider: az keyvault certificate download \\')
  console.log(`    --vault-name <vault> --name <name> --version ${waiting.version} --file broker.cer --encoding DER`)
  if (adfsClientId !== undefined) {
    console.log('- on a federation server, name every certificate that may sign, since the command replaces the list:')
    console.log(`    Set-AdfsServerApplication -TargetIdentifier ${adfsClientId} \``)
    console.log('      -JWTSigningCertificate (Get-PfxCertificate present.cer), (Get-PfxCertificate broker.cer)')
  } else console.log('  or let the provider read /.well-known/jwks.json of the broker;')
  console.log(
    `- then confirm it to the broker: POST /certificate/${waiting.version}/registered${query} with the header x-functions-key.`,
  )
}
