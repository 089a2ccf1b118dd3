import { describe, expect, it } from 'vitest'
import { readVaultEvent } from '../../../shared/certificate/vault-event.ts'

const version = 'a'.repeat(32)
const watched = { vaultUrl: 'https://kv-shop.vault.azure.net/', certificateName: 'Broker' }
const event = (Id: unknown, more: object = {}) => ({
  eventType: 'Microsoft.KeyVault.CertificateNewVersionCreated',
  data: { Id },
  ...more,
})
const own = `https://kv-shop.vault.azure.net/certificates/broker/${version}`

describe('an event of the vault', () => {
  it.each([
    ['Microsoft.KeyVault.CertificateNewVersionCreated', 'new version'],
    ['Microsoft.KeyVault.CertificateNearExpiry', 'near expiry'],
    ['Microsoft.KeyVault.CertificateExpired', 'near expiry'],
    ['Microsoft.KeyVault.SecretNewVersionCreated', undefined],
    ['toString', undefined],
  ])('of the type %s is read as %s, in either schema', (kind, news) => {
    expect(readVaultEvent(event(own, { eventType: kind }), watched)).toBe(news)
    expect(readVaultEvent(event(own, { eventType: undefined, type: kind }), watched)).toBe(news)
  })

  it.each([
    ['another vault', own.replace('kv-shop', 'kv-other')],
    ['a vault by http', own.replace('https', 'http')],
    ['another certificate', own.replace('/broker/', '/other/')],
    ['a key of the same name', own.replace('/certificates/', '/keys/')],
    ['no version', own.replace(`/${version}`, '')],
    ['a value that is no version', own.replace(version, 'pending')],
    ['a longer path', `${own}/more`],
    ['no URL', 'broker'],
    ['a number', 7],
    ['no id', undefined],
  ])('about %s is ignored', (_, id) => {
    expect(readVaultEvent(event(id), watched)).toBeUndefined()
    expect(readVaultEvent(event(own), watched)).toBe('new version')
  })

  it.each([undefined, null, 'text', [], {}, { eventType: 7, data: {} }, { type: 'a' }])(
    'that is none is ignored: %j',
    (text) => {
      expect(readVaultEvent(text, watched)).toBeUndefined()
    },
  )
})
