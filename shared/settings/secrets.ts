/**
 * Finds a secret or a private key in a setting. The broker needs neither: Key Vault signs, and storage is accessed by
 * managed identity.
 *
 * Checked are names under the two prefixes, values inside JSON, and names that often contain secrets. Values that the
 * platform injects (`MSI_SECRET`, `IDENTITY_HEADER`, `WEBSITE_AUTH_SIGNING_KEY`) are not checked.
 */
import { certificateAuthoritiesName, withoutPublicTexts } from './certificate-authorities.ts'
import type { Refusal } from './settings-error.ts'

/** App Service repeats every app setting under this prefix; each is reported once. */
const repeatedByPlatform = /^APPSETTING_/i
const ours = /^(azuread|broker)(_|:)/i
/** Credentials that the Azure SDKs read from the environment. */
const secretOfSdk = /^AZURE_(CLIENT_SECRET|CLIENT_CERTIFICATE_PASSWORD|PASSWORD)$/i
const secretByName = /(secret|password|passphrase|private_?key|account_?key|base64encodedvalue)$/i
const connectionSecret = /\b(AccountKey|SharedAccessKey|SharedAccessSignature)\s*=\s*[^;\s]|[?&;]sig=[^&\s]/i

/** Client secrets of Entra ID: three characters, a digit, `Q~`, and 31 to 34 more. */
const secretOfEntra = /(?<![\w.~-])[\w.~-]{3}\dQ~[\w.~-]{31,34}(?![\w.~-])/

const keyInSetting: Refusal = {
  problem: 'contains a private key or a certificate as text',
  fix: 'Delete it, and replace the key, because it is exposed. The key stays in Key Vault, named by AzureAd__ClientCredentials__0__KeyVaultUrl and AzureAd__ClientCredentials__0__KeyVaultCertificateName.',
}
const secretInSetting: Refusal = {
  problem: 'contains a secret',
  fix: 'Delete it, and revoke the secret, because it is exposed. The broker authenticates with the certificate in Key Vault, named by AzureAd__ClientCredentials__0__KeyVaultUrl and AzureAd__ClientCredentials__0__KeyVaultCertificateName.',
}
const keyOfStorage: Refusal = {
  problem: 'is a connection string that contains a key or a signature',
  fix: 'Write the account’s table service into Broker__TableServiceUri, and assign the role Storage Table Data Contributor to the managed identity.',
}
const keyOfHostStorage: Refusal = {
  problem: 'is a connection string that contains a key or a signature',
  fix: 'On a laptop write UseDevelopmentStorage=true; in Azure delete it and set AzureWebJobsStorage__accountName, AzureWebJobsStorage__credential (managedidentity) and AzureWebJobsStorage__clientId.',
}

/** @returns the refusal of a setting that contains a secret; it repeats no part of the value */
export function findSecret(name: string, value: string): Refusal | undefined {
  if (repeatedByPlatform.test(name)) return undefined
  // Other names that end in _CLIENT_SECRET belong to other programs.
  if (/clientsecret$/i.test(name) || secretOfSdk.test(name)) return secretInSetting
  if (/^AzureWebJobs(Storage|Dashboard)/i.test(name)) {
    return connectionSecret.test(value) ? keyOfHostStorage : undefined
  }
  if (!ours.test(name)) return undefined
  const text = isAboutAuthorities(name) ? withoutPublicTexts(value) : value
  if (isPrivateKeyOrCertificate(text)) return keyInSetting
  if (secretByName.test(name) || secretOfEntra.test(value)) return secretInSetting
  if (connectionSecret.test(value)) return keyOfStorage
  return findSecretInJson(value)
}

/** This one setting has certificates, which are public. A deployment's check adds a prefix of its own to each name. */
function isAboutAuthorities(name: string): boolean {
  return name.toLowerCase().endsWith(certificateAuthoritiesName.toLowerCase())
}

/**
 * Secrets of other programs in a developer's shell, which is not the app's configuration.
 *
 * @returns the names that are no settings of the broker and contain a secret
 */
export function findForeignSecrets(shell: Readonly<Record<string, string | undefined>>): readonly string[] {
  return Object.entries(shell)
    .filter(([name, value]) => value !== undefined && !ours.test(name) && findSecret(name, value) !== undefined)
    .map(([name]) => name)
}

function findSecretInJson(value: string): Refusal | undefined {
  if (!/^\s*[[{]/.test(value)) return undefined
  try {
    return findSecretIn(JSON.parse(value))
  } catch {
    return undefined // the setting's own check reports invalid JSON
  }
}

function findSecretIn(value: unknown): Refusal | undefined {
  if (typeof value === 'string') {
    if (isPrivateKeyOrCertificate(value)) return keyInSetting
    if (secretOfEntra.test(value)) return secretInSetting
    return connectionSecret.test(value) ? keyOfStorage : findSecretInJson(value)
  }
  if (typeof value !== 'object' || value === null) return undefined
  // A JSON Web Key: `d` is the private part of every asymmetric key, `k` a symmetric key.
  if ('kty' in value && ('d' in value || 'k' in value)) return keyInSetting
  for (const [member, inner] of Object.entries(value)) {
    if (secretByName.test(member)) return secretInSetting
    const found = findSecretIn(inner)
    if (found) return found
  }
  return undefined
}

/** PEM, or base64 (of either alphabet) of PEM or of the DER of keys, PFX files and certificates. */
function isPrivateKeyOrCertificate(value: string): boolean {
  if (value.includes('-----BEGIN')) return true
  const runs = value.replace(/\s|\\[rn]/g, '').match(/[A-Za-z0-9+/_-]{48,}/g) ?? []
  return runs.some((run) => {
    const bytes = Buffer.from(run, 'base64')
    return bytes.subarray(0, 11).toString('latin1') === '-----BEGIN ' || isKeyLikeDer(bytes)
  })
}

/** A complete SEQUENCE that begins with a version (keys, PFX) or another SEQUENCE (encrypted keys, certificates). */
function isKeyLikeDer(bytes: Buffer): boolean {
  if (bytes[0] !== 0x30) return false
  const first = bytes[1] ?? 0
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f
  if (lengthBytes > 3 || bytes.length < 2 + lengthBytes) return false
  const length = lengthBytes === 0 ? first : bytes.readUIntBE(2, lengthBytes)
  const body = bytes.subarray(2 + lengthBytes)
  const hasVersion = body[0] === 0x02 && body[1] === 0x01 && (body[2] ?? 0xff) <= 3
  return body.length >= length && (hasVersion || body[0] === 0x30)
}
