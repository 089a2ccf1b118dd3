/**
 * Makes the broker's certificate in the vault, by whoever deploys and never by the broker: the policy it must have, and
 * what to do where there is one already. Repeating it changes nothing.
 */

/** A certificate's policy, as far as the broker cares about it. */
export interface CertificatePolicy {
  readonly subject: string
  readonly keyType: 'RSA' | 'RSA-HSM'
  readonly keySize: 2048 | 3072 | 4096
  readonly exportable: boolean
  /** Whether a renewal keeps the key. */
  readonly reuseKey: boolean
  readonly keyUsage: readonly string[]
  readonly validityMonths: number
  /** Renewed by the vault when so many days are left; undefined where it isn't. */
  readonly renewDaysBeforeEnd: number | undefined
  /** `Self`, or an issuer that the vault knows by this name. */
  readonly issuer: string
}

/** A version as the provider must learn it. */
export interface CreatedVersion {
  readonly version: string
  readonly der: Uint8Array
  readonly notBefore: Date | undefined
  readonly expires: Date | undefined
}

/** What creating asks of Key Vault; the adapter beside it speaks to the vault. @throws {CertificateRefused} */
export interface CertificateCreator {
  /** Nothing where the vault has no certificate of this name, or only a request for one. */
  findPolicy(name: string): Promise<CertificatePolicy | undefined>
  /** Asks for a certificate and waits for it, also for one that somebody asked for before. */
  create(name: string, policy: CertificatePolicy): Promise<void>
  updatePolicy(name: string, policy: CertificatePolicy): Promise<void>
  newestVersion(name: string): Promise<CreatedVersion>
}

/** The vault doesn't let this person do it; the message says which permission is missing and the command that gives it. */
export class CertificateRefused extends Error {
  /** As access policies spell it. */
  readonly permission: string

  constructor(permission: string, vaultUrl: string, options?: ErrorOptions) {
    const vaultName = new URL(vaultUrl).hostname.split('.')[0] ?? ''
    super(
      `You may not "${permission}" certificates in ${vaultUrl}. Who manages the vault gives it by: az keyvault set-policy --name ${vaultName} --object-id <your object id> --certificate-permissions get list create update (a vault with roles: az role assignment create --role "Key Vault Certificates Officer" --assignee <your object id> --scope <the vault's id>). A permission just given takes up to ten minutes.`,
      options,
    )
    this.name = 'CertificateRefused'
    this.permission = permission
  }
}

/** The vault accepts no request from this network. */
export class CertificateNetworkRefused extends Error {
  constructor(vaultUrl: string, options?: ErrorOptions) {
    super(
      `The firewall of ${vaultUrl} refuses this machine: the vault is reachable from its private network only. Run the command inside the network, or write the public address of this machine into "vaultAllowedAddresses" of infra/environments/<name>.json, and run azd provision.`,
      options,
    )
    this.name = 'CertificateNetworkRefused'
  }
}

export interface CreateOptions {
  readonly creator: CertificateCreator
  readonly name: string
  readonly policy: CertificatePolicy
  /** Whether a policy that differs is changed; it takes effect at the next renewal. */
  readonly change: boolean
}

export interface CreateResult {
  readonly outcome: 'created' | 'unchanged' | 'differs' | 'changed'
  /** Where what is there isn't what was asked for: "keySize is 2048 and not 3072". */
  readonly differences: readonly string[]
  readonly newest: CreatedVersion
}

/** What the broker wants where nothing else is said. */
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

/** @throws {CertificateRefused} when the vault doesn't let this person */
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

/** What is wrong with a policy that was asked for, before the vault is: each a sentence. */
export function findPolicyProblems(policy: CertificatePolicy): readonly string[] {
  const { validityMonths, renewDaysBeforeEnd, subject, keySize } = policy
  const problems: string[] = []
  if (!/^(CN|O|OU|C|L|S|ST|DC)=./i.test(subject)) problems.push('The subject is no distinguished name: write CN=name.')
  if (![2048, 3072, 4096].includes(keySize)) problems.push('The key size is none of 2048, 3072, 4096.')
  if (!Number.isInteger(validityMonths) || validityMonths < 1 || validityMonths > 24) {
    problems.push('The validity is not 1 to 24 whole months: a longer one would hide that nobody renews.')
  }
  const longest = validityMonths * 28
  if (renewDaysBeforeEnd !== undefined && (renewDaysBeforeEnd <= 30 || renewDaysBeforeEnd >= longest)) {
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
