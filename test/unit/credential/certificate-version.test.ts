import { describe, expect, it } from 'vitest'
import { chooseVersion } from '../../../shared/credential/certificate-version.ts'
import type { CertificateVersion } from '../../../shared/vault/vault.ts'

const day = 24 * 60 * 60 * 1000
const now = Date.parse('2026-06-01T00:00:00Z')
const version = (name: string, changes: Partial<CertificateVersion> = {}): CertificateVersion => ({
  version: name,
  enabled: true,
  notBefore: now - 10 * day,
  expires: now + 80 * day,
  created: now - 10 * day,
  ...changes,
})
const older = version('older', { created: now - 60 * day, notBefore: now - 60 * day, expires: now + 30 * day })
const newer = version('newer')

describe('the version that signs', () => {
  it('is the newest that is enabled and valid now, in any order of the vault’s list', () => {
    expect(chooseVersion([older, newer], now).version).toBe('newer')
    expect(chooseVersion([newer, older], now).version).toBe('newer')
  })

  it.each<[string, Partial<CertificateVersion>]>([
    ['is disabled', { enabled: false }],
    ['has expired', { expires: now - 1 }],
    ['expires this very moment', { expires: now }],
    ['is not valid yet', { notBefore: now + 1 }],
  ])('is the one before where the newest %s', (_what, changes) => {
    expect(chooseVersion([older, version('newer', changes)], now).version).toBe('older')
    expect(chooseVersion([older, newer], now).version).toBe('newer')
  })

  it('is valid from its notBefore on', () => {
    expect(chooseVersion([version('first', { notBefore: now })], now).version).toBe('first')
  })

  it('is the one that begins later where two were made in the same second', () => {
    const twin = version('twin', { notBefore: now - 9 * day })

    expect(chooseVersion([newer, twin], now).version).toBe('twin')
    expect(chooseVersion([twin, newer], now).version).toBe('twin')
  })
})

describe('a certificate that cannot sign', () => {
  it.each<[string, readonly CertificateVersion[], string]>([
    ['does not exist', [], 'certificate_missing'],
    ['is disabled', [version('only', { enabled: false })], 'certificate_disabled'],
    ['has expired', [version('only', { expires: now - day })], 'certificate_expired'],
    ['is not valid yet', [version('only', { notBefore: now + day })], 'certificate_not_yet_valid'],
    ['has no end', [version('only', { expires: undefined })], 'certificate_without_dates'],
    ['has no beginning', [version('only', { notBefore: undefined })], 'certificate_without_dates'],
    [
      'has expired, and its successor is disabled',
      [version('only', { expires: now - day }), version('next', { enabled: false })],
      'certificate_expired',
    ],
    [
      'has expired, and its successor is not valid yet',
      [version('only', { expires: now - day }), version('next', { notBefore: now + day })],
      'certificate_not_yet_valid',
    ],
  ])('is reported where it %s', (_what, versions, code) => {
    expect(() => chooseVersion(versions, now)).toThrow(expect.objectContaining({ code }) as Error)
    expect(chooseVersion([version('good')], now).version).toBe('good')
  })

  it('is not skipped where it has no dates: the fault is reported even beside a good version', () => {
    expect(() => chooseVersion([older, version('newer', { expires: undefined })], now)).toThrow(
      expect.objectContaining({ code: 'certificate_without_dates', detail: 'version newer' }) as Error,
    )
    // After an operator disables it, the broker signs with the other one.
    expect(chooseVersion([older, version('newer', { expires: undefined, enabled: false })], now).version).toBe('older')
  })
})
