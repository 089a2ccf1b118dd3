/**
 * Creates the broker's certificate in the vault with the required policy, or compares an existing one. The person or
 * pipeline that deploys runs this, never the broker. A repeated run changes no certificate.
 */

/** The part of a certificate's policy that the broker depends on. */
export interface CertificatePolicy {
  readonly subject: string
  readonly keyType: 'RSA' | 'RSA-HSM'
  readonly keySize: 2048 | 3072 | 4096
  readonly exportable: boolean
  /** True if a renewal keeps the key. */
  readonly reuseKey: boolean
  readonly keyUsage: readonly string[]
  readonly validityMonths: number
  /** Renewed by the vault when so many days are left; undefined where the vault does not renew it. */
  readonly renewDaysBeforeEnd: number | undefined
  /** `Self`, or an issuer that the vault knows by this name. */
  readonly issuer: string
}

/** A version with the values that the provider needs. */
interface CreatedVersion {
  readonly version: string
  readonly der: Uint8Array
  readonly notBefore: Date | undefined
  readonly expires: Date | undefined
}

/**
 * The operations of Key Vault that creating needs; the adapter is certificate-creator.key-vault.ts.
 *
 * @throws {CertificateProblem}
 */
export interface CertificateCreator {
  /** Undefined where the vault has no certificate of this name, or only a pending request. */
  findPolicy(name: string): Promise<CertificatePolicy | undefined>
  /** Requests a certificate and waits for it, or waits for a pending request. */
  create(name: string, policy: CertificatePolicy): Promise<void>
  updatePolicy(name: string, policy: CertificatePolicy): Promise<void>
  /**
   * Requests a new version by the present policy, also with members that `CertificatePolicy` does not have.
   *
   * @returns false where the vault has no certificate of this name
   */
  renew(name: string): Promise<boolean>
  newestVersion(name: string): Promise<CreatedVersion>
}

/** A refusal of the vault. The message is whole: what is wrong, and what to do. */
export class CertificateProblem extends Error {}

/** The vault denies this person; the message names the missing permission and the command that grants it. */
export class CertificateRefused extends CertificateProblem {
  /** As access policies spell it. */
  readonly permission: string

  constructor(permission: string, vaultUrl: string, options?: ErrorOptions) {
    const vaultName = vaultNameOf(vaultUrl)
    super(
      `You lack the permission "${permission}" for certificates in ${vaultUrl}. An administrator of the vault grants it by: az keyvault set-policy --name ${vaultName} --object-id <your object id> --certificate-permissions get list create update (a vault with roles: az role assignment create --role "Key Vault Certificates Officer" --assignee <your object id> --scope <the vault's id>). A new permission takes effect after up to ten minutes.${sentenceOf(options?.cause)}`,
      options,
    )
    this.name = 'CertificateRefused'
    this.permission = permission
  }
}

/** The vault's own sentence: it names the person's object id, or the policy of the company that refuses the request. */
function sentenceOf(cause: unknown): string {
  const [line = ''] = cause instanceof Error ? cause.message.split(/\r?\n/) : []
  return line === '' ? '' : ` The vault answered: ${line.slice(0, 500)}`
}

/** The vault accepts no request from this network. */
export class CertificateNetworkRefused extends CertificateProblem {
  constructor(vaultUrl: string, options?: ErrorOptions) {
    super(
      `The firewall of ${vaultUrl} refuses this machine: the vault is reachable from its private network only. Run the command inside the network, or write the public address of this machine into "vaultAllowedAddresses" of infra/environments/<name>.json, and run azd provision. Where the file does not have "network": "private", a policy of the company has closed the vault: write it, because the broker could not reach the vault either.`,
      options,
    )
    this.name = 'CertificateNetworkRefused'
  }
}

/** A deleted certificate holds the name until its retention ends. */
export class CertificateDeleted extends CertificateProblem {
  constructor(name: string, vaultUrl: string, options?: ErrorOptions) {
    super(
      `A deleted certificate holds the name ${name} in ${vaultUrl}. A person with the permission "recover" for certificates runs: az keyvault certificate recover --vault-name ${vaultNameOf(vaultUrl)} --name ${name}. Or use another name: "certificateName" in infra/environments/<name>.json.`,
      options,
    )
    this.name = 'CertificateDeleted'
  }
}

function vaultNameOf(vaultUrl: string): string {
  return new URL(vaultUrl).hostname.split('.')[0] ?? ''
}

interface CreateOptions {
  readonly creator: CertificateCreator
  readonly name: string
  readonly policy: CertificatePolicy
  /** True to change a policy that differs; the change takes effect at the next renewal. */
  readonly change: boolean
}

export interface CreateResult {
  readonly outcome: 'created' | 'unchanged' | 'differs' | 'changed'
  /** Differences between the existing and the requested policy: "keySize is 2048 and not 3072". */
  readonly differences: readonly string[]
  readonly newest: CreatedVersion
}

/** The default policy. */
export const defaultPolicy: CertificatePolicy = {
  subject: 'CN=certificate-token-broker',
  keyType: 'RSA',
  keySize: 3072,
  exportable: false,
  reuseKey: false,
  keyUsage: ['digitalSignature'],
  validityMonths: 12,
  // Earlier than the vault's own event at 30 days, so that the event means: the renewal failed.
  renewDaysBeforeEnd: 60,
  issuer: 'Self',
}

/** @throws {CertificateRefused} when the vault denies this person */
export async function createCertificate({ creator, name, policy, change }: CreateOptions): Promise<CreateResult> {
  const present = await creator.findPolicy(name)
  if (!present) {
    await creator.create(name, policy)
    return { outcome: 'created', differences: [], newest: await creator.newestVersion(name) }
  }
  const differences = comparePolicies(present, policy)
  if (differences.length > 0 && change) await creator.updatePolicy(name, policy)
  const outcome = differences.length === 0 ? 'unchanged' : change ? 'changed' : 'differs'
  return { outcome, differences, newest: await creator.newestVersion(name) }
}

/** The vault would wait without end for a certificate that another authority signs. */
export function isOutsideVault(issuer: string): boolean {
  return issuer.toLowerCase() === 'unknown'
}

export const outsideVault =
  'The issuer Unknown stands for an authority outside the vault. Send it the request of the vault, and merge its answer: az keyvault certificate pending merge --vault-name <vault> --name <name> --file <certificate>'

/** Checks a requested policy before the vault receives it. @returns one sentence for each problem */
export function findPolicyProblems(policy: CertificatePolicy): readonly string[] {
  const { validityMonths, renewDaysBeforeEnd, subject, keySize, issuer } = policy
  const problems: string[] = []
  if (isOutsideVault(issuer)) problems.push(outsideVault)
  if (!/^(CN|O|OU|C|L|S|ST|DC)=./i.test(subject))
    problems.push('The subject is not a distinguished name: write CN=name.')
  if (![2048, 3072, 4096].includes(keySize)) problems.push('The key size is none of 2048, 3072, 4096.')
  if (!Number.isInteger(validityMonths) || validityMonths < 1 || validityMonths > 24) {
    problems.push('The validity is not 1 to 24 whole months: a longer one would hide a missing renewal.')
  }
  const longest = validityMonths * 28
  if (renewDaysBeforeEnd !== undefined && !Number.isInteger(renewDaysBeforeEnd)) {
    problems.push('The days before the end at which the vault renews are not a whole number.')
  } else if (renewDaysBeforeEnd !== undefined && (renewDaysBeforeEnd <= 30 || renewDaysBeforeEnd >= longest)) {
    problems.push(
      `Renewal ${renewDaysBeforeEnd} days before the end is not between 31 (the vault warns at 30, which must mean that it failed) and ${longest}.`,
    )
  }
  return problems
}

function comparePolicies(present: CertificatePolicy, wanted: CertificatePolicy): readonly string[] {
  return (Object.keys(wanted) as (keyof CertificatePolicy)[])
    .filter((member) => JSON.stringify(present[member]) !== JSON.stringify(wanted[member]))
    .map((member) => `${member} is ${show(present[member])} and not ${show(wanted[member])}`)
}

function show(value: CertificatePolicy[keyof CertificatePolicy]): string {
  if (value === undefined) return 'not set'
  return typeof value === 'object' ? value.join(', ') : String(value)
}
