/**
 * Finds a secret or a private key in a setting. The broker needs none: Key Vault signs, storage is reached by identity.
 *
 * Looked at are names under the two prefixes, what stands inside JSON, and the usual suspects. What the platform
 * injects by itself (`MSI_SECRET`, `IDENTITY_HEADER`, `WEBSITE_AUTH_SIGNING_KEY`) is none of the broker's business.
 */
import type { Refusal } from './settings-error.ts'

/** App Service repeats every app setting under this prefix; one report of each is enough. */
const repeatedByPlatform = /^APPSETTING_/i
const ours = /^(azuread|broker)(_|:)/i
const secretByName = /(secret|password|passphrase|private_?key|account_?key|base64encodedvalue)$/i
const connectionSecret = /\b(AccountKey|SharedAccessKey|SharedAccessSignature)\s*=\s*[^;\s]|[?&;]sig=[^&\s]/i

const keyInSetting: Refusal = {
  problem: 'holds a private key or a certificate as text',
  fix: 'Delete it, and replace the key, for it has been seen: the key stays in Key Vault, named by AzureAd__ClientCredentials__0__KeyVaultUrl and AzureAd__ClientCredentials__0__KeyVaultCertificateName.',
}
const secretInSetting: Refusal = {
  problem: 'carries a secret',
  fix: 'Delete it, and revoke the secret, for it has been seen: the broker proves who it is with the certificate in Key Vault, named by AzureAd__ClientCredentials__0__KeyVaultUrl and AzureAd__ClientCredentials__0__KeyVaultCertificateName.',
}
const keyOfStorage: Refusal = {
  problem: 'is a connection string with a key or a signature in it',
  fix: 'Storage is reached by identity: name the account in Broker__TableServiceUri and give the identity the role Storage Table Data Contributor.',
}
const keyOfHostStorage: Refusal = {
  problem: 'is a connection string with a key or a signature in it',
  fix: 'On a laptop write UseDevelopmentStorage=true; in Azure delete it and set AzureWebJobsStorage__accountName, AzureWebJobsStorage__credential (managedidentity) and AzureWebJobsStorage__clientId.',
}

/** What is secret about this setting, if anything is. The answer repeats nothing of the value. */
export function findSecret(name: string, value: string): Refusal | undefined {
  if (repeatedByPlatform.test(name)) return undefined
  // AZURE_CLIENT_SECRET is what the Azure SDKs themselves would pick up; other programs' *_CLIENT_SECRET stay theirs.
  if (/clientsecret$/i.test(name) || name.toUpperCase() === 'AZURE_CLIENT_SECRET') return secretInSetting
  if (/^AzureWebJobs(Storage|Dashboard)/i.test(name)) {
    return connectionSecret.test(value) ? keyOfHostStorage : undefined
  }
  if (!ours.test(name)) return undefined
  if (isPrivateKeyOrCertificate(value)) return keyInSetting
  if (secretByName.test(name)) return secretInSetting
  if (connectionSecret.test(value)) return keyOfStorage
  return findSecretInJson(value)
}

function findSecretInJson(value: string): Refusal | undefined {
  if (!/^\s*[[{]/.test(value)) return undefined
  try {
    return findSecretIn(JSON.parse(value))
  } catch {
    return undefined // not JSON: the setting's own check says so
  }
}

function findSecretIn(value: unknown): Refusal | undefined {
  if (typeof value === 'string') {
    if (isPrivateKeyOrCertificate(value)) return keyInSetting
    return connectionSecret.test(value) ? keyOfStorage : findSecretInJson(value)
  }
  if (typeof value !== 'object' || value === null) return undefined
  // A JSON Web Key: `d` is the private part of every kind, `k` the whole of a symmetric one.
  if ('kty' in value && ('d' in value || 'k' in value)) return keyInSetting
  for (const [member, inner] of Object.entries(value)) {
    if (secretByName.test(member)) return secretInSetting
    const found = findSecretIn(inner)
    if (found) return found
  }
  return undefined
}

/** PEM, or base64 (of either alphabet) of PEM or of the DER that keys, PFX files and certificates are made of. */
function isPrivateKeyOrCertificate(value: string): boolean {
  if (value.includes('-----BEGIN')) return true
  const runs = value.replace(/\s|\\[rn]/g, '').match(/[A-Za-z0-9+/_-]{48,}/g) ?? []
  return runs.some((run) => {
    const bytes = Buffer.from(run, 'base64')
    return bytes.subarray(0, 11).toString('latin1') === '-----BEGIN ' || isKeyLikeDer(bytes)
  })
}

/** A SEQUENCE as long as it says, that begins with a version (keys, PFX) or another SEQUENCE (encrypted keys, certificates). */
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
